"""One stretch per sensor and collection: fixed at the first build, kept, measured anew if asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.build import brightness
from pipeline.build.build import BuildSummary, build
from pipeline.build.request import BuildRequest
from pipeline.cluster.storage import Storage
from pipeline.collection.cell_files import scene_cells
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.parquet import read_embeddings
from pipeline.errors import Cancelled, QueryError
from pipeline.imagery.ingest import SceneInput, open_scene
from pipeline.imagery.scene import AS_STORED, SENSOR, Stretch
from pipeline.progress import Progress
from pipeline.sources.previews import Previews
from tests import ROOT
from tests.factories import standin
from tests.factories.rasters import GENEVA, ground, write

OLDEST = ROOT / "tests" / "data" / "home_0_1_0" / "lookalike"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds embed with the stand-in, whose vectors are the colours that it sees."""
    for name in ("resnet50", "identity", "cells"):
        monkeypatch.setattr(f"pipeline.model.loader.{name}", getattr(standin, name))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "home")


def wide(path: Path, gain: float, seed: int) -> Path:
    """A 16-bit scene of 300 × 280 pixels, as much brighter as `gain` says."""
    from rasterio.transform import from_origin

    data = (ground(300, 280, dtype="uint16", seed=seed) * gain).astype("uint16")
    west, north = GENEVA
    return write(path, data, transform=from_origin(west + 5000 * seed, north, 10, 10))


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    return wide(tmp_path / "dark.tif", 0.5, 1)


@pytest.fixture
def light(tmp_path: Path) -> Path:
    return wide(tmp_path / "light.tif", 2.0, 2)


def make(library: Library, *paths: Path, **changes: object) -> BuildSummary:
    options = {key: changes.pop(key) for key in ("percentile", "stretch") if key in changes}
    scenes = tuple(SceneInput(path, **options) for path in paths)
    return build(BuildRequest("land", scenes, 256, **changes), library)


def stretches(library: Library) -> list[Stretch]:
    return [scene.stretch for scene in library.open("land").scenes.values()]


def vectors(collection: Collection) -> np.ndarray:
    return np.concatenate([read_embeddings(part) for part in collection.parts])


def object_cells(collection: Collection) -> np.ndarray:
    every = [scene_cells(collection.path, each, 1.0) for each in collection.scenes.values()]
    return np.concatenate([cells.rows(0, cells.height) for cells in every if cells])


def test_all_scenes_of_the_first_build_share_one_stretch(
    library: Library, dark: Path, light: Path
) -> None:
    make(library, dark, light)
    first, second = stretches(library)
    own = [open_scene(SceneInput(path)).stretch for path in (dark, light)]
    assert first == second
    assert own[0].low[0] <= first.low[0] < own[1].low[0]
    assert own[0].high[0] < first.high[0] <= own[1].high[0]
    manifest = library.open("land").manifest
    assert manifest.stretches == {"raster, uint16, bands 1-2-3 of 3": first}


def test_scenes_added_later_follow_it(library: Library, dark: Path, light: Path) -> None:
    make(library, dark)
    before = stretches(library)
    summary = make(library, light)
    assert stretches(library) == before * 2
    assert summary.blocks_made == 1
    assert before[0] == open_scene(SceneInput(dark)).stretch


def test_a_scene_that_the_stretch_hides_is_told(
    library: Library, dark: Path, tmp_path: Path
) -> None:
    make(library, dark)
    (note,) = make(library, wide(tmp_path / "other.tif", 0.001, 3)).notes
    assert "other.tif shows hardly anything" in note


def test_8_bit_rgb_is_as_stored_beside_another_sensor(
    library: Library, dark: Path, tmp_path: Path
) -> None:
    make(library, dark, write(tmp_path / "rgb.tif"))
    assert stretches(library)[1] == AS_STORED
    assert stretches(library)[0] != AS_STORED
    words = "2% to 98% of all scenes of a sensor, as stored"
    assert brightness.describe(library.open("land")) == words


def test_levels_that_are_given_are_no_sensors(library: Library, dark: Path, light: Path) -> None:
    by_hand = Stretch((0.0,) * 3, (9000.0,) * 3)
    make(library, dark, stretch=by_hand)
    make(library, light)
    make(library, restretch="automatic")
    own = open_scene(SceneInput(light)).stretch
    assert stretches(library) == [by_hand, own]


def test_an_interrupted_build_ends_with_the_same_stretch(
    library: Library, dark: Path, light: Path, tmp_path: Path
) -> None:
    def stop(step: Progress) -> None:
        if step.stage != "Opening" and step.note == light.name:
            raise Cancelled("Cancelled")

    request = BuildRequest("land", (SceneInput(dark), SceneInput(light)), 256)
    with pytest.raises(Cancelled):
        build(request, library, stop)
    assert len(list(library.open("land").scenes_folder.glob("*.tif"))) == 1
    build(request, library)
    other = Library(tmp_path / "other")
    build(request, other)
    assert library.open("land").manifest.stretches == other.open("land").manifest.stretches
    assert np.array_equal(vectors(library.open("land")), vectors(other.open("land")))


def test_restretch_measures_all_scenes_and_embeds_again(
    library: Library, dark: Path, light: Path, tmp_path: Path
) -> None:
    make(library, dark)
    make(library, light)
    ids = library.open("land").chips.ids.tolist()
    summary = make(library, restretch="keep")
    other = Library(tmp_path / "other")
    make(other, dark, light)
    assert stretches(library) == stretches(other)
    assert np.array_equal(vectors(library.open("land")), vectors(other.open("land")))
    assert np.array_equal(object_cells(library.open("land")), object_cells(other.open("land")))
    assert library.open("land").chips.ids.tolist() == ids
    assert summary.blocks_made == 2
    assert "2 scenes are shown with another stretch" in summary.notes
    assert make(library, restretch="keep").blocks_made == 0


def test_restretch_that_is_interrupted_is_finished_by_the_next_build(
    library: Library, dark: Path, light: Path
) -> None:
    make(library, dark)
    make(library, light)
    before = stretches(library)

    def stop(step: Progress) -> None:
        if step.stage == "Embedding":
            raise Cancelled("Cancelled")

    with pytest.raises(Cancelled):
        build(BuildRequest("land", restretch="keep"), library, stop)
    assert not library.open("land").manifest.complete
    assert make(library).blocks_made == 2
    assert stretches(library)[0] == stretches(library)[1] != before[0]


def test_8_bit_rgb_by_percentiles_and_back(library: Library, tmp_path: Path) -> None:
    path = write(tmp_path / "rgb.tif")
    make(library, path)
    (note,) = make(library, path, percentile=True).notes
    assert "rgb.tif is shown as stored" in note
    make(library, restretch="percentile")
    assert stretches(library) == [open_scene(SceneInput(path, percentile=True)).stretch]
    make(library, restretch="keep")
    assert stretches(library) != [AS_STORED]
    make(library, restretch="automatic")
    assert stretches(library) == [AS_STORED]


def test_the_command_line_chooses_the_brightness(home: Path, tmp_path: Path) -> None:
    rgb, library = write(tmp_path / "rgb.tif"), Library(home)

    def command(*options: str) -> str:
        line = [sys.executable, "-m", "tests.factories.standin", *options]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout

    command("build", "--name", "land", "--scene", str(rgb), "--brightness", "10,200")
    assert stretches(library) == [Stretch((10.0,) * 3, (200.0,) * 3)]
    command("build", "--name", "other", "--scene", str(rgb), "--brightness", "percentile")
    assert "2% to 98%" in command("info", "other")
    command("build", "--name", "other", "--restretch", "--brightness", "automatic")
    assert "as stored" in command("info", "other")


def test_levels_cannot_be_measured_anew() -> None:
    assert brightness.how_to_restretch(None) == "keep"
    with pytest.raises(QueryError, match="automatic or percentile"):
        brightness.how_to_restretch("0,3000")


def test_blocks_in_the_shared_storage_are_made_again_too(
    library: Library, dark: Path, light: Path, tmp_path: Path
) -> None:
    storage = Storage.at(str(tmp_path / "storage"))
    for path in (dark, light):
        build(BuildRequest("land", (SceneInput(path),), 256), library, storage=storage)
    build(BuildRequest("land", restretch="keep"), library, storage=storage)
    copy = Library(tmp_path / "storage").open("land")
    assert np.array_equal(vectors(copy), vectors(library.open("land")))
    assert [scene.stretch for scene in copy.scenes.values()] == stretches(library)


def test_a_collection_of_0_1_0_keeps_a_stretch_per_scene_and_says_so(
    tmp_path: Path,
) -> None:
    library = Library(Path(shutil.copytree(OLDEST, tmp_path / "old")))
    before = library.open("fields")
    added = write(tmp_path / "more.tif")
    summary = build(BuildRequest("fields", (SceneInput(added),)), library)
    assert any("one stretch per scene" in note for note in summary.notes)
    first, second = library.open("fields").scenes.values()
    assert first == next(iter(before.scenes.values()))
    assert second.stretch == open_scene(SceneInput(added, percentile=True)).stretch
    assert brightness.describe(library.open("fields")).startswith("one stretch per scene")


def test_a_collection_of_0_1_0_takes_the_new_brightness_if_asked(tmp_path: Path) -> None:
    library = Library(Path(shutil.copytree(OLDEST, tmp_path / "old")))
    ids = library.open("fields").chips.ids.tolist()
    summary = build(BuildRequest("fields", restretch="keep"), library)
    (scene,) = library.open("fields").scenes.values()
    assert (scene.stretch, scene.stretch_from) == (AS_STORED, SENSOR)
    assert library.open("fields").chips.ids.tolist() == ids
    assert summary.blocks_made == 1
    assert brightness.describe(library.open("fields")) == "as stored"


def test_previews_show_what_a_build_embeds(
    library: Library, dark: Path, light: Path, tmp_path: Path
) -> None:
    previews = Previews(tmp_path / "home")
    paths = [str(dark), str(light)]
    together = [scene.stretch for _, scene in previews.open_all(paths, stretches={}, most=1)]
    make(library, dark, light)
    fixed = library.open("land").manifest.stretches
    assert together == stretches(library)[:1]
    alone = previews.open_all([str(light)], stretches={})[0][1].stretch
    added = previews.open_all([str(light)], stretches=fixed)[0][1].stretch
    assert alone != added == together[0]
    rgb = str(write(tmp_path / "rgb.tif"))
    old = previews.open_all([rgb], stretches=None)[0][1].stretch
    assert old == open_scene(SceneInput(Path(rgb), percentile=True)).stretch
