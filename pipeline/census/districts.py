"""Districts: polygons of an uploaded file, each with its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import AreaError
from pipeline.geo.area import Area
from pipeline.geo.area_files.features import MAX_FILE_BYTES, Feature
from pipeline.geo.area_files.geojson import read_geojson
from pipeline.geo.area_files.read import read_features

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

#: Maximum size of a district, in km²: a continent.
_MOST_KM2 = 60_000_000.0


def districts_of_file(path: Path) -> tuple[tuple[str, BaseGeometry], ...]:
    """The districts in a file: GeoJSON, KML, a zipped Shapefile or a GeoPackage.

    Raises:
        AreaError: If it cannot be read, or a district is no polygon.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise AreaError(
            f"Cannot read the file of districts: {error.strerror}",
            where=path,
            remedy="Check the path; a Shapefile must be zipped into one file",
        ) from error
    return districts_of_bytes(data, path.name)


def districts_of_bytes(data: bytes, filename: str) -> tuple[tuple[str, BaseGeometry], ...]:
    """The districts in the content of a file.

    Raises:
        AreaError: If it cannot be read, or a district is no polygon.
    """
    return _districts(read_features(data, filename))


def districts_of_geojson(content: dict[str, Any]) -> tuple[tuple[str, BaseGeometry], ...]:
    """The districts in a GeoJSON object.

    Raises:
        AreaError: If it is none, or a district is no polygon.
    """
    return _districts(read_geojson(content))


def _districts(features: list[Feature]) -> tuple[tuple[str, BaseGeometry], ...]:
    named: dict[str, BaseGeometry] = {}
    for number, feature in enumerate(features, 1):
        area = Area.of(feature.geometry, feature.name, limit_km2=_MOST_KM2)
        name = area.name or f"District {number}"
        # Two districts of one name would be told apart by nothing.
        if name in named:
            name = f"{name} ({number})"
        named[name] = area.geometry
    return tuple(named.items())
