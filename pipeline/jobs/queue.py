"""Jobs: builds that outlive the page or the terminal that asked for them.

    jobs/<id>/job.json     what is asked and how it stands; written whole, by one process at a time
    jobs/<id>/log.txt      what happened, a line each
    jobs/<id>/preview.jpg  chips of the block finished last
    jobs/<id>/stop         somebody wants it cancelled
    jobs/<id>/.running     locked by the process that runs it

A job is run by a runner (`pipeline.jobs.runner`), a process of its own that works through the
queue.  A job that says it runs while nobody holds its lock was interrupted: the next runner resumes
it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.build.request import BuildRequest
from pipeline.collection.names import check_name
from pipeline.dates import now
from pipeline.errors import DamagedError, NotFoundError, QueryError, StorageError, storage_errors
from pipeline.files import exclusive, is_locked, read_versioned, write_versioned
from pipeline.jobs.job import (
    CANCELLED,
    CANCELLING,
    ENDED_EARLY,
    INTERRUPTED,
    QUEUED,
    RUNNING,
    Job,
    JobRequest,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pipeline.collection.collection import Collection
    from pipeline.collection.library import Library

#: Version of a job's record.
SCHEMA = 1
KEPT = 200
#: Interrupted jobs are resumed by themselves up to so many starts.
MOST_ATTEMPTS = 5
_ID = re.compile(r"\d{6}-\d{9}")


class Jobs:
    """All jobs of one home, as the app, the terminal and the REST interface see them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._runner: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """Folder of the jobs."""
        return self.home / "jobs"

    def folder(self, job_id: str) -> Path:
        """Folder of one job.

        Raises:
            NotFoundError: If there is none.
        """
        path = self.root / job_id
        if not (_ID.fullmatch(job_id) and (path / "job.json").is_file()):
            raise NotFoundError(
                "There is no such job",
                where=job_id[:40],
                remedy="`python -m pipeline jobs list` shows those there are",
            )
        return path

    def submit(self, request: JobRequest | BuildRequest, *, start: bool = True) -> Job:
        """Queue a build, and start a runner unless one works already.

        Args:
            request: What to do.
            start: Whether to start a runner; otherwise whoever calls runs it.

        Raises:
            QueryError: If the collection's name cannot be used, or a job for it is under way.
            StorageError: If the home cannot be written.
        """
        if not isinstance(request, JobRequest):
            request = JobRequest(request)
        name = check_name(request.build.name)
        with self._mutex():
            for other in self.all():
                if other.collection == name and other.active:
                    raise QueryError(
                        "A job for this collection is under way",
                        where=f"{name}, job {other.id}",
                        remedy="Wait for it to end, or cancel it",
                    )
                if other.collection == name and other.state == INTERRUPTED:
                    # The new job continues it; two would make the same blocks.
                    self.write(replace(other, state=CANCELLED, note="Continued by a later job"))
            job = Job(
                id=self._free_id(),
                collection=name,
                title=request.build.title or name,
                request=request.to_dict(),
                created=now(),
            )
            self.write(job)
        self.tell(job.id, "queued")
        self._tidy()
        if start:
            self.start_runner()
        return job

    def all(self) -> list[Job]:
        """All jobs, the newest first; one whose record is damaged is left out."""
        if not self.root.is_dir():
            return []
        found = []
        for path in sorted(self.root.glob("*/job.json"), reverse=True):
            try:
                found.append(self._read(path))
            except DamagedError:
                continue
        return found

    def get(self, job_id: str) -> Job:
        """One job as it now stands.

        Raises:
            NotFoundError: If there is none.
            NewerError: If a newer version wrote its record.
            DamagedError: If its record cannot be read.
        """
        return self._read(self.folder(job_id) / "job.json")

    def cancel(self, job_id: str) -> Job:
        """Stop a job; one that runs stops within seconds and keeps its finished blocks.

        Raises:
            NotFoundError: If there is none.
            QueryError: If it has ended.
        """
        with self._mutex():
            job = self.get(job_id)
            if not (job.active or job.state == INTERRUPTED):
                raise QueryError(
                    f"This job is {job.state} already", where=job_id, remedy="Nothing to cancel"
                )
            (self.folder(job_id) / "stop").touch()
            if job.state in (QUEUED, INTERRUPTED):
                job = replace(job, state=CANCELLED, ended=now())
                self.write(job)
                self.tell(job_id, "cancelled before it ran")
            else:
                self.tell(job_id, "cancelling")
        return self.get(job_id)

    def resume(self, job_id: str, *, start: bool = True) -> Job:
        """Queue a job again that was cancelled, failed or interrupted; done blocks are kept.

        Raises:
            NotFoundError: If there is none.
            QueryError: If it is under way or done, or another job for its collection is.
        """
        with self._mutex():
            job = self.get(job_id)
            if job.state not in ENDED_EARLY:
                raise QueryError(
                    f"This job is {job.state}",
                    where=job_id,
                    remedy="Only a job that was cancelled, failed or interrupted can be resumed",
                )
            for other in self.all():
                if other.active and other.collection == job.collection:
                    raise QueryError(
                        "Another job for this collection is under way",
                        where=other.id,
                        remedy="Wait for it to end, or cancel it",
                    )
            (self.folder(job_id) / "stop").unlink(missing_ok=True)
            job = replace(job, state=QUEUED, ended="", error=None, failures=(), note="", attempts=0)
            self.write(job)
        self.tell(job_id, "queued again")
        if start:
            self.start_runner()
        return job

    def remove(self, job_id: str) -> None:
        """Forget a job that has ended; its collection stays.

        Raises:
            NotFoundError: If there is none.
            QueryError: If it waits or runs.
        """
        with self._mutex():
            if self.get(job_id).active:
                raise QueryError("This job is under way", where=job_id, remedy="Cancel it first")
            shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def rename_collection(self, library: Library, name: str, new_name: str) -> Collection:
        """`Library.rename`, unless a build waits, which would make a collection of the old name.

        Raises:
            NotFoundError: If there is no such collection.
            QueryError: If the new name cannot be used or is taken.
            StorageError: If a build of it runs or waits.
        """
        library.open(name)
        if any(job.collection == name for job in self.queue()):
            raise StorageError(
                "A build of this collection is queued",
                where=name,
                remedy="Wait for it to end, or cancel it",
            )
        return library.rename(name, new_name)

    def log(self, job_id: str, *, last: int = 200) -> list[str]:
        """The last lines of a job's log."""
        path = self.folder(job_id) / "log.txt"
        return path.read_text("utf-8").splitlines()[-last:] if path.exists() else []

    def preview(self, job_id: str) -> Path | None:
        """A JPEG of the chips made last, if there is one."""
        path = self.folder(job_id) / "preview.jpg"
        return path if path.is_file() else None

    def queue(self) -> list[Job]:
        """What a runner shall do, the oldest first: queued jobs and interrupted ones.

        One that was interrupted again and again waits for somebody to resume it: it may be what
        ends the runner.
        """
        return [
            job
            for job in reversed(self.all())
            if job.state == QUEUED or (job.state == INTERRUPTED and job.attempts < MOST_ATTEMPTS)
        ]

    def start_runner(self) -> bool:
        """Start a runner in a process of its own if there is work and none runs.

        The runner belongs to nobody: it survives the app, the terminal and the browser.

        Returns:
            Whether one was started.
        """
        if self._runner is not None:
            self._runner.poll()  # one that ended is not left a zombie; one at work holds the lock
        if not self.queue() or is_locked(self.root / ".runner"):
            return False
        with storage_errors(self.root), (self.root / "runner.log").open("a") as log:
            self._runner = subprocess.Popen(
                [sys.executable, "-m", "pipeline.jobs.runner", str(self.home)],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return True

    def tell(self, job_id: str, line: str) -> None:
        """Append a line to a job's log."""
        path = self.root / job_id / "log.txt"
        with storage_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(f"{now()} {line}\n")

    def write(self, job: Job) -> None:
        """Write a job's record, whole or not at all."""
        write_versioned(self.root / job.id / "job.json", asdict(job), SCHEMA)

    def _read(self, path: Path) -> Job:
        remedy = f"Remove the folder {path.parent.name}"
        content = read_versioned(path, newest=SCHEMA, what="A job's record", remedy=remedy)
        try:
            known = {k: v for k, v in content.items() if k in Job.__dataclass_fields__}
            job = Job(**{**known, "failures": tuple(known.get("failures", ()))})
        except TypeError as error:
            raise DamagedError("A job's record is damaged", where=path, remedy=remedy) from error
        if job.state in (RUNNING, CANCELLING):
            stopping = (path.parent / "stop").exists()
            if not is_locked(path.parent / ".running"):
                state = CANCELLED if stopping else INTERRUPTED
                return replace(job, state=state, rate=None, left=None)
            if stopping:
                return replace(job, state=CANCELLING)
        return job

    def _mutex(self) -> AbstractContextManager[None]:
        """Held while a job changes its state, so that two requests do not interleave."""
        return exclusive(self.root / ".mutex")

    def _free_id(self) -> str:
        """The present to the millisecond, which sorts; called with the mutex held."""
        while True:
            job_id = datetime.now(timezone.utc).strftime("%y%m%d-%H%M%S%f")[:-3]
            if not (self.root / job_id).exists():
                return job_id
            time.sleep(0.001)

    def _tidy(self) -> None:
        for job in self.all()[KEPT:]:
            if not job.active:
                shutil.rmtree(self.root / job.id, ignore_errors=True)
