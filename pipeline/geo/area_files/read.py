"""Area files of any format; the content decides which, not the extension."""

from __future__ import annotations

import codecs
from pathlib import PurePosixPath

from pipeline.errors import AreaError
from pipeline.geo.area_files import features
from pipeline.geo.area_files.archive import inflate, open_zip, safe_members
from pipeline.geo.area_files.features import FORMATS, Feature
from pipeline.geo.area_files.geojson import read_geojson
from pipeline.geo.area_files.geopackage import read_geopackage
from pipeline.geo.area_files.kml import read_kml
from pipeline.geo.area_files.shapefile import read_shapefile

_ZIP = b"PK\x03\x04"
_ZIPPED_SUFFIXES = (".kml", ".gpkg", ".geojson", ".json")


def read_features(data: bytes, filename: str) -> list[Feature]:
    """Features of a file's bytes.

    Raises:
        AreaError: If it is none of the formats, too large, or unsafe to open.
    """
    if len(data) > features.MAX_FILE_BYTES:
        raise AreaError(
            f"The file is larger than {features.MAX_FILE_BYTES // 2**20} MB",
            where=filename,
            remedy="Simplify the outline, or keep only the features of the area",
        )
    if not data.strip():
        raise AreaError("This file is empty", where=filename, remedy="Export the outline again")
    if data.startswith(b"SQLite format 3\0"):
        return read_geopackage(data, filename)
    if data.startswith(_ZIP):
        return _read_zip(data, filename)
    text = data.removeprefix(codecs.BOM_UTF8).strip()
    if text.startswith(b"<"):
        return read_kml(text, filename)
    if text.startswith(b"{"):
        return read_geojson(_decode(text, filename), filename)
    remedy = f"Upload {FORMATS}"
    if filename.lower().endswith((".shp", ".dbf", ".shx", ".prj")):
        remedy = "A Shapefile consists of several files; zip its .shp, .shx, .dbf and .prj together"
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        remedy = "This is UTF-16 text; save it as UTF-8"
    raise AreaError(f"This file is not {FORMATS}", where=filename, remedy=remedy)


def _read_zip(data: bytes, filename: str) -> list[Feature]:
    """Features of a KMZ, a zipped Shapefile, or another of the formats in a zip."""
    with open_zip(data, filename) as archive:
        members = safe_members(archive, filename)
        by_suffix: dict[str, list[str]] = {}
        for name in members:
            by_suffix.setdefault(PurePosixPath(name).suffix.lower(), []).append(name)
        if ".shp" in by_suffix:
            return read_shapefile(archive, members, filename)
        suffix = next((suffix for suffix in _ZIPPED_SUFFIXES if suffix in by_suffix), None)
        if suffix is None:
            raise AreaError(
                "This zip contains no Shapefile, KML, GeoPackage or GeoJSON",
                where=filename,
                remedy=f"Upload {FORMATS}",
            )
        member = min(by_suffix[suffix], key=_precedence)
        content = inflate(archive, member, filename)
    if content.startswith(_ZIP):  # one that contains itself has no end
        raise AreaError("This zip contains another zip", where=filename, remedy="Unzip it once")
    return read_features(content, PurePosixPath(member).name)


def _precedence(name: str) -> tuple[int, bool, str]:
    """Sorts the document that a KMZ shows first: nearest to the root, then `doc.kml`."""
    return name.count("/"), PurePosixPath(name).name.lower() != "doc.kml", name


def _decode(text: bytes, filename: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise AreaError(
            "This file is not UTF-8 text", where=filename, remedy="Save it as UTF-8"
        ) from error
