"""Object search: one example finds all the others, each once, at its place."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import box

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.errors import NotFoundError, QueryError
from pipeline.objects import score_tiles
from pipeline.objects.find import find, learn
from pipeline.objects.hits import off_spots, tops_of
from pipeline.objects.open_cells import forget_removed
from pipeline.objects.places import Example, of_box, spot_of
from pipeline.objects.results import ObjectResult
from pipeline.objects.score_maps import score_maps
from pipeline.search.filters import Filters
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat

SIZE = WIDTH * 0.5


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "home")


@pytest.fixture
def yard(tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch) -> Collection:
    objects.use_standin(monkeypatch)
    return objects.collection(tmp_path, library)


def centres(result: ObjectResult) -> list[tuple[float, float]]:
    return [(found.col, found.row) for found in result.objects]


def near(found: tuple[float, float]) -> tuple[int, int] | None:
    """The thing whose centre is within a cell of what was found."""
    return next((p for p in PLACES if max(abs(p[0] - found[0]), abs(p[1] - found[1])) <= 16), None)


def test_one_click_finds_every_thing_once_at_its_place(yard: Collection) -> None:
    result = find([yard], [Example(*lonlat(yard, PLACES[5]))], size_m=SIZE, k=len(PLACES))
    assert sorted(filter(None, map(near, centres(result)))) == sorted(PLACES)
    assert [found.rank for found in result.objects] == list(range(1, len(PLACES) + 1))
    first = result.objects[0]
    assert first.width_m == pytest.approx(SIZE, rel=0.02)
    assert (first.collection, first.datetime) == ("yard", "2020-05-01T00:00:00Z")
    scores = [found.score for found in result.objects]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] <= 1.0001


def test_box_is_an_example_of_its_own_size(yard: Collection) -> None:
    x, y = PLACES[0]
    west, north = lonlat(yard, (x - 32, y - 32))
    east, south = lonlat(yard, (x + 32, y + 32))
    result = find([yard], [of_box((west, south, east, north))], k=len(PLACES))
    assert result.ranking.size_m == pytest.approx(SIZE, rel=0.05)
    assert sorted(filter(None, map(near, centres(result)))) == sorted(PLACES)


def test_what_is_marked_bad_is_no_further_example_of_a_click(yard: Collection) -> None:
    good = Example(*lonlat(yard, PLACES[5]), SIZE, SIZE)
    bad = [Example(*lonlat(yard, place), SIZE, SIZE, good=False) for place in PLACES[:4]]
    spots = [spot_of(yard, example) for example in (good, *bad)]
    plain = learn([yard], [good]).ranking
    (scored,) = score_maps([yard], plain)
    [tops] = tops_of([scored], plain, 100)
    kept = tops.where(off_spots(tops, scored, plain, spots[1:]))
    found = {
        near(place) for place in zip(*scored.mapped.centres(kept.rows, kept.cols), strict=True)
    }
    assert found - {None} == set(PLACES[4:])


def test_cells_that_are_dropped_leave_the_disk_though_they_were_searched(
    yard: Collection, library: Library
) -> None:
    example = Example(*lonlat(yard, PLACES[5]))
    result = find([yard], [example], size_m=SIZE, k=16)
    (scene,) = yard.scenes
    token = score_tiles.keep(result.ranking, 0, 1)
    score_tiles.scene_logits(yard, scene, token)
    del result
    library.drop("yard", "cells")
    forget_removed()
    gc.collect()
    mapped = Path("/proc/self/maps").read_text()
    assert str(yard.path / ".tmp-cells") not in mapped
    assert str(yard.path / "cells") not in mapped


def test_filters_apply_before_the_search(yard: Collection) -> None:
    example = Example(*lonlat(yard, PLACES[5]))
    west, north = lonlat(yard, (0, 0))
    east, south = lonlat(yard, (520, 1024))
    left = Filters(within=box(west, south, east, north))
    result = find([yard], [example], size_m=SIZE, k=8, filters=left)
    assert len(result.objects) == 8
    assert all(col < 530 for col, _ in centres(result))
    assert {near(place) for place in centres(result)} == {p for p in PLACES if p[0] < 520}
    far = find([yard], [example], size_m=SIZE, k=16, filters=Filters(away=200.0))
    x, y = PLACES[5]
    distances = [np.hypot(col - x, row - y) * 0.5 for col, row in centres(far)]
    # The example itself is marked good, and stays.
    assert sum(distance < 195 for distance in distances) == 1
    assert find([yard], [example], size_m=SIZE, filters=Filters(scenes=("other",))).objects == ()


def test_collections_are_ranked_together(
    tmp_path: Path, yard: Collection, library: Library
) -> None:
    other = objects.collection(tmp_path, library, "depot", [(300, 300), (700, 300)])
    result = find([yard, other], [Example(*lonlat(yard, PLACES[0]))], size_m=SIZE, k=18)
    names = [found.collection for found in result.objects]
    assert (names.count("yard"), names.count("depot")) == (16, 2)
    assert [found.rank for found in result.objects] == list(range(1, 19))


def test_outlines_at_a_threshold_lie_on_the_things(yard: Collection) -> None:
    example = Example(*lonlat(yard, PLACES[5]))
    result = find([yard], [example], size_m=SIZE, k=16, threshold=0.9, with_outlines=True)
    window = SIZE**2
    for found in result.objects:
        assert found.geometry.is_valid
        assert len(found.geometry.exterior.coords) > 5
        assert found.geometry.covers(found.geometry.representative_point())
        assert 0.2 * window < _square_metres(found.geometry) < 4 * window


def _square_metres(polygon) -> float:
    from pyproj import Geod

    return abs(Geod(ellps="WGS84").geometry_area_perimeter(polygon)[0])


@pytest.mark.parametrize(
    ("example", "size", "message"),
    [
        (Example(100.0, 0.0), SIZE, "No imagery lies under the example"),
        ("on", 0.5, "1 pixels wide"),
        ("on", 1000.0, "2000 pixels wide"),
    ],
)
def test_unusable_example_is_told(
    yard: Collection, example: Example | str, size: float, message: str
) -> None:
    given = Example(*lonlat(yard, PLACES[0])) if isinstance(example, str) else example
    with pytest.raises((NotFoundError, QueryError), match=message):
        find([yard], [given], size_m=size)


def test_scene_without_cells_is_named_and_the_remedy_given(
    yard: Collection, library: Library
) -> None:
    library.drop("yard", "cells")
    with pytest.raises(NotFoundError, match="pipeline build yard"):
        find([library.open("yard")], [Example(*lonlat(yard, PLACES[0]))], size_m=SIZE)
