"""Features, which every reader returns, and the limits that every reader enforces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import AreaError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

#: Maximum bytes of an area file, and of a file in a zip.
MAX_FILE_BYTES = 32 * 2**20
MAX_FEATURES = 10_000
FORMATS = "GeoJSON, KML, KMZ, a zipped Shapefile or a GeoPackage"


class Feature(NamedTuple):
    """One feature of a file.

    Attributes:
        geometry: In EPSG:4326, longitude first; not validated.
        name: From the file, or empty.
    """

    geometry: BaseGeometry
    name: str = ""


def check_count(features: Sequence[object], where: str) -> None:
    """Refuse a file that has no features or too many.

    Raises:
        AreaError: If there are none, or more than `MAX_FEATURES`.
    """
    if not features:
        raise AreaError("This file has no features", where=where, remedy="Draw a polygon in it")
    if len(features) > MAX_FEATURES:
        raise AreaError(
            f"The file has more than {MAX_FEATURES:,} features",
            where=where,
            remedy="Keep only those that form the area",
        )


def reproject(features: list[Feature], crs: str, where: str) -> list[Feature]:
    """Features reprojected from `crs`, axes in east, north order, to EPSG:4326.

    Raises:
        AreaError: If the CRS is unknown, or has no transformation to EPSG:4326.
    """
    import shapely
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    if crs in ("EPSG:4326", "urn:ogc:def:crs:EPSG::4326"):
        return features
    try:
        source = CRS.from_user_input(crs)
        transformer = Transformer.from_crs(source, "EPSG:4326", always_xy=True)
    except ProjError as error:
        raise AreaError(
            "The file's coordinate system is unknown",
            where=where or crs[:80],
            remedy="Save the outline in EPSG:4326",
        ) from error
    return [
        Feature(shapely.transform(shape, transformer.transform, interleaved=False), name)
        for shape, name in features
    ]
