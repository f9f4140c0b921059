"""The export formats, and the one function that writes findings in any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import QueryError
from pipeline.export import coco, geopackage, html_map, kml, picture_zip, shapefile
from pipeline.export.findings import Findings
from pipeline.export.tables import write_csv, write_geojson, write_geoparquet
from pipeline.files import replacing
from pipeline.progress import OnProgress, silent

Writer = Callable[[Findings, Path, OnProgress], None]


@dataclass(frozen=True)
class Format:
    """A file format for findings.

    Attributes:
        name: Key in `FORMATS` or `OBJECT_FORMATS`.
        title: Displayed name.
        suffix: File name extension, with its dot.
        media_type: Media type of the download.
        opens_in: Programs that open it.
        write: Writes findings to a path.
    """

    name: str
    title: str
    suffix: str
    media_type: str
    opens_in: str
    write: Writer


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("geojson", "GeoJSON", ".geojson", "application/geo+json",
               "QGIS, geojson.io, any web map", write_geojson),
        Format("gpkg", "GeoPackage", ".gpkg", "application/geopackage+sqlite3",
               "QGIS, styled; ArcGIS", geopackage.write),
        Format("shapefile", "Shapefile", ".shp.zip", "application/zip",
               "any GIS, older ones too", shapefile.write),
        Format("kmz", "KML with pictures", ".kmz", "application/vnd.google-earth.kmz",
               "Google Earth", kml.write),
        Format("csv", "CSV", ".csv", "text/csv", "spreadsheets", write_csv),
        Format("geoparquet", "GeoParquet with embeddings", ".parquet",
               "application/vnd.apache.parquet", "geopandas, DuckDB, QGIS",
               write_geoparquet),
        Format("chips", "Chip pictures", ".zip", "application/zip",
               "any image viewer; georeferenced in a GIS", picture_zip.write),
        Format("html", "Standalone map", ".html", "text/html",
               "any browser, offline", html_map.write),
    )
}  # fmt: skip


#: The formats of objects: those of chips, and COCO JSON of what was marked.
OBJECT_FORMATS: dict[str, Format] = {
    **FORMATS,
    "geoparquet": replace(FORMATS["geoparquet"], title="GeoParquet"),
    "chips": replace(FORMATS["chips"], title="Pictures"),
    "coco": Format(
        "coco", "COCO JSON of good marks", ".coco.json", "application/json",
        "programs that train networks", coco.write),
    "coco-all": Format(
        "coco-all", "COCO JSON of good and bad marks", ".coco-all.json", "application/json",
        "programs that train networks", coco.write_with_bad),
}  # fmt: skip


def formats_of(findings: Findings) -> dict[str, Format]:
    """The formats that findings can be written in."""
    return OBJECT_FORMATS if findings.kind == "objects" else FORMATS


def format_named(name: str, formats: Mapping[str, Format] = FORMATS) -> Format:
    """The format with a name.

    Raises:
        QueryError: If there is none.
    """
    if name not in formats:
        raise QueryError(
            "Unknown export format", where=name[:40], remedy=f"Use one of {', '.join(formats)}"
        )
    return formats[name]


def by_suffix(path: Path, formats: Mapping[str, Format] = FORMATS) -> Format:
    """The format that a file's suffix chooses, in capitals or not; of several, the longest does.

    Raises:
        QueryError: If no format has this suffix.
    """
    fitting = [format for format in formats.values() if _has(path, format)]
    if not fitting:
        known = ", ".join(format.suffix for format in formats.values())
        raise QueryError("No format has this suffix", where=path.name, remedy=f"Use one of {known}")
    return max(fitting, key=lambda format: len(format.suffix))


def _has(path: Path, format: Format) -> bool:
    return path.name.lower().endswith(format.suffix)


def export(findings: Findings, name: str, path: Path, progress: OnProgress = silent) -> Path:
    """Write findings in a format; the file appears once it is complete.

    Args:
        findings: The findings.
        name: Key of `formats_of(findings)`.
        path: Destination; the format's suffix is appended if missing.
        progress: Called for each finding by formats with pictures; may cancel.

    Returns:
        The path of the file.

    Raises:
        QueryError: If the format is unknown, or there is nothing to export.
        StorageError: If the disk is full or not writable; no partial file is left.
    """
    format = format_named(name, formats_of(findings))
    if not findings.items:
        raise QueryError(
            "There is nothing to export", remedy="Search first, or lower the threshold"
        )
    if not _has(path, format):
        path = path.with_name(path.name + format.suffix)
    with replacing(path) as temporary:
        format.write(findings, temporary, progress)
    return path
