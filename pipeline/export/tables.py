"""Findings as GeoJSON, CSV and GeoParquet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.collection.parquet import read_embeddings
from pipeline.export.findings import COLUMNS, Findings
from pipeline.model.identity import DIMENSIONS
from pipeline.progress import OnProgress, silent


def write_geojson(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write a FeatureCollection (RFC 7946) with the provenance as a foreign member."""
    from shapely.geometry import mapping
    from shapely.geometry.polygon import orient

    features = []
    for item in findings.items:
        outline = orient(item.outline) if item.outline.geom_type == "Polygon" else item.outline
        features.append(
            {
                "type": "Feature",
                "id": item.hit.id,
                "geometry": mapping(outline),
                "properties": findings.values(item),
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
    """Write a table of one row per finding, with its outline as WKT in the last column."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "wkt"])
        for item in findings.items:
            values = findings.values(item).values()
            writer.writerow([*(safe_cell(value) for value in values), item.outline.wkt])


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
    """Write GeoParquet 1.1 with the stored embedding of each finding's chip."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    kinds: dict[type, Any] = {int: pa.int32(), float: pa.float64(), str: pa.string()}
    rows = [findings.values(item) for item in findings.items]
    columns = {
        name: pa.array([row[name] for row in rows], kinds[kind])
        for name, (kind, _) in COLUMNS.items()
    }
    vectors = _embeddings(findings)
    flat = pa.array(np.ascontiguousarray(vectors).ravel())
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(flat, DIMENSIONS)
    outlines = np.array([item.outline for item in findings.items], dtype=object)
    columns["geometry"] = pa.array(list(shapely.to_wkb(outlines)), pa.binary())
    geometry = {
        "encoding": "WKB",
        "geometry_types": sorted({outline.geom_type for outline in outlines}),
        "bbox": [float(edge) for edge in shapely.total_bounds(outlines)],
    }
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": geometry},
    }
    about = {"geo": geo, "lookalike": findings.provenance.to_dict()}
    table = pa.table(columns).replace_schema_metadata({k: json.dumps(v) for k, v in about.items()})
    pq.write_table(table, path, compression="zstd")


def _embeddings(findings: Findings) -> np.ndarray:
    """Float16 (n, 2048): the embeddings of the findings' chips as stored, not normalised."""
    rows = np.array([item.hit.row for item in findings.items])
    vectors = np.empty((len(rows), DIMENSIONS), np.float16)
    start = 0
    for part in findings.collection.parts:
        in_part = np.flatnonzero((rows >= start) & (rows < start + part.rows))
        if len(in_part):
            vectors[in_part] = read_embeddings(part)[rows[in_part] - start]
        start += part.rows
    return vectors
