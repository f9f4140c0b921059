"""Longitudes and shapes across ±180°: wrapping, splitting, joining and comparing them.

A shape that crosses the antimeridian is written in one of two ways.  A *split* shape has parts
within ±180°, as RFC 7946 recommends: areas are.  A *contiguous* shape runs on beyond 180°:
footprints of scenes and chips do.  `contains`, `intersects` and `intersection` take either.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import AreaError
from pipeline.geo.polygons import polygons_of

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

#: Degrees of longitude in one turn around the Earth.
TURN = 360.0

#: West, south, east and north in degrees.
Bounds = tuple[float, float, float, float]


def turns_to(centre: Any, lon: Any) -> Any:
    """Degrees, a multiple of 360, that bring longitudes to within half a turn of `centre`."""
    return -TURN * np.round((np.asarray(lon) - centre) / TURN)


def wrap_longitude(lon: Any, centre: Any = 0.0) -> Any:
    """One or more longitudes, moved by whole turns to within half a turn of `centre`."""
    return lon + turns_to(centre, lon)


def wrap_bounds(bounds: Bounds) -> Bounds:
    """(west, south, east, north) with west > east where they cross 180°, as in RFC 7946."""
    west, south, east, north = bounds
    west -= TURN * math.floor((west + 180) / TURN)
    east -= TURN * math.ceil((east - 180) / TURN)
    return west, south, east, north


def unwrap_bounds(bounds: Bounds) -> Bounds:
    """(west, south, east, north) with east above 180° instead of west > east."""
    west, south, east, north = bounds
    return west, south, east + TURN if west > east else east, north


def unwrap_ring(points: np.ndarray) -> np.ndarray:
    """A ring (n, 2) made contiguous: an edge of more than 180° takes the short way instead.

    Raises:
        AreaError: If the ring encloses a pole: then it does not close.
    """
    steps = np.diff(points[:, 0])
    # An edge of 360° belongs to a rectangle around the whole world and crosses nothing.
    turns = np.where((np.abs(steps) > 180) & (np.abs(steps) < TURN), -np.sign(steps), 0)
    if turns.sum() != 0:
        raise AreaError(
            "The outline encloses a pole",
            remedy="Cut it at ±180° of longitude and along the pole",
        )
    return np.column_stack([points[:, 0] + TURN * np.append(0, np.cumsum(turns)), points[:, 1]])


def crosses(geometry: BaseGeometry) -> bool:
    """Whether a contiguous shape lies on both sides of an antimeridian."""
    return len(_bands(geometry)) > 1


def split(geometry: BaseGeometry) -> BaseGeometry:
    """A shape cut at every antimeridian that it crosses; all parts lie within ±180°."""
    import shapely

    if _bands(geometry) in (range(1), range(0)):
        return geometry
    parts = [
        _shift(geometry & shapely.box(TURN * band - 180, -90, TURN * band + 180, 90), -band)
        for band in _bands(geometry)
    ]
    return shapely.union_all(parts)


def join(geometry: BaseGeometry) -> BaseGeometry:
    """A split shape made contiguous: parts west of Greenwich move past 180° if that narrows it."""
    import shapely

    parts = polygons_of(geometry)
    western = [part for part in parts if part.bounds[2] <= 0]
    if len(western) in (0, len(parts)):
        return geometry
    eastern = [part for part in parts if part.bounds[2] > 0]
    joined = shapely.union_all([*eastern, *(_shift(part, 1) for part in western)])
    (west, _, east, _), (joined_west, _, joined_east, _) = geometry.bounds, joined.bounds
    return joined if joined_east - joined_west < east - west else geometry


def contains(geometry: BaseGeometry, lon: Any, lat: Any) -> np.ndarray:
    """Whether points lie in a shape or on its edge; either may be whole turns off."""
    import shapely

    if geometry.is_empty:
        return np.zeros(np.shape(lon), bool)
    shapely.prepare(geometry)
    lon = wrap_longitude(np.asarray(lon, float))
    inside = np.zeros(lon.shape, bool)
    # A point at 180° also lies on the edge of a shape that begins at -180°.
    west, _, east, _ = geometry.bounds
    for turn in range(math.ceil((west - 180) / TURN), math.floor((east + 180) / TURN) + 1):
        inside |= shapely.intersects_xy(geometry, lon + TURN * turn, lat)
    return inside


def intersects(first: BaseGeometry, second: BaseGeometry) -> bool:
    """Whether two shapes touch; either may be whole turns off."""
    return bool(split(first).intersects(split(second)))


def intersection(first: BaseGeometry, second: BaseGeometry) -> BaseGeometry:
    """The split intersection of two shapes; either may be whole turns off."""
    return split(first).intersection(split(second))


def _bands(geometry: BaseGeometry) -> range:
    """The turns in which a shape lies; 0 is the one within ±180°."""
    west, _, east, _ = geometry.bounds
    if geometry.is_empty:
        return range(0)
    return range(math.floor((west + 180) / TURN), math.ceil((east + 180) / TURN))


def _shift(geometry: BaseGeometry, turns: int) -> BaseGeometry:
    from shapely.affinity import translate

    return translate(geometry, xoff=TURN * turns)
