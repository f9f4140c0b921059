"""Opening rasters safely: known formats only, and no file may lead to another one.

GDAL opens some two hundred formats, several of which are recipes that name further files or
addresses (VRT, WMS, STACIT, ...).  A stranger's upload must not be one, whatever its name: the
first bytes decide the format, GDAL may try no other, and it never sees files beside the raster.
The world file and the CRS beside a raster are read here, as plain numbers and text.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import SceneError

if TYPE_CHECKING:
    from affine import Affine
    from rasterio import DatasetReader
    from rasterio.crs import CRS

#: GDAL drivers that may open a scene, by the first bytes of the file.
SIGNATURES = (
    (b"II*\x00", "GTiff"),
    (b"MM\x00*", "GTiff"),
    (b"II+\x00", "GTiff"),
    (b"MM\x00+", "GTiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
)

#: Numeric types a scene may have; complex radar data is not one.
DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")

#: GDAL's settings while a scene is opened or read.  EMPTY_DIR and PAM off: sidecars (.ovr, .msk,
#: .aux.xml, .vrt) are never looked for.  The block cache is kept small, so that memory does not
#: grow with the scene.
ENVIRONMENT: dict[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": False,
    "GDAL_CACHEMAX": 64 << 20,
    "VSI_CACHE": True,
}
#: Bytes requested from a store at once: about one tile of a COG with its neighbours in the file.
_RANGE = 1 << 20
_FORMATS = "Lookalike opens GeoTIFF, COG, JPEG 2000, and PNG or JPEG with a world file"


class Stored(str):
    """Address of a scene in shared storage, on any protocol of fsspec.

    A type of its own, so that no path or address that a user wrote is ever opened as one.
    """

    __slots__ = ()


@contextmanager
def open_raster(path: Path | Stored) -> Iterator[DatasetReader]:
    """A raster open for reading during the block, without the files beside it.

    Args:
        path: A local file, or a COG in shared storage.

    Raises:
        SceneError: If it is not a raster of a known format, or damaged at its beginning.
    """
    from rasterio import Env

    with Env(**ENVIRONMENT):
        dataset = open_dataset(path)
        try:
            yield dataset
        finally:
            dataset.close()


def open_dataset(path: Path | Stored) -> DatasetReader:
    """As `open_raster`, for a caller that keeps the handle and has its own `rasterio.Env`."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    if isinstance(path, Stored):
        return _open_stored(path)
    driver = driver_of(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(str(path), driver=driver, sharing=False)
    except RasterioIOError as error:
        raise SceneError(
            "The raster is damaged or incomplete",
            where=path,
            remedy="Copy or download it again",
        ) from error


def _open_stored(path: Stored) -> DatasetReader:
    """A COG in shared storage; windows are read by ranges, with the store's own credentials."""
    import rasterio
    from fsspec.core import url_to_fs
    from rasterio.errors import RasterioIOError

    def opener(*_: Any, **__: Any) -> Any:
        return files.open(stored_path, "rb", block_size=_RANGE)

    try:
        files, stored_path = url_to_fs(path)
        return rasterio.open(path, driver="GTiff", sharing=False, opener=opener)
    except (RasterioIOError, OSError) as error:
        raise SceneError(
            "The scene cannot be read from the shared storage",
            where=path,
            remedy="Check this machine's credentials for it, and build again",
        ) from error


def location(path: str) -> Path | Stored:
    """The path of a scene as `open_raster` takes it: a local file, or a COG in shared storage."""
    return path if isinstance(path, Stored) else Path(path)


def driver_of(path: Path) -> str:
    """The GDAL driver for a file, by its first bytes and never by its name.

    Raises:
        SceneError: If there is no such file, or it is of no format Lookalike opens.
    """
    try:
        with path.open("rb") as handle:
            start = handle.read(512)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SceneError("There is no such file", where=path, remedy="Check the path") from error
    except IsADirectoryError as error:
        raise SceneError(
            "This is a folder, not a raster", where=path, remedy="Name a file in it"
        ) from error
    except ValueError as error:  # a NUL in it
        raise SceneError("This is not a path", where=repr(str(path)), remedy="Check it") from error
    except OSError as error:
        raise SceneError(
            f"The file cannot be read ({os.strerror(error.errno or 0)})",
            where=path,
            remedy="Check its permissions",
        ) from error
    for signature, driver in SIGNATURES:
        if start.startswith(signature):
            return driver
    if not start:
        raise SceneError("The file is empty", where=path, remedy="Copy or download it again")
    if b"<VRTDataset" in start:
        raise SceneError(
            "This is a VRT, which only points at other files",
            where=path,
            remedy="Make a raster of it first: gdal_translate IN.vrt OUT.tif",
        )
    raise SceneError("This is not a raster in a known format", where=path, remedy=_FORMATS)


def check_whole(dataset: DatasetReader, path: Path) -> None:
    """Refuse a TIFF whose tiles or strips lie beyond its end, without decoding any.

    Raises:
        SceneError: If the file was cut off.
    """
    if dataset.driver != "GTiff":
        return
    size = path.stat().st_size
    high, wide = dataset.block_shapes[0]
    rows, cols = -(-dataset.height // high), -(-dataset.width // wide)
    apart = dataset.interleaving is not None and dataset.interleaving.value == "BAND"
    for band in dataset.indexes if apart else (1,):
        for row in range(rows):
            for col in range(cols):
                at = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
                if not at:
                    continue
                length = dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band) or 0
                if int(at) + int(length) > size:
                    raise SceneError(
                        "The raster is cut off: its data continues beyond the end of the file",
                        where=path,
                        remedy="Copy or download it again",
                    )


def georeference(
    dataset: DatasetReader, path: str | Path, crs: str | None = None
) -> tuple[CRS, Affine, bool]:
    """The CRS and transform of a raster.

    Args:
        dataset: The open raster.
        path: Its file; a world file, `.prj` or `.aux.xml` beside it is used where it has no
            georeference inside.  Text, such as an address, is only named in messages.
        crs: CRS to assume where none is given.

    Returns:
        The CRS, the affine transform from pixel to CRS, and whether either came from outside.

    Raises:
        SceneError: If the CRS or the transform is missing or unusable.
    """
    own_crs, transform = dataset.crs, dataset.transform
    outside = False
    beside = path if isinstance(path, Path) else None
    if transform.is_identity and beside:
        own = _world_file(beside) or _pam(beside)[1]
        if own is not None:
            transform, outside = own, True
    if not own_crs and beside:
        own_crs = _projection_file(beside) or _pam(beside)[0]
        outside = outside or bool(own_crs)
    if not own_crs and crs:
        own_crs, outside = _parsed_crs(crs, path), True
    if transform.is_identity and dataset.gcps[0]:
        raise SceneError(
            "The raster is placed by ground control points only",
            where=path,
            remedy="Warp it to a map projection first: gdalwarp -t_srs EPSG:4326 IN.tif OUT.tif",
        )
    if not own_crs:
        raise SceneError(
            "The raster has no coordinate reference system",
            where=path,
            remedy="State it: put a .prj file beside the raster, or build with --crs EPSG:CODE",
        )
    if transform.is_identity or not transform.determinant:
        raise SceneError(
            "The raster has no position on the ground",
            where=path,
            remedy="Georeference it in a GIS, or put its world file beside it",
        )
    return own_crs, transform, outside


def _parsed_crs(text: str, path: str | Path) -> CRS:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise SceneError(
            f"{text!r} is not a coordinate reference system",
            where=path,
            remedy="Give it as EPSG:CODE",
        ) from error


def _beside(path: Path, suffixes: tuple[str, ...], limit: int) -> str | None:
    """The text of the first small file beside `path` with one of these endings."""
    for suffix in suffixes:
        for name in (suffix, suffix.upper()):
            file = path.with_name(path.stem + name)
            if file.is_file() and file.stat().st_size <= limit:
                return file.read_text("utf-8", errors="replace")
    return None


def _world_file(path: Path) -> Affine | None:
    from affine import Affine

    ending = path.suffix.lower()
    short = f".{ending[1:2]}{ending[-1:]}w"
    text = _beside(path, (short, f"{ending}w", ".wld"), limit=4096)
    if text is None:
        return None
    try:
        a, d, b, e, x, y = (float(number.replace(",", ".")) for number in text.split()[:6])
    except ValueError as error:
        raise SceneError(
            "The world file beside the raster does not hold six numbers",
            where=path,
            remedy="Write it again: pixel size, two rotations, pixel size, x and y",
        ) from error
    # A world file places the centre of the first pixel, an affine transform its corner.
    return Affine(a, b, x - (a + b) / 2, d, e, y - (d + e) / 2)


def _projection_file(path: Path) -> CRS | None:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    text = _beside(path, (".prj",), limit=65536)
    if text is None:
        return None
    try:
        return CRS.from_wkt(text.strip(), morph_from_esri_dialect=True)
    except CRSError as error:
        raise SceneError(
            "The .prj beside the raster holds no coordinate reference system",
            where=path,
            remedy="Write it again as WKT, or remove it",
        ) from error


def _pam(path: Path) -> tuple[CRS | None, Affine | None]:
    """CRS and transform from GDAL's `.aux.xml`; everything else in it is ignored."""
    from affine import Affine
    from defusedxml.ElementTree import ParseError, fromstring

    file = path.with_name(path.name + ".aux.xml")
    if not file.is_file() or file.stat().st_size > 1 << 20:
        return None, None
    try:
        root = fromstring(file.read_bytes())
        srs, numbers = root.findtext("SRS"), root.findtext("GeoTransform")
        crs = _parsed_crs(srs, path) if srs else None
        gdal = [float(number) for number in numbers.split(",")] if numbers else None
        return crs, Affine.from_gdal(*gdal) if gdal else None
    except (ParseError, ValueError, TypeError) as error:
        raise SceneError(
            "The .aux.xml beside the raster is damaged", where=path, remedy="Remove it"
        ) from error
