"""The grid, the blocks, and what is known of every chip."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import QueryError, SceneError
from pipeline.imagery.chips import (
    CHIP,
    STRIDES,
    Chips,
    Grid,
    chip_id,
    corners,
    cut,
    sharpness,
    window_corners,
)
from pipeline.imagery.ingest import SceneInput, open_scene
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.scene import Scene, Stretch
from tests.factories import rasters
from tests.factories.synthetic import scene as made_scene

PLAIN = Stretch((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


def cut_all(scene: Scene, stride: int, span: int | None = None, **options: object) -> list[Chips]:
    with SceneReader(scene) as reader:
        blocks = Grid.for_scene(scene, stride).blocks(span)
        return [cut(reader, scene, block, **options) for block in blocks]


def column(parts: list[Chips], name: str) -> np.ndarray:
    return np.concatenate([np.asarray(getattr(part, name)) for part in parts])


# The grid


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("size", [(256, 256), (257, 300), (1000, 777), (2048, 1024)])
def test_grid_covers_the_scene_and_nothing_else(size: tuple[int, int], stride: int) -> None:
    grid = Grid.for_scene(made_scene("s", *size), stride)
    for starts, length in ((grid.cols, size[0]), (grid.rows, size[1])):
        assert starts[0] == 0
        assert starts[-1] + CHIP == length
        steps = np.diff(starts)
        assert (steps[:-1] == stride).all()
        assert ((steps > 0) & (steps <= stride)).all()
    assert len(grid) == len(grid.cols) * len(grid.rows)


@pytest.mark.parametrize("stride", [0, -64, 16, 100, 255, 288, 512])
def test_other_strides_are_refused(stride: int) -> None:
    with pytest.raises(QueryError, match="multiple of 32"):
        Grid.for_scene(made_scene("s", 1000, 1000), stride)


@pytest.mark.parametrize("size", [(255, 1000), (1000, 255), (1, 1)])
def test_scene_smaller_than_a_chip_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(SceneError, match="smaller than one chip"):
        Grid.for_scene(made_scene("s", *size), 128)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("span", [None, 300, 4096])
def test_blocks_hold_every_chip_once(stride: int, span: int | None) -> None:
    grid = Grid.for_scene(made_scene("s", 3111, 2222), stride)
    blocks = grid.blocks(span)
    found = [(col, row) for block in blocks for row in block.rows for col in block.cols]
    assert len(found) == len(set(found)) == len(grid)
    assert len({block.name for block in blocks}) == len(blocks)
    for block in blocks:
        col, row, width, height = block.window
        assert (col, row) == (block.cols[0], block.rows[0])
        assert (col + width, row + height) == (block.cols[-1] + CHIP, block.rows[-1] + CHIP)


def test_blocks_stay_small_whatever_the_stride() -> None:
    for stride in STRIDES:
        blocks = Grid.for_scene(made_scene("s", 9000, 9000), stride).blocks()
        assert max(len(block.rows) * len(block.cols) for block in blocks) <= 256


def test_block_names_say_their_place() -> None:
    names = [b.name for b in Grid.for_scene(made_scene("s", 2400, 1200), 128).blocks()]
    assert names == ["r0000-c0000", "r0000-c0001", "r0000-c0002"]


# Ids


def test_ids_are_stable_and_tell_chips_apart() -> None:
    assert chip_id("bay-73b5fc45", 64, 128) == "48f54cbadbd512ed"
    places = {chip_id("s", col, row) for col in range(0, 640, 32) for row in range(0, 640, 32)}
    assert len(places) == 400
    assert chip_id("s", 1, 11) != chip_id("s", 11, 1) != chip_id("t", 11, 1)


# Cutting


@pytest.mark.parametrize("stride", [32, 96, 128, 256])
def test_pixels_are_the_scenes_own_also_at_the_shifted_edge(tmp_path: Path, stride: int) -> None:
    data = rasters.ground(601, 515)
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", data), stretch=PLAIN))
    parts = cut_all(scene, stride)
    cols, rows = column(parts, "cols"), column(parts, "rows")
    pixels = column(parts, "pixels")
    assert pixels.dtype == np.uint8
    assert pixels.shape == (len(Grid.for_scene(scene, stride)), CHIP, CHIP, 3)
    for chip, col, row in zip(pixels, cols, rows, strict=True):
        assert (chip == np.moveaxis(data[:, row : row + CHIP, col : col + CHIP], 0, -1)).all()


def test_blocks_of_any_span_give_the_same_chips(tmp_path: Path) -> None:
    data = rasters.ground(900, 700)
    data[:, :, :200] = 0
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", data, nodata=0)))
    gathered = []
    for span in (128, 500, 4096):
        parts = cut_all(scene, 64, span)
        order = np.lexsort((column(parts, "cols"), column(parts, "rows")))
        gathered.append((parts, order))
    first, by = gathered[0]
    for parts, order in gathered[1:]:
        for field in dataclasses.fields(Chips):
            if field.name != "left_out":
                same = column(parts, field.name)[order] == column(first, field.name)[by]
                assert same.all(), field.name


def test_chips_over_half_without_data_are_left_out_and_counted(tmp_path: Path) -> None:
    data = rasters.ground(1024, 256)
    data[:, :, 128:384] = 0  # half of the first chip and half of the second
    data[:, :, 384:512] = 0  # now all of the second
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", data, nodata=0)))
    (chips,) = cut_all(scene, 256)
    assert chips.cols.tolist() == [0, 512, 768]
    assert chips.nodata_percent.tolist() == [50, 0, 0]
    assert chips.left_out == {"nodata": 1}
    (fewer,) = cut_all(scene, 256, max_nodata=10.0)
    assert fewer.left_out == {"nodata": 2}
    assert len(fewer) == len(fewer.ids) == len(fewer.pixels) == 2


def test_block_without_any_data_gives_no_chip(tmp_path: Path) -> None:
    data = rasters.ground(1400, 300)
    data[:, :, :1300] = 0
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", data, nodata=0)))
    parts = cut_all(scene, 256, 1024)
    assert len(parts[0]) == 0
    assert parts[0].pixels.shape == (0, CHIP, CHIP, 3)
    assert parts[0].corners.shape == (0, 4, 2)
    assert parts[0].left_out == {"nodata": 8}


def test_chips_whose_centre_is_outside_the_area_are_left_out_and_counted(tmp_path: Path) -> None:
    from shapely.geometry import Polygon, box

    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", rasters.ground(1024, 256))))
    area = Polygon(window_corners(scene, (0, 0, 500, 256)))
    (chips,) = cut_all(scene, 256, area=area)
    assert chips.cols.tolist() == [0, 256]
    assert chips.left_out == {"area": 2}
    (none,) = cut_all(scene, 256, area=box(-1, -1, 1, 1))
    assert len(none) == 0
    assert none.left_out == {"area": 4}


def test_select_keeps_the_counts(tmp_path: Path) -> None:
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", rasters.ground(1024, 256))))
    (chips,) = cut_all(scene, 256)
    chosen = chips.select([False, True, False, True])
    assert chosen.ids == [chips.ids[1], chips.ids[3]]
    assert (chosen.pixels == chips.pixels[[1, 3]]).all()
    assert chosen.left_out == chips.left_out
    assert chips.select([True] * 4) is chips


# Where chips lie


def test_corners_are_true_and_in_order(tmp_path: Path) -> None:
    from pyproj import Transformer

    scene = made_scene("s", 1000, 1000)
    found = corners(scene, [0, 700], [0, 300])
    assert found.shape == (2, 4, 2)
    to_degrees = Transformer.from_crs(32632, 4326, always_xy=True)
    for i, (col, row) in enumerate(((0, 0), (700, 300))):
        for j, (x, y) in enumerate(((0, 0), (256, 0), (256, 256), (0, 256))):
            east, north = 300000 + 10 * (col + x), 5150000 - 10 * (row + y)
            assert found[i, j] == pytest.approx(to_degrees.transform(east, north), abs=1e-12)
    # UTM north is not true north here: the footprint is turned, not a box of longitudes.
    assert found[0, 0, 0] != pytest.approx(found[0, 3, 0], abs=1e-4)


def test_rotated_scene_turns_its_chips(tmp_path: Path) -> None:
    turned = dataclasses.replace(
        made_scene("s", 1000, 1000),
        transform=(7.0, 7.0, 300000.0, 7.0, -7.0, 5150000.0),
    )
    (quad,) = corners(turned, [0], [0])
    east = (quad[1] - quad[0])[0], (quad[3] - quad[0])[0]
    assert east[0] > 0
    assert east[1] > 0
    assert quad[1, 1] > quad[0, 1] > quad[3, 1]


def antimeridian(tmp_path: Path, east: float) -> Scene:
    """A scene of 102 km by 51 km in Fiji; it starts `east` metres east of UTM zone 60's origin."""
    from rasterio.transform import from_origin

    path = rasters.write(
        tmp_path / "fiji.tif",
        rasters.ground(1024, 512),
        crs="EPSG:32760",
        transform=from_origin(east, 8.1e6, 100, 100),
    )
    return open_scene(SceneInput(path))


@pytest.mark.parametrize(("east", "side"), [(740000, 180), (790000, -180)])
def test_chips_across_the_antimeridian_are_contiguous(
    tmp_path: Path, east: float, side: int
) -> None:
    scene = antimeridian(tmp_path, east)
    parts = cut_all(scene, 128)
    lon = column(parts, "corners")[..., 0]
    assert side - 1 < lon.min() < side < lon.max() < side + 1
    assert (np.ptp(lon, axis=1) < 1).all()
    west, _, east_end, _ = scene.bounds4326
    assert west - 0.01 <= lon.min() <= lon.max() <= east_end + 0.01


@pytest.mark.parametrize("turn", [0, -360])
@pytest.mark.parametrize("east", [740000, 790000])
def test_area_may_be_written_from_either_side_of_the_antimeridian(
    tmp_path: Path, east: float, turn: int
) -> None:
    from shapely.geometry import box

    scene = antimeridian(tmp_path, east)
    area = box(180.0 + turn, -20, 181 + turn, -10)
    parts = cut_all(scene, 128, area=area)
    centres = column(parts, "corners").mean(axis=1)[:, 0] % 360
    assert 0 < len(centres) < len(Grid.for_scene(scene, 128))
    assert (centres > 180).all()


def test_chips_around_the_pole_are_small_and_lie_round_it(tmp_path: Path) -> None:
    from rasterio.transform import from_origin

    path = rasters.write(
        tmp_path / "s.tif",
        rasters.ground(1100, 1100),
        crs="EPSG:3413",
        transform=from_origin(-550000, 550000, 1000, 1000),
    )
    scene = open_scene(SceneInput(path))
    parts = cut_all(scene, 128)
    quads = column(parts, "corners")
    assert np.isfinite(quads).all()
    assert (quads[..., 1] > 80).all()
    away = quads[..., 1].max(axis=1) < 87
    assert (np.ptp(quads[away][..., 0], axis=1) < 90).all()


# How good chips are


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    from scipy.ndimage import laplace

    rgb = np.moveaxis(rasters.ground(300, 280), 0, -1)
    valid = np.ones((280, 300), bool)
    x, y = np.array([0, 44, 7]), np.array([0, 24, 13])
    found = sharpness(rgb, valid, x, y)
    luma = np.rint(rgb @ np.array([0.299, 0.587, 0.114]))
    for value, col, row in zip(found, x, y, strict=True):
        chip = luma[row : row + CHIP, col : col + CHIP]
        assert value == pytest.approx(laplace(chip)[1:-1, 1:-1].var(), rel=0.01)


def test_blur_lowers_sharpness_and_a_flat_chip_has_none() -> None:
    from scipy.ndimage import gaussian_filter

    rgb = np.moveaxis(rasters.ground(256, 256), 0, -1)
    valid, here = np.ones((256, 256), bool), np.array([0])
    values = [
        float(sharpness(gaussian_filter(rgb, (s, s, 0)), valid, here, here)[0]) for s in (0, 1, 3)
    ]
    assert values[0] > 3 * values[1] > 9 * values[2] > 0
    assert sharpness(np.full_like(rgb, 90), valid, here, here)[0] == 0


def test_edge_of_the_data_is_no_detail() -> None:
    rgb = np.full((256, 256, 3), 200, np.uint8)
    valid = np.ones((256, 256), bool)
    valid[:, :100] = False
    rgb[~valid] = 0
    assert sharpness(rgb, valid, np.array([0]), np.array([0]))[0] == 0
    assert sharpness(rgb, np.zeros_like(valid), np.array([0]), np.array([0]))[0] == 0


def test_chip_picture_is_the_chip(tmp_path: Path) -> None:
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", rasters.ground(600, 500))))
    with SceneReader(scene) as reader:
        picture = reader.thumbnail(64, 96, CHIP, CHIP, CHIP)
        rgb, _ = reader.read(64, 96, CHIP, CHIP)
        assert reader.thumbnail(64, 96, CHIP, CHIP, 64).shape == (64, 64, 3)
    assert (picture == rgb).all()


def test_memory_of_cutting_depends_on_the_block_and_not_on_the_scene(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for width in (1400, 5600):
        path = rasters.write(
            tmp_path / f"{width}.tif", rasters.ground(width, 1400, 1), tiled=True, nodata=0
        )
        scene = open_scene(SceneInput(path))
        with SceneReader(scene) as reader:
            blocks = Grid.for_scene(scene, 128).blocks()
            cut(reader, scene, blocks[0])
            tracemalloc.start()
            for block in blocks:
                cut(reader, scene, block)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
