"""Export: findings as files that other programs open as they are.

Each writer makes a whole file under a temporary name, which then takes its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import QueryError
from pipeline.export import chip_zip, geopackage, html_map, kml
from pipeline.export.findings import Findings
from pipeline.export.tables import write_csv, write_geojson, write_geoparquet
from pipeline.files import replacing
from pipeline.progress import OnProgress, silent

Writer = Callable[[Findings, Path, OnProgress], None]


@dataclass(frozen=True)
class Format:
    """A kind of file findings can be written as.

    Attributes:
        name: Key in `FORMATS`.
        title: Name for people.
        suffix: Of the file, with its dot.
        media_type: For a download.
        opens_in: Where it opens.
        write: Writes the findings to a path.
    """

    name: str
    title: str
    suffix: str
    media_type: str
    opens_in: str
    write: Writer


FORMATS: dict[str, Format] = {
    made.name: made
    for made in (
        Format("geojson", "GeoJSON", ".geojson", "application/geo+json",
               "QGIS, geojson.io, any web map", write_geojson),
        Format("gpkg", "GeoPackage", ".gpkg", "application/geopackage+sqlite3",
               "QGIS, styled; ArcGIS", geopackage.write),
        Format("kmz", "KML with pictures", ".kmz", "application/vnd.google-earth.kmz",
               "Google Earth", kml.write),
        Format("csv", "CSV", ".csv", "text/csv", "spreadsheets", write_csv),
        Format("geoparquet", "GeoParquet with embeddings", ".parquet",
               "application/vnd.apache.parquet", "geopandas, DuckDB, QGIS",
               write_geoparquet),
        Format("chips", "Chip pictures", ".zip", "application/zip",
               "any viewer; with world files in a GIS", chip_zip.write),
        Format("html", "Standalone map", ".html", "text/html",
               "any browser, without Lookalike or network", html_map.write),
    )
}  # fmt: skip


def export(findings: Findings, name: str, path: Path, progress: OnProgress = silent) -> Path:
    """Write findings in a format.

    Args:
        findings: What to write.
        name: Key of `FORMATS`.
        path: Where to; the format's suffix is appended if the path does not end in it.
        progress: Told how many findings are written, by formats with pictures; may cancel.

    Returns:
        The file written.

    Raises:
        QueryError: If there is no such format, or nothing to export.
        StorageError: If the disk is full or not writable; nothing is left behind.
    """
    made = FORMATS.get(name)
    if made is None:
        raise QueryError(
            "No export format has this name",
            where=name[:40],
            remedy=f"Choose one of {', '.join(FORMATS)}",
        )
    if not findings.items:
        raise QueryError(
            "There is nothing to export", remedy="Search first, or lower the threshold"
        )
    if not path.name.endswith(made.suffix):
        path = path.with_name(path.name + made.suffix)
    with replacing(path) as temporary:
        made.write(findings, temporary, progress)
    return path
