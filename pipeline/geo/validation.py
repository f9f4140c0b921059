"""Validation of outlines: rings unwrapped and repaired, parts split at ±180°, changes noted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import AreaError
from pipeline.geo import antimeridian
from pipeline.geo.polygons import parts_of, polygons_of

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon, Polygon
    from shapely.geometry.base import BaseGeometry

#: An outline with more corners is a coastline, not an area of interest.
MAX_VERTICES = 200_000


def valid_outline(geometry: BaseGeometry, notes: list[str]) -> Polygon | MultiPolygon:
    """A geometry in EPSG:4326 as valid polygons within ±180°.

    Args:
        geometry: Any geometry; only its polygons count.
        notes: Gets one sentence for each change.

    Raises:
        AreaError: If there is no polygon, or it is empty, has too many corners, encloses a pole
            or has coordinates that are no longitudes and latitudes.
    """
    import shapely

    polygons = _polygons(shapely.force_2d(geometry), notes)
    _check_coordinates(shapely.get_coordinates(polygons))
    shape = _repair([_unwrap(polygon) for polygon in polygons], notes)
    if antimeridian.crosses(shape):
        notes.append("The area crosses the antimeridian and is stored as parts, split at ±180°")
    parts = polygons_of(antimeridian.split(shape))
    if not parts:
        raise AreaError("The area has no size", remedy="Draw an outline with some width")
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _polygons(geometry: BaseGeometry, notes: list[str]) -> list[Polygon]:
    import shapely

    parts = parts_of(geometry)
    polygons = [part for part in parts if part.geom_type == "Polygon"]
    if not polygons:
        content = "has only points or lines" if parts else "is empty"
        raise AreaError(
            f"An area needs a polygon; this geometry {content}",
            remedy="Draw an outline, or give a place as latitude, longitude to get a box around it",
        )
    if others := len(parts) - len(polygons):
        notes.append(f"Points and lines were left out ({others}); an area is made of polygons")
    if (corners := int(shapely.get_num_coordinates(polygons).sum())) > MAX_VERTICES:
        raise AreaError(
            f"The outline has {corners:,} corners, more than {MAX_VERTICES:,}",
            remedy="Simplify it first (QGIS: Vector › Geometry Tools › Simplify)",
        )
    return polygons


def _check_coordinates(points: np.ndarray) -> None:
    """Refuse points (n, 2) that are no longitudes and latitudes; the remedy guesses why."""
    if not np.isfinite(points).all():
        raise AreaError("The outline has a coordinate that is not a finite number")
    lon, lat = np.abs(points).max(axis=0)
    # Maps that scroll endlessly draw up to one and a half turns from Greenwich.
    if lat <= 90 and lon <= 540:
        return
    if lat > 540 or lon > 540:
        remedy = "These look like metres; reproject the file to EPSG:4326 (degrees)"
    elif lon <= 90:
        remedy = "Latitude and longitude look swapped; longitude comes first"
    else:
        remedy = "Longitudes lie within ±180°, latitudes within ±90°"
    worst = points[np.argmax(np.abs(points[:, 1 if lat > 90 else 0]))]
    where = f"{worst[0]:g}, {worst[1]:g}"
    raise AreaError("The outline has coordinates out of range", where=where, remedy=remedy)


def _unwrap(polygon: Polygon) -> Polygon:
    """A polygon whose rings are contiguous, its holes in the same turn of the world as its shell.

    Raises:
        AreaError: If a ring encloses a pole, or spans more than 360° of longitude.
    """
    import shapely

    def contiguous(ring: BaseGeometry) -> np.ndarray:
        return antimeridian.unwrap_ring(shapely.get_coordinates(ring))

    shell = contiguous(polygon.exterior)
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2
    holes = []
    for hole in map(contiguous, polygon.interiors):
        hole[:, 0] += antimeridian.turns_to(middle, hole[:, 0].mean())
        holes.append(hole)
    if np.ptp(np.concatenate([shell, *holes])[:, 0]) > 360.000001:
        raise AreaError("The outline spans more than 360° of longitude", remedy="Draw it again")
    return shapely.Polygon(shell, holes)


def _repair(polygons: list[Polygon], notes: list[str]) -> BaseGeometry:
    """The union of polygons, those that are invalid made valid."""
    import shapely

    if not shapely.is_valid(polygons).all():
        crossing = any("elf-inter" in reason for reason in shapely.is_valid_reason(polygons))
        polygons = [
            piece for polygon in polygons for piece in polygons_of(shapely.make_valid(polygon))
        ]
        what = "crossed itself" if crossing else "was not a valid polygon"
        notes.append(f"The outline {what} and was repaired; check its shape on the map")
    return shapely.union_all(polygons)
