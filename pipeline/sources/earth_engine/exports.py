"""Export: Earth Engine writes tiles to Drive or Cloud Storage, and we download them.

A task is recorded before it is started, with a request id by which Earth Engine recognises a
repetition: a killed process neither loses a task nor starts it twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import NotFoundError, ServiceError
from pipeline.files import read_versioned, write_versioned
from pipeline.progress import OnProgress, Progress
from pipeline.sources.earth_engine.client import ask
from pipeline.sources.earth_engine.plan import EarthEnginePlan
from pipeline.sources.google.store import ExportStore, StoredFile
from pipeline.sources.http.retry import (
    FIRST_WAIT,
    LONGEST_WAIT,
    TransientError,
    retry,
    wait,
)
from pipeline.sources.mosaic import WrongTileError, check_tile, missing_tiles
from pipeline.sources.pixel_grid import Tile

#: Version of the list of export tasks.
SCHEMA = 1


class MissingExportError(ServiceError):
    """An export succeeded, but its file is not in the store."""


class Tasks:
    """The export tasks of one scene, remembered in its folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "tasks.json"
        self._known: dict[str, dict[str, str]] = {}
        if self._path.exists():
            self._known = read_versioned(
                self._path,
                newest=SCHEMA,
                what="The list of export tasks",
                remedy="Delete it; the exports then start again",
            )

    def get(self, name: str) -> dict[str, str]:
        """Request id and, once started, operation of a tile; a new tile gets a request id."""
        if name not in self._known:
            self._known[name] = {"request": uuid.uuid4().hex}
            self._save()
        return self._known[name]

    def started(self, name: str, operation: str) -> None:
        """Remember the operation of a tile."""
        self._known[name]["operation"] = operation
        self._save()

    def forget(self, name: str) -> None:
        """Make the next run export this tile again."""
        self._known.pop(name, None)
        self._save()

    def _save(self) -> None:
        write_versioned(self._path, self._known, SCHEMA)


def fetch_exports(
    plan: EarthEnginePlan,
    folder: Path,
    tiles: Sequence[Tile],
    *,
    store: ExportStore,
    tidy: bool,
    poll: float,
    patience: float,
    progress: OnProgress,
    base: float = FIRST_WAIT,
) -> None:
    """Export, await and download the tiles of a plan that are not on disk yet.

    Args:
        plan: The scene.
        folder: Where its tiles go.
        tiles: All its tiles.
        store: Where Earth Engine writes.
        tidy: Remove files from the store once they are downloaded.
        poll: Seconds between two queries of a running task; grows to a minute.
        patience: Seconds after which waiting ends.
        progress: Called with the tiles; may cancel: the tasks continue, and the next run finds
            them.
        base: Seconds before the second attempt.

    Raises:
        ServiceError: If a task fails, is cancelled, or does not end; finished tiles are kept.
        NotFoundError: If an exported file was deleted before it was downloaded.
    """
    tasks = Tasks(folder)
    waiting = missing_tiles(folder, tiles)
    stage = f"Exporting {plan.title} to {store.title}"

    def report(note: str = "") -> None:
        progress(Progress(stage, len(tiles) - len(waiting), len(tiles), "tiles", note))

    for tile in waiting:
        report(f"starting tile {tile.name}")
        _start(plan, tile, tasks, store, base)
    deadline = time.monotonic() + patience
    interval = poll
    while waiting:
        before = len(waiting)
        for tile in list(waiting):
            if _is_done(plan, tile, tasks, store, base):
                _download(plan, tile, tasks, folder, store, tidy, progress, base)
                waiting.remove(tile)
            report()
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{len(waiting)} export tasks are still running after {patience / 3600:.0f} hours",
                where="https://code.earthengine.google.com/tasks",
                remedy="Run the same command again to go on waiting; they were not cancelled",
            )
        interval = poll if len(waiting) < before else min(interval * 1.3, max(poll, LONGEST_WAIT))
        wait(interval, lambda _: report())


def _file_name(plan: EarthEnginePlan, tile: Tile) -> str:
    return f"{plan.stem}-{tile.name}"


def _start(
    plan: EarthEnginePlan, tile: Tile, tasks: Tasks, store: ExportStore, base: float
) -> None:
    import ee

    known = tasks.get(tile.name)
    if "operation" in known:
        return
    task = store.export(
        plan.image(),
        _file_name(plan, tile),
        crs=plan.grid.crs,
        crsTransform=list(plan.grid.transform_of(tile)),
        dimensions=f"{tile.width}x{tile.height}",
        maxPixels=tile.width * tile.height,
        fileFormat="GeoTIFF",
        fileDimensions=_file_dimensions(tile),
    )
    operation = ask(lambda: ee.data.exportImage(known["request"], task.config), base=base)
    tasks.started(tile.name, operation["name"])


def _file_dimensions(tile: Tile) -> int:
    """At least the tile, in multiples of 256: Earth Engine then writes one file per task."""
    return -(-max(tile.width, tile.height) // 256) * 256


def _is_done(
    plan: EarthEnginePlan, tile: Tile, tasks: Tasks, store: ExportStore, base: float
) -> bool:
    import ee

    name = tasks.get(tile.name)["operation"]
    try:
        operation: dict[str, Any] = ask(lambda: ee.data.getOperation(name), base=base)
    except ServiceError as error:
        if error.status == 404:
            tasks.forget(tile.name)
        raise
    if not operation.get("done"):
        return False
    state = operation["metadata"]["state"]
    if state == "SUCCEEDED":
        return True
    tasks.forget(tile.name)
    said = operation.get("error", {}).get("message", "no reason given").rstrip(".")
    cancelled = state in ("CANCELLED", "CANCELLING")
    full = "quota" in said.lower() and "storage" in said.lower()
    raise ServiceError(
        f"The export of tile {tile.name} was cancelled"
        if cancelled
        else f"The export of tile {tile.name} failed: {said}",
        where=plan.title,
        remedy=(
            f"Free some space in {store.title}, then run the same command again"
            if full
            else "Run the same command again; finished tiles are kept and this one starts anew"
        ),
    )


def _download(
    plan: EarthEnginePlan,
    tile: Tile,
    tasks: Tasks,
    folder: Path,
    store: ExportStore,
    tidy: bool,
    progress: OnProgress,
    base: float,
) -> None:
    name = _file_name(plan, tile) + ".tif"

    def find() -> StoredFile:
        stored = store.find(name)
        if stored is None:  # a file can take some seconds to appear in lists
            raise TransientError(
                MissingExportError(
                    f"The exported file is not in {store.title}",
                    where=name,
                    remedy="Check whether it was moved or deleted, then run the same command again "
                    "to export the tile again",
                )
            )
        return stored

    def check(arrived: Path) -> None:
        check_tile(arrived, plan.grid, tile, len(plan.product.bands), plan.product.dtype, name)

    try:
        stored = retry(find, attempts=5, base=base)
        store.fetch(stored, folder / f"{tile.name}.tif", progress, check)
    except (NotFoundError, MissingExportError, WrongTileError):
        tasks.forget(tile.name)
        raise
    if tidy:
        store.remove(stored)
