"""What a build needs and makes, told before it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from shapely.geometry import box

from pipeline.build.preflight import Pace, Preflight, count_chips, free_name, preflight
from pipeline.collection.library import Library
from pipeline.geo.area import Area
from pipeline.imagery.chips import Grid, count_inside
from pipeline.imagery.ingest import SceneInput, open_scene
from pipeline.jobs.pace import pace_of
from pipeline.jobs.queue import Jobs
from pipeline.model.descriptor import PASSES
from pipeline.settings import Settings
from pipeline.sources.candidates import Candidate, Estimate, Refusal
from pipeline.sources.registry import open_source
from tests.factories import synthetic
from tests.factories.rasters import write_raster

PACE = Pace(0.1, True)


@pytest.fixture
def imagery(tmp_path: Path) -> Candidate:
    """A raster of 1000×800 pixels of 10 m."""
    path = write_raster(tmp_path / "fields.tif", 1000, 800)
    return open_source("raster", locations=[path]).search(None)[0]


def inner(imagery: Candidate, share: float = 0.5) -> Area:
    """The middle of a raster: `share` of it each way."""
    west, south, east, north = imagery.footprint.bounds
    x, y = (1 - share) / 2 * (east - west), (1 - share) / 2 * (north - south)
    return Area.from_bounds((west + x, south + y, east - x, north - y))


def look(imagery: list[Candidate], area: Area | None, home: Path, **options) -> Preflight:
    given = {"stride": 128, "pace": PACE, "home": home, **options}
    return preflight(area, imagery, **given)


@pytest.mark.parametrize("stride", [256, 128, 64])
def test_chips_are_counted_as_the_build_cuts_them(imagery: Candidate, stride: int) -> None:
    scene = open_scene(SceneInput(Path(imagery.id)))
    grid = Grid.for_scene(scene, stride)
    assert count_chips(imagery, None, stride) == len(grid)
    area = inner(imagery).geometry
    expected = sum(count_inside(scene, block, area) for block in grid.blocks())
    assert 0 < count_chips(imagery, area, stride) == expected < len(grid)


def test_whole_scenes_without_an_area(imagery: Candidate, tmp_path: Path) -> None:
    found = look([imagery], None, tmp_path)
    assert found.ready
    assert found.share == pytest.approx(1)
    assert found.pixels == 800_000
    assert found.area_km2 == pytest.approx(80, rel=0.01)
    assert found.seconds > found.chips * PACE.seconds


def test_object_cells_are_counted_and_priced(imagery: Candidate, tmp_path: Path) -> None:
    found = look([imagery], None, tmp_path)
    assert found.cells == pytest.approx(800_000 / 256, rel=0.01)
    assert found.cell_seconds > 0
    in_one_pass = look([imagery], None, tmp_path, mode="dense", stride=64)
    assert in_one_pass.cell_seconds == 0
    finer = look([imagery], None, tmp_path, object_size=300.0)
    assert finer.cells == pytest.approx(4 * found.cells, rel=0.01)
    assert finer.cell_seconds == pytest.approx(4 * found.cell_seconds)
    assert finer.disk > found.disk


def test_thorough_quality_is_priced_in_time_and_bytes(imagery: Candidate, tmp_path: Path) -> None:
    standard = look([imagery], None, tmp_path)
    thorough = look([imagery], None, tmp_path, quality="thorough")
    assert (thorough.chips, thorough.cell_seconds) == (standard.chips, standard.cell_seconds)
    times = PASSES["thorough"]
    extra = standard.chips * PACE.seconds * (times - 1)
    assert thorough.seconds - standard.seconds == pytest.approx(extra)
    assert thorough.disk - standard.disk == standard.chips * 4096  # 2048 numbers of two bytes


def test_an_area_half_off_the_imagery_is_told_and_shown(imagery: Candidate, tmp_path: Path) -> None:
    west, south, east, north = imagery.footprint.bounds
    area = Area.from_bounds((west - (east - west), south, east, north))
    found = look([imagery], area, tmp_path)
    assert found.ready
    assert [notice.level for notice in found.notices] == ["warning"]
    assert "no imagery" in found.notices[0].what
    assert found.share == pytest.approx(0.5, abs=0.05)
    assert found.missing is not None
    assert not found.missing.intersects(imagery.footprint.buffer(-0.001))


def test_an_area_elsewhere_stops_the_build(imagery: Candidate, tmp_path: Path) -> None:
    found = look([imagery], Area.from_bounds((0.0, 0.0, 1.0, 1.0)), tmp_path)
    assert not found.ready
    assert "does not touch" in found.notices[0].what
    assert found.notices[0].remedy


def test_an_area_smaller_than_the_spacing_of_chips_stops_it(
    imagery: Candidate, tmp_path: Path
) -> None:
    found = look([imagery], inner(imagery, 0.01), tmp_path)
    assert found.chips == 0
    assert not found.ready
    assert found.notices[0].what.startswith("The area is too small")
    assert "larger than a chip: 2.6 km on each side" in found.notices[0].remedy
    coarse = replace(imagery, gsd=30.0)
    found = look([coarse, imagery], inner(imagery, 0.01), tmp_path)
    assert "2.6 km" in found.notices[0].remedy


def test_a_large_area_with_a_sliver_of_imagery_is_not_called_small(
    imagery: Candidate, tmp_path: Path
) -> None:
    west, south, _, north = imagery.footprint.bounds
    found = look([imagery], Area.from_bounds((west - 1, south, west + 0.003, north)), tmp_path)
    assert found.chips == 0
    assert found.notices[0].what.startswith("The part of the area that has imagery is too small")


def test_a_scene_smaller_than_a_chip_stops_it(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "small.tif", 300, 200)
    small = open_source("raster", locations=[path]).search(None)
    found = look(small, None, tmp_path)
    assert "300×200" in found.notices[0].what
    assert not found.ready


def test_a_full_disk_stops_it(
    imagery: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.build.preflight.free_bytes", lambda home: 1000)
    found = look([imagery], None, tmp_path)
    assert not found.ready
    assert "GB are free" in found.notices[0].what


def test_no_imagery_stops_it(tmp_path: Path) -> None:
    assert not look([], None, tmp_path).ready


def test_what_the_service_refuses_stops_it(imagery: Candidate, tmp_path: Path) -> None:
    refusal = Refusal("Too many pixels", "Draw a smaller area")
    estimate = Estimate(1, 5_000_000, 1, 1, ("At most 40 requests at once.",), refusal)
    found = look([imagery], None, tmp_path, estimate=estimate)
    assert not found.ready
    assert [notice.level for notice in found.notices] == ["stop", "note"]
    assert found.notices[0].remedy == "Draw a smaller area"
    assert found.transfer == 5_000_000


def test_a_candidate_without_a_grid_is_estimated(tmp_path: Path) -> None:
    scene = Candidate("S2/x", "stac", "x", box(7.0, 46.0, 7.1, 46.1), gsd=10.0)
    found = look([scene], Area.from_bounds((7.0, 46.0, 7.1, 46.1)), tmp_path, stride=256)
    assert found.pixels == pytest.approx(found.area_km2 * 1e4, rel=0.01)
    assert found.chips == pytest.approx(found.pixels / 256**2, abs=1)


def test_a_long_build_is_announced(imagery: Candidate, tmp_path: Path) -> None:
    found = look([imagery], None, tmp_path, pace=Pace(10_000, True))
    assert any("hours" in notice.what for notice in found.notices)
    assert found.ready


def test_the_pace_is_a_guess_until_something_was_built(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    library = Library(tmp_path)
    assert not pace_of(Jobs(tmp_path), library, settings, "chip", 128).known
    collection = synthetic.collection(tmp_path, sizes=(2048,))
    collection.write(seconds=len(collection.chips) * 0.5)
    assert pace_of(Jobs(tmp_path), library, settings, "chip", 128) == Pace(0.5, True)
    collection.write(quality="thorough")
    standard = pace_of(Jobs(tmp_path), library, settings, "chip", 128)
    assert standard.seconds == pytest.approx(0.5 / PASSES["thorough"])
    assert not pace_of(Jobs(tmp_path), library, settings, "dense", 64).known
    assert not pace_of(
        Jobs(tmp_path / "other"), Library(tmp_path / "other"), replace(settings), "chip", 128
    ).known


def test_in_the_dense_mode_four_times_the_chips_take_the_same_time(tmp_path: Path) -> None:
    settings, library, jobs = Settings(home=tmp_path), Library(tmp_path), Jobs(tmp_path)
    guess = pace_of(jobs, library, settings, "dense", 64)
    assert guess.seconds < pace_of(jobs, library, settings, "chip", 64).seconds
    collection = synthetic.collection(tmp_path, sizes=(2048,), stride=64)
    model = replace(collection.manifest.model, mode="dense")
    collection.write(seconds=len(collection.chips) * 0.04, model=model)
    assert pace_of(jobs, library, settings, "dense", 64).seconds == pytest.approx(0.04)
    assert pace_of(jobs, library, settings, "dense", 32).seconds == pytest.approx(0.01)


def test_a_free_name_is_found_for_any_title() -> None:
    assert free_name("Zürich, Altstadt!", []) == "zurich-altstadt"
    assert free_name("Bay", ["bay", "bay-2"]) == "bay-3"
    assert free_name("", []).isascii()
    assert len(free_name("x" * 300, ["x" * 56])) <= 64
