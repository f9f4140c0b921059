"""The simple parts of a geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shapely.geometry import Polygon
    from shapely.geometry.base import BaseGeometry


def parts_of(geometry: BaseGeometry) -> list[BaseGeometry]:
    """The non-empty points, lines and polygons of a geometry, nested collections included."""
    parts: list[BaseGeometry] = []
    waiting = [geometry]
    while waiting:
        part = waiting.pop()
        if hasattr(part, "geoms"):
            waiting.extend(reversed(part.geoms))
        elif not part.is_empty:
            parts.append(part)
    return parts


def polygons_of(geometry: BaseGeometry) -> list[Polygon]:
    """The polygons of a geometry, nested collections included."""
    return [part for part in parts_of(geometry) if part.geom_type == "Polygon"]
