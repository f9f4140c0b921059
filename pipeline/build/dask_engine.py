"""Engine: where the blocks of a build are made.

In this process (`build.run_blocks`), or on Dask: worker processes of our own on this machine by
default, or any scheduler by its address.  One task is one block; the worker writes the block's part
itself, so a lost worker or driver costs the blocks in hand and nothing else.  Workers that do not
see our disk read scenes from shared storage and leave their parts there (see
`pipeline.build.shared_storage`).
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.build.blocks import made_already, make_block
from pipeline.build.shared_storage import abreast, fetch_part, make_stored, part_key, send_scenes
from pipeline.cluster.connection import check_address, connected, quiet
from pipeline.errors import (
    Cancelled,
    DamagedError,
    LookalikeError,
    QueryError,
    ServiceError,
    StorageError,
    WeightsError,
)
from pipeline.model import loader
from pipeline.progress import OnProgress, Progress

if TYPE_CHECKING:
    from pipeline.build.blocks import BlockSummary, BlockTask
    from pipeline.cluster.storage import Storage
    from pipeline.collection.parquet import Part

log = logging.getLogger(__name__)

#: Tries of one block before it is given up.
TRIES = 3
#: Blocks handed out ahead of each worker thread: enough that none waits, few enough to take back.
AHEAD = 2
NICENESS = 10
#: How long a scheduler that went away is waited for.
PATIENCE_SECONDS = 180
_CONNECT_SECONDS = 15
_POLL_SECONDS = 0.1
_AWAITED = "waiting for the scheduler"
_LOST = "The Dask scheduler went away"
_CONTINUE = "Resume the job once it answers again; finished blocks are kept"


@dataclass(frozen=True)
class Failure:
    """A block that could not be made.

    Attributes:
        block: `scene/block`.
        reason: What went wrong at the last try.
        tries: How often it was tried.
    """

    block: str
    reason: str
    tries: int


class BlocksFailed(LookalikeError):
    """Some blocks could not be made; the others are kept."""

    def __init__(self, failures: Sequence[Failure], total: int) -> None:
        self.failures = tuple(failures)
        super().__init__(
            f"{len(failures)} of {total} blocks could not be made",
            where=f"{failures[0].block}: {failures[0].reason}",
            remedy="Retry the job; finished blocks are kept",
        )
        self.total = total

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.failures, self.total)


class _Lost(ServiceError):
    """The scheduler went away in the middle."""


@dataclass
class DaskEngine:
    """Makes blocks on Dask.

    Attributes:
        scheduler: Address of a scheduler, or None for workers of our own.
        workers: Worker processes, where they are our own.
        threads: Processor threads of all workers together.
        stop: File whose existence stops workers that see it between two pieces of a block.
        storage: Where scenes and parts pass through, or None where the workers share our disk.
        on_block: Told every block that is finished, for a preview.
        tell: Told in words what goes wrong, for a log.
    """

    scheduler: str | None = None
    workers: int = 1
    threads: int = 1
    stop: Path | None = None
    storage: Storage | None = None
    on_block: Callable[[BlockTask], None] | None = None
    tell: Callable[[str], None] = log.warning
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_address(self.scheduler)

    def run_blocks(
        self, tasks: Sequence[BlockTask], kept: Sequence[Part], progress: OnProgress
    ) -> list[BlockSummary]:
        """Make the blocks; the counterpart of `build.run_blocks`.

        Raises:
            BlocksFailed: If blocks failed at every try; the others were made first.
            ServiceError: If the scheduler cannot be reached, or goes away and does not come back.
            StorageError: If the disk is full; going on would not help.
            Cancelled: If `progress` raises it.
        """
        done = sum(part.size for part in kept)
        total = done + sum(task.size for task in tasks)
        progress(Progress("Embedding", done, total, "chips", "starting workers" if tasks else ""))
        if not tasks:
            return []
        self.failures.clear()
        if self.storage is not None:
            if self.storage.private:
                raise QueryError(
                    "No worker reaches this storage",
                    where=self.storage.url,
                    remedy="Name one that all machines reach, such as s3://bucket/folder",
                )
            tasks = send_scenes(self.storage, tasks, progress)
            progress(Progress("Embedding", done, total, "chips", "starting workers"))
        with quiet():
            summaries = self._made(tasks, total, progress)
        if self.failures:
            raise BlocksFailed(self.failures, len(tasks))
        return summaries

    def _made(
        self, tasks: Sequence[BlockTask], total: int, progress: OnProgress
    ) -> list[BlockSummary]:
        """Make the blocks by one scheduler after another, should it be started anew."""
        summaries: list[BlockSummary] = []
        waiting = deque((task, 1) for task in tasks)
        while waiting:
            try:
                with self._client() as client:
                    self._drain(client, waiting, summaries, total, progress)
            except _Lost as error:
                if self.scheduler is None:
                    raise
                self.tell(f"{error.what}, {len(waiting)} blocks are left; waiting for it")
                made = total - sum(task.size for task, _ in waiting)
                self._await_scheduler(
                    Progress("Embedding", made, total, "chips", _AWAITED), progress
                )
        return summaries

    def _drain(
        self,
        client: Any,
        waiting: deque[tuple[BlockTask, int]],
        summaries: list[BlockSummary],
        total: int,
        progress: OnProgress,
    ) -> None:
        """Hand out blocks a few at a time, until all are made or given up.

        Raises:
            _Lost: If the scheduler went away; `waiting` then holds what nobody has reported.  A
                block that was finished all the same is found by whoever is given it next.
        """
        from distributed import CancelledError, as_completed
        from distributed.comm import CommClosedError

        running: dict[Any, tuple[BlockTask, int]] = {}
        # Fetches results in the background: one that is lost again with its worker is made anew
        # and holds up nothing here.
        completed = as_completed(loop=client.loop, with_results=True, raise_errors=False)
        done = total - sum(task.size for task, _ in waiting)
        last_heard = time.monotonic()
        try:
            while waiting or running:
                slots = _slots(client)
                while waiting and len(running) < AHEAD * max(slots, 1):
                    # Handed out before it is taken off the list: what fails to be is not lost.
                    future = self._submit(client, waiting[0][0])
                    running[future] = waiting.popleft()
                    completed.add(future)
                note = "" if slots else "waiting for a worker"
                progress(Progress("Embedding", done, total, "chips", note))
                batch = completed.next_batch(block=False)
                if not batch:
                    _check_alive(client, running, last_heard)
                    time.sleep(_POLL_SECONDS)
                    continue
                last_heard = time.monotonic()
                outcomes = [(running[future][0], _outcome(future, what)) for future, what in batch]
                for (future, _), outcome in zip(batch, self._fetched(outcomes), strict=True):
                    task, tries = running.pop(future)
                    if not isinstance(outcome, BaseException):
                        summaries.append(outcome)
                        done += task.size
                        progress(_made(task, done, total))
                        if self.on_block:
                            self.on_block(task)
                    elif tries < TRIES:
                        self.tell(f"block {_named(task)}, try {tries} of {TRIES}: {outcome}")
                        waiting.append((task, tries + 1))
                    else:
                        self.tell(f"block {_named(task)} given up: {outcome}")
                        self.failures.append(Failure(_named(task), str(outcome), tries))
        except (CommClosedError, CancelledError, TimeoutError) as error:
            # Last, as the workers that have them may yet finish them.
            waiting.extend(running.values())
            raise _Lost(_LOST, where=self.scheduler or "local", remedy=_CONTINUE) from error
        except BaseException:
            client.cancel(list(running), force=True)
            raise

    def _await_scheduler(self, state: Progress, progress: OnProgress) -> None:
        """Wait until a scheduler answers again that went away: it is being started anew.

        Raises:
            ServiceError: If it does not within `PATIENCE_SECONDS`.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            progress(state)
            try:
                with self._client():
                    return
            except ServiceError:
                if time.monotonic() > end:
                    raise
            time.sleep(_POLL_SECONDS)

    def _submit(self, client: Any, task: BlockTask) -> Any:
        threads = max(self.threads // max(self.workers, 1), 1) if self.scheduler is None else None
        return client.submit(
            work,
            task,
            threads,
            self.stop,
            self.storage,
            pure=False,
            # Tries are counted here: each is told to the log, some errors end the build at once,
            # and a part may prove damaged only when it has come through the storage.
            retries=0,
            key=f"block-{os.urandom(8).hex()}",
        )

    def _fetched(
        self, ended: Sequence[tuple[BlockTask, BlockSummary | BaseException]]
    ) -> list[BlockSummary | BaseException]:
        """Bring home the parts that went through shared storage; what came of each block then."""
        if self.storage is None:
            return [what for _, what in ended]
        storage = self.storage

        def fetched(
            of: tuple[BlockTask, BlockSummary | BaseException],
        ) -> BlockSummary | BaseException:
            task, what = of
            if not isinstance(what, BaseException):
                try:
                    fetch_part(storage, task)
                except DamagedError as damage:
                    storage.remove(part_key(task))
                    return damage
            return what

        return list(abreast(fetched, ended))

    def _client(self) -> AbstractContextManager[Any]:
        return connected(self.scheduler, self.workers, _CONNECT_SECONDS)


def engine_from(
    scheduler: str | None,
    workers: int,
    threads: int,
    stop: Path | None = None,
    storage: Storage | None = None,
) -> DaskEngine | None:
    """The engine that the settings ask for; None means in this process.

    Workers of our own see our disk and need no storage.
    """
    if scheduler is None:
        return DaskEngine(None, workers, threads, stop) if workers else None
    return DaskEngine(scheduler, workers, threads, stop, storage)


def work(
    task: BlockTask, threads: int | None, stop: Path | None, storage: Storage | None = None
) -> BlockSummary:
    """Make one block; runs in a worker, whose process keeps the model from block to block.

    A block whose part is there is not made again: its worker was lost after it had written it.
    """
    _be_nice()

    def between_pieces(_: int) -> None:
        if stop is not None and stop.exists():
            raise Cancelled("Stopped", where=_named(task))

    between_pieces(0)
    if storage is None and (made := made_already(task)):
        return made
    embedder = loader.resnet50(task.mode, threads=threads)
    if storage is not None:
        return make_stored(task, storage, embedder, between_pieces)
    return make_block(task, embedder, between_pieces)


def _be_nice() -> None:
    """Yield to searches: a build takes the processor only while nobody else wants it."""
    missing = NICENESS - os.nice(0)
    if missing > 0:
        os.nice(missing)


def _slots(client: Any) -> int:
    """Threads of all workers that are there now.

    Raises:
        TimeoutError: If the scheduler does not answer.
    """
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise TimeoutError from error


def _outcome(future: Any, result: Any) -> BlockSummary | BaseException:
    """What came of a block: its summary, or why it failed.

    Raises:
        CancelledError: If the scheduler has forgotten it: it was started anew.
        StorageError, WeightsError, Cancelled: If another try would fail as this one did.
    """
    from distributed import CancelledError

    if isinstance(result, CancelledError):
        raise result
    if future.status != "error":
        return cast("BlockSummary", result)
    error: BaseException = result[1]  # (type, error, traceback)
    if isinstance(error, (StorageError, WeightsError, Cancelled)):
        raise error
    return error


def _check_alive(client: Any, running: Iterable[Any], last_heard: float) -> None:
    """Raise where nothing will come any more.

    Raises:
        CancelledError: If the scheduler has forgotten a block: it was started anew.
        TimeoutError: If it no longer answers.
    """
    from distributed import CancelledError

    for future in running:
        if future.cancelled():
            raise CancelledError(future.key)
    if client.status != "running" and time.monotonic() - last_heard > _CONNECT_SECONDS:
        raise TimeoutError


def _made(task: BlockTask, done: int, total: int) -> Progress:
    return Progress("Embedding", done, total, "chips", f"block {_named(task)}")


def _named(task: BlockTask) -> str:
    return f"{task.scene_id}/{task.block.name}"
