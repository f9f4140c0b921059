"""Fetching tiles in several threads and assembling them into one Cloud-Optimised GeoTIFF."""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import Cancelled, DamagedError, ServiceError, storage_errors
from pipeline.files import remove_temporaries, replacing
from pipeline.imagery import geotiff
from pipeline.imagery.chips import CHIP
from pipeline.imagery.cog import copy_as_cog
from pipeline.imagery.formats import open_raster
from pipeline.progress import OnProgress, Progress, silent
from pipeline.sources.pixel_grid import PixelGrid, Tile
from pipeline.sources.plan import Plan

if TYPE_CHECKING:
    from rasterio import DatasetReader
    from shapely.geometry.base import BaseGeometry

STRIPE = 512  # rows read and written at once: memory does not grow with the tile


class WrongTileError(ServiceError):
    """A tile that arrived is damaged, or not the one requested."""


class _StoppedError(Cancelled):
    """The workers were stopped while a job waited between two attempts."""


class Workers:
    """Threads that fetch tiles; the first error, or the user, stops them all."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._stop = threading.Event()

    def pause(self, seconds: float) -> None:
        """Wait between two attempts; a stop meanwhile ends the job."""
        if self._stop.wait(seconds):
            raise _StoppedError("Stopped")

    def run(
        self,
        jobs: Sequence[Tile],
        fetch: Callable[[Tile], object],
        progress: OnProgress,
        *,
        stage: str,
        total: int,
        unit: str = "tiles",
    ) -> None:
        """Fetch every tile; `total` includes those that exist already.

        Raises:
            LookalikeError: The first error of a job, or what `progress` raised, once all running
                jobs have ended; what they fetched is kept.
        """
        done = total - len(jobs)
        with ThreadPoolExecutor(self._count, thread_name_prefix="fetch") as pool:
            running: set[Future[object]] = {pool.submit(self._job, fetch, job) for job in jobs}
            try:
                progress(Progress(stage, done, total, unit))
                while running:
                    ended, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in ended:
                        future.result()
                    done += len(ended)
                    progress(Progress(stage, done, total, unit))
            except BaseException:
                self._stop.set()
                for future in running:
                    future.cancel()
                raise

    def _job(self, fetch: Callable[[Tile], object], job: Tile) -> object:
        if self._stop.is_set():
            return None
        try:
            return fetch(job)
        except _StoppedError:
            return None
        except BaseException:
            self._stop.set()
            raise


def check_tile(
    data: bytes | Path, grid: PixelGrid, tile: Tile, count: int, dtype: str, where: str
) -> None:
    """Decode a whole tile and compare it with the grid: an answer of 200 can hold half a file.

    Raises:
        WrongTileError: If it is damaged, or not the one requested.
    """
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile
    from rasterio.windows import Window

    def fault(dataset: DatasetReader) -> str:
        if (dataset.width, dataset.height) != (tile.width, tile.height):
            return f"it has {dataset.width}×{dataset.height} pixels"
        if (dataset.count, dataset.dtypes[0]) != (count, dtype):
            return f"it has {dataset.count} bands of {dataset.dtypes[0]}"
        if dataset.crs is None or dataset.crs != rasterio.CRS.from_user_input(grid.crs):
            return "it is in another coordinate system"
        expected = grid.transform_of(tile)
        if any(
            abs(a - b) > 1e-6 for a, b in zip(tuple(dataset.transform)[:6], expected, strict=True)
        ):
            return "it lies elsewhere"
        for row in range(0, tile.height, STRIPE):
            dataset.read(window=Window(0, row, tile.width, min(STRIPE, tile.height - row)))
        return ""

    try:
        if isinstance(data, bytes):
            with MemoryFile(data) as memory, memory.open(driver="GTiff") as dataset:
                problem = fault(dataset)
        else:
            with rasterio.open(data, driver="GTiff") as dataset:
                problem = fault(dataset)
    except RasterioError:
        problem = "it cannot be decoded"
    if problem:
        raise WrongTileError(
            f"A tile is damaged or not the one requested: {problem}, not "
            f"{tile.width}×{tile.height} pixels with {count} bands of {dtype}",
            where=where,
            remedy="Run the same command again; what was fetched is kept",
        )


def store_tile(folder: Path, tile: Tile, data: bytes) -> None:
    """Store a checked tile under its name."""
    with replacing(folder / f"{tile.name}.tif") as temporary:
        temporary.write_bytes(data)


def missing_tiles(folder: Path, tiles: Sequence[Tile]) -> list[Tile]:
    """Tiles that are not on disk; a file with a tile's name is a whole and checked tile."""
    return [tile for tile in tiles if not (folder / f"{tile.name}.tif").exists()]


def assemble(
    folder: Path,
    grid: PixelGrid,
    tiles: Sequence[Tile],
    path: Path,
    *,
    outline: BaseGeometry,
    dtype: str,
    names: Sequence[str],
    progress: OnProgress = silent,
) -> None:
    """One COG of a grid from its tiles.

    Squares of one chip that do not lie near `outline` (EPSG:4326) hold 0, the nodata value,
    whether a tile covers them or not.

    Raises:
        DamagedError: If a tile on disk was altered; it is removed, so that the next run fetches it.
        StorageError: If the disk is full.
    """
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    stage = "Putting tiles together"
    profile = {
        "width": grid.width, "height": grid.height, "count": len(names), "dtype": dtype,
        "crs": grid.crs, "transform": grid.transform, "nodata": 0, "zlevel": 1,
        "interleave": "pixel",
    }  # fmt: skip
    whole = folder / "whole.tif"
    cells = grid.cells(outline)
    with storage_errors(path):
        try:
            with geotiff.create(whole, **profile) as out:
                for done, tile in enumerate(tiles):
                    progress(Progress(stage, done, len(tiles), "tiles"))
                    source = folder / f"{tile.name}.tif"
                    try:
                        with rasterio.open(source, driver="GTiff") as piece:
                            for row in range(0, tile.height, STRIPE):
                                rows = min(STRIPE, tile.height - row)
                                data = piece.read(window=Window(0, row, tile.width, rows))
                                data[:, ~_cell_mask(cells, tile, row, rows)] = 0
                                out.write(
                                    data,
                                    window=Window(tile.col, tile.row + row, tile.width, rows),
                                )
                    except RasterioError as error:
                        if not geotiff.readable(source):
                            source.unlink(missing_ok=True)
                            raise DamagedError(
                                "A fetched tile is damaged",
                                where=source,
                                remedy="Run the same command again; it fetches this tile anew",
                            ) from error
                        raise OSError(errno.ENOSPC, "No space left on device") from error
                out.descriptions = tuple(names)
            progress(Progress(stage, len(tiles), len(tiles), "tiles", "writing overviews"))
            with (
                replacing(path) as temporary,
                geotiff.disk_errors(whole, ours=True),
                open_raster(whole) as dataset,
            ):
                copy_as_cog(dataset, temporary)
                geotiff.check_written(temporary)
        finally:
            whole.unlink(missing_ok=True)


def _cell_mask(cells: np.ndarray, tile: Tile, row: int, rows: int) -> np.ndarray:
    """The cells' flags for the pixels of some rows of a tile, bool (rows, tile.width)."""
    down = (np.arange(rows) + tile.row + row) // CHIP
    across = (np.arange(tile.width) + tile.col) // CHIP
    spread: np.ndarray = cells[down[:, None], across[None]]
    return spread


def make(
    plan: Plan,
    path: Path,
    folder: Path,
    side: int,
    fetch: Callable[[Sequence[Tile]], None],
    *,
    dtype: str,
    bands: Sequence[str],
    progress: OnProgress = silent,
) -> None:
    """Fetch the tiles of a plan that are not on disk yet, and put them together.

    Args:
        plan: The scene.
        path: The scene's file.
        folder: Where its tiles are until it is whole.
        side: Pixels a side of a tile.
        fetch: Fetches tiles into the folder.
        dtype: Data type of the pixels.
        bands: Names of the bands.
        progress: Called with the tiles; may cancel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_temporaries(folder)
    tiles = plan.tiles(side)
    fetch(tiles)
    assemble(
        folder, plan.grid, tiles, path, outline=plan.outline, dtype=dtype, names=bands,
        progress=progress,
    )  # fmt: skip
    shutil.rmtree(folder)
