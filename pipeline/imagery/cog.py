"""Cloud-Optimised GeoTIFF (COG): how every scene is stored, without losing a single value.

A COG is copied byte for byte.  Any other raster is converted: 512-pixel tiles, deflate, averaged
overviews, all bands, its own type and nodata.  A large one is converted in a process of its own, so
that cancelling takes effect at once and the memory is returned.
"""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import LookalikeError, SceneError
from pipeline.imagery import geotiff
from pipeline.imagery.formats import ENVIRONMENT, georeference, open_raster
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from affine import Affine
    from rasterio import DatasetReader
    from rasterio.crs import CRS

BLOCK = 512
#: Bytes of pixels from which a conversion runs in a process of its own.
LARGE = 64 << 20
_OPTIONS = {
    "blocksize": BLOCK,
    "compress": "DEFLATE",
    "predictor": "YES",
    "overviews": "IGNORE_EXISTING",
    "overview_resampling": "AVERAGE",
    "bigtiff": "IF_SAFER",
    "num_threads": "2",
}


def write_cog(
    source: Path,
    target: Path,
    *,
    crs: str | None = None,
    progress: OnProgress = silent,
    large: int = LARGE,
) -> None:
    """Write `source` to `target` as a COG; the caller gives a temporary name and renames it.

    Args:
        source: A raster `pipeline.imagery.formats` opens.
        target: File to write.
        crs: CRS to assume where the source has none.
        progress: Called with the bytes written; raising from it stops the conversion.
        large: Bytes of pixels from which a process of its own is used.

    Raises:
        SceneError: If the source is damaged.
        OSError: If the disk is full or the target not writable.
    """
    with open_raster(source) as dataset:
        pixels = dataset.width * dataset.height * dataset.count
        size = pixels * _itemsize(dataset)
        cog = is_cog(source, dataset)
    if cog:
        _copy(source, target, progress)
    elif size < large:
        progress(Progress("Converting", 0, 0, "bytes", source.name))
        convert(source, target, crs)
    else:
        _convert_in_process(source, target, crs, progress)


def is_cog(path: Path, dataset: DatasetReader) -> bool:
    """Whether the raster is a valid COG with its own georeference, to be stored as it is."""
    from rasterio import Env
    from rasterio.enums import ColorInterp
    from rio_cogeo import cog_validate

    if dataset.driver != "GTiff" or not dataset.crs or dataset.transform.is_identity:
        return False
    if ColorInterp.palette in dataset.colorinterp or max(dataset.block_shapes[0]) > 1024:
        return False
    with Env(**ENVIRONMENT):
        valid, _, _ = cog_validate(str(path), strict=True, quiet=True)
    return bool(valid)


def convert(source: Path, target: Path, crs: str | None = None) -> None:
    """Write `source` to `target` as a COG, in this process.

    Raises:
        SceneError: If the source is damaged.
        OSError: If the disk is full or the target not writable.
    """
    from rasterio._err import CPLE_BaseError
    from rasterio.enums import ColorInterp
    from rasterio.errors import RasterioError

    rewritten = target.with_name(f"{target.name}.rewritten")
    size = 0
    try:
        with open_raster(source) as dataset:
            size = dataset.width * dataset.height * dataset.count * _itemsize(dataset)
            own_crs, transform, outside = georeference(dataset, source, crs)
            if outside or ColorInterp.palette in dataset.colorinterp:
                _rewrite(dataset, rewritten, own_crs, transform)
            else:
                copy_as_cog(dataset, target)
        if rewritten.exists():
            with open_raster(rewritten) as dataset:
                copy_as_cog(dataset, target)
        geotiff.check_written(target)
    except (RasterioError, CPLE_BaseError) as error:
        geotiff.raise_disk(error, target)
        if shutil.disk_usage(target.parent).free < 3 * size and geotiff.readable(source):
            raise OSError(errno.ENOSPC, "No space left on device") from error
        raise SceneError(
            "The raster is damaged: it cannot be read to its end",
            where=source,
            remedy="Copy or download it again",
        ) from error
    finally:
        for leftover in (rewritten, *target.parent.glob(f"{target.name}.*.tmp")):
            leftover.unlink(missing_ok=True)


def copy_as_cog(dataset: DatasetReader, target: Path) -> None:
    """Copy an open raster into a COG with overviews, every value as it is."""
    from rasterio.shutil import copy

    copy(dataset, str(target), driver="COG", strict=False, **_OPTIONS)


def _rewrite(dataset: DatasetReader, target: Path, crs: CRS, transform: Affine) -> None:
    """Copy a raster strip by strip, its georeference inside, a palette turned into bands."""
    from rasterio.enums import ColorInterp
    from rasterio.windows import Window

    palette = None
    kinds = list(dataset.colorinterp)
    if kinds[0] == ColorInterp.palette:
        palette = np.zeros((256, 4), np.uint8)
        for value, colour in dataset.colormap(1).items():
            palette[value] = colour
        if dataset.nodata is not None and 0 <= dataset.nodata < len(palette):
            palette[int(dataset.nodata), 3] = 0
        kinds = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        if all(palette[value, 3] == 255 for value in dataset.colormap(1)):
            kinds = kinds[:3]
    with geotiff.create(
        target,
        width=dataset.width,
        height=dataset.height,
        count=len(kinds),
        dtype=dataset.dtypes[0],
        nodata=None if palette is not None else dataset.nodata,
        crs=crs,
        transform=transform,
    ) as copy:
        copy.colorinterp = kinds
        for row in range(0, dataset.height, BLOCK):
            window = Window(0, row, dataset.width, min(BLOCK, dataset.height - row))
            data = dataset.read(window=window)
            if palette is not None:
                data = np.moveaxis(palette[data[0]], -1, 0)[: len(kinds)]
            copy.write(data, window=window)


def _convert_in_process(source: Path, target: Path, crs: str | None, progress: OnProgress) -> None:
    command = [sys.executable, "-m", "pipeline.imagery.cog", str(source), str(target), crs or ""]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as child:
        try:
            while True:
                progress(Progress("Converting", _bytes_written(target), 0, "bytes", source.name))
                try:
                    answer, _ = child.communicate(timeout=0.3)
                    break
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            child.kill()
            child.wait()
            for leftover in target.parent.glob(f"{target.name}*"):
                leftover.unlink(missing_ok=True)
            raise
    if child.returncode == 0:
        return
    try:
        failure = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        failure = {}
    if "errno" in failure:
        raise OSError(failure["errno"], failure["what"])
    raise SceneError(
        failure.get("what", "The raster could not be converted"),
        where=source,
        remedy=failure.get("remedy", "Copy or download it again"),
    )


def _bytes_written(target: Path) -> int:
    total = 0
    for path in target.parent.glob(f"{target.name}*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _copy(source: Path, target: Path, progress: OnProgress) -> None:
    """Copy a file in pieces, so that it can be stopped."""
    # A copy and not a hard link: a program that edits the original in place would otherwise
    # change the scene under the vectors made from it.
    done, total = 0, source.stat().st_size
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(8 << 20):
            writing.write(piece)
            done += len(piece)
            progress(Progress("Copying", done, total, "bytes", source.name))


def _itemsize(dataset: DatasetReader) -> int:
    return np.dtype(dataset.dtypes[0]).itemsize


def main(arguments: list[str]) -> int:
    """Convert for a parent process; a failure is reported as a line of JSON."""
    source, target, crs = arguments
    try:
        convert(Path(source), Path(target), crs or None)
    except OSError as error:
        answer: dict[str, Any] = {"errno": error.errno, "what": str(error)}
    except LookalikeError as error:
        answer = {"what": error.what, "remedy": error.remedy}
    else:
        return 0
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
