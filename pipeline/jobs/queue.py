"""The queue of jobs: builds and object searches that outlive the page or terminal that asked.

    jobs/<id>/job.json     request and state; one process at a time writes it
    jobs/<id>/log.txt      log, one event per line
    jobs/<id>/preview.jpg  chips of the block that was finished last
    jobs/<id>/stop         exists if the job is to be cancelled
    jobs/<id>/.running     locked by the process that runs the job

A runner (`pipeline.jobs.runner`), a process of its own, works through the queue.  A job whose state
is running although its lock is free was interrupted; the next runner resumes it.
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
from typing import TYPE_CHECKING, Any

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
    check_kinds,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pipeline.collection.collection import Collection
    from pipeline.collection.library import Library
    from pipeline.jobs.object_search import ObjectSearchRequest

#: Version of a job's record.
SCHEMA = 1
#: Number of latest jobs whose records are kept.
KEPT = 200
#: Interrupted jobs are resumed automatically up to this number of starts.
MOST_ATTEMPTS = 5
_ID = re.compile(r"\d{6}-\d{9}")


class Jobs:
    """All jobs of one home folder, shared by the app, the command line and REST."""

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
                remedy="List the jobs with `python -m pipeline jobs list`",
            )
        return path

    def submit(self, request: JobRequest | BuildRequest, *, start: bool = True) -> Job:
        """Queue a build, and start a runner unless one is running.

        Args:
            request: The build.
            start: Whether to start a runner; otherwise the caller runs the job.

        Raises:
            QueryError: If the collection's name is invalid or it has an active job.
            StorageError: If the home folder is not writable.
        """
        if not isinstance(request, JobRequest):
            request = JobRequest(request)
        name = check_name(request.build.name)
        with self._mutex():
            for other in self.all():
                if other.collection != name or other.is_search:
                    continue
                if other.active:
                    raise QueryError(
                        "A job for this collection is under way",
                        where=f"{name}, job {other.id}",
                        remedy="Wait for it to end, or cancel it",
                    )
                if other.state == INTERRUPTED:
                    # The new job continues it; both would build the same blocks.
                    note = "Continued by a later job"
                    self.write(replace(other, state=CANCELLED, ended=now(), note=note))
            job = self._add(name, request.build.title or name, request.to_dict())
        self._begin(job, start)
        return job

    def search(self, request: ObjectSearchRequest, *, start: bool = True) -> Job:
        """Queue an object search, and start a runner unless one is running.

        The same search is not queued twice: whoever asks again, such as a page that is reloaded,
        gets the job that is under way.  A running one has read its marks and labels already, which
        may have grown since, and one that is being cancelled finds nothing.

        Args:
            request: The search.
            start: Whether to start a runner; otherwise the caller runs the job.

        Raises:
            StorageError: If the home folder is not writable.
        """
        with self._mutex():
            fields = request.to_dict()
            shared = (QUEUED,) if request.recipe.marks or request.labels else (QUEUED, RUNNING)
            for other in self.all():
                if other.state in shared and other.request == fields:
                    return other
            title = request.title or f"Objects: {request.label}"
            job = self._add(request.names[0], title, fields)
        self._begin(job, start)
        return job

    def _add(self, collection: str, title: str, request: dict[str, Any]) -> Job:
        """Write the record of a new job; the mutex is held."""
        job = Job(
            id=self._free_id(), collection=collection, title=title, request=request, created=now()
        )
        self.write(job)
        return job

    def _begin(self, job: Job, start: bool) -> None:
        self.tell(job.id, "queued")
        self._tidy()
        if start:
            self.start_runner()

    def all(self) -> list[Job]:
        """All jobs, the newest first, except those whose records are damaged."""
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
        """One job in its current state.

        Raises:
            NotFoundError: If there is none.
            NewerError: If a newer version wrote its record.
            DamagedError: If its record cannot be read.
        """
        return self._read(self.folder(job_id) / "job.json")

    def cancel(self, job_id: str) -> Job:
        """Cancel a job.  A running one stops within seconds and keeps its finished blocks.

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
        """Queue a cancelled, failed or interrupted job again; finished blocks are kept.

        Raises:
            NotFoundError: If there is none.
            QueryError: If it is active or done, or its collection has another active job.
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
                both_build = not (other.is_search or job.is_search)
                if both_build and other.active and other.collection == job.collection:
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
        """Remove an ended job from the list; its collection stays.

        Raises:
            NotFoundError: If there is none.
            QueryError: If it is active.
        """
        with self._mutex():
            if self.get(job_id).active:
                raise QueryError("This job is under way", where=job_id, remedy="Cancel it first")
            shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def rename_collection(self, library: Library, name: str, new_name: str) -> Collection:
        """`Library.rename`, unless a job is queued: a build would recreate the old name.

        Raises:
            NotFoundError: If there is no such collection.
            QueryError: If the new name cannot be used or is taken.
            StorageError: If a build of it is running, or a job for it is queued.
        """
        library.open(name)
        if any(job.collection == name for job in self.queue()):
            raise StorageError(
                "A job for this collection is queued",
                where=name,
                remedy="Wait for it to end, or cancel it",
            )
        return library.rename(name, new_name)

    def log(self, job_id: str, *, last: int = 200) -> list[str]:
        """The last lines of a job's log; none if it cannot be read."""
        path = self.folder(job_id) / "log.txt"
        try:
            return path.read_text("utf-8", "replace").splitlines()[-last:]
        except OSError:
            return []

    def preview(self, job_id: str) -> Path | None:
        """The JPEG of the latest chips, if there is one."""
        path = self.folder(job_id) / "preview.jpg"
        return path if path.is_file() else None

    def queue(self) -> list[Job]:
        """Queued and interrupted jobs in the order in which a runner takes them.

        A job that was interrupted many times is left for the user to resume, because it may be
        what ends the runner.
        """
        return [
            job
            for job in reversed(self.all())
            if job.state == QUEUED or (job.state == INTERRUPTED and job.attempts < MOST_ATTEMPTS)
        ]

    def start_runner(self) -> bool:
        """Start a runner, detached from this process, if jobs wait and no runner is running.

        Returns:
            Whether a runner was started.
        """
        if self._runner is not None:
            self._runner.poll()  # reaps a runner that ended; a working one holds the lock
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
        """Append a line to a job's log, unless a folder is in its place."""
        path = self.root / job_id / "log.txt"
        if path.is_dir():
            return
        with storage_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(f"{now()} {line}\n")

    def write(self, job: Job) -> None:
        """Write a job's record, completely or not at all."""
        write_versioned(self.root / job.id / "job.json", asdict(job), SCHEMA)

    def _read(self, path: Path) -> Job:
        remedy = f"Remove the folder {path.parent.name}"
        content = read_versioned(path, newest=SCHEMA, what="A job's record", remedy=remedy)
        try:
            known = {k: v for k, v in content.items() if k in Job.__dataclass_fields__}
            job = Job(**{**known, "failures": tuple(known.get("failures", ()))})
            check_kinds(job)
        except (AttributeError, TypeError) as error:
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
        """The lock for changes of state, so that two requests do not interleave."""
        return exclusive(self.root / ".mutex")

    def _free_id(self) -> str:
        """The current time to the millisecond; call it with the mutex held."""
        while True:
            job_id = datetime.now(timezone.utc).strftime("%y%m%d-%H%M%S%f")[:-3]
            if not (self.root / job_id).exists():
                return job_id
            time.sleep(0.001)

    def _tidy(self) -> None:
        for job in self.all()[KEPT:]:
            if not job.active:
                shutil.rmtree(self.root / job.id, ignore_errors=True)
