"""Where pixels lie on the ground: EPSG:4326 corners, footprints and ground sample distance.

Longitudes are contiguous, not wrapped: a footprint across the antimeridian runs from 179.9 to
180.1, and a scene is placed so that its centre lies between -180 and 180.  A scene with a pole
inside spans all longitudes and is closed along the pole.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.errors import SceneError

if TYPE_CHECKING:
    from shapely.geometry import Polygon

#: Pieces each edge of a scene is split into, so that its footprint follows the curve it has on
#: a map of longitudes and latitudes.
PIECES = 24


class Grounds(NamedTuple):
    """What places pixels: a CRS as text and the six affine coefficients (a, b, c, d, e, f)."""

    crs: str
    transform: tuple[float, ...]

    def lonlat(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Longitudes and latitudes in degrees of pixel coordinates (column, row), any shape."""
        a, b, c, d, e, f = self.transform[:6]
        x, y = np.asarray(x, float), np.asarray(y, float)
        lon, lat = _to_degrees(self.crs).transform(a * x + b * y + c, d * x + e * y + f)
        return np.asarray(lon), np.asarray(lat)


@lru_cache(maxsize=32)
def _to_degrees(crs: str) -> Any:
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


def nearest_turn(lon: np.ndarray, centre: np.ndarray | float) -> np.ndarray:
    """Longitudes moved by whole turns to within half a turn of `centre`."""
    return lon - 360.0 * np.round((lon - centre) / 360.0)


def corners(
    place: Grounds, cols: Any, rows: Any, width: float, height: float, centre_lon: float
) -> np.ndarray:
    """True corners of windows of one size.

    Args:
        place: What places the pixels.
        cols: Left pixel of each window, (n,).
        rows: Upper pixel of each window, (n,).
        width: Width in pixels.
        height: Height in pixels.
        centre_lon: Longitude around which windows are kept contiguous.

    Returns:
        float64 (n, 4, 2): longitude and latitude of the upper left, upper right, lower right and
        lower left corner.
    """
    cols, rows = np.asarray(cols, float), np.asarray(rows, float)
    x = cols[:, None] + np.array([0, width, width, 0, width / 2])
    y = rows[:, None] + np.array([0, 0, height, height, height / 2])
    lon, lat = place.lonlat(x, y)
    middle = nearest_turn(lon[:, 4:], centre_lon)
    return np.stack([nearest_turn(lon[:, :4], middle), lat[:, :4]], axis=-1)


def footprint(place: Grounds, width: int, height: int) -> Polygon:
    """A scene's outline in EPSG:4326, its edges densified.

    Raises:
        SceneError: If the transform or CRS places it nowhere on Earth.
    """
    from shapely.geometry import Polygon
    from shapely.geometry.polygon import orient

    step = np.linspace(0, 1, PIECES, endpoint=False)
    zero, one = np.zeros(PIECES), np.ones(PIECES)
    x = np.concatenate([step, one, 1 - step, zero]) * width
    y = np.concatenate([zero, step, one, 1 - step]) * height
    lon, lat = place.lonlat(x, y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and (np.abs(lat) <= 90.001).all()):
        raise SceneError(
            "The raster's position cannot be turned into longitude and latitude",
            where=place.crs[:60],
            remedy="Check its coordinate reference system and georeference",
        )
    lat = lat.clip(-90, 90)
    loop = np.unwrap(np.append(lon, lon[0]), period=360)
    if abs(loop[-1] - loop[0]) > 180:
        return orient(_around_pole(lon, lat))
    lon = loop[:-1]
    middle = place.lonlat(width / 2, height / 2)[0]
    inside = nearest_turn(np.asarray(middle), 0.0)
    ring = lon - 360.0 * np.round((lon.mean() - inside) / 360.0)
    return orient(Polygon(np.column_stack([ring, lat])))


def _around_pole(lon: np.ndarray, lat: np.ndarray) -> Polygon:
    """The outline of a scene that holds a pole: all longitudes, closed along the pole."""
    from shapely.geometry import Polygon

    wrapped = nearest_turn(lon, 0.0)
    edge = float(np.interp(180.0, wrapped, lat, period=360))
    between = np.abs(wrapped) < 180 - 1e-6
    order = np.argsort(wrapped[between])
    ring_lon, ring_lat = wrapped[between][order], lat[between][order]
    pole = 90.0 if lat.mean() > 0 else -90.0
    xs = np.concatenate([[-180.0], ring_lon, [180.0, 180.0, -180.0]])
    ys = np.concatenate([[edge], ring_lat, [edge, pole, pole]])
    return Polygon(np.column_stack([xs, ys]))


def gsd(place: Grounds, width: int, height: int) -> float:
    """Ground sample distance in metres: the side of a square as large as the centre pixel."""
    from pyproj import Geod

    x, y = width / 2, height / 2
    lon, lat = place.lonlat([x - 0.5, x + 0.5, x, x], [y, y, y - 0.5, y + 0.5])
    _, _, sides = Geod(ellps="WGS84").inv(lon[[0, 2]], lat[[0, 2]], lon[[1, 3]], lat[[1, 3]])
    return float(np.sqrt(sides[0] * sides[1]))
