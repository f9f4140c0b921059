"""Label files: points or polygons that show the thing sought, or that do not.

Any vector file that geopandas reads: GeoJSON, GeoPackage, zipped Shapefile, KML, FlatGeobuf,
GeoParquet.  The attribute `label` is `good` or `bad`, and `good` where it is missing.  Coordinates
are in the file's CRS, or EPSG:4326 if it states none.  A polygon gives the size of its thing.  Each
part of a MultiPoint or a MultiPolygon is a label of its own.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError
from pipeline.objects.places import Example, of_geometry

if TYPE_CHECKING:
    import geopandas

MAX_BYTES = 64 * 2**20
#: Bytes of a compressed file's content, by what its directory says.
MAX_UNPACKED = 1024 * 2**20
MAX_LABELS = 100_000
GOOD, BAD = "good", "bad"
FORMATS = "GeoJSON, GeoPackage, zipped Shapefile, KML, FlatGeobuf or GeoParquet"
#: First bytes of a file by its suffix.  GDAL would open other formats, which may name further
#: files or servers.
_MAGIC = {
    ".geojson": b"{",
    ".json": b"{",
    ".gpkg": b"SQLite format 3",
    ".zip": b"PK\x03\x04",
    ".kml": b"<",
    ".fgb": b"fgb",
    ".parquet": b"PAR1",
}
#: Geometries that are labels.
_GEOMETRIES = ("Point", "MultiPoint", "Polygon", "MultiPolygon")
#: Takes a note on a label file, a sentence without its full stop.
OnNote = Callable[[str], object]


def read_labels(path: Path, on_note: OnNote = lambda _: None) -> tuple[Example, ...]:
    """The examples in a label file.

    Args:
        path: The file.
        on_note: Called with each thing to know of what was read and what was left out.

    Raises:
        InputError: If it cannot be read, has no labels, or is too large.
    """
    import shapely

    _check_kind(path)
    frame = _in_degrees(_frame(path, on_note), path)
    _check_count(len(frame), path)
    shapes = frame.geometry
    numbers, feature = shapely.get_coordinates(shapes, return_index=True)
    placed = ~(shapes.isna() | shapes.is_empty).to_numpy()
    placed[feature[np.isnan(numbers).any(axis=1)]] = False
    drawn = shapes.geom_type.isin(_GEOMETRIES).to_numpy()
    kept = placed & drawn
    if not kept.any():
        raise InputError(
            "The label file has no geometry that can be used",
            where=path.name,
            remedy="Give each label a point, or a polygon around the object",
        )
    for left, why in (
        (~placed, "they have no geometry, or a coordinate that is not a number"),
        (placed & ~drawn, "they are neither points nor polygons"),
    ):
        if left.any():
            on_note(f"{left.sum()} of {len(frame)} features left out: {why}")
    kinds = _kinds(frame, path, on_note)
    parts, whole = shapely.get_parts(shapes[kept].to_numpy(), return_index=True)
    _check_count(len(parts), path)
    return tuple(
        of_geometry(part, good=kind == GOOD)
        for part, kind in zip(parts, kinds[kept][whole], strict=True)
        if not part.is_empty
    )


def parse_labels(
    content: bytes, name: str, on_note: OnNote = lambda _: None
) -> tuple[Example, ...]:
    """The examples in an uploaded label file.

    Args:
        content: The file.
        name: Its name, whose suffix says what it is.
        on_note: As `read_labels`.

    Raises:
        InputError: As `read_labels`.
    """
    plain = re.sub(r"[^\w.-]+", "-", name)[-80:].lstrip(".") or "labels"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / plain
        path.write_bytes(content)
        return read_labels(path, on_note)


def check_examples(examples: Sequence[Example], where: str) -> None:
    """Refuse examples of which none is good.

    Raises:
        InputError: If there is none.
    """
    if not any(example.good for example in examples):
        raise InputError(
            "All labels are bad",
            where=where,
            remedy="Mark at least one object that is what you look for as good",
        )


def _check_kind(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise InputError(
            "The label file cannot be opened", where=path, remedy="Check the path"
        ) from error
    if size > MAX_BYTES:
        raise InputError(
            f"The label file is larger than {MAX_BYTES >> 20} MB",
            where=path.name,
            remedy="Keep the geometry and the attribute label only",
        )
    magic = _MAGIC.get(path.suffix.lower())
    if magic is None or not start.startswith(magic):
        raise InputError(
            f"The label file is not {FORMATS}",
            where=path.name,
            remedy="Export it from your GIS in one of these formats",
        )


def _check_count(count: int, path: Path) -> None:
    if count > MAX_LABELS:
        raise InputError(
            f"The label file has {count} labels, more than {MAX_LABELS}",
            where=path.name,
            remedy="Keep those of the scenes that you search",
        )


def _frame(path: Path, on_note: OnNote) -> geopandas.GeoDataFrame:
    import geopandas
    import pyogrio

    try:
        if (unpacked := _unpacked(path)) > MAX_UNPACKED:
            raise InputError(
                f"The label file unpacks to {unpacked >> 20:,} MB; the limit is "
                f"{MAX_UNPACKED >> 20:,} MB",
                where=path.name,
                remedy="Keep the geometry and the attribute label only",
            )
        if path.suffix.lower() == ".parquet":
            return geopandas.read_parquet(path)
        # One more than are allowed, so that a larger file is noticed and not read to its end.
        source = _source(path, on_note)
        layers = [layer for layer, kind in pyogrio.list_layers(source) if kind] or [None]
        if len(layers) > 1:
            on_note(f"Of {len(layers)} layers only the first is read, {layers[0]}")
        return geopandas.read_file(source, engine="pyogrio", layer=layers[0], rows=MAX_LABELS + 1)
    except InputError:
        raise
    except Exception as error:  # whatever zipfile, pyogrio, GDAL, pyarrow or shapely raise
        raise InputError(
            "The label file is damaged",
            where=f"{path.name}: {_reason(error, path)}",
            remedy=f"Export it again as {FORMATS}",
        ) from error


def _source(path: Path, on_note: OnNote) -> str:
    """What GDAL opens: of a zip the first Shapefile, which may lie in a folder."""
    if path.suffix.lower() != ".zip":
        return str(path)
    with zipfile.ZipFile(path) as archive:
        # macOS adds files of its own with the same names.
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    shapes = [name for name in names if name.lower().endswith(".shp")]
    if not shapes:
        return str(path)
    if len(shapes) > 1:
        on_note(f"Of {len(shapes)} Shapefiles only the first is read, {shapes[0]}")
    if f"{shapes[0][:-4]}.shx".lower() not in map(str.lower, names):
        raise InputError(
            "The Shapefile lacks its .shx",
            where=f"{path.name}: {shapes[0]}",
            remedy="Zip .shp, .shx, .dbf and .prj together",
        )
    return f"/vsizip/{path.resolve()}/{shapes[0]}"


def _reason(error: Exception, path: Path) -> str:
    """The first clause of a library's message, without the folder, which may be temporary."""
    if isinstance(error, IndexError):  # of a file that is cut, about the library's own arrays
        return "it has no features, or is cut short"
    return str(error).replace(str(path), path.name).split(";")[0].rstrip(".")[:120]


def _unpacked(path: Path) -> int:
    """Bytes of a zip's or a GeoParquet's content; 0 of formats that are not compressed."""
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    if path.suffix.lower() == ".parquet":
        from pyarrow.parquet import read_metadata

        about = read_metadata(path)
        return sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    return 0


def _in_degrees(frame: Any, path: Path) -> geopandas.GeoDataFrame:
    if "geometry" not in frame or not hasattr(frame, "geometry"):
        raise InputError(
            "The label file has no geometry",
            where=path.name,
            remedy="Give each label a point, or a polygon around the object",
        )
    try:
        frame = frame.set_crs(4326) if frame.crs is None else frame.to_crs(4326)
    except Exception as error:  # pyproj's, for a CRS without a way to degrees
        raise InputError(
            "The CRS of the label file cannot be used",
            where=path.name,
            remedy="Save the labels in EPSG:4326",
        ) from error
    west, south, east, north = frame.total_bounds  # NaN without any geometry
    if west < -540 or east > 540 or south < -90 or north > 90:
        raise InputError(
            "The labels do not lie on the Earth",
            where=f"{path.name}: {west:.6g}, {south:.6g} to {east:.6g}, {north:.6g}",
            remedy="The file states EPSG:4326 or no CRS, but its coordinates are not degrees; "
            "save it with its CRS",
        )
    return frame


def _kinds(frame: Any, path: Path, on_note: OnNote) -> np.ndarray:
    """The label of each feature, "good" or "bad"."""
    names = {str(name).lower(): name for name in frame.columns}
    if "label" not in names:
        on_note("The attribute label is missing, so that all labels count as good")
        return np.full(len(frame), GOOD, object)
    given = frame[names["label"]]
    kinds = given.where(given.notna(), GOOD).astype(str).str.strip().str.lower()
    kinds = kinds.replace("", GOOD)
    if unknown := sorted(set(kinds) - {GOOD, BAD}):
        raise InputError(
            "A label is neither good nor bad",
            where=f"{path.name}: {unknown[0][:40]}",
            remedy="Write good or bad into the attribute label",
        )
    return kinds.to_numpy(object)
