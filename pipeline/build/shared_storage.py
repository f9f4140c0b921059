"""Builds whose workers do not see our disk: scenes and parts pass through shared storage.

    <storage>/collections/<name>/collection.json
    <storage>/collections/<name>/scenes/<scene id>.tif, .json
    <storage>/collections/<name>/chips/<scene id>/block-*.parquet
    <storage>/collections/<name>/cells/<scene id>/x<scale>/block-*.tif

The layout is that of a collection on disk (docs/how_it_works.md), so a copy of the folder is the
collection.  Before a build, the head fetches existing parts and sends missing scenes.  A worker
reads windows of the scene from the storage and sends the part that it made.  The head fetches the
part and verifies it before it counts it.  After the build, the storage has the whole collection.
Index and search stay on the head, because vectors are memory-mapped.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.build.blocks import BlockSummary, BlockTask
from pipeline.build.cells import CellTask
from pipeline.build.work import Task, existing, files_of, make
from pipeline.collection import cell_files, parquet
from pipeline.collection.manifest import SCHEMA, read_manifest
from pipeline.errors import DamagedError, NewerError, QueryError
from pipeline.files import TEMPORARY, check_schema
from pipeline.imagery.scene import load_scene
from pipeline.model.cells import identity_of
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from pipeline.cluster.storage import Storage
    from pipeline.collection.collection import Collection

log = logging.getLogger(__name__)

#: Files copied at once; most of the time of a small file is waiting for the store.
ABREAST = 8
_T = TypeVar("_T")
_Task = TypeVar("_Task", BlockTask, CellTask)


def fetch_blocks(
    storage: Storage,
    collection: Collection,
    tasks: Sequence[BlockTask],
    progress: OnProgress,
    tell: Callable[[str], None] = log.warning,
) -> list[parquet.Part]:
    """Fetch the parts of `tasks` that the storage has; unusable ones are removed from it.

    Args:
        storage: The storage.
        collection: The collection.
        tasks: The blocks to make.
        progress: Called while blocks are fetched.
        tell: Called with a note about every unusable block.

    Raises:
        QueryError: If the storage has another collection of this name.
        NewerError: If a newer version wrote what it holds.
    """
    _check_same(storage, collection)
    found = _fetch_stored(storage, tasks, progress, tell)
    return [parquet.read_footer(task.path, task.scene_id) for task in found]


def fetch_cells(
    storage: Storage,
    tasks: Sequence[CellTask],
    progress: OnProgress,
    tell: Callable[[str], None] = log.warning,
) -> list[CellTask]:
    """Fetch the object cells of `tasks` that the storage has; the tasks that are done by that."""
    return _fetch_stored(storage, tasks, progress, tell)


def _fetch_stored(
    storage: Storage, tasks: Sequence[_Task], progress: OnProgress, tell: Callable[[str], None]
) -> list[_Task]:
    """The tasks whose results the storage has, which are fetched; damaged ones are removed."""
    folders: dict[str, list[_Task]] = defaultdict(list)
    for task in tasks:
        folders[result_key(task).rpartition("/")[0]].append(task)
    stored: list[_Task] = []
    for folder, wanted in folders.items():
        names = storage.sizes(folder)
        for name in names:
            if name.startswith(TEMPORARY):  # of a worker that was killed
                storage.remove(f"{folder}/{name}")
        stored += [task for task in wanted if task.path.name in names]

    def fetch(task: Task) -> bool:
        try:
            fetch_result(storage, task)
            return True
        except NewerError:
            raise
        except DamagedError as error:
            tell(f"A block in the shared storage was made again: {error.what}, {error.where}")
            remove_result(storage, task)
            return False

    stage = "Fetching finished blocks"
    done = list(in_parallel(fetch, stored, stage, "blocks", progress))
    return [task for task, fetched in zip(stored, done, strict=True) if fetched]


def send_scenes(
    storage: Storage, tasks: Sequence[Task], progress: OnProgress = silent
) -> list[Task]:
    """The tasks with the scenes as workers read them; missing scenes are sent first."""
    folders = {task.scene_id: task.folder for task in tasks}
    scenes = {}
    for number, (scene_id, folder) in enumerate(folders.items()):
        progress(Progress("Sending scenes", number, len(folders), "scenes", scene_id))
        scene = load_scene(folder / "scenes", scene_id)
        key = f"{_folder(folder)}/scenes/{scene_id}.tif"
        _send_if_missing(storage, Path(scene.path), key)
        scenes[scene_id] = replace(scene, path=storage.address(key))
    return [replace(task, scene=scenes[task.scene_id]) for task in tasks]


def make_in_storage(
    task: Task,
    storage: Storage,
    progress: Callable[[int], None] | None = None,
    threads: int | None = None,
) -> BlockSummary:
    """Do a task and send its files, in a worker that does not see our disk.

    A worker that loses its scheduler continues its block, which another worker is given, too.  Both
    make the same part, and the first one stays.
    """
    with tempfile.TemporaryDirectory(prefix="lookalike-") as scratch:
        here = _moved(task, Path(scratch))
        with suppress(FileNotFoundError):
            storage.fetch(result_key(task), here.path)
        summary = existing(here)
        if summary is None:
            summary = make(here, progress, threads=threads)
            for made, path in zip(files_of(here), files_of(task), strict=True):
                if made.is_file():  # a block without data has no cells of its own
                    _send_if_missing(storage, made, _key(task, path))
        return summary


def _moved(task: Task, folder: Path) -> Task:
    """The task with another folder to write to."""
    if isinstance(task, CellTask):
        return replace(task, folder=folder)
    cells = replace(task.cells, folder=folder) if task.cells else None
    return replace(task, folder=folder, cells=cells)


def fetch_result(storage: Storage, task: Task) -> None:
    """Fetch what a task made from the storage into the collection and verify it.

    Raises:
        DamagedError: If it is altered, missing, or does not match the task.
    """
    *others, result = files_of(task)
    for path in others:  # object cells that are missing are made after the chips
        with suppress(FileNotFoundError):
            storage.fetch(_key(task, path), path)
    try:
        storage.fetch(result_key(task), result)
    except FileNotFoundError as error:
        raise DamagedError(
            "A block is missing in the shared storage",
            where=f"{storage.url}/{result_key(task)}",
            remedy=parquet.REMEDY,
        ) from error
    try:
        _verify(task)
    except DamagedError:
        result.unlink(missing_ok=True)
        raise


def remove_result(storage: Storage, task: Task) -> None:
    """Remove what a task made from the storage, so that it is made again."""
    for path in files_of(task):
        storage.remove(_key(task, path))


def _verify(task: Task) -> None:
    """Raise `DamagedError` unless the file of a task is whole and has exactly what it makes."""
    if isinstance(task, BlockTask):
        _check_fits(task, parquet.verify(task.path, task.scene_id))
        return
    block = cell_files.verify(task.path)
    if (block.window, block.identity) != (task.window, identity_of(task.weights_sha256)):
        raise DamagedError(
            "Object cells in the shared storage were made by another version or build",
            where=result_key(task),
            remedy="Give every worker the same version and weights as the head",
        )


def store_copy(storage: Storage, collection: Collection, progress: OnProgress = silent) -> None:
    """Send all scenes, parts and the manifest of a finished collection that the storage lacks."""
    base = _folder(collection.path)
    files = []
    for scene_id in collection.manifest.scenes:
        files += [(collection.scenes_folder, f"{scene_id}{end}") for end in (".tif", ".json")]
        files += [(path.parent, path.name) for path in collection.part_files(scene_id)]
        files += [(path.parent, path.name) for path in collection.cell_files(scene_id)]
    sizes = {
        folder: storage.sizes(f"{base}/{folder.relative_to(collection.path).as_posix()}")
        for folder in dict.fromkeys(folder for folder, _ in files)
    }
    missing = [
        folder / name
        for folder, name in files
        if (folder / name).is_file() and sizes[folder].get(name) != (folder / name).stat().st_size
    ]

    def send(path: Path) -> None:
        storage.send(path, f"{base}/{path.relative_to(collection.path).as_posix()}")

    for _ in in_parallel(send, missing, "Copying to shared storage", "files", progress):
        pass
    send(collection.path / "collection.json")


def result_key(task: Task) -> str:
    """Key in the storage of the file that a task makes."""
    return _key(task, task.path)


def _key(task: Task, path: Path) -> str:
    """Key of a file of the task's collection."""
    return f"{_folder(task.folder)}/{path.relative_to(task.folder).as_posix()}"


def _folder(collection: Path) -> str:
    return f"collections/{collection.name}"


def _send_if_missing(storage: Storage, path: Path, key: str) -> None:
    """Send a file unless one of the same size exists.

    The name of a scene contains a hash of its content; workers make identical parts of one task.
    """
    if storage.size(key) != path.stat().st_size:
        storage.send(path, key)


def _check_same(storage: Storage, collection: Collection) -> None:
    """Raise if the storage's collection of this name has another model or stride."""
    key = f"{_folder(collection.path)}/collection.json"
    text = storage.text(key)
    if text is None:
        storage.send(collection.path / "collection.json", key)
        return
    try:
        there = json.loads(text)
        what = "The collection in the shared storage"
        check_schema(there.get("schema", 1), SCHEMA, what=what, where=f"{storage.url}/{key}")
        same = (there["model"], there["stride"]) == (
            collection.manifest.model.to_dict(),
            collection.manifest.stride,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        same = False
    if not same:
        raise QueryError(
            "The shared storage has another collection of this name",
            where=f"{storage.url}/{key}",
            remedy="Choose another name, or remove that folder",
        )


def _check_fits(task: BlockTask, part: parquet.Part) -> None:
    """Raise `DamagedError` unless a part has exactly the chips of the task.

    Names only tell block and area, so a build with another stride or model may have used the same
    one.  Every chip of the block is in the part, left out for a reason, or in an older part.
    """
    manifest = read_manifest(task.folder)
    chips = len(task.block.rows) * len(task.block.cols)
    counted = part.rows + sum(part.left_out.values()) + len(task.known)
    fits = parquet.made_by(part.path) == (manifest.model, task.stride) and counted == chips
    if fits and task.known:
        fits = task.known.isdisjoint(parquet.read_columns(part, ["id"])["id"].to_pylist())
    if not fits:
        raise DamagedError(
            "A block of chips in the shared storage was made by another model or build",
            where=result_key(task),
            remedy="Give every worker the same version and weights as the head",
        )


def in_parallel(
    each: Callable[..., _T],
    things: Sequence,
    stage: str = "",
    unit: str = "",
    progress: OnProgress = silent,
) -> Iterator[_T]:
    """Results of `each` for the things, in order; several calls run at once."""
    if not things:
        return
    with ThreadPoolExecutor(ABREAST, thread_name_prefix="storage") as pool:
        coming: Iterable[_T] = pool.map(each, things)
        for number, done in enumerate(coming, 1):
            progress(Progress(stage, number, len(things), unit))
            yield done
