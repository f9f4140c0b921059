"""Pixels on the ground: corners and footprints in EPSG:4326, and ground sampling distance.

Longitudes are contiguous, not wrapped: a footprint across the antimeridian runs from 179.9 to
180.1, with the scene's centre within ±180°.  A scene that contains a pole spans all longitudes and
is closed along the pole.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.errors import SceneError
from pipeline.geo.antimeridian import TURN, turns_to, wrap_longitude

if TYPE_CHECKING:
    from pyproj import Transformer
    from shapely.geometry import Polygon

#: Segments per edge of a footprint: an edge straight in the scene's CRS is curved in EPSG:4326.
EDGE_SEGMENTS = 24


class Georeference(NamedTuple):
    """The position of a raster's pixels on Earth.

    Attributes:
        crs: The coordinate reference system as text.
        transform: Six affine coefficients (a, b, c, d, e, f).
    """

    crs: str
    transform: tuple[float, ...]

    def lonlat(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Longitudes and latitudes in degrees of pixel coordinates (column, row) of any shape."""
        a, b, c, d, e, f = self.transform[:6]
        x, y = np.asarray(x, float), np.asarray(y, float)
        lon, lat = _to_degrees(self.crs).transform(a * x + b * y + c, d * x + e * y + f)
        return np.asarray(lon), np.asarray(lat)

    def pixels(self, lon: Any, lat: Any) -> tuple[np.ndarray, np.ndarray]:
        """Pixel coordinates (column, row) of degrees, infinite beyond the projection."""
        from affine import Affine

        back = ~Affine(*self.transform[:6])
        x, y = _to_degrees(self.crs).transform(lon, lat, direction="INVERSE")
        x, y = np.asarray(x), np.asarray(y)
        return back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f


@lru_cache(maxsize=32)
def _to_degrees(crs: str) -> Transformer:
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    try:
        system = CRS.from_user_input(crs)
        if not system.is_geocentric:
            return Transformer.from_crs(system, "EPSG:4326", always_xy=True)
        reason: ProjError | None = None
    except ProjError as error:
        reason = error
    raise SceneError(
        "The raster's coordinate reference system does not lie on the Earth's surface",
        where=" ".join(crs.split())[:60],
        remedy="State the right one: gdal_translate -a_srs EPSG:CODE IN OUT.tif",
    ) from reason


def corners(
    georeference: Georeference, cols: Any, rows: Any, width: Any, height: Any, centre_lon: float
) -> np.ndarray:
    """Corners of windows.

    Args:
        georeference: Of the scene.
        cols: Leftmost pixel of each window, (n,).
        rows: Uppermost pixel of each window, (n,).
        width: Width of each in pixels, (n,), or of all of them.
        height: Height in pixels.
        centre_lon: Longitude around which the windows are contiguous.

    Returns:
        float64 (n, 4, 2): longitude and latitude of the upper left, upper right, lower right and
        lower left corner.
    """
    cols, rows = np.asarray(cols, float), np.asarray(rows, float)
    width, height = (np.asarray(side, float).reshape(-1, 1) for side in (width, height))
    x = cols[:, None] + width * np.array([0, 1, 1, 0, 0.5])
    y = rows[:, None] + height * np.array([0, 0, 1, 1, 0.5])
    lon, lat = georeference.lonlat(x, y)
    middle = wrap_longitude(lon[:, 4:], centre_lon)
    return np.stack([wrap_longitude(lon[:, :4], middle), lat[:, :4]], axis=-1)


def footprint(georeference: Georeference, width: int, height: int) -> Polygon:
    """Outline of a scene in EPSG:4326, its edges densified.

    Raises:
        SceneError: If its transform and CRS put it nowhere on Earth.
    """
    from shapely.geometry import Polygon
    from shapely.geometry.polygon import orient

    step = np.linspace(0, 1, EDGE_SEGMENTS, endpoint=False)
    zeros, ones = np.zeros(EDGE_SEGMENTS), np.ones(EDGE_SEGMENTS)
    x = np.concatenate([step, ones, 1 - step, zeros]) * width
    y = np.concatenate([zeros, step, ones, 1 - step]) * height
    lon, lat = georeference.lonlat(x, y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and (np.abs(lat) <= 90.001).all()):
        raise SceneError(
            "The raster's position cannot be turned into longitude and latitude",
            where=georeference.crs[:60],
            remedy="Check its coordinate reference system and georeference",
        )
    lat = lat.clip(-90, 90)
    loop = np.unwrap(np.append(lon, lon[0]), period=TURN)
    if abs(loop[-1] - loop[0]) > 180:
        return orient(_around_pole(lon, lat))
    lon = loop[:-1]
    middle = georeference.lonlat(width / 2, height / 2)[0]
    inside = wrap_longitude(middle)
    ring = lon + turns_to(inside, lon.mean())
    return orient(Polygon(np.column_stack([ring, lat])))


def _around_pole(lon: np.ndarray, lat: np.ndarray) -> Polygon:
    """Outline of a scene that contains a pole: all longitudes, closed along the pole."""
    from shapely.geometry import Polygon

    wrapped = wrap_longitude(lon)
    edge = float(np.interp(180.0, wrapped, lat, period=TURN))
    between = np.abs(wrapped) < 180 - 1e-6
    order = np.argsort(wrapped[between])
    ring_lon, ring_lat = wrapped[between][order], lat[between][order]
    pole = 90.0 if lat.mean() > 0 else -90.0
    xs = np.concatenate([[-180.0], ring_lon, [180.0, 180.0, -180.0]])
    ys = np.concatenate([[edge], ring_lat, [edge, pole, pole]])
    return Polygon(np.column_stack([xs, ys]))


def gsd(georeference: Georeference, width: int, height: int) -> float:
    """Ground sampling distance in metres: the side of a square with the centre pixel's area."""
    from pyproj import Geod

    x, y = width / 2, height / 2
    lon, lat = georeference.lonlat([x - 0.5, x + 0.5, x, x], [y, y, y - 0.5, y + 0.5])
    _, _, sides = Geod(ellps="WGS84").inv(lon[[0, 2]], lat[[0, 2]], lon[[1, 3]], lat[[1, 3]])
    return float(np.sqrt(sides[0] * sides[1]))


def polygons(corners: np.ndarray) -> np.ndarray:
    """Polygons, counter-clockwise, of the lon/lat corners of n windows (n, 4, 2)."""
    import shapely

    rings = np.round(corners, 7)
    following = np.roll(rings, -1, axis=1)
    area = (rings[..., 0] * following[..., 1] - following[..., 0] * rings[..., 1]).sum(axis=1)
    rings = np.where((area > 0)[:, None, None], rings, rings[:, ::-1])
    found: np.ndarray = shapely.polygons(rings)
    return found


def polygon(corners: np.ndarray) -> dict[str, Any]:
    """GeoJSON polygon, counter-clockwise, of four lon/lat corners (4, 2)."""
    ring = [[round(float(x), 7), round(float(y), 7)] for x, y in corners]
    following = ring[1:] + ring[:1]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, following, strict=True))
    ring = ring if area > 0 else ring[::-1]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
