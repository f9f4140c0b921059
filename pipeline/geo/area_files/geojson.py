"""GeoJSON (RFC 7946), with the `crs` member of the 2008 specification."""

from __future__ import annotations

import json
from typing import Any

from pipeline.errors import AreaError
from pipeline.geo.area_files.features import Feature, check_count, reproject


def read_geojson(source: str | dict[str, Any], where: str = "") -> list[Feature]:
    """Features of a GeoJSON Geometry, Feature or FeatureCollection.

    A `crs` member, which the 2008 specification had, is honoured; without one coordinates are
    longitude, latitude, as RFC 7946 requires.  Heights and measures are dropped.

    Raises:
        AreaError: If it is not GeoJSON, or has too many features.
    """
    import shapely
    from shapely.geometry import shape

    document: Any = source
    if isinstance(source, str):
        try:
            document = json.loads(source)
        except (ValueError, RecursionError) as error:
            detail = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
            raise AreaError(f"This is not valid JSON{detail}", where=where) from error
    try:
        pending = _geometries(document)
        if not pending:
            raise AreaError(
                "This JSON contains no GeoJSON geometry",
                where=where,
                remedy="Give a Polygon, a Feature or a FeatureCollection",
            )
        check_count(pending, where)
        features = [Feature(shape(_flat(geometry)), name) for geometry, name in pending]
    except (
        AttributeError,
        IndexError,
        KeyError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
        shapely.errors.ShapelyError,
    ) as error:
        raise AreaError(
            "A geometry is not valid GeoJSON",
            where=where,
            remedy="A polygon's coordinates are lists of rings of [longitude, latitude] pairs",
        ) from error
    return reproject(features, _legacy_crs(document, where), where)


def _geometries(document: Any) -> list[tuple[dict[str, Any], str]]:
    """The unparsed geometry objects of a document, and their names."""
    if not isinstance(document, dict):
        return []
    kind = document.get("type")
    if kind == "FeatureCollection":
        features = document.get("features")
        return [pair for item in features for pair in _geometries(item)] if features else []
    if kind == "Feature":
        if not isinstance(document.get("geometry"), dict):
            return []
        properties = document.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        names = [properties.get(key) for key in ("name", "Name", "NAME", "title")]
        name = str(next(filter(None, names), ""))
        return [(document["geometry"], name)]
    return [(document, "")] if "coordinates" in document or "geometries" in document else []


def _flat(value: Any) -> Any:
    """A geometry object cut to two numbers per position; shapely reads no more than three."""
    if isinstance(value, dict):
        return {key: _flat(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        position = len(value) > 2 and all(isinstance(item, (int, float)) for item in value)
        return value[:2] if position else [_flat(item) for item in value]
    return value


def _legacy_crs(document: dict[str, Any], where: str) -> str:
    crs = document.get("crs")
    if crs is None:
        return "EPSG:4326"
    try:
        name = str(crs["properties"]["name"])
    except (KeyError, TypeError) as error:
        raise AreaError(
            "The file's crs member cannot be read", where=where, remedy="Save it in EPSG:4326"
        ) from error
    # CRS84 is EPSG:4326 with longitude first, the order assumed for every CRS here.
    return "EPSG:4326" if name.upper().endswith("CRS84") else name
