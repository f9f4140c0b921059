"""Findings as a geopandas frame, which GDAL writes as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.geo.polygons import polygons_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from shapely.geometry.base import BaseGeometry

    from pipeline.export.findings import Findings


def frame_of(findings: Findings) -> GeoDataFrame:
    """A row for each finding in EPSG:4326; all geometries are MultiPolygons, or all are Points.

    A missing number is NaN, which a layer holds as NULL.
    """
    import geopandas

    columns = {}
    for name, (kind, _) in findings.columns.items():
        values = [item.values[name] for item in findings.items]
        columns[name] = np.array(values, float) if kind is float else values
    shapes = [_layered(item.geometry) for item in findings.items]
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4326")


def _layered(geometry: BaseGeometry) -> BaseGeometry:
    """A layer has one type of geometry: polygons are written as MultiPolygons."""
    import shapely

    return (
        geometry if geometry.geom_type == "Point" else shapely.MultiPolygon(polygons_of(geometry))
    )
