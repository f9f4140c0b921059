"""Runner: the process that works through the queue of jobs, one at a time.

`Jobs.start_runner` starts it, detached from the caller.  It ends when no job waits.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.build.build import BuildSummary, build, run_tasks
from pipeline.build.dask_engine import BlocksFailed, engine_from
from pipeline.build.work import stage_of
from pipeline.cluster.storage import Storage
from pipeline.collection.library import Library
from pipeline.dates import now
from pipeline.errors import Cancelled, LookalikeError
from pipeline.files import is_locked, locked, replacing
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.render import encode_image
from pipeline.imagery.scene import load_scene
from pipeline.jobs.job import CANCELLED, DONE, FAILED, RUNNING, Job, JobRequest, engine_name
from pipeline.jobs.meter import Meter
from pipeline.jobs.object_search import ObjectSearchRequest, search
from pipeline.jobs.queue import Jobs
from pipeline.progress import OnProgress, Progress, silent
from pipeline.settings import settings
from pipeline.sources.registry import open_source

if TYPE_CHECKING:
    from pipeline.build.blocks import BlockSummary, BlockTask
    from pipeline.build.request import BuildRequest
    from pipeline.build.work import Task
    from pipeline.settings import Settings

log = logging.getLogger(__name__)

WRITE_SECONDS = 0.5
PREVIEW_SECONDS = 1.0
PREVIEW_CHIPS = 8
PREVIEW_SIZE = 128


def work_through(jobs: Jobs, settings: Settings) -> int:
    """Run queued jobs until none is left; returns the number of jobs run.

    Only one process does this for a home folder.  The queue is checked again after the lock is
    released, in case a job was queued while another process was about to end.
    """
    ran = 0
    busy = LookalikeError("Another runner is running")
    while _waiting(jobs):
        try:
            with locked(jobs.root / ".runner", busy):
                while waiting := _waiting(jobs):
                    run(jobs, waiting[0], settings)
                    ran += 1
        except LookalikeError as error:
            if error is busy:
                break
            raise
    return ran


def _waiting(jobs: Jobs) -> list[Job]:
    """The queue without jobs that a terminal runs but whose records do not say so yet."""
    return [job for job in jobs.queue() if not is_locked(jobs.root / job.id / ".running")]


def run(
    jobs: Jobs, job: Job, settings: Settings, also: OnProgress = silent, *, attended: bool = False
) -> Job:
    """Run one job until it ends in any way, and return its record.

    Args:
        jobs: The queue with its record.
        job: A queued or interrupted job.
        settings: Home folder and engine.
        also: Also called with the progress, for a terminal.
        attended: Whether a user waits for it.  Then an error is raised again after it was
            recorded, and Ctrl-C cancels the job instead of leaving it to the next runner.
    """
    busy = LookalikeError("This job runs already", where=job.id)
    folder = jobs.folder(job.id)
    with locked(folder / ".running", busy):
        job = replace(
            job,
            state=RUNNING,
            started=now(),
            attempts=job.attempts + 1,
            error=None,
            failures=(),
            ended="",
            engine=engine_name(settings),
        )
        jobs.write(job)
        jobs.tell(job.id, f"started, attempt {job.attempts}, {job.engine}, process {os.getpid()}")
        report = _Report(jobs, job, also)
        end: dict[str, Any]
        cause: BaseException | None = None
        try:
            summary = _perform(jobs, job, settings, report)
        except (Cancelled, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt) and not attended:
                raise
            note = "Nothing was saved" if job.is_search else "Finished blocks are kept"
            cause, end = error, {"state": CANCELLED, "note": note}
            jobs.tell(job.id, "cancelled")
        except LookalikeError as error:
            cause = error
            end = {"state": FAILED, "error": _error_dict(error), "failures": _failures(error)}
            jobs.tell(job.id, f"failed: {error}")
        except Exception as error:
            # A bug of ours must be recorded, too; the traceback goes to the log.
            cause = error
            if not attended:
                log.exception("job %s", job.id)
            fault = LookalikeError(
                f"An unexpected {type(error).__name__}",
                where=str(error)[:300],
                remedy=f"See {jobs.root / 'runner.log'}, and resume the job",
            )
            end = {"state": FAILED, "error": _error_dict(fault)}
            jobs.tell(job.id, f"failed: {fault}")
        else:
            end = {"state": DONE, "summary": summary, "note": ""}
            unit = "objects" if job.is_search else "chips"
            jobs.tell(job.id, f"done: {summary[unit]} {unit} in {summary['seconds']:.1f} s")
        (folder / "stop").unlink(missing_ok=True)
        job = replace(report.job, **end, ended=now(), rate=None, left=None)
        jobs.write(job)
    if attended and cause is not None:
        raise cause
    return job


def build_attended(
    request: BuildRequest, settings: Settings, also: OnProgress = silent
) -> BuildSummary:
    """Build in this process, as a job that the app shows and can cancel.

    The job is removed if there was nothing to build.

    Raises:
        LookalikeError: What `build.build` raises.
    """
    jobs = Jobs(settings.home)
    done = run(jobs, jobs.submit(request, start=False), settings, also, attended=True)
    made = {k: v for k, v in (done.summary or {}).items() if k in BuildSummary.__dataclass_fields__}
    if not made["blocks_made"]:
        jobs.remove(done.id)  # `make demo` requests the samples at every start
    return BuildSummary(**{**made, "scenes": tuple(made["scenes"]), "notes": tuple(made["notes"])})


def _perform(jobs: Jobs, job: Job, settings: Settings, report: _Report) -> dict[str, Any]:
    """Search, or fetch imagery if necessary and build; returns the summary."""
    if job.is_search:
        return search(ObjectSearchRequest.from_dict(job.request), settings.home, report)
    request = _with_fetched_scenes(jobs, job, JobRequest.from_dict(job.request), report)
    stop = jobs.folder(job.id) / "stop"
    storage = Storage.at(settings.storage) if settings.storage else None
    engine = engine_from(settings.scheduler, settings.workers, settings.threads, stop, storage)
    made: list[BlockSummary] = []

    def make(tasks: Sequence[Task], done: int, progress: OnProgress) -> list[BlockSummary]:
        started = time.monotonic()
        if engine is None:
            blocks = run_tasks(tasks, done, progress)
        else:
            engine.on_block = _preview_maker(jobs.folder(job.id))
            engine.tell = lambda line: jobs.tell(job.id, line)
            blocks = engine.run_tasks(tasks, done, progress)
        if tasks:
            stage, unit = stage_of(tasks[0])
            # A block of chips may hold some that an earlier area had.
            chips = sum(block.chips for block in blocks)
            new = chips if unit == "chips" else sum(task.size for task in tasks)
            seconds = time.monotonic() - started
            jobs.tell(job.id, f"{stage}: {new} new {unit}, {done} existing, in {seconds:.1f} s")
        made.extend(blocks)
        return blocks

    library = Library(settings.home)
    summary = build(request, library, report, run=make, storage=storage)
    # The collection has its own copies of the scenes.
    shutil.rmtree(_scratch(jobs, job), ignore_errors=True)
    manifest = library.open(summary.name).manifest
    return {
        **asdict(summary),
        "made": sum(block.chips for block in made),
        "mode": manifest.model.mode,
        "stride": manifest.stride,
        "quality": manifest.quality,
    }


def _with_fetched_scenes(
    jobs: Jobs, job: Job, request: JobRequest, report: OnProgress
) -> BuildRequest:
    """The build request with the rasters of its source, which are fetched."""
    if not request.source:
        return request.build
    source = open_source(request.source, **request.options)
    scratch = _scratch(jobs, job)
    jobs.tell(job.id, f"fetching {len(request.candidates)} images from {request.source}")
    rasters = source.fetch(request.build.area, request.candidates, scratch, report)
    return replace(request.build, scenes=(*request.build.scenes, *rasters))


def _scratch(jobs: Jobs, job: Job) -> Path:
    """Folder for a job's imagery, in which an interrupted fetch continues."""
    return jobs.home / "fetched" / job.collection


class _Report:
    """Records progress at intervals, and raises `Cancelled` if the job is to be cancelled."""

    def __init__(self, jobs: Jobs, job: Job, also: OnProgress) -> None:
        self.job = job
        self._jobs, self._also, self._meter = jobs, also, Meter()
        self._stop = jobs.folder(job.id) / "stop"
        self._written = 0.0

    def __call__(self, step: Progress) -> None:
        if self._stop.exists():
            raise Cancelled("Cancelled", where=self.job.title, remedy="Resume it at any time")
        self._also(step)
        rate, left = self._meter.read(step.stage, step.done, step.total)
        fresh = step.stage != self.job.stage
        self.job = replace(
            self.job,
            stage=step.stage,
            done=step.done,
            total=step.total,
            unit=step.unit,
            note=step.note or ("" if fresh else self.job.note),
            rate=rate,
            left=left,
        )
        if fresh:
            known = f"{step.total} {step.unit}" if step.total else step.note
            self._jobs.tell(self.job.id, f"{step.stage}: {known}" if known else step.stage)
        if fresh or time.monotonic() - self._written > WRITE_SECONDS:
            self._jobs.write(self.job)
            self._written = time.monotonic()


def _preview_maker(folder: Path) -> Callable[[BlockTask], None]:
    last = 0.0

    def make(task: BlockTask) -> None:
        nonlocal last
        if time.monotonic() - last < PREVIEW_SECONDS:
            return
        last = time.monotonic()
        content = preview(task)
        with replacing(folder / "preview.jpg") as temporary:
            temporary.write_bytes(content)

    return make


def preview(task: BlockTask) -> bytes:
    """A JPEG of up to eight chips from across a block, side by side."""
    import numpy as np

    corners = [(col, row) for row in task.block.rows for col in task.block.cols]
    step = max(len(corners) // PREVIEW_CHIPS, 1)
    with SceneReader(load_scene(task.folder / "scenes", task.scene_id)) as reader:
        pictures = [
            reader.thumbnail(col, row, 256, 256, PREVIEW_SIZE)
            for col, row in corners[::step][:PREVIEW_CHIPS]
        ]
    return encode_image(np.concatenate(pictures, axis=1), "JPEG")


def _error_dict(error: LookalikeError) -> dict[str, str]:
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
    }


def _failures(error: LookalikeError) -> tuple[dict[str, Any], ...]:
    return tuple(map(asdict, error.failures)) if isinstance(error, BlocksFailed) else ()


@contextmanager
def _graceful_end() -> Iterator[None]:
    """Make SIGTERM end the runner like Ctrl-C: workers are closed, the job can be resumed."""

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(home: str) -> None:
    """Entry point of the runner's process."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    os.nice(5)
    present = replace(settings(), home=Path(home))
    try:
        with _graceful_end():
            work_through(Jobs(present.home), present)
    except KeyboardInterrupt:
        log.info("stopped; the next runner resumes the running job")
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1])
