"""Findings as GeoJSON, CSV and GeoParquet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.export.findings import Findings
from pipeline.progress import OnProgress, silent


def write_geojson(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write a FeatureCollection (RFC 7946) with the provenance as a foreign member."""
    from shapely.geometry import mapping
    from shapely.geometry.polygon import orient

    features = []
    for item in findings.items:
        shape = orient(item.geometry) if item.geometry.geom_type == "Polygon" else item.geometry
        features.append(
            {
                "type": "Feature",
                "id": item.id,
                "geometry": mapping(shape),
                "properties": dict(item.values),
            }
        )
    document = {
        "type": "FeatureCollection",
        "name": findings.provenance.collection,
        "provenance": findings.provenance.to_dict(),
        "features": features,
    }
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")


def write_csv(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write a table of one row per finding, with its geometry as WKT in the last column."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*findings.columns, "wkt"])
        for item in findings.items:
            cells = [safe_cell(value) for value in item.values.values()]
            writer.writerow([*cells, item.geometry.wkt])


def safe_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula; numbers stay numbers.

    Titles, notes and URLs are untrusted.  The rule is OWASP's against CSV injection.
    """
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return value
    try:
        float(value)
    except ValueError:
        return "'" + value
    return value


def write_geoparquet(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write GeoParquet 1.1; findings that are chips with their stored embeddings."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    kinds: dict[type, Any] = {int: pa.int32(), float: pa.float64(), str: pa.string()}
    columns = {
        name: pa.array([item.values[name] for item in findings.items], kinds[kind])
        for name, (kind, _) in findings.columns.items()
    }
    if findings.embeddings:
        vectors = np.ascontiguousarray(findings.embeddings())
        flat = pa.array(vectors.ravel())
        columns["embedding"] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    shapes = np.array([item.geometry for item in findings.items], dtype=object)
    columns["geometry"] = pa.array(list(shapely.to_wkb(shapes)), pa.binary())
    geometry = {
        "encoding": "WKB",
        "geometry_types": sorted({shape.geom_type for shape in shapes}),
        "bbox": [float(edge) for edge in shapely.total_bounds(shapes)],
    }
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": geometry},
    }
    about = {"geo": geo, "lookalike": findings.provenance.to_dict()}
    table = pa.table(columns).replace_schema_metadata({k: json.dumps(v) for k, v in about.items()})
    pq.write_table(table, path, compression="zstd")
