"""Builds: from raster to collection, interrupted anywhere, never half done."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from pipeline.build.build import build
from pipeline.build.plan import plan
from pipeline.build.request import BuildRequest
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.parquet import read_embeddings
from pipeline.errors import Cancelled, NotFoundError, QueryError, SceneError, StorageError
from pipeline.files import TEMPORARY
from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput
from pipeline.progress import Progress
from tests import ROOT
from tests.cli.test_app import run
from tests.factories import standin, synthetic
from tests.factories.moments import Moments, killed_at
from tests.factories.rasters import write_raster

WIDTH, HEIGHT, STRIDE = 4352, 300, 128
BLOCKS = 3  # of a build that is killed


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A strip of five blocks and 66 chips."""
    return write_raster(tmp_path_factory.mktemp("raster") / "strip.tif", WIDTH, HEIGHT, seed=3)


@pytest.fixture(scope="module")
def stages() -> list[str]:
    """The stages that the build of `real` told of, in their order."""
    return []


@pytest.fixture(scope="module")
def real(module_home: Path, raster: Path, stages: list[str]) -> Collection:
    """What the network itself makes of the strip, with weights given by hand."""
    build(request_for(raster), Library(module_home), lambda step: stages.append(step.stage))
    return Library(module_home).open("strip")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds embed with the stand-in."""
    monkeypatch.setattr("pipeline.model.loader.resnet50", standin.resnet50)


@pytest.fixture(scope="module")
def undisturbed(raster: Path, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """What the stand-in makes of the strip when nothing happens."""
    library = Library(tmp_path_factory.mktemp("undisturbed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.model.loader.resnet50", standin.resnet50)
        build(request_for(raster), library)
    return library.open("strip")


@pytest.fixture
def copy(home: Path, undisturbed: Collection) -> Collection:
    """The undisturbed collection once more, to be changed."""
    shutil.copytree(undisturbed.path, home / "collections" / "strip")
    return Library(home).open("strip")


def request_for(raster: Path, **changes: object) -> BuildRequest:
    given = {"name": "strip", "scenes": (SceneInput(raster),), "stride": STRIDE, "mode": "chip"}
    return BuildRequest(**{**given, **changes})


def vectors(collection: Collection) -> np.ndarray:
    return np.concatenate([read_embeddings(part) for part in collection.parts])


def assert_same(one: Collection, other: Collection) -> None:
    assert one.chips.ids.tolist() == other.chips.ids.tolist()
    assert one.chips.corners == pytest.approx(other.chips.corners)
    assert np.array_equal(vectors(one), vectors(other))
    assert one.version == other.version


def command(raster: Path, name: str = "strip") -> list[str]:
    given = ["--scene", str(raster), "--name", name, "--stride", str(STRIDE), "--mode", "chip"]
    return ["build", *given, "--json"]


def test_scene_that_another_build_adds_meanwhile_stays(
    home: Path, copy: Collection, tmp_path: Path, quick: None
) -> None:
    library, added = Library(home), []

    def meanwhile(report: Progress) -> None:
        if report.stage == "Opening" and not added:
            added.append(write_raster(tmp_path / "first.tif", 300, 300, seed=4))
            build(request_for(added[0]), library)

    second = write_raster(tmp_path / "second.tif", 300, 300, seed=5)
    summary = build(request_for(second), library, meanwhile)
    assert len(summary.scenes) == 3
    assert library.open("strip").manifest.scenes == summary.scenes


@pytest.mark.model
def test_every_chip_of_the_grid_is_made_once(real: Collection) -> None:
    chips = real.chips
    assert len(chips) == 66 == real.manifest.chips
    assert len(set(chips.ids.tolist())) == 66
    assert sorted(set(chips.rows.tolist())) == [0, HEIGHT - 256]
    assert chips.cols.max() == WIDTH - 256


@pytest.mark.model
@pytest.mark.usefixtures("real")
def test_each_stage_is_told_once(stages: list[str]) -> None:
    told = [stage for stage, _ in groupby(stages)]
    assert told == [
        "Opening",
        "Reading weights",
        "Converting",
        "Embedding",
        "Object cells",
        "Indexing",
        "Comparing",
    ]


@pytest.mark.model
def test_embeddings_are_those_of_the_chips_pixels(real: Collection) -> None:
    from pipeline.imagery.reader import SceneReader
    from pipeline.model.loader import resnet50

    chips, row = real.chips, 41
    (scene,) = real.scenes.values()
    with SceneReader(scene) as reader:
        pixels, _ = reader.read(int(chips.cols[row]), int(chips.rows[row]), 256, 256)
    expected = resnet50("chip").embed(pixels[None])[0]
    found = vectors(real)[row].astype(np.float32)
    cosine = expected @ found / np.linalg.norm(expected) / np.linalg.norm(found)
    assert cosine > 0.9995


@pytest.mark.model
def test_same_request_again_makes_nothing(real: Collection, raster: Path) -> None:
    library = Library(real.path.parent.parent)
    summary = build(request_for(raster), library)
    assert (summary.blocks_made, summary.blocks_kept) == (0, 5)
    assert_same(library.open("strip"), real)


@pytest.mark.usefixtures("quick")
def test_cancelled_build_keeps_its_blocks_and_continues(
    home: Path, raster: Path, undisturbed: Collection
) -> None:
    def stop_after_two_blocks(step: Progress) -> None:
        if step.stage == "Embedding" and step.done > 35:
            raise Cancelled("Stopped")

    library = Library(home)
    with pytest.raises(Cancelled):
        build(request_for(raster), library, stop_after_two_blocks)
    kept = len(library.open("strip").parts)
    assert 1 <= kept < 5
    assert not library.open("strip").manifest.complete
    summary = build(request_for(raster), library)
    assert (summary.blocks_kept, summary.blocks_made) == (kept, 5 - kept)
    assert_same(library.open("strip"), undisturbed)


def finished(home: Path) -> dict[Path, int]:
    """The inode of every block, and of the raster of every scene that has its record."""
    blocks = home.glob("collections/strip/chips/*/block-*.parquet")
    scenes = home.glob("collections/strip/scenes/[!.]*.json")
    found = [*blocks, *(record.with_suffix(".tif") for record in scenes)]
    return {path: path.stat().st_ino for path in found}


@dataclass(frozen=True)
class Counted:
    """A small build that nothing disturbed, and the moments before and after its renames."""

    request: BuildRequest
    collection: Collection
    moments: range


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counted:
    folder, renames, moments = tmp_path_factory.mktemp("counted"), [], Moments()
    watched = {threading.get_ident()}
    asked = request_for(write_raster(folder / "strip.tif", 2304, 300, seed=3))

    def audit(event: str, _: object) -> None:  # a hook stays until the process ends
        if event == "os.rename" and threading.get_ident() in watched:
            renames.append(event)

    sys.addaudithook(audit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.model.loader.resnet50", standin.resnet50)
        moments.watch(patch.setattr)
        blocks = build(asked, Library(folder)).blocks_made
        watched.clear()
        assert moments.count == 2 * len(renames), "a rename that is not watched"
    assert blocks == BLOCKS
    assert len(renames) >= blocks + 2 + 3, "blocks, the scene and its record, manifests"
    return Counted(asked, Library(folder).open("strip"), range(1, moments.count + 1))


@pytest.mark.usefixtures("quick")
def test_killed_before_and_after_every_rename_it_keeps_all_and_ends_the_same(
    tmp_path: Path, counted: Counted
) -> None:
    for moment in counted.moments:
        library = Library(tmp_path / f"{moment}")
        assert killed_at(moment, standin.build_in_child, counted.request, library.home)
        before = finished(library.home)
        blocks = sum(path.suffix == ".parquet" for path in before)
        summary = build(counted.request, library)
        assert (summary.blocks_kept, summary.blocks_made) == (blocks, BLOCKS - blocks)
        after = finished(library.home)
        assert before == {path: after[path] for path in before}, "made twice"
        assert_whole(library, counted)


@pytest.mark.usefixtures("quick")
def test_killed_again_and_again_it_ends_the_same(tmp_path: Path, counted: Counted) -> None:
    library = Library(tmp_path)
    killed = [
        killed_at(moment, standin.build_in_child, counted.request, library.home)
        for moment in counted.moments
    ]
    assert sum(killed) > BLOCKS
    build(counted.request, library)
    assert_whole(library, counted)


def assert_whole(library: Library, counted: Counted) -> None:
    collection = library.open("strip")
    assert_same(collection, counted.collection)
    assert collection.manifest.complete
    left = [p for p in collection.path.rglob(f"{TEMPORARY}*") if p.is_file()]
    # Somebody who searches may be making the same index or graph; leftovers go a day later.
    derived = {collection.index_folder, collection.graph_folder}
    assert [p for p in left if derived.isdisjoint(p.parents)] == []


def test_ctrl_c_exits_130_with_a_way_to_continue(home: Path, raster: Path, tmp_path: Path) -> None:
    hold = standin.Hold(tmp_path / "hold")
    hold.after(0, home)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.factories.standin", *command(raster)],
        cwd=ROOT,
        env={**os.environ, standin.HOLD: str(tmp_path / "hold")},
        stderr=subprocess.PIPE,
        text=True,
        # As in a terminal; a test run started in the background passes on that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not hold.reached:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 130
    assert "same command continues" in message
    assert "Traceback" not in message


@pytest.mark.usefixtures("quick")
def test_damaged_block_is_made_anew(
    home: Path, raster: Path, copy: Collection, undisturbed: Collection
) -> None:
    part = copy.parts[2].path
    part.write_bytes(part.read_bytes()[:1000])
    summary = build(request_for(raster), Library(home))
    assert (summary.blocks_made, summary.blocks_kept) == (1, 4)
    assert_same(Library(home).open("strip"), undisturbed)


def test_one_altered_byte_makes_the_whole_block_anew(home: Path) -> None:
    collection = synthetic.collection(home)
    (path,) = (part.path for part in collection.parts)
    gained = path.with_name(path.name.replace("-all", "-0badcafe"))
    gained.write_bytes(path.read_bytes())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    tasks, kept = plan(Library(home).open("made"))
    assert ([task.part for task in tasks], kept) == ([path.name], [])
    assert not gained.exists(), "it holds only what an enlarged area gained"


@pytest.mark.usefixtures("quick")
def test_only_chips_whose_centre_lies_in_the_area_are_made(
    home: Path, raster: Path, undisturbed: Collection
) -> None:
    from shapely.geometry import Point, Polygon

    whole = undisturbed.scenes[undisturbed.manifest.scenes[0]].footprint
    west, south, east, north = whole.bounds
    corner = [(west, south), (west + (east - west) / 3, south), (west, north)]
    area = Area(Polygon(corner))
    library = Library(home)
    summary = build(request_for(raster, area=area), library)
    inside = {
        chip
        for chip, centre in zip(
            undisturbed.chips.ids.tolist(), undisturbed.chips.centres, strict=True
        )
        if area.geometry.contains(Point(centre))
    }
    assert set(library.open("strip").chips.ids.tolist()) == inside
    assert 0 < summary.chips < 66
    assert library.open("strip").manifest.area == area


@pytest.mark.usefixtures("quick")
def test_enlarging_the_area_makes_only_what_is_new(
    home: Path, raster: Path, undisturbed: Collection
) -> None:
    from shapely.geometry import Polygon

    west, south, east, north = undisturbed.scenes[undisturbed.manifest.scenes[0]].footprint.bounds
    half = [(west, south), ((west + east) / 2, south), ((west + east) / 2, north), (west, north)]
    library = Library(home)
    first = build(request_for(raster, area=Area(Polygon(half))), library)
    second = build(request_for(raster), library)
    assert 20 < first.chips < 46
    assert first.left_out == {"area": 66 - first.chips - 18}, "two blocks of 9 lie wholly outside"
    assert (second.chips, second.left_out) == (66, {})
    assert second.blocks_kept >= 2
    grown = library.open("strip").chips.ids.tolist()
    assert sorted(grown) == sorted(undisturbed.chips.ids.tolist())


@pytest.mark.usefixtures("quick")
def test_second_scene_is_added_without_redoing_the_first(
    home: Path, copy: Collection, tmp_path: Path
) -> None:
    other = write_raster(tmp_path / "other.tif", 300, 300, seed=4)
    summary = build(request_for(other), Library(home))
    assert (summary.blocks_made, summary.blocks_kept) == (1, 5)
    assert summary.chips == 66 + 4
    assert len(summary.scenes) == 2


@pytest.mark.usefixtures("quick")
def test_other_stride_than_the_collections_is_refused(
    home: Path, raster: Path, copy: Collection
) -> None:
    with pytest.raises(QueryError, match="stride 128, not 256"):
        build(request_for(raster, stride=256), Library(home))


def test_nothing_to_continue_is_said(home: Path) -> None:
    with pytest.raises(NotFoundError, match="--scene FILE"):
        build(BuildRequest("nothing"), Library(home))


@pytest.mark.usefixtures("quick")
def test_raster_that_cannot_be_used_leaves_nothing_behind(home: Path, tmp_path: Path) -> None:
    small = write_raster(tmp_path / "small.tif", 200, 300, seed=1)
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    for path in (small, text, tmp_path / "gone.tif"):
        with pytest.raises(SceneError, match=path.stem):
            build(request_for(path), Library(home))
    assert Library(home).names() == []
    assert not list((home / "collections").glob("*"))


@pytest.mark.usefixtures("quick")
def test_scene_without_any_data_leaves_nothing_behind(home: Path, tmp_path: Path) -> None:
    empty = write_raster(tmp_path / "empty.tif", 600, 600, fill=0, nodata=0)
    with pytest.raises(SceneError, match="No pixel of the raster holds data"):
        build(request_for(empty), Library(home))
    assert Library(home).names() == []


@pytest.mark.usefixtures("quick")
def test_area_that_misses_the_imagery_is_an_error(home: Path, raster: Path) -> None:
    from shapely.geometry import Polygon

    area = Area(Polygon([(100, 10), (101, 10), (101, 11)]))
    with pytest.raises(SceneError, match="No chip is left"):
        build(request_for(raster, area=area), Library(home))
    assert Library(home).names() == []


@pytest.mark.usefixtures("quick")
def test_full_disk_in_the_middle_keeps_the_blocks_and_continues(
    home: Path, raster: Path, undisturbed: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third part is refused by the system, as a full disk would."""
    import pyarrow.parquet as pq

    write, calls = pq.write_table, []

    def full(table: object, path: Path, **options: object) -> None:
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, path, **options)

    monkeypatch.setattr(pq, "write_table", full)
    done = run(*command(raster))
    assert done.returncode == StorageError.exit_code
    assert "disk is full" in done.stderr
    library = Library(home)
    assert len(library.open("strip").parts) == 2
    assert not [p for p in library.open("strip").path.rglob(".tmp-*") if p.is_file()]
    summary = build(request_for(raster), library)
    assert summary.blocks_kept == 2
    assert_same(library.open("strip"), undisturbed)


@pytest.mark.usefixtures("quick")
def test_two_builds_of_one_collection_do_not_mix(home: Path, raster: Path) -> None:
    library = Library(home)

    def again(step: Progress) -> None:
        if step.stage == "Embedding" and step.done == 0:
            with pytest.raises(StorageError, match="Another build"):
                build(request_for(raster), Library(home))
            raise Cancelled("seen")

    with pytest.raises(Cancelled, match="seen"):
        build(request_for(raster), library, again)
