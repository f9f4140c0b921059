"""Reads the files people keep outlines in, without trusting them.

Every reader returns `(geometry in EPSG:4326, name)` pairs; `pipeline.geo.area` judges the
geometries.  No reader follows a link, extracts a path it did not choose, or inflates more than
`LARGEST_FILE` bytes.
"""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tempfile
import time
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pipeline.errors import AreaError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from shapely.geometry.base import BaseGeometry

#: Bytes of an area's file, and of everything inside a zipped one.
LARGEST_FILE = 32 * 2**20
_MOST_MEMBERS = 1000
_MOST_FEATURES = 10_000
_SECONDS_OF_SQL = 5.0

Found = list[tuple["BaseGeometry", str]]

_FORMATS = "GeoJSON, KML, KMZ, a zipped Shapefile or a GeoPackage"


def read(data: bytes, filename: str) -> Found:
    """Geometries of a file's bytes, whichever of the formats it is.

    Raises:
        AreaError: If it is none of them, too large, or unsafe to open.
    """
    if len(data) > LARGEST_FILE:
        raise AreaError(
            f"The file is larger than {LARGEST_FILE // 2**20} MB",
            where=filename,
            remedy="Simplify the outline, or keep only the features you need",
        )
    if not data.strip():
        raise AreaError("This file is empty", where=filename, remedy="Export the outline again")
    if data.startswith(b"SQLite format 3\0"):
        return geopackage(data, filename)
    if data.startswith(b"PK\x03\x04"):
        return _zipped(data, filename)
    text = _text(data, filename)
    if text.startswith("<"):
        return kml(text.encode(), filename)
    if text.startswith("{"):
        return geojson(text, where=filename)
    remedy = f"Upload {_FORMATS}"
    if filename.lower().endswith((".shp", ".dbf", ".shx", ".prj")):
        remedy = "A Shapefile is several files; put .shp, .shx, .dbf and .prj into one .zip"
    raise AreaError(f"This file is not {_FORMATS}", where=filename, remedy=remedy)


def geojson(source: str | dict[str, Any], where: str = "") -> Found:
    """Geometries of a GeoJSON Geometry, Feature or FeatureCollection.

    The `crs` member of the 2008 specification is honoured where there is one; without it
    coordinates are longitude, latitude, as RFC 7946 says.
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
    pending = _features(document)
    if not pending:
        raise AreaError(
            "This JSON holds no GeoJSON geometry",
            where=where,
            remedy="Give a Polygon, a Feature or a FeatureCollection",
        )
    if len(pending) > _MOST_FEATURES:
        raise AreaError(
            f"The file has {len(pending):,} features, more than {_MOST_FEATURES:,}",
            where=where,
            remedy="Keep only the ones that make the area",
        )
    try:
        found = [(shape(geometry), name) for geometry, name in pending]
    except (
        AttributeError,
        IndexError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
        shapely.errors.ShapelyError,
    ) as error:
        raise AreaError(
            "A geometry is not proper GeoJSON",
            where=where,
            remedy="A polygon's coordinates are lists of rings of [longitude, latitude] pairs",
        ) from error
    return _reproject(found, _legacy_crs(document, where), where)


def _features(document: Any) -> list[tuple[Any, str]]:
    if not isinstance(document, dict):
        return []
    kind = document.get("type")
    if kind == "FeatureCollection":
        features = document.get("features")
        return [pair for item in features for pair in _features(item)] if features else []
    if kind == "Feature":
        if not isinstance(document.get("geometry"), dict):
            return []
        properties = document.get("properties")
        given = properties if isinstance(properties, dict) else {}
        names = [given.get(key) for key in ("name", "Name", "NAME", "title")]
        name = str(next(filter(None, names), ""))
        return [(document["geometry"], name)]
    return [(document, "")] if "coordinates" in document or "geometries" in document else []


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
    # CRS84 is EPSG:4326 with longitude first, which is how all of ours is read.
    return "EPSG:4326" if name.upper().endswith("CRS84") else name


def kml(data: bytes, filename: str) -> Found:
    """Polygons of a KML document; links to other documents are not followed."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise AreaError(
            "This KML declares entities, as files made to exhaust memory do, and was refused",
            where=filename,
            remedy="Save it again from the program that made it",
        ) from error
    except (ParseError, ValueError, RecursionError) as error:
        raise AreaError("This is not valid KML", where=filename) from error
    if _tag(root) != "kml":
        raise AreaError("This XML is not KML", where=filename, remedy=f"Upload {_FORMATS}")
    found: Found = []
    others = 0
    for placemark in (element for element in root.iter() if _tag(element) == "Placemark"):
        name = next((child.text or "" for child in placemark if _tag(child) == "name"), "")
        for element in placemark.iter():
            if _tag(element) == "Polygon":
                found.append((_kml_polygon(element, filename), name.strip()))
            others += _tag(element) in ("Point", "LineString")
    if not found:
        linked = any(_tag(element) == "NetworkLink" for element in root.iter())
        found_instead = "points and lines only" if others else "no polygon"
        raise AreaError(
            "This KML only links to another one" if linked else f"This KML holds {found_instead}",
            where=filename,
            remedy="Save the linked document itself" if linked else "Draw a polygon in it",
        )
    return found


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _kml_polygon(polygon: Element, filename: str) -> BaseGeometry:
    import shapely

    shell: list[tuple[float, float]] = []
    holes: list[list[tuple[float, float]]] = []
    for boundary in polygon:
        rings = [item for item in boundary.iter() if _tag(item) == "coordinates"]
        if _tag(boundary) == "outerBoundaryIs" and rings:
            shell = _kml_ring(rings[0].text or "", filename)
        elif _tag(boundary) == "innerBoundaryIs":
            holes.extend(_kml_ring(ring.text or "", filename) for ring in rings)
    if len(shell) < 3:
        raise AreaError("A polygon of this KML has no outline", where=filename)
    return shapely.Polygon(shell, [hole for hole in holes if len(hole) >= 3])


def _kml_ring(text: str, filename: str) -> list[tuple[float, float]]:
    try:
        pairs = [item.split(",") for item in text.split()]
        return [(float(pair[0]), float(pair[1])) for pair in pairs]
    except (IndexError, ValueError) as error:
        raise AreaError(
            "A coordinate of this KML is not longitude,latitude", where=filename
        ) from error


def _zipped(data: bytes, filename: str) -> Found:
    """A KMZ, a zipped Shapefile, or another of the formats in a zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _safe_members(archive, filename)
            by_suffix: dict[str, list[str]] = {}
            for name in members:
                by_suffix.setdefault(PurePosixPath(name).suffix.lower(), []).append(name)
            if ".shp" in by_suffix:
                return _shapefile(archive, by_suffix[".shp"], members, filename)
            for suffix in (".kml", ".gpkg", ".geojson", ".json"):
                if suffix in by_suffix:
                    # Of a KMZ's documents the one nearest the root is the one that is shown.
                    inner = min(by_suffix[suffix], key=lambda name: (name.count("/"), name))
                    return read(_inflate(archive, inner, filename), PurePosixPath(inner).name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error) as error:
        raise AreaError(
            "This zip cannot be opened", where=filename, remedy="Zip it again, without a password"
        ) from error
    raise AreaError(
        "This zip holds no Shapefile, KML, GeoPackage or GeoJSON",
        where=filename,
        remedy=f"Upload {_FORMATS}",
    )


def _safe_members(archive: zipfile.ZipFile, filename: str) -> list[str]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > _MOST_MEMBERS:
        raise AreaError(f"This zip holds more than {_MOST_MEMBERS} files", where=filename)
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if ".." in parts or entry.filename.startswith(("/", "\\")) or ":" in parts[0]:
            raise AreaError(
                "This zip names files outside of itself and was refused",
                where=f"{filename}: {entry.filename[:80]}",
                remedy="Zip the files again from the folder that holds them",
            )
    if (total := sum(entry.file_size for entry in entries)) > 4 * LARGEST_FILE:
        raise AreaError(
            f"This zip unpacks to {total / 2**20:,.0f} MB, which is too much",
            where=filename,
            remedy="Zip only the outline of the area",
        )
    return [entry.filename for entry in entries]


def _inflate(archive: zipfile.ZipFile, member: str, filename: str) -> bytes:
    # The sizes in a zip's directory are claims; only reading with a bound is safe.
    with archive.open(member) as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise AreaError(
            f"A file in this zip is larger than {LARGEST_FILE // 2**20} MB",
            where=f"{filename}: {member}",
            remedy="Zip only the outline of the area",
        )
    return data


def _shapefile(
    archive: zipfile.ZipFile, shapes: list[str], members: list[str], filename: str
) -> Found:
    import pyogrio

    shapes = [name for name in shapes if not PurePosixPath(name).name.startswith("._")]
    if len(shapes) != 1:
        names = ", ".join(PurePosixPath(name).name for name in shapes[:5])
        raise AreaError(
            f"This zip holds {len(shapes)} Shapefiles ({names})",
            where=filename,
            remedy="Zip one Shapefile",
        )
    stem = shapes[0][: -len(".shp")]
    siblings = {
        PurePosixPath(name).suffix.lower(): name
        for name in members
        if name[: -len(PurePosixPath(name).suffix)] == stem
    }
    if ".prj" not in siblings:
        raise AreaError(
            "This Shapefile comes without its .prj, so where it lies is unknown",
            where=filename,
            remedy="Add the .prj file to the zip, or save the outline as GeoJSON or GeoPackage",
        )
    if ".shx" not in siblings:
        raise AreaError(
            "This Shapefile comes without its .shx", where=filename, remedy="Add it to the zip"
        )
    with tempfile.TemporaryDirectory(prefix="lookalike-area-") as folder:
        for suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg"):
            if suffix in siblings:
                data = _inflate(archive, siblings[suffix], filename)
                (Path(folder) / f"area{suffix}").write_bytes(data)
        try:
            frame = pyogrio.read_dataframe(
                Path(folder) / "area.shp", columns=[], max_features=_MOST_FEATURES + 1
            )
        except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, ValueError) as error:
            raise AreaError(
                "This Shapefile cannot be read", where=filename, remedy="Save it again"
            ) from error
        if frame.crs is None:
            raise AreaError(
                "The .prj of this Shapefile names no coordinate system",
                where=filename,
                remedy="Save the outline as GeoJSON or GeoPackage",
            )
        geometries = [(shape, "") for shape in frame.geometry if shape is not None]
        return _reproject(_some(geometries, filename), frame.crs.to_wkt(), filename)


def geopackage(data: bytes, filename: str) -> Found:
    """Features of every vector layer of a GeoPackage.

    Read with SQLite itself, its schema untrusted and its time bounded, because a GeoPackage may
    hold views and triggers of whoever made it.
    """
    import shapely

    found: Found = []
    deadline = time.monotonic() + _SECONDS_OF_SQL
    with tempfile.TemporaryDirectory(prefix="lookalike-area-") as folder:
        path = Path(folder) / "area.gpkg"
        path.write_bytes(data)
        database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        try:
            database.execute("PRAGMA trusted_schema = OFF")
            database.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            layers = database.execute(
                "SELECT g.table_name, g.column_name, s.definition, s.organization, "
                "s.organization_coordsys_id FROM gpkg_geometry_columns g "
                "JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id"
            ).fetchall()
            for table, column, definition, organization, code in layers[:100]:
                table, column = (str(name).replace('"', '""') for name in (table, column))
                rows = database.execute(
                    f'SELECT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL '
                    f"LIMIT {_MOST_FEATURES + 1}"
                ).fetchall()
                shapes = [(shapely.from_wkb(_gpkg_wkb(blob)), "") for (blob,) in rows]
                crs = (
                    f"{organization}:{code}" if str(organization).upper() == "EPSG" else definition
                )
                found += _reproject(_some(shapes, filename), str(crs), filename) if shapes else []
        except (sqlite3.Error, shapely.errors.GEOSException, struct.error, ValueError) as error:
            raise AreaError(
                "This GeoPackage cannot be read",
                where=filename,
                remedy="Save the outline again, as GeoPackage or GeoJSON",
            ) from error
        finally:
            database.close()
    return _some(found, filename)


def _gpkg_wkb(blob: object) -> bytes:
    """The WKB inside a GeoPackage geometry: magic, version, flags, SRS id, optional envelope."""
    if not isinstance(blob, bytes) or blob[:2] != b"GP" or len(blob) < 9:
        raise ValueError("not a GeoPackage geometry")
    doubles = (0, 4, 6, 6, 8)[min(blob[3] >> 1 & 0b111, 4)]
    return blob[8 + 8 * doubles :]


def _some(found: Found, filename: str) -> Found:
    if not found:
        raise AreaError("This file holds no feature", where=filename, remedy="Draw a polygon in it")
    if len(found) > _MOST_FEATURES:
        raise AreaError(
            f"The file has more than {_MOST_FEATURES:,} features",
            where=filename,
            remedy="Keep only the ones that make the area",
        )
    return found


def _reproject(found: Found, crs: str, where: str) -> Found:
    """Geometries moved from `crs` (axes in east, north order) to EPSG:4326."""
    import shapely
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    if crs in ("EPSG:4326", "urn:ogc:def:crs:EPSG::4326"):
        return found
    try:
        source = CRS.from_user_input(crs)
        transformer = Transformer.from_crs(source, "EPSG:4326", always_xy=True)
    except CRSError as error:
        raise AreaError(
            "The file's coordinate system is unknown",
            where=where or crs[:80],
            remedy="Save the outline in EPSG:4326",
        ) from error
    return [
        (shapely.transform(shape, transformer.transform, interleaved=False), name)
        for shape, name in found
    ]


def _text(data: bytes, filename: str) -> str:
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise AreaError(f"This file is not {_FORMATS}", where=filename) from error
