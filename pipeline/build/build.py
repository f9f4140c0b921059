"""Building a searchable collection from rasters, in stages that can be interrupted at any time.

The unit of work is one block of one scene: read, cut, embed, write one part.  A part that exists is
finished, so the same request continues where a killed build stopped and ends with the same chips.
"""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.build import brightness, shared_storage
from pipeline.build.blocks import BlockSummary
from pipeline.build.cell_plan import plan_cells, remove_superseded
from pipeline.build.layers import check_object_size, first_layers, with_layer
from pipeline.build.plan import left_out, plan
from pipeline.build.request import BuildRequest
from pipeline.build.work import Task, make, name_of, read_ahead, stage_of
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.manifest import Manifest
from pipeline.collection.names import check_name
from pipeline.errors import NotFoundError, QueryError, SceneError
from pipeline.files import remove_temporaries
from pipeline.geo.area import Area
from pipeline.imagery.chips import Grid, check_stride
from pipeline.imagery.ingest import SceneInput, ingest, open_scene
from pipeline.index.graph import Graph
from pipeline.index.index import Index
from pipeline.model import loader
from pipeline.model.descriptor import check_quality
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from pipeline.cluster.storage import Storage
    from pipeline.collection.parquet import Part

log = logging.getLogger(__name__)

#: Default mode: from this stride on chips are embedded one by one, below it in one pass over the
#: scene (measured in docs/quality.md).
CHIP_BY_CHIP_FROM = 128
#: `block_span` of the dense mode; larger blocks waste less on their halos.
DENSE_SPAN = 2048
PACKAGES = ("tensorflow", "keras", "scann", "numpy", "rasterio", "pyarrow", "patchify")


@dataclass(frozen=True)
class BuildSummary:
    """What a build made, and what was left out and why.

    Attributes:
        name: Name of the collection.
        chips: Chips in the collection.
        left_out: Chips left out, by reason.
        scenes: Scene ids.
        blocks_made: Blocks made by this build.
        blocks_kept: Blocks that existed.
        seconds: Duration of this build.
        cells: Object cells in the collection.
        cell_seconds: Share of `seconds` that went into object cells alone.
        notes: Other things to know, sentences without their full stops.
    """

    name: str
    chips: int
    left_out: dict[str, int]
    scenes: tuple[str, ...]
    blocks_made: int
    blocks_kept: int
    seconds: float
    cells: int = 0
    cell_seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())


#: Does tasks of one kind; its arguments are the tasks, the size of those done before, and the
#: progress callback.
RunTasks = Callable[[Sequence[Task], int, OnProgress], list[BlockSummary]]


def build(
    request: BuildRequest,
    library: Library,
    progress: OnProgress = silent,
    run: RunTasks | None = None,
    storage: Storage | None = None,
) -> BuildSummary:
    """Make, continue or enlarge a collection and its index.

    Args:
        request: What to build.
        library: The library of the collection.
        progress: Called often; if it raises `Cancelled`, the build stops and keeps what is done.
        run: Does the tasks; by default `run_tasks`, in this process.
        storage: Shared storage, from which finished blocks are fetched and which gets a copy.

    Raises:
        QueryError: If the name, stride, mode or quality is invalid or contradicts the collection.
        NotFoundError: If the request has no scenes and the collection does not exist.
        SceneError: If a raster cannot be used, or no chip is left.
        WeightsError: If the ImageNet weights are not available.
        StorageError: If the disk is full or not writable, or another build is running.
        ServiceError: If the cluster or the shared storage fails.
        Cancelled: If `progress` raises it.
    """
    started = time.monotonic()
    notes = list(request.area.notes) if request.area else []
    collection, fresh = prepare(request, library, progress)
    with collection.lock():
        # Only where builds write: the app may be saving a search meanwhile.
        for folder in ("scenes", "chips", "cells"):
            remove_temporaries(collection.path / folder)
        try:
            # Read again: another build may have added scenes before this one had the lock.
            collection = library.open(collection.name)
            collection = add_scenes(collection, request, progress, notes.append, storage)
            tasks, kept = plan(collection, notes.append)
            if storage is not None:
                fetched = shared_storage.fetch_blocks(
                    storage, collection, tasks, progress, notes.append
                )
                names = {(part.scene_id, part.path.name) for part in fetched}
                tasks = [task for task in tasks if (task.scene_id, task.part) not in names]
                kept += fetched
            run = run or run_tasks
            made = run(tasks, sum(part.size for part in kept), progress)
            chips_done = time.monotonic()
            cells = _make_cells(collection, run, progress, notes.append, storage)
            cell_seconds = time.monotonic() - chips_done
            # Without the time for cells: pre-flights tell the pace of chips from it.
            summary = finish(collection, made, kept, started + cell_seconds, progress, notes)
            seconds = summary.seconds + cell_seconds
            summary = replace(summary, cells=cells, cell_seconds=cell_seconds, seconds=seconds)
            if storage is not None:
                shared_storage.store_copy(storage, collection, progress)
            return summary
        except SceneError:
            if fresh:
                _discard(collection)
            raise


def check_request(request: BuildRequest, library: Library) -> tuple[Collection | None, int]:
    """Check a request; returns the collection that it enlarges, None for a new one, and the stride.

    No raster is read, so callers can check before they fetch any.

    Raises:
        QueryError: If the name, stride, mode or quality is invalid or contradicts the collection.
    """
    check_name(request.name)
    try:
        existing: Collection | None = library.open(request.name)
    except NotFoundError:
        existing = None
    stride = request.stride
    if stride is None:
        stride = existing.manifest.stride if existing else 128
    check_stride(stride)
    check_object_size(request.object_size)
    if request.quality:
        check_quality(request.quality)
    if existing:
        _check_matches(existing, request, stride)
    return existing, stride


def prepare(
    request: BuildRequest, library: Library, progress: OnProgress = silent
) -> tuple[Collection, bool]:
    """The collection of a request, which is created if necessary, and whether it is new.

    Every raster is opened first, so that an unusable one leaves nothing behind.
    """
    existing, stride = check_request(request, library)
    if existing is None and not request.scenes:
        raise NotFoundError(
            "There is no collection of this name to continue",
            where=request.name,
            remedy="Build it from imagery, on the Area page or with --scene FILE",
        )
    for given in request.scenes:
        progress(Progress("Opening", 0, 0, "scenes", given.path.name))
        scene = open_scene(given)
        Grid.for_scene(scene, stride)
    if existing:
        if request.restretch:  # chips will be removed: they must be possible to make again
            loader.identity(existing.manifest.model.mode, progress)
        return existing, False
    mode = request.mode or default_mode(stride)
    # The identity only: if workers embed, this process never loads the network.
    model = loader.identity(mode, progress)
    manifest = Manifest(
        name=request.name,
        title=request.title or request.name,
        description=request.description,
        stride=stride,
        model=model,
        area=request.area,
        versions=_versions(),
        block_span=DENSE_SPAN if mode == "dense" else None,
        quality=check_quality(request.quality or "standard"),
        cells=first_layers(request.object_size, mode) if request.cells else (),
        stretches={},
    )
    return library.create(manifest), True


def default_mode(stride: int) -> str:
    """The default mode of a new collection: "chip" or "dense"."""
    return "chip" if stride >= CHIP_BY_CHIP_FROM else "dense"


def add_scenes(
    collection: Collection,
    request: BuildRequest,
    progress: OnProgress,
    tell: Callable[[str], None] = log.info,
    storage: Storage | None = None,
) -> Collection:
    """Bring the request's rasters into the collection as COGs, and enlarge its area.

    The display stretches of new sensors are fixed when all rasters are there.

    Args:
        collection: The collection.
        request: The rasters and the area.
        progress: Called while rasters are read and written.
        tell: Called with notes, such as that a raster is given twice.
        storage: Shared storage, from which blocks with another stretch are removed.
    """
    added: list[str] = []
    brought: dict[str, SceneInput] = {}
    for given in request.scenes:
        given = brightness.as_collected(collection, given)
        scene = ingest(given, collection.scenes_folder, progress)
        brought[scene.id] = given
        if scene.id in added:
            tell(f"{given.path.name} has the same content as another scene and was added once")
        added.append(scene.id)
    scenes = tuple(dict.fromkeys((*collection.manifest.scenes, *added)))
    area = enlarge_area(collection.manifest, request)
    cells = with_layer(collection.manifest, request)
    before = collection.manifest
    if (scenes, area, cells) != (before.scenes, before.area, before.cells):
        complete = before.complete and (scenes, area) == (before.scenes, before.area)
        collection = collection.write(scenes=scenes, area=area, cells=cells, complete=complete)
    return brightness.follow(collection, brought, request.restretch, tell, storage)


def run_tasks(tasks: Sequence[Task], done: int, progress: OnProgress) -> list[BlockSummary]:
    """Do tasks of one kind in this process; the next one's pixels are read while one is embedded.

    Args:
        tasks: The tasks.
        done: Size of those done before.
        progress: Called often.
    """
    if not tasks:
        return []
    stage, unit = stage_of(tasks[0])
    total = done + sum(task.size for task in tasks)
    progress(Progress(stage, done, total, unit))
    summaries = []
    for task, pixels in read_ahead(tasks):

        def within(count: int, base: int = done, name: str = name_of(task)) -> None:
            progress(Progress(stage, base + count, total, unit, f"block {name}"))

        summaries.append(make(task, within, pixels=pixels))
        done += task.size
        progress(Progress(stage, done, total, unit))
    return summaries


def _make_cells(
    collection: Collection,
    run: RunTasks,
    progress: OnProgress,
    tell: Callable[[str], None],
    storage: Storage | None,
) -> int:
    """Make the object cells that chips' blocks did not bring; the number in the collection."""
    tasks, kept = plan_cells(collection, tell)
    total = sum(task.size for task in (*tasks, *kept))
    if storage is not None:
        fetched = {task.path for task in shared_storage.fetch_cells(storage, tasks, progress)}
        kept += [task for task in tasks if task.path in fetched]
        tasks = [task for task in tasks if task.path not in fetched]
    run(tasks, sum(task.size for task in kept), progress)
    remove_superseded(collection)
    return total


def finish(
    collection: Collection,
    made: Sequence[BlockSummary],
    kept: Sequence[Part],
    started: float,
    progress: OnProgress,
    notes: Sequence[str] = (),
) -> BuildSummary:
    """Count the chips, write the manifest, build the index, and return the summary."""
    whole = Collection(collection.path, collection.manifest)
    chips = sum(part.rows for part in whole.parts)
    tally = left_out(whole.parts)
    if not chips:
        raise SceneError(
            "No chip is left: " + (describe_left_out(tally) or "the area misses the imagery"),
            where=collection.name,
            remedy="Choose an area or a scene with imagery",
        )
    seconds = time.monotonic() - started
    done = whole.write(
        chips=chips,
        left_out=tally,
        complete=True,
        seconds=round(collection.manifest.seconds + seconds, 1),
        versions=_versions(),
    )
    Index.open(done, progress)
    Graph.open(done, progress)
    return BuildSummary(
        done.name,
        chips,
        tally,
        done.manifest.scenes,
        len(made),
        len(kept),
        time.monotonic() - started,
        notes=tuple(notes),
    )


def describe_left_out(left_out: dict[str, int]) -> str:
    """The tally in words: "12 with >50% no-data, 3 outside the area"."""
    words = {"nodata": "with >50% no-data", "area": "outside the area"}
    return ", ".join(f"{n} {words.get(reason, reason)}" for reason, n in left_out.items())


def _check_matches(existing: Collection, request: BuildRequest, stride: int) -> None:
    manifest = existing.manifest
    given: dict[str, tuple[object, object]] = {"stride": (stride, manifest.stride)}
    if request.mode:
        given["mode"] = (request.mode, manifest.model.mode)
    if request.quality:
        given["quality"] = (request.quality, manifest.quality)
    for what, (wanted, has) in given.items():
        if wanted != has and has is None:
            raise QueryError(
                f"This collection was built by an earlier version, which had no {what} to choose",
                where=existing.name,
                remedy=f"Leave {what} out, or choose another name",
            )
        if wanted != has:
            raise QueryError(
                f"This collection was built with {what} {has}, not {wanted}",
                where=existing.name,
                remedy=f"Use {what} {has}, or choose another name",
            )


def enlarge_area(manifest: Manifest, request: BuildRequest) -> Area | None:
    """The union of the collection's and the request's areas; None for whole scenes."""
    if not manifest.scenes:
        return request.area
    if not request.scenes and (request.area is None or request.object_size is not None):
        return manifest.area
    if manifest.area is None or request.area is None:
        return None
    own, added = manifest.area.geometry, request.area.geometry
    # Parts are named after the exact coordinates of the area, so it stays if it covers the other.
    return manifest.area if own.covers(added) else Area(own.union(added), manifest.area.name)


def _discard(collection: Collection) -> None:
    import shutil

    shutil.rmtree(collection.path, ignore_errors=True)


def _versions() -> dict[str, str]:
    versions = {"lookalike": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return versions
