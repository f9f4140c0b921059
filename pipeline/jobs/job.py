"""A job: its request and its record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.build.request import BuildRequest
from pipeline.sources.candidates import Candidate

if TYPE_CHECKING:
    from pipeline.settings import Settings

QUEUED, RUNNING, CANCELLING = "queued", "running", "cancelling"
CANCELLED, FAILED, DONE, INTERRUPTED = "cancelled", "failed", "done", "interrupted"
STATES = (QUEUED, RUNNING, CANCELLING, CANCELLED, FAILED, DONE, INTERRUPTED)
#: States from which a job can be resumed.
ENDED_EARLY = (CANCELLED, FAILED, INTERRUPTED)


@dataclass(frozen=True)
class Job:
    """One build or object search, and its state.

    Attributes:
        id: Identifier, which sorts by the time of the request.
        collection: Name of the collection that it builds, or that keeps what a search finds.
        title: Title of the collection.
        request: JSON form of its `JobRequest` or `ObjectSearchRequest`.
        state: queued, running, cancelling, cancelled, failed, done or interrupted.
        stage: Current stage.
        done: Finished units of the stage.
        total: Total units of the stage, 0 while unknown.
        unit: Name of the units.
        note: A detail.
        rate: Units per second, or None.
        left: Seconds left of the stage, or None.
        created: When it was queued, ISO 8601 UTC.
        started: When it was last started, or "".
        ended: When it ended, or "".
        attempts: Number of starts.
        error: Why it failed: what, where, remedy and kind.
        failures: Blocks that could not be made: block, reason, tries.
        summary: Summary of the build or of the search, once the job is done.
        engine: Where blocks are built: "in process", "2 workers" or a scheduler's address.
    """

    id: str
    collection: str
    title: str
    request: dict[str, Any]
    state: str = QUEUED
    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""
    rate: float | None = None
    left: float | None = None
    created: str = ""
    started: str = ""
    ended: str = ""
    attempts: int = 0
    error: dict[str, str] | None = None
    failures: tuple[dict[str, Any], ...] = ()
    summary: dict[str, Any] | None = None
    engine: str = ""

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in (QUEUED, RUNNING, CANCELLING)

    @property
    def is_search(self) -> bool:
        """Whether it is an object search; otherwise it is a build."""
        return "objects" in self.request

    @property
    def share(self) -> float:
        """Finished share of the current stage, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of the build or of the search, once the job is done."""
        return tuple((self.summary or {}).get("notes", ()))

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the request's geometry and candidates."""
        build = self.request.get("build", {})
        kind = "objects" if self.is_search else "build"
        asked = {key: build.get(key) for key in ("stride", "object_size", "quality")}
        return {**asdict(self), "kind": kind, "request": asked}


def check_kinds(job: Job) -> None:
    """Raise `TypeError` if a value of a record is not of its field's type."""
    texts = (
        *(job.id, job.collection, job.title, job.state, job.stage, job.unit, job.note),
        *(job.created, job.started, job.ended, job.engine),
        *(job.error or {}).values(),
    )
    asked = job.request.get("objects" if job.is_search else "build")
    objects = (job.request, asked, job.error or {}, job.summary or {})
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is not a string")
    if not all(type(number) is int for number in (job.done, job.total, job.attempts)):
        raise TypeError("a count is not an integer")
    if not all(isinstance(number, (int, float)) for number in (job.rate or 0, job.left or 0)):
        raise TypeError("a rate is not a number")
    if not all(isinstance(item, dict) for item in (*objects, *job.failures)):
        raise TypeError("an object is not a dict")
    if job.state not in STATES:
        raise TypeError(f"{job.state!r} is not a state")


@dataclass(frozen=True)
class JobRequest:
    """Request of a job: imagery to fetch, if any, and the build.

    Attributes:
        build: The build, to whose scenes fetched rasters are added.
        source: Key of `sources.registry.KINDS` to fetch from, or "".
        options: Options of that source.
        candidates: What to fetch.
    """

    build: BuildRequest
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form; `from_dict` reads it back."""
        plain = {
            "build": self.build.to_dict(),
            "source": self.source,
            "options": dict(self.options),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }
        return dict(json.loads(json.dumps(plain, default=str)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JobRequest:
        """The request that `to_dict` wrote.

        Raises:
            AreaError: If the area is malformed.
        """
        return cls(
            BuildRequest.from_dict(data["build"]),
            data["source"],
            data["options"],
            tuple(map(Candidate.from_dict, data["candidates"])),
        )


def engine_name(settings: Settings) -> str:
    """The value of `Job.engine` for these settings."""
    if settings.scheduler:
        return settings.scheduler
    if settings.workers == 0:
        return "in process"
    return f"{settings.workers} worker{'s' if settings.workers > 1 else ''}"
