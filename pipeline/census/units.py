"""Units: the squares of ground that a census draws, each with the pixels that show it.

A thing belongs to the unit that holds its centre.  Units are squares of a scene's pixel grid,
smaller at its right and lower edge.  Scenes of one day may overlap: ground belongs to the first of
them, in the collection's order, that has imagery there, and units of later scenes are cut along its
units.  Units are cut along the area of interest, too.  So every piece of ground is in one unit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.geo import antimeridian
from pipeline.geo.polygons import polygons_of
from pipeline.imagery.reader import SceneReader

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon, Polygon
    from shapely.geometry.base import BaseGeometry

    from pipeline.imagery.scene import Scene

#: Default side of a unit in pixels, and its limits.
UNIT = 256
SMALLEST, LARGEST = 32, 4096
#: Maximum number of units of a census.
MOST_UNITS = 200_000
#: Pieces of a unit below this share of its square are dropped: they come from rounding.
_SLIVER = 1e-4
#: Vertices along an edge that is straight in one CRS and bent in another.
_SEGMENTS = 16
#: Pixels that are looked at to see whether a unit has imagery, along one side of it.
_LOOKED_AT = 8


@dataclass(frozen=True)
class Unit:
    """One unit.

    Attributes:
        id: Ten hex digits of the scene, the place and the size.
        scene_id: The scene that shows it.
        left: First column of its square in pixels of the scene.
        top: First row.
        width: Pixels across.
        height: Pixels down.
        cut: Its outline in pixels of the scene where that is not the whole square, rings of
            (column, row), outer ones counter-clockwise; empty for the whole square.
    """

    id: str
    scene_id: str
    left: int
    top: int
    width: int
    height: int
    cut: tuple[tuple[tuple[float, float], ...], ...] = ()

    @cached_property
    def outline(self) -> Polygon | MultiPolygon:
        """Its outline in pixels of the scene."""
        import shapely

        square = shapely.box(self.left, self.top, self.left + self.width, self.top + self.height)
        if not self.cut:
            return square
        rings = [shapely.Polygon(ring) for ring in self.cut]
        outer = [each for each in rings if each.exterior.is_ccw]
        holes = [each for each in rings if not each.exterior.is_ccw]
        return shapely.difference(shapely.union_all(outer), shapely.union_all(holes))

    def geometry(self, scene: Scene) -> BaseGeometry:
        """Its outline in EPSG:4326, near the scene."""
        import shapely

        bent = shapely.segmentize(self.outline, max(self.width, self.height) / 2)
        return shapely.transform(bent, lambda at: _degrees(scene, at))

    def holds(self, cols: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """bool (n,): whether pixels of its scene lie in it; of edges the upper and left count."""
        import shapely

        inside = (cols >= self.left) & (cols < self.left + self.width)
        inside &= (rows >= self.top) & (rows < self.top + self.height)
        if self.cut:
            inside &= np.asarray(shapely.intersects_xy(self.outline, cols, rows))
        return inside


def day_of(scene: Scene) -> str:
    """The day on which a scene was taken, `YYYY-MM-DD`, or ""."""
    return (scene.datetime or "")[:10]


def units_of(scenes: Sequence[Scene], side: int, areas: Sequence[BaseGeometry] = ()) -> list[Unit]:
    """The units of some scenes of one day, scene by scene, row by row.

    Args:
        scenes: The scenes; ground belongs to the first that has imagery there.
        side: Side of a unit in pixels.
        areas: Polygons in EPSG:4326 that hold all units; none for whole scenes.

    Raises:
        QueryError: If the side is out of range, there is no imagery, or units are too many.
        DamagedError: If imagery cannot be read.
    """
    import shapely

    if not SMALLEST <= side <= LARGEST:
        raise QueryError(
            f"A unit is {SMALLEST} to {LARGEST} pixels wide",
            where=side,
            remedy=f"For instance {UNIT}",
        )
    count = sum(-(-scene.width // side) * -(-scene.height // side) for scene in scenes)
    if count > 10 * MOST_UNITS:
        raise _too_many(count)
    units: list[Unit] = []
    taken: list[tuple[Scene, list[Unit]]] = []
    for scene in scenes:
        earlier = [
            shapely.union_all([unit.outline for unit in theirs])
            if other is scene
            else _ground_of(theirs, other, scene)
            for other, theirs in taken
            if theirs and antimeridian.intersects(other.footprint, scene.footprint)
        ]
        found = _of_scene(scene, side, [_pixels(scene, area) for area in areas], earlier)
        taken.append((scene, found))
        units += found
        if len(units) > MOST_UNITS:
            raise _too_many(len(units))
    if not units:
        raise QueryError(
            "There is no imagery in this area, or less of it than a sliver of one unit",
            where=", ".join(scene.title for scene in scenes[:3]),
            remedy="Choose a larger area that the collection's scenes cover, or smaller units",
        )
    return units


def unit_id(scene_id: str, left: int, top: int, side: int) -> str:
    """The id of a unit: the same square of the same scene has the same id in every census."""
    return hashlib.sha256(f"{scene_id} {left} {top} {side}".encode()).hexdigest()[:10]


def _of_scene(
    scene: Scene, side: int, areas: Sequence[BaseGeometry], earlier: Sequence[BaseGeometry]
) -> list[Unit]:
    import shapely

    imagery = _has_imagery(scene, side)
    rows, cols = np.nonzero(imagery)
    left, top = cols * side, rows * side
    width = np.minimum(side, scene.width - left)
    height = np.minimum(side, scene.height - top)
    squares = shapely.box(left, top, left + width, top + height)
    whole = shapely.area(squares)
    for area in areas:
        shapely.prepare(area)
        bent = ~shapely.contains_properly(area, squares)
        squares[bent] = shapely.intersection(squares[bent], area)
    for ground in earlier:
        shapely.prepare(ground)
        bent = shapely.intersects(ground, squares)
        squares[bent] = shapely.difference(squares[bent], ground)
    share = shapely.area(squares) / whole
    return [
        Unit(
            unit_id(scene.id, int(left[i]), int(top[i]), side),
            scene.id,
            int(left[i]),
            int(top[i]),
            int(width[i]),
            int(height[i]),
            _rings(squares[i]) if share[i] < 1 - _SLIVER else (),
        )
        for i in np.flatnonzero(share > _SLIVER)
    ]


def _has_imagery(scene: Scene, side: int) -> np.ndarray:
    """bool (rows, columns): which squares of a scene hold any data, looked at coarsely."""
    rows, cols = -(-scene.height // side), -(-scene.width // side)
    shape = (
        min(scene.height, -(-scene.height * _LOOKED_AT // side)),
        min(scene.width, -(-scene.width * _LOOKED_AT // side)),
    )
    with SceneReader(scene) as reader:
        valid = reader.coverage(shape)
    found = np.zeros((rows, cols), bool)
    y, x = np.nonzero(valid)
    row = ((y + 0.5) * scene.height / shape[0] / side).astype(int)
    col = ((x + 0.5) * scene.width / shape[1] / side).astype(int)
    found[row.clip(0, rows - 1), col.clip(0, cols - 1)] = True
    return found


def _ground_of(units: Sequence[Unit], scene: Scene, other: Scene) -> BaseGeometry:
    """The ground of a scene's units, in pixels of another scene."""
    import shapely

    ground = shapely.union_all([unit.outline for unit in units])
    bent = shapely.segmentize(ground, max(scene.width, scene.height) / _SEGMENTS)
    return _pixels(other, shapely.transform(bent, lambda at: _degrees(scene, at)))


def _pixels(scene: Scene, geometry: BaseGeometry) -> BaseGeometry:
    """Polygons in EPSG:4326 as pixels of a scene."""
    import shapely

    def moved(at: np.ndarray) -> np.ndarray:
        lon = antimeridian.wrap_longitude(at[:, 0], scene.centre_lon)
        return np.column_stack(scene.georeference.pixels(lon, at[:, 1]))

    # What lies far from the scene may have no pixel.
    west, south, east, north = scene.footprint.buffer(0.1).bounds
    near = antimeridian.intersection(geometry, shapely.box(west, south, east, north))
    parts = [shapely.transform(shapely.segmentize(part, 0.05), moved) for part in polygons_of(near)]
    return shapely.union_all([shapely.make_valid(part) for part in parts])


def _degrees(scene: Scene, at: np.ndarray) -> np.ndarray:
    lon, lat = scene.georeference.lonlat(at[:, 0], at[:, 1])
    lon = antimeridian.wrap_longitude(lon, scene.centre_lon)
    return np.column_stack([lon, lat]).round(8)


def _rings(geometry: BaseGeometry) -> tuple[tuple[tuple[float, float], ...], ...]:
    from shapely.geometry.polygon import orient

    rings = []
    for polygon in polygons_of(geometry):
        turned = orient(polygon)
        for ring in (turned.exterior, *turned.interiors):
            rings.append(tuple((round(x, 3), round(y, 3)) for x, y in ring.coords[:-1]))
    return tuple(rings)


def _too_many(count: int) -> QueryError:
    return QueryError(
        f"The area has {count:,} units, more than {MOST_UNITS:,}",
        remedy="Use larger units or a smaller area",
    )
