"""Writing GeoTIFFs: completely or not at all, with a full disk reported as such.

GDAL passes on no error number and does not report a write that fails when the file is closed.  Its
messages are therefore searched for signs of a full or read-only disk, and every file is decoded
once after it was written.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import SceneError
from pipeline.files import replacing
from pipeline.imagery.formats import open_raster

if TYPE_CHECKING:
    from rasterio.io import DatasetWriter


#: What GDAL says, in lower case, of a write that failed.
_FULL = ("no space left", "file too large", "write error", "tiffrewritedirectory")


@contextmanager
def write(path: Path, **profile: Any) -> Iterator[DatasetWriter]:
    """A new GeoTIFF that appears under its name when the block succeeds.

    Args:
        path: The file; replaced if it exists.
        **profile: As `create`.

    Raises:
        StorageError: If the disk is full or the folder cannot be written.
    """
    with replacing(path) as temporary:
        with create(temporary, **profile) as dataset:
            yield dataset
        check_written(temporary)


@contextmanager
def create(path: Path, **profile: Any) -> Iterator[DatasetWriter]:
    """A new GeoTIFF at a path that the caller renames or removes; tiled, with deflate.

    Args:
        path: The file.
        **profile: width, height, count, dtype, crs, transform (six coefficients), nodata, and
            options of GDAL's driver.

    Raises:
        OSError: If the disk is full or the folder cannot be written.
    """
    import rasterio

    with (
        disk_errors(path),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **_profile(profile)) as dataset,
    ):
        yield dataset


def to_bytes(data: np.ndarray, *, crs: Any, transform: Sequence[float], **options: Any) -> bytes:
    """A small GeoTIFF of pixels (bands, height, width)."""
    from rasterio.io import MemoryFile

    count, height, width = data.shape
    size = {"width": width, "height": height, "count": count, "dtype": data.dtype}
    profile = _profile({**size, "crs": crs, "transform": transform, **options})
    with MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(data)
        return bytes(memory.getbuffer())


def _profile(given: dict[str, Any]) -> dict[str, Any]:
    from rasterio.transform import Affine

    return {
        "driver": "GTiff",
        "tiled": True,
        "compress": "deflate",
        "bigtiff": "if_safer",
        **given,
        "transform": Affine(*tuple(given["transform"])[:6]),
    }


@contextmanager
def disk_errors(target: Path, ours: bool = False) -> Iterator[None]:
    """Turn GDAL's failures to write a file into OSError, which `storage_errors` understands.

    Args:
        target: The file.
        ours: The block reads only files that we have just written, so any failure is the disk's.
    """
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise_disk(error, target)
        if ours:
            raise OSError(errno.ENOSPC, "No space left on device") from error
        raise


def check_written(path: Path) -> None:
    """Decode a raster that was just written.

    Raises:
        OSError: If it cannot be read to its end.
    """
    if not readable(path):
        raise OSError(errno.ENOSPC, "No space left on device")


def readable(path: Path) -> bool:
    """Whether a raster can be decoded to its end, block by block."""
    from rasterio.errors import RasterioError

    try:
        with open_raster(path) as dataset:
            for _, window in dataset.block_windows(1):
                dataset.read(window=window)
    except (RasterioError, SceneError):
        return False
    return True


def raise_disk(error: BaseException, target: Path) -> None:
    """Raise OSError if the disk caused GDAL's failure.

    Raises:
        OSError: With the number that GDAL does not pass on.
    """
    reasons = []
    cause: BaseException | None = error
    while cause is not None:
        reasons.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    message = " ".join(reasons).lower()
    full = shutil.disk_usage(target.parent).free < 1 << 20
    # A temporary overview beside the target that cannot be read back was not written whole.
    full = full or f"{target.name}.ovr".lower() in message
    if full or any(words in message for words in _FULL):
        raise OSError(errno.ENOSPC, "No space left on device") from error
    if "permission denied" in message or "read-only file system" in message:
        raise OSError(errno.EACCES, "Permission denied") from error
