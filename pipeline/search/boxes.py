"""Boxes: a drawn rectangle as a query, read from the imagery at its own scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import NotFoundError, QueryError
from pipeline.geo import antimeridian
from pipeline.imagery.chips import CHIP, corners
from pipeline.imagery.reader import SceneReader

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene

#: Minimum side of a box in pixels of the imagery; less shows nothing recognisable.
LEAST_SIDE = 16
#: Maximum side in pixels of the imagery; more is not one object.
MOST_SIDE = 4096


@dataclass(frozen=True)
class Cutout:
    """The imagery of a box.

    Attributes:
        scene_id: The scene it was read from.
        pixels: Uint8 RGB (256, 256, 3).
        corners: Float64 (4, 2), lon/lat of the square that was read.
        col: Left edge of that square, in pixels of the scene.
        row: Its upper edge.
        side: Its side.
    """

    scene_id: str
    pixels: np.ndarray
    corners: np.ndarray
    col: int
    row: int
    side: int


def cut_out(collection: Collection, box: tuple[float, float, float, float]) -> Cutout:
    """The imagery of a box: the square around it, resized to a chip.

    A square keeps shapes as they are: a long box gets surroundings instead of being squeezed.

    Args:
        collection: Whose imagery; of several scenes at the box, the one with the finest pixels.
        box: West, south, east, north in EPSG:4326.

    Raises:
        QueryError: If the box is empty, too small or too large.
        NotFoundError: If no scene covers its centre.
    """
    scene, left, top, side = _square(collection, box)
    with SceneReader(scene) as reader:
        pixels = reader.thumbnail(left, top, side, side, CHIP)
    return Cutout(scene.id, pixels, _corners(scene, left, top, side), left, top, side)


def square(collection: Collection, box: tuple[float, float, float, float]) -> np.ndarray:
    """Float64 (4, 2), lon/lat of the square that `cut_out` reads; raises what it does."""
    return _corners(*_square(collection, box))


def _corners(scene: Scene, left: int, top: int, side: int) -> np.ndarray:
    return corners(scene, np.array([left]), np.array([top]), side)[0]


def _square(
    collection: Collection, box: tuple[float, float, float, float]
) -> tuple[Scene, int, int, int]:
    """The scene under a box, and column, row and side of the square in its pixels."""
    west, south, east, north = box
    if not (west < east and south < north and south >= -90 and north <= 90):
        raise QueryError(
            "The box is not valid",
            where=box,
            remedy="Give west, south, east, north in degrees, west less than east; across the "
            "antimeridian, add 360 to east",
        )
    scene = _scene_under(collection, (west + east) / 2, (south + north) / 2)
    col, row, width, height = _window(scene, box)
    if not max(width, height) <= MOST_SIDE:  # refuses NaN, too: a box beyond the projection
        raise QueryError(
            f"The box is more than {MOST_SIDE} pixels wide",
            where=scene.title,
            remedy="Draw it around one object",
        )
    side = round(max(width, height))
    if side < LEAST_SIDE:
        raise QueryError(
            f"The box is {side} pixels wide; at least {LEAST_SIDE} are needed",
            where=scene.title,
            remedy="Draw it larger",
        )
    return scene, round(col + (width - side) / 2), round(row + (height - side) / 2), side


def _scene_under(collection: Collection, lon: float, lat: float) -> Scene:
    scenes = [
        scene
        for scene in collection.scenes.values()
        if antimeridian.contains(scene.footprint, lon, lat)
    ]
    if not scenes:
        raise NotFoundError(
            "No imagery lies under the middle of the box",
            where=f"{lon:.5f}, {lat:.5f} (longitude, latitude)",
            remedy="Draw it on a scene",
        )
    return min(scenes, key=lambda scene: scene.gsd)


def _window(
    scene: Scene, box: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """Column, row, width and height of the box in the scene's pixels."""
    west, south, east, north = box
    lon = np.array([west, east, east, west, (west + east) / 2, (west + east) / 2])
    lat = np.array([north, north, south, south, north, south])
    cols, rows = scene.georeference.pixels(lon, lat)
    return (
        float(cols.min()),
        float(rows.min()),
        float(np.ptp(cols)),
        float(np.ptp(rows)),
    )
