"""How a collection's chips are embedded: the mode that fits its stride, and what a mode keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from pipeline.build.build import build
from pipeline.build.request import BuildRequest
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.parquet import read_embeddings
from pipeline.geo.area import Area
from pipeline.imagery.chips import Grid, cut
from pipeline.imagery.ingest import SceneInput, open_scene
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.scene import Scene
from tests.factories.rasters import write_raster

SIDE = 640


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raster(tmp_path_factory.mktemp("raster") / "square.tif", SIDE, SIDE, seed=5)


def made(home: Path, raster: Path, name: str, **changes: object) -> Collection:
    build(BuildRequest(name, (SceneInput(raster),), **changes), Library(home))
    return Library(home).open(name)


def by_id(collection: Collection) -> dict[bytes, np.ndarray]:
    vectors = np.concatenate([read_embeddings(part) for part in collection.parts])
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return dict(zip(collection.chips.ids.tolist(), vectors, strict=True))


@pytest.mark.model
def test_narrow_strides_are_embedded_in_one_pass_and_wide_ones_chip_by_chip(
    module_home: Path, raster: Path
) -> None:
    narrow = made(module_home, raster, "narrow", stride=64)
    assert narrow.manifest.model.mode == "dense"
    assert len(narrow.chips) == len(Grid.for_scene(open_scene(SceneInput(raster)), 64))
    wide = made(module_home, raster, "wide", stride=192)
    assert wide.manifest.model.mode == "chip"


@pytest.mark.model
def test_an_enlarged_dense_collection_is_that_made_at_once(module_home: Path, raster: Path) -> None:
    scene = open_scene(SceneInput(raster))
    west, south, east, north = scene.footprint.bounds
    half = Area(shapely.box(west, south, (west + east) / 2, north))
    whole = Area(shapely.box(west - 1, south - 1, east + 1, north + 1))
    first = made(module_home, raster, "grown", stride=64, area=half)
    assert 0 < len(first.chips) < len(Grid.for_scene(scene, 64))
    grown = by_id(made(module_home, raster, "grown", area=whole))
    at_once = by_id(made(module_home, raster, "at-once", stride=64))
    assert grown.keys() == at_once.keys()
    assert min(float(grown[i] @ at_once[i]) for i in grown) > 1 - 1e-3


def test_only_the_pixels_under_the_area_are_read(raster: Path) -> None:
    scene = open_scene(SceneInput(raster))
    (block,) = Grid.for_scene(scene, 128).blocks()
    lon, lat = scene.footprint.centroid.coords[0]
    area = shapely.Point(lon, lat).buffer((scene.footprint.bounds[2] - lon) / 3)
    with Watched(scene) as reader:
        chips = cut(reader, scene, block, area=area)
    assert 0 < len(chips) < len(block.rows) * len(block.cols)
    assert reader.windows == [chips.window]
    with SceneReader(scene) as plain:
        for pixels, col, row in zip(chips.pixels, chips.cols, chips.rows, strict=True):
            assert np.array_equal(pixels, plain.read(int(col), int(row), 256, 256)[0])


class Watched(SceneReader):
    """Notes the windows that are read."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.windows: list[tuple[int, int, int, int]] = []

    def read(self, col: int, row: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        self.windows.append((col, row, width, height))
        return super().read(col, row, width, height)
