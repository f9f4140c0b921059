"""Places on the ground as windows of a scene: what an example or a query names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import NotFoundError, QueryError
from pipeline.geo import antimeridian

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene

#: Smallest and largest side of a thing in pixels of the imagery.
LEAST_SIDE, MOST_SIDE = 4.0, 1024.0
#: Side, in pixels of the imagery, of the window around a point whose size is not given.
USUAL_SIDE = 64.0


@dataclass(frozen=True)
class Example:
    """A place that shows the thing sought, or that does not.

    Attributes:
        lon: Longitude of the centre, EPSG:4326.
        lat: Latitude of the centre.
        width_m: Width on the ground in metres; None where only a point is known.
        height_m: Height in metres.
        good: Whether it shows the thing.
        collection: Its collection, or None for the one that is searched.
        scene_id: Its scene, or None for the finest one there.
    """

    lon: float
    lat: float
    width_m: float | None = None
    height_m: float | None = None
    good: bool = True
    collection: str | None = None
    scene_id: str | None = None


@dataclass(frozen=True)
class Spot:
    """An example in the pixels of a scene.

    Attributes:
        scene: The scene.
        col: Column of the centre.
        row: Row of the centre.
        width: Width in pixels.
        height: Height in pixels.
        good: Whether it shows the thing.
    """

    scene: Scene
    col: float
    row: float
    width: float
    height: float
    good: bool = True

    @property
    def size(self) -> float:
        """The larger side in pixels."""
        return max(self.width, self.height)

    @property
    def size_m(self) -> float:
        """The larger side in metres."""
        return self.size * self.scene.gsd


def of_box(box: tuple[float, float, float, float], *, good: bool = True) -> Example:
    """The example of a box: west, south, east, north in EPSG:4326.

    Raises:
        QueryError: If it is empty or no box.
    """
    west, south, east, north = box
    if not (west < east and -90 <= south < north <= 90):
        raise QueryError(
            "The box is not valid",
            where=box,
            remedy="Give west, south, east, north in degrees, west less than east; across the "
            "antimeridian, add 360 to east",
        )
    lat = (south + north) / 2
    width, height = _metres(east - west, north - south, lat)
    return Example((west + east) / 2, lat, width, height, good)


def of_geometry(geometry: BaseGeometry, *, good: bool = True) -> Example:
    """The example of a point or a polygon in EPSG:4326: a polygon's bounding box.

    A polygon without width or height counts as a point.
    """
    west, south, east, north = geometry.bounds
    if west == east or south == north:
        return Example((west + east) / 2, (south + north) / 2, good=good)
    return of_box(geometry.bounds, good=good)


def usual_size(collection: Collection, scene: Scene) -> float:
    """Width in metres of an object without a size: what cells were made for first, or 64 pixels."""
    layers = collection.manifest.cells
    return (layers[0].object_size if layers else None) or USUAL_SIDE * scene.gsd


def spot_of(collection: Collection, example: Example, size_m: float | None = None) -> Spot:
    """An example as a window of a scene.

    Args:
        collection: Where it is.
        example: The example.
        size_m: Width in metres of an example without a size; by default `usual_size`.

    Raises:
        NotFoundError: If no scene covers its centre, or its scene is gone.
        QueryError: If it is smaller than 4 or larger than 1024 pixels of the imagery.
    """
    scene = scene_under(collection, example)
    col, row = (float(axis) for axis in _pixels(scene, example.lon, example.lat))
    if not (0 <= col <= scene.width and 0 <= row <= scene.height):
        raise _nowhere(example)
    width = example.width_m or size_m or usual_size(collection, scene)
    height = example.height_m or width
    spot = Spot(scene, col, row, width / scene.gsd, height / scene.gsd, example.good)
    _check_size(spot)
    return spot


def scene_under(collection: Collection, example: Example) -> Scene:
    """The scene of an example: its own, else of those that cover it the finest.

    Raises:
        NotFoundError: If there is none.
    """
    if example.scene_id is not None and example.scene_id in collection.scenes:
        return collection.scenes[example.scene_id]
    scenes: Iterable[Scene] = (
        scene
        for scene in collection.scenes.values()
        if antimeridian.contains(scene.footprint, example.lon, example.lat)
    )
    finest = min(scenes, key=lambda scene: scene.gsd, default=None)
    if finest is None:
        raise _nowhere(example)
    return finest


def _pixels(scene: Scene, lon: float, lat: float) -> tuple[np.ndarray, np.ndarray]:
    turned = antimeridian.wrap_longitude(lon, scene.centre_lon)
    return scene.georeference.pixels(turned, lat)


def _check_size(spot: Spot) -> None:
    if not LEAST_SIDE <= spot.size <= MOST_SIDE:
        small = spot.size < LEAST_SIDE
        raise QueryError(
            f"The object is {spot.size:.0f} pixels wide; object search takes "
            f"{LEAST_SIDE:.0f} to {MOST_SIDE:.0f}",
            where=spot.scene.title,
            remedy="Draw it larger, or use finer imagery"
            if small
            else "Draw it around one object, or search by place",
        )


def _nowhere(example: Example) -> NotFoundError:
    return NotFoundError(
        "No imagery lies under the example",
        where=f"{example.lon:.5f}, {example.lat:.5f} (longitude, latitude)",
        remedy="Choose a place on a scene of the collection",
    )


def _metres(width: float, height: float, lat: float) -> tuple[float, float]:
    """Degrees of longitude and latitude as metres, at a latitude."""
    metres = 111_320.0
    return width * metres * max(math.cos(math.radians(lat)), 1e-6), height * metres
