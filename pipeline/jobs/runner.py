"""Runner: the process that works through the queue of jobs, one at a time.

Started by `Jobs.start_runner`, detached from whoever asked; ends when nothing waits.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.build.build import BuildSummary, build, run_blocks
from pipeline.build.dask_engine import BlocksFailed, engine_from
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
from pipeline.jobs.queue import Jobs
from pipeline.progress import OnProgress, Progress, silent
from pipeline.settings import settings
from pipeline.sources.registry import open_source

if TYPE_CHECKING:
    from pipeline.build.blocks import BlockTask
    from pipeline.build.request import BuildRequest
    from pipeline.settings import Settings

log = logging.getLogger(__name__)

WRITE_SECONDS = 0.5
PREVIEW_SECONDS = 1.0
PREVIEW_CHIPS = 8
PREVIEW_SIZE = 128


def work_through(jobs: Jobs, settings: Settings) -> int:
    """Run queued jobs until none is left; returns how many were run.

    Only one process does this for a home.  A job queued while another process was about to leave
    is not forgotten: the queue is looked at again after the lock is given back.
    """
    ran = 0
    busy = LookalikeError("Another runner is at work")
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
    """The queue without what a terminal runs itself and has not yet said so in the record."""
    return [job for job in jobs.queue() if not is_locked(jobs.root / job.id / ".running")]


def run(
    jobs: Jobs, job: Job, settings: Settings, also: OnProgress = silent, *, attended: bool = False
) -> Job:
    """Run one job to its end, whatever that is, and return its record.

    Args:
        jobs: Where its record is.
        job: A queued or interrupted job.
        settings: Home and engine.
        also: Told the progress besides, for a terminal.
        attended: Whether somebody waits for it: then what ended it early is raised again after it
            was recorded, and Ctrl-C cancels the job instead of leaving it to the next runner.
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
            cause, end = error, {"state": CANCELLED, "note": "Finished blocks are kept"}
            jobs.tell(job.id, "cancelled")
        except LookalikeError as error:
            cause = error
            end = {"state": FAILED, "error": _told(error), "failures": _failures(error)}
            jobs.tell(job.id, f"failed: {error}")
        except Exception as error:
            # The record must say so even when it is our own fault; the traceback goes to the log.
            cause = error
            if not attended:
                log.exception("job %s", job.id)
            fault = LookalikeError(
                f"An unexpected {type(error).__name__}",
                where=str(error)[:300],
                remedy=f"See {jobs.root / 'runner.log'}, and resume the job",
            )
            end = {"state": FAILED, "error": _told(fault)}
            jobs.tell(job.id, f"failed: {fault}")
        else:
            end = {"state": DONE, "summary": summary, "note": ""}
            jobs.tell(job.id, f"done: {summary['chips']} chips in {summary['seconds']:.1f} s")
        (folder / "stop").unlink(missing_ok=True)
        job = replace(report.job, **end, ended=now(), rate=None, left=None)
        jobs.write(job)
    if attended and cause is not None:
        raise cause
    return job


def build_attended(
    request: BuildRequest, settings: Settings, also: OnProgress = silent
) -> BuildSummary:
    """Build here and now, as a job that the app shows and may cancel.

    Where all was made already, no job is left.

    Raises:
        LookalikeError: What `build.build` raises.
    """
    jobs = Jobs(settings.home)
    done = run(jobs, jobs.submit(request, start=False), settings, also, attended=True)
    made = {k: v for k, v in (done.summary or {}).items() if k in BuildSummary.__dataclass_fields__}
    if not made["blocks_made"]:
        jobs.remove(done.id)  # `make demo` asks for the samples at every start
    return BuildSummary(**{**made, "scenes": tuple(made["scenes"]), "notes": tuple(made["notes"])})


def _perform(jobs: Jobs, job: Job, settings: Settings, report: _Report) -> dict[str, Any]:
    """Fetch what must be fetched, build, and say what was made."""
    request = _fetched(jobs, job, JobRequest.from_dict(job.request), report)
    stop = jobs.folder(job.id) / "stop"
    storage = Storage.at(settings.storage) if settings.storage else None
    engine = engine_from(settings.scheduler, settings.workers, settings.threads, stop, storage)
    made: list[Any] = []
    began = time.monotonic()

    def blocks(tasks: Any, kept: Any, progress: OnProgress) -> Any:
        nonlocal began
        began = time.monotonic()
        if engine is None:
            made.extend(run_blocks(tasks, kept, progress))
        else:
            engine.on_block = _preview_maker(jobs.folder(job.id))
            engine.tell = lambda line: jobs.tell(job.id, line)
            made.extend(engine.run_blocks(tasks, kept, progress))
        took = time.monotonic() - began
        jobs.tell(
            job.id,
            f"embedded {len(tasks)} blocks in {took:.1f} s: {sum(one.chips for one in made)} new "
            f"chips, {sum(part.rows for part in kept)} were there",
        )
        return made

    summary: BuildSummary = build(
        request, Library(settings.home), report, run=blocks, storage=storage
    )
    # Scenes are kept in the collection; what they were made from is not needed twice.
    shutil.rmtree(_scratch(jobs, job), ignore_errors=True)
    manifest = Library(settings.home).open(summary.name).manifest
    return {
        **asdict(summary),
        "made": sum(block.chips for block in made),
        "mode": manifest.model.mode,
        "stride": manifest.stride,
    }


def _fetched(jobs: Jobs, job: Job, asked: JobRequest, report: OnProgress) -> BuildRequest:
    """The build with the rasters of its source fetched and added."""
    if not asked.source:
        return asked.build
    source = open_source(asked.source, **asked.options)
    scratch = _scratch(jobs, job)
    jobs.tell(job.id, f"fetching {len(asked.candidates)} images from {asked.source}")
    rasters = source.fetch(asked.build.area, asked.candidates, scratch, report)
    return replace(asked.build, scenes=(*asked.build.scenes, *rasters))


def _scratch(jobs: Jobs, job: Job) -> Path:
    """Where a job's imagery is fetched to; an interrupted fetch goes on there."""
    return jobs.home / "fetched" / job.collection


class _Report:
    """Writes progress into the job's record, seldom; raises `Cancelled` when somebody wants so."""

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
    """A strip of up to eight chips spread over a block, as JPEG."""
    import numpy as np

    places = [(col, row) for row in task.block.rows for col in task.block.cols]
    step = max(len(places) // PREVIEW_CHIPS, 1)
    with SceneReader(load_scene(task.folder / "scenes", task.scene_id)) as reader:
        pictures = [
            reader.thumbnail(col, row, 256, 256, PREVIEW_SIZE)
            for col, row in places[::step][:PREVIEW_CHIPS]
        ]
    return encode_image(np.concatenate(pictures, axis=1), "JPEG")


def _told(error: LookalikeError) -> dict[str, str]:
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
    }


def _failures(error: LookalikeError) -> tuple[dict[str, Any], ...]:
    return tuple(asdict(one) for one in error.failures) if isinstance(error, BlocksFailed) else ()


@contextmanager
def _gentle_end() -> Iterator[None]:
    """SIGTERM ends the runner like Ctrl-C does: workers are closed, the job is left resumable."""

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(home: str) -> None:
    """Entry point of the detached process."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    os.nice(5)
    present = replace(settings(), home=Path(home))
    try:
        with _gentle_end():
            work_through(Jobs(present.home), present)
    except KeyboardInterrupt:
        log.info("stopped; jobs that were running are resumed by the next runner")
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1])
