"""Making the blocks of a build on Dask.

The workers are processes on this machine, or those of a scheduler given by its address.  (The
in-process counterpart is `build.run_blocks`.)  One task is one block.  The worker writes the part
itself, so losing a worker or the head costs only the blocks in progress.  Workers that do not see
our disk read scenes from shared storage and write their parts to it
(`pipeline.build.shared_storage`).
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

from pipeline.build.blocks import BlockTask
from pipeline.build.shared_storage import (
    fetch_result,
    in_parallel,
    make_in_storage,
    remove_result,
    send_scenes,
)
from pipeline.build.work import Task, existing, make, name_of, stage_of
from pipeline.cluster.connection import check_address, connect, quiet
from pipeline.errors import (
    Cancelled,
    DamagedError,
    LookalikeError,
    QueryError,
    ServiceError,
    StorageError,
    WeightsError,
)
from pipeline.progress import OnProgress, Progress

if TYPE_CHECKING:
    from pipeline.build.blocks import BlockSummary
    from pipeline.cluster.storage import Storage

log = logging.getLogger(__name__)

#: Tries per block.
TRIES = 3
#: Blocks submitted per worker thread: enough that none is idle, few enough to cancel.
AHEAD = 2
#: Priority of workers, below that of searches.
NICENESS = 10
#: Seconds to wait for a scheduler whose connection was lost.
PATIENCE_SECONDS = 180
_CONNECT_SECONDS = 15
_POLL_SECONDS = 0.1
_AWAITED = "waiting for the scheduler"
_LOST = "The connection to the Dask scheduler was lost"
_CONTINUE = "Resume the job once it answers again; finished blocks are kept"


@dataclass(frozen=True)
class Failure:
    """A block that could not be made.

    Attributes:
        block: `scene/block`.
        reason: Error of the last try.
        tries: Number of tries.
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
    """The connection to the scheduler was lost during the build."""


@dataclass
class DaskEngine:
    """Makes blocks on Dask.

    Attributes:
        scheduler: Address of a scheduler, or None for worker processes on this machine.
        workers: Number of worker processes on this machine.
        threads: Processor threads of all these workers together.
        stop: File whose existence stops workers between two pieces of a block.
        storage: Storage for scenes and parts, or None if workers see our disk.
        on_block: Called with every finished block, for a preview.
        tell: Called with a line about everything that goes wrong, for a log.
        failures: Blocks that failed in the last run.
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

    def run_tasks(
        self, tasks: Sequence[Task], done: int, progress: OnProgress
    ) -> list[BlockSummary]:
        """Do tasks of one kind; the counterpart of `build.run_tasks`.

        Args:
            tasks: The tasks.
            done: Size of those done before.
            progress: Called often.

        Raises:
            BlocksFailed: If blocks failed at every try; all others were made.
            ServiceError: If the scheduler cannot be reached, or goes away for too long.
            StorageError: If the disk is full.
            Cancelled: If `progress` raises it.
        """
        if not tasks:
            return []
        total = done + sum(task.size for task in tasks)
        stage, unit = stage_of(tasks[0])
        progress(Progress(stage, done, total, unit, "starting workers"))
        self.failures.clear()
        if self.storage is not None:
            if self.storage.private:
                raise QueryError(
                    "The workers cannot access this storage",
                    where=self.storage.url,
                    remedy="Use one that all machines reach, such as s3://bucket/folder",
                )
            tasks = send_scenes(self.storage, tasks, progress)
            progress(Progress(stage, done, total, unit, "starting workers"))
        with quiet():
            summaries = self._make(tasks, total, progress)
        if self.failures:
            raise BlocksFailed(self.failures, len(tasks))
        return summaries

    def _make(self, tasks: Sequence[Task], total: int, progress: OnProgress) -> list[BlockSummary]:
        """Do the tasks, reconnecting if the scheduler is restarted."""
        stage, unit = stage_of(tasks[0])
        summaries: list[BlockSummary] = []
        waiting = deque((task, 1) for task in tasks)
        while waiting:
            try:
                with self._client() as client:
                    self._drain(client, waiting, summaries, total, progress)
            except _Lost as error:
                if self.scheduler is None:
                    raise
                self.tell(f"{error.what}, {len(waiting)} blocks left; waiting for the scheduler")
                made = total - sum(task.size for task, _ in waiting)
                self._await_scheduler(Progress(stage, made, total, unit, _AWAITED), progress)
        return summaries

    def _drain(
        self,
        client: Any,
        waiting: deque[tuple[Task, int]],
        summaries: list[BlockSummary],
        total: int,
        progress: OnProgress,
    ) -> None:
        """Submit blocks, a few at a time, until all are made or have failed.

        Raises:
            _Lost: If the connection was lost.  `waiting` then has the blocks that were not
                reported; the part of one that was finished all the same is found and used.
        """
        from distributed import CancelledError, as_completed
        from distributed.comm import CommClosedError

        running: dict[Any, tuple[Task, int]] = {}
        # It fetches results in the background, so that one that is lost with its worker, and
        # computed again, does not block this loop.
        completed = as_completed(loop=client.loop, with_results=True, raise_errors=False)
        done = total - sum(task.size for task, _ in waiting)
        stage, unit = stage_of(waiting[0][0])
        last_heard = time.monotonic()
        try:
            while waiting or running:
                slots = _slots(client)
                while waiting and len(running) < AHEAD * max(slots, 1):
                    # Submitted before it is removed, so that a failure does not lose it.
                    future = self._submit(client, waiting[0][0])
                    running[future] = waiting.popleft()
                    completed.add(future)
                note = "" if slots else "waiting for a worker"
                progress(Progress(stage, done, total, unit, note))
                batch = completed.next_batch(block=False)
                if not batch:
                    _check_alive(client, running, last_heard)
                    time.sleep(_POLL_SECONDS)
                    continue
                last_heard = time.monotonic()
                outcomes = [(running[future][0], _outcome(future, what)) for future, what in batch]
                for (future, _), outcome in zip(batch, self._fetch_parts(outcomes), strict=True):
                    task, tries = running.pop(future)
                    if not isinstance(outcome, BaseException):
                        summaries.append(outcome)
                        done += task.size
                        progress(Progress(stage, done, total, unit, f"block {name_of(task)}"))
                        if self.on_block and isinstance(task, BlockTask):
                            self.on_block(task)
                    elif tries < TRIES:
                        self.tell(f"block {name_of(task)}, try {tries} of {TRIES}: {outcome}")
                        waiting.append((task, tries + 1))
                    else:
                        self.tell(f"block {name_of(task)} failed after {tries} tries: {outcome}")
                        self.failures.append(Failure(name_of(task), str(outcome), tries))
        except (CommClosedError, CancelledError, TimeoutError) as error:
            # At the end, because their workers may still finish them.
            waiting.extend(running.values())
            raise _Lost(_LOST, where=self.scheduler or "local", remedy=_CONTINUE) from error
        except BaseException:
            client.cancel(list(running), force=True)
            raise

    def _await_scheduler(self, state: Progress, progress: OnProgress) -> None:
        """Wait until the scheduler answers again.

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

    def _submit(self, client: Any, task: Task) -> Any:
        threads = max(self.threads // max(self.workers, 1), 1) if self.scheduler is None else None
        return client.submit(
            work,
            task,
            threads,
            self.stop,
            self.storage,
            pure=False,
            # `_drain` counts tries instead: it logs each one, some errors end the build at once,
            # and damage to a part in the storage is only found when it is fetched.
            retries=0,
            key=f"block-{os.urandom(8).hex()}",
        )

    def _fetch_parts(
        self, ended: Sequence[tuple[Task, BlockSummary | BaseException]]
    ) -> list[BlockSummary | BaseException]:
        """Fetch the parts from shared storage; the outcome of each block after that."""
        if self.storage is None:
            return [what for _, what in ended]
        storage = self.storage

        def fetch(
            of: tuple[Task, BlockSummary | BaseException],
        ) -> BlockSummary | BaseException:
            task, what = of
            if not isinstance(what, BaseException):
                try:
                    fetch_result(storage, task)
                except DamagedError as damage:
                    remove_result(storage, task)
                    return damage
            return what

        return list(in_parallel(fetch, ended))

    def _client(self) -> AbstractContextManager[Any]:
        return connect(self.scheduler, self.workers, _CONNECT_SECONDS)


def engine_from(
    scheduler: str | None,
    workers: int,
    threads: int,
    stop: Path | None = None,
    storage: Storage | None = None,
) -> DaskEngine | None:
    """The engine for these settings; None means in this process.

    Worker processes on this machine see our disk and need no storage.
    """
    if scheduler is None:
        return DaskEngine(None, workers, threads, stop) if workers else None
    return DaskEngine(scheduler, workers, threads, stop, storage)


def work(
    task: Task, threads: int | None, stop: Path | None, storage: Storage | None = None
) -> BlockSummary:
    """Make one block in a worker, whose process keeps the model for the next block.

    A block whose part exists is not made again: its worker was lost after writing it.
    """
    _lower_priority()

    def between_pieces(_: int) -> None:
        if stop is not None and stop.exists():
            raise Cancelled("Stopped", where=name_of(task))

    between_pieces(0)
    if storage is not None:
        return make_in_storage(task, storage, between_pieces, threads)
    return existing(task) or make(task, between_pieces, threads=threads)


def _lower_priority() -> None:
    """Lower the priority of this process, so that searches are not slowed down."""
    missing = NICENESS - os.nice(0)
    if missing > 0:
        os.nice(missing)


def _slots(client: Any) -> int:
    """Threads of all connected workers.

    Raises:
        TimeoutError: If the scheduler does not answer.
    """
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise TimeoutError from error


def _outcome(future: Any, result: Any) -> BlockSummary | BaseException:
    """The outcome of a block: its summary, or its error.

    Raises:
        CancelledError: If the scheduler was restarted and has lost the task.
        StorageError, WeightsError, Cancelled: If another try would fail in the same way.
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
    """Raise if no more results will come.

    Raises:
        CancelledError: If the scheduler was restarted and has lost a task.
        TimeoutError: If it no longer answers.
    """
    from distributed import CancelledError

    for future in running:
        if future.cancelled():
            raise CancelledError(future.key)
    if client.status != "running" and time.monotonic() - last_heard > _CONNECT_SECONDS:
        raise TimeoutError
