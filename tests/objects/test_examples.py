"""What examples can be used, and what is said of the others; marked objects stay in answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin

from pipeline.build.build import build
from pipeline.build.request import BuildRequest
from pipeline.collection import cell_files
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.errors import DamagedError, ModelMismatchError, NotFoundError, QueryError
from pipeline.imagery.ingest import SceneInput
from pipeline.model.cells import identity_of
from pipeline.objects import open_cells
from pipeline.objects.examples import MOST_EXAMPLES, MOST_TURNED, see
from pipeline.objects.find import find
from pipeline.objects.places import Example
from pipeline.objects.recipe import ObjectRecipe
from pipeline.objects.service import find_objects
from pipeline.search.open_collections import OpenCollections
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat
from tests.factories.rasters import write

SIZE = WIDTH * 0.5
NOWHERE = Example(100.0, 0.0)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "home")


@pytest.fixture
def yard(tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch) -> Collection:
    objects.use_standin(monkeypatch)
    return objects.collection(tmp_path, library)


def example(yard: Collection, place: tuple[int, int], good: bool = True) -> Example:
    return Example(*lonlat(yard, place), SIZE, SIZE, good)


def test_labels_beside_the_imagery_are_left_out_and_counted(yard: Collection) -> None:
    tiny = replace(example(yard, PLACES[1]), width_m=0.5, height_m=0.5)
    result = find([yard], [NOWHERE, example(yard, PLACES[0]), tiny], k=16)
    assert len(result.objects) == 16
    assert "2 of 3 examples left out: No imagery lies under the example" in result.notes[0]
    with pytest.raises(NotFoundError, match="None of the 2 examples can be used"):
        find([yard], [NOWHERE, NOWHERE])


def test_very_many_labels_are_thinned_evenly(yard: Collection) -> None:
    good = [example(yard, PLACES[0])] * 700 + [example(yard, PLACES[5])] * 700
    bad = [example(yard, (270, 280), False)] * 300
    seen = see([yard], [*good, *[NOWHERE] * 90_000, *bad])
    assert len(seen.spots) == MOST_EXAMPLES
    assert (len(seen.vectors.good), len(seen.vectors.bad)) == (700, 300)
    first = sum(spot.col < 300 for spot in seen.spots if spot.good)
    assert 340 < first < 360
    assert seen.notes == ("Of 91,700 examples 1,000 are used, spread evenly over all",)


def test_very_many_labels_are_read_from_the_cells_and_find_the_same(yard: Collection) -> None:
    few = [*(example(yard, place) for place in PLACES[:8]), example(yard, (270, 280), False)]
    many = see([yard], few * (MOST_TURNED // len(few) + 1))
    turned = see([yard], few)
    assert many.vectors.good.shape[1:] == (1, 64)
    alike = np.einsum("nd,nd->n", many.vectors.good[:8, 0], turned.vectors.good[:, 0])
    assert alike.min() > 0.9
    found = find([yard], few * (MOST_TURNED // len(few) + 1), k=8)
    assert sum(each.mark == "good" for each in found.objects) == 8


def test_cells_of_another_basis_are_told_apart_from_none(
    yard: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(identity_of(yard.manifest.model.weights_sha256), basis="another")
    monkeypatch.setattr(open_cells, "identity_of", lambda _: other)
    with pytest.raises(NotFoundError, match="another version") as told:
        find([yard], [example(yard, PLACES[0])])
    assert "Make them again" in told.value.remedy


def test_example_where_the_scene_has_no_data_is_told(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.use_standin(monkeypatch)
    pixels = objects.pixels()
    pixels[:, :, 512:] = 0
    transform = from_origin(300000, 5150000, 0.5, 0.5)
    path = write(tmp_path / "half.tif", pixels, transform=transform, nodata=0)
    build(BuildRequest("half", scenes=(SceneInput(path),), stride=256), library)
    half = library.open("half")
    with pytest.raises(QueryError, match="no data where the example is"):
        find([half], [example(half, (800, 500))])
    assert find([half], [example(half, PLACES[0])], k=8).objects


def test_example_may_lie_in_another_collection(
    tmp_path: Path, yard: Collection, library: Library
) -> None:
    objects.collection(tmp_path, library, "depot", [(300, 300), (700, 300)])
    lon, lat = lonlat(yard, PLACES[5])
    given = {"at": [lon, lat], "object_size": SIZE, "collection": "yard"}
    recipe = ObjectRecipe.from_fields({"examples": [given], "k": 2})
    result = find_objects(OpenCollections(library), ["depot"], recipe).result
    assert sorted(round(found.col, -1) for found in result.objects) == [300, 700]
    assert {found.collection for found in result.objects} == {"depot"}
    gone = ObjectRecipe.from_fields({"examples": [{**given, "collection": "nosuch"}]})
    with pytest.raises(NotFoundError, match="nosuch"):
        find_objects(OpenCollections(library), ["depot"], gone)


def test_good_marks_stay_whatever_threshold_and_number_are_asked_for(yard: Collection) -> None:
    plain = (270, 280)  # nothing like the others
    marked = [example(yard, place) for place in (*PLACES[:3], plain)]
    result = find([yard], marked, k=1, threshold=0.999)
    good = [found for found in result.objects if found.mark == "good"]
    assert len(good) == len(result.objects) == 4
    assert min(max(abs(f.col - 270), abs(f.row - 280)) for f in good) <= 16
    every = find([yard], marked, k=1).objects
    assert [(f.rank, f.id) for f in good] == [(f.rank, f.id) for f in every if f.mark == "good"]


def test_an_object_has_its_rank_whatever_the_threshold(yard: Collection) -> None:
    marked = [example(yard, place) for place in (*PLACES[:3], (270, 280))]
    every = find([yard], marked, k=100).objects
    assert [found.rank for found in every] == list(range(1, len(every) + 1))
    cut = find([yard], marked, k=100, threshold=every[8].score).objects
    ranks = {found.id: found.rank for found in every}
    assert [found.rank for found in cut] == [ranks[found.id] for found in cut]
    assert cut[-1].mark == "good"  # of little score
    assert cut[-1].rank > len(cut)


def test_several_marks_on_one_thing_are_one_object(yard: Collection) -> None:
    x, y = PLACES[5]
    marked = [example(yard, place) for place in ((x, y), (x + 3, y - 2), (x - 4, y))]
    result = find([yard], marked, k=100)
    there = [f for f in result.objects if max(abs(f.col - x), abs(f.row - y)) < WIDTH / 2]
    assert [found.mark for found in there] == ["good"]


def test_damaged_cells_are_told_and_lengths_need_no_disk(yard: Collection) -> None:
    (scene,) = yard.scenes.values()
    (path, *_) = cell_files.files_of(yard.path, scene.id, 1.0)
    given = example(yard, PLACES[0])
    before = find([yard], [given], k=16).objects
    for derived in path.parent.glob("lengths-*.npy"):
        derived.write_bytes(b"cut short")
    assert find([yard], [given], k=16).objects == before
    content = bytearray(path.read_bytes())
    content[-64_000] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="object cells is damaged"):
        find([yard], [given])


def test_scene_removed_meanwhile_is_left_out(yard: Collection) -> None:
    from pipeline.collection.cell_files import folder_of

    (scene,) = yard.scenes.values()
    lost = replace(scene, id="lost")
    assert not folder_of(yard.path, lost.id, 1.0).exists()
    two = Collection(yard.path, yard.manifest)
    two.scenes[lost.id] = lost
    result = find([two], [example(yard, PLACES[0])], k=16)
    assert {found.scene_id for found in result.objects} == {scene.id}
    assert [each.id for each in result.missing] == ["lost"]


def test_cells_of_other_weights_are_told(yard: Collection) -> None:
    model = replace(yard.manifest.model, weights_sha256="0" * 64)
    other = Collection(yard.path, replace(yard.manifest, model=model))
    with pytest.raises(ModelMismatchError, match="Other weights"):
        find([other], [example(yard, PLACES[0])])


def test_border_of_a_scene_is_seen_as_its_cells_are(yard: Collection) -> None:
    seen = see([yard], [example(yard, (20, 20))])
    assert np.isfinite(seen.vectors.good).all()
