"""Object cells of a collection: every scene has them, without seams, and they are made once."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.build.build import BuildSummary, build
from pipeline.build.cell_plan import plan_cells
from pipeline.build.request import BuildRequest
from pipeline.collection import cell_files
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.errors import DamagedError, NewerError, QueryError
from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput
from pipeline.imagery.reader import SceneReader
from pipeline.model.basis import NO_DATA
from pipeline.model.cells import scale_for
from pipeline.vectors import normalise
from tests.factories import standin
from tests.factories.rasters import ground, write, write_raster


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "home")


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embed with the stand-in, which makes a cell from its colours alone."""
    from pipeline.model import loader

    for name in ("resnet50", "identity", "cells"):
        monkeypatch.setattr(loader, name, getattr(standin, name))


def made(library: Library, path: Path, **given: object) -> Collection:
    request = BuildRequest("made", scenes=(SceneInput(path),), stride=256)
    build(replace(request, **given), library)  # type: ignore[arg-type]
    return library.open("made")


def all_codes(collection: Collection, scale: float = 1.0) -> np.ndarray:
    (scene,) = collection.scenes.values()
    cells = cell_files.scene_cells(collection.path, scene, scale)
    assert cells is not None
    return cells.rows(0, cells.height)


def again(library: Library, **given: object) -> tuple[BuildSummary, list[str]]:
    """The build continued without scenes, and the stages that had something to do."""
    stages: list[str] = []
    request = replace(BuildRequest("made"), **given)  # type: ignore[arg-type]
    summary = build(request, library, lambda step: stages.append(step.stage))
    return summary, list(dict.fromkeys(stages))


@pytest.mark.usefixtures("fast")
def test_blocks_of_cells_cover_the_scene_as_one_pass_would(
    tmp_path: Path, library: Library
) -> None:
    collection = made(library, write_raster(tmp_path / "wide.tif", 2500, 1000))
    (scene,) = collection.scenes.values()
    assert len(collection.cell_files(scene.id)) > 1
    codes = all_codes(collection)
    assert codes.shape == (63, 157, 64)
    with SceneReader(scene) as reader:
        pixels, valid = reader.read(0, 0, scene.width, scene.height)
    whole = standin.cells().embed(pixels, valid, 1.0)
    # The last row and column are cut by the scene, so the stand-in looks elsewhere in them.
    np.testing.assert_array_equal(codes[:-1, :-1], whole[:-1, :-1])


@pytest.mark.model
def test_two_blockings_agree_and_one_pass_yields_chips_and_cells(
    home: Path, tmp_path: Path
) -> None:
    strip = write_raster(tmp_path / "strip.tif", 2700, 272)
    stages: list[str] = []
    library = Library(home)
    request = BuildRequest("one", scenes=(SceneInput(strip),), stride=64, mode="dense")
    build(request, library, lambda step: stages.append(step.stage))
    assert "Object cells" not in stages
    build(replace(request, name="two", mode="chip", stride=256), library)
    one, two = (normalise(all_codes(library.open(name)).astype("f4")) for name in ("one", "two"))
    edges = []
    for name in ("one", "two"):
        (scene,) = library.open(name).scenes.values()
        files = library.open(name).cell_files(scene.id)
        edges.append({cell_files.read(path).window.col for path in files})
    assert edges[0] != edges[1]
    assert 1 - (one * two).sum(-1).min() < 1e-3


@pytest.mark.usefixtures("fast")
def test_other_programs_open_the_cells(tmp_path: Path, library: Library) -> None:
    import rasterio

    collection = made(library, write_raster(tmp_path / "field.tif", 512, 384))
    (scene,) = collection.scenes.values()
    (path,) = collection.cell_files(scene.id)
    with rasterio.open(path) as dataset:
        assert (dataset.count, dataset.shape, dataset.nodata) == (64, (24, 32), NO_DATA)
        assert dataset.crs.to_epsg() == 32632
        assert dataset.res == (160, 160)
        np.testing.assert_array_equal(dataset.read().transpose(1, 2, 0), all_codes(collection))
        assert json.loads(dataset.tags(ns="LOOKALIKE")["IDENTITY"])["components"] == 64


@pytest.mark.usefixtures("fast")
def test_ground_without_data_has_no_cells(tmp_path: Path, library: Library) -> None:
    data = ground(640, 512)
    data[:, :, 320:] = 0
    collection = made(library, write(tmp_path / "half.tif", data, nodata=0))
    codes = all_codes(collection)
    assert (codes[:, 21:] == NO_DATA).all()
    assert (codes[:, :20] != NO_DATA).any(-1).all()


@pytest.mark.usefixtures("fast")
def test_build_makes_missing_and_damaged_cells_again_and_no_chip(
    tmp_path: Path, library: Library
) -> None:
    collection = made(library, write_raster(tmp_path / "wide.tif", 2500, 1000))
    before = all_codes(collection)
    (scene,) = collection.scenes.values()
    gone, hurt = collection.cell_files(scene.id)[:2]
    gone.unlink()
    content = bytearray(hurt.read_bytes())
    content[-1000] ^= 1
    hurt.write_bytes(content)
    summary, stages = again(library)
    assert (summary.blocks_made, "Embedding" in stages) == (0, False)
    assert any("object cells" in note.lower() for note in summary.notes)
    np.testing.assert_array_equal(all_codes(library.open("made")), before)
    assert again(library)[1] == ["Indexing"] or "Object cells" not in again(library)[1]


@pytest.mark.usefixtures("fast")
def test_collection_of_an_earlier_version_gets_its_cells(tmp_path: Path, library: Library) -> None:
    collection = made(library, write_raster(tmp_path / "field.tif", 512, 384))
    shutil.rmtree(collection.path / "cells")
    manifest = json.loads((collection.path / "collection.json").read_text())
    del manifest["cells"]
    (collection.path / "collection.json").write_text(json.dumps(manifest))
    older = library.open("made")
    assert older.manifest.cells == ()
    summary, stages = again(library)
    assert "Object cells" in stages
    assert "Embedding" not in stages
    assert summary.cells == all_codes(library.open("made"))[..., 0].size


@pytest.mark.usefixtures("fast")
def test_smaller_things_add_a_finer_layer_to_a_part(tmp_path: Path, library: Library) -> None:
    collection = made(library, write_raster(tmp_path / "field.tif", 1024, 1024))
    (scene,) = collection.scenes.values()
    west, south, east, north = scene.bounds4326
    quarter = Area.from_bounds((west, (south + north) / 2, (west + east) / 2, north))
    again(library, object_size=300.0, area=quarter)  # 30 pixels of 10 m
    collection = library.open("made")
    assert collection.manifest.area is None
    codes = all_codes(collection, 2.0)
    assert codes.shape == (128, 128, 64)
    assert (codes[:60, :60] != NO_DATA).any(-1).all()
    assert (codes[80:, 80:] == NO_DATA).all()
    again(library, object_size=300.0)
    assert (all_codes(library.open("made"), 2.0) != NO_DATA).any(-1).all()


@pytest.mark.usefixtures("fast")
def test_enlarged_area_brings_its_cells(tmp_path: Path, library: Library) -> None:
    path = write_raster(tmp_path / "field.tif", 1024, 1024)
    plain = made(library, path)
    (scene,) = plain.scenes.values()
    shutil.rmtree(plain.path)
    west, south, east, north = scene.bounds4326
    middle = (west + east) / 2
    collection = made(library, path, area=Area.from_bounds((west, south, middle, north)))
    assert (all_codes(collection)[:, 50:] == NO_DATA).all()
    again(library, area=Area.from_bounds((west, south, east, north)))
    collection = library.open("made")
    assert (all_codes(collection) != NO_DATA).any(-1).all()
    assert plan_cells(collection, pytest.fail)[0] == []
    (scene,) = collection.scenes.values()
    assert len(collection.cell_files(scene.id)) == 1


def test_things_are_seen_60_to_120_pixels_wide() -> None:
    assert [scale_for(size) for size in (43, 89, 130, 1000)] == [2.0, 1.0, 0.5, 0.5]


@pytest.mark.usefixtures("fast")
def test_damaged_and_newer_files_are_named(tmp_path: Path, library: Library) -> None:
    collection = made(library, write_raster(tmp_path / "field.tif", 512, 384))
    (scene,) = collection.scenes.values()
    (path,) = collection.cell_files(scene.id)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedError, match="build command"):
        cell_files.read(path)
    path.write_bytes(
        content.replace(b'"SCHEMA" domain="LOOKALIKE">1<', b'"SCHEMA" domain="LOOKALIKE">9<')
    )
    with pytest.raises(NewerError, match="newer Lookalike"):
        plan_cells(collection, pytest.fail)
    assert path.exists()


@pytest.mark.parametrize("size", [0.0, -3.0, float("nan"), 1e9])
def test_impossible_object_size_is_refused(tmp_path: Path, library: Library, size: float) -> None:
    scene = SceneInput(write_raster(tmp_path / "field.tif", 512, 384))
    with pytest.raises(QueryError, match="metres"):
        build(BuildRequest("made", scenes=(scene,), object_size=size), library)
    assert library.names() == []


@pytest.mark.usefixtures("fast")
def test_dropped_cells_free_the_disk_and_come_back(tmp_path: Path, library: Library) -> None:
    collection = made(library, write_raster(tmp_path / "field.tif", 512, 384))
    before, used = all_codes(collection), collection.disk_use()
    assert used["cells"] > 24 * 32 * 64
    assert sum(used.values()) == collection.disk_bytes()
    assert library.drop("made", "cells") == used["cells"]
    assert library.open("made").disk_use()["cells"] == 0
    again(library)
    np.testing.assert_array_equal(all_codes(library.open("made")), before)
    with pytest.raises(QueryError, match="cannot be made again"):
        library.drop("made", "scenes")
