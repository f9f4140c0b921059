"""Units: every piece of ground is in one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin
from shapely.geometry import box

from pipeline.census.units import Unit, units_of
from pipeline.errors import QueryError
from pipeline.imagery.ingest import SceneInput, ingest
from pipeline.imagery.scene import Scene
from tests.factories.rasters import ground, write

WEST, NORTH = 300_000.0, 5_150_000.0


def scene(folder: Path, name: str, east: float = 0.0, width: int = 400, height: int = 300) -> Scene:
    """A scene of 1 m pixels, some metres east of the corner."""
    transform = from_origin(WEST + east, NORTH, 1, 1)
    path = write(folder / f"{name}.tif", ground(width, height), transform=transform)
    return ingest(SceneInput(path), folder / "scenes")


def square_metres(units: list[Unit]) -> float:
    return float(sum(unit.outline.area for unit in units))


def test_a_scene_is_cut_into_squares_and_smaller_ones_at_its_edge(tmp_path: Path) -> None:
    units = units_of([scene(tmp_path, "a")], 128)
    assert len(units) == 12
    assert {(unit.width, unit.height) for unit in units} == {(128, 128), (16, 128), (128, 44),
                                                             (16, 44)}  # fmt: skip
    assert square_metres(units) == 400 * 300
    assert len({unit.id for unit in units}) == 12


def test_ground_of_overlapping_scenes_counts_once(tmp_path: Path) -> None:
    first, second = scene(tmp_path, "a"), scene(tmp_path, "b", east=250)
    units = units_of([first, second], 128)
    assert square_metres(units) == pytest.approx(650 * 300, rel=1e-4)
    # A thing in the overlap belongs to the first scene alone; its place is the same ground.
    held = [
        unit
        for unit in units
        for shown, col in ((first, 300.0), (second, 50.0))
        if unit.scene_id == shown.id and unit.holds(np.array([col]), np.array([100.0]))[0]
    ]
    assert [unit.scene_id for unit in held] == [first.id]


def test_units_are_cut_along_the_area(tmp_path: Path) -> None:
    shown = scene(tmp_path, "a")
    west, south, east, north = shown.bounds4326
    half = box(west - 1, south - 1, (west + east) / 2, north + 1)
    units = units_of([shown], 128, [half])
    assert square_metres(units) == pytest.approx(400 * 300 / 2, rel=0.02)
    assert sum(bool(unit.cut) for unit in units) >= 3
    inside = sum(unit.holds(np.array([380.0]), np.array([20.0]))[0] for unit in units)
    assert inside == 0


def test_squares_without_imagery_are_no_units(tmp_path: Path) -> None:
    data = ground(512, 256)
    data[:, :, 256:] = 0
    path = write(tmp_path / "half.tif", data, transform=from_origin(WEST, NORTH, 1, 1), nodata=0)
    units = units_of([ingest(SceneInput(path), tmp_path / "scenes")], 128)
    assert {unit.left for unit in units} == {0, 128}


@pytest.mark.parametrize("side", [0, 8, 100_000])
def test_a_side_out_of_range_is_refused(tmp_path: Path, side: int) -> None:
    with pytest.raises(QueryError, match="pixels wide"):
        units_of([scene(tmp_path, "a")], side)


def test_an_area_without_imagery_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="no imagery"):
        units_of([scene(tmp_path, "a")], 128, [box(0, 0, 1, 1)])
