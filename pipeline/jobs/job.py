"""One job: what it is asked, and its record."""

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
#: States from which a job can be resumed.
ENDED_EARLY = (CANCELLED, FAILED, INTERRUPTED)


@dataclass(frozen=True)
class Job:
    """One build and how it stands.

    Attributes:
        id: Sorts by the time it was asked for.
        collection: Collection it makes, continues or enlarges.
        title: What people call it.
        request: What is asked, JSON form of `JobRequest`.
        state: queued, running, cancelling, cancelled, failed, done or interrupted.
        stage: What is being done.
        done: Units of the stage finished.
        total: Units of the stage, 0 while unknown.
        unit: What is counted.
        note: A detail.
        rate: Units a second lately, or None.
        left: Seconds that remain of the stage, or None.
        created: When it was asked for, ISO 8601 UTC.
        started: When it was last started, or "".
        ended: When it ended, or "".
        attempts: How often it was started.
        error: Why it failed: what, where, remedy and kind.
        failures: Blocks that could not be made: block, reason, tries.
        summary: What was made, of a job that is done.
        engine: Where blocks are made: "in process", "2 workers" or a scheduler's address.
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
        """Whether it waits or runs."""
        return self.state in (QUEUED, RUNNING, CANCELLING)

    @property
    def share(self) -> float:
        """Part of the present stage that is finished, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the build noticed, of a job that is done."""
        return tuple((self.summary or {}).get("notes", ()))

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the request's geometry and candidates."""
        return {**asdict(self), "request": {"stride": self.request["build"].get("stride")}}


@dataclass(frozen=True)
class JobRequest:
    """What a job shall do: fetch imagery if it must, then build.

    Attributes:
        build: The build; fetched rasters are added to its scenes.
        source: Key of `sources.KINDS` to fetch from, or "".
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
            AreaError: If the area is not one of ours.
        """
        return cls(
            BuildRequest.from_dict(data["build"]),
            data["source"],
            data["options"],
            tuple(map(Candidate.from_dict, data["candidates"])),
        )


def engine_name(settings: Settings) -> str:
    """What `Job.engine` says for these settings."""
    if settings.scheduler:
        return settings.scheduler
    if settings.workers == 0:
        return "in process"
    return f"{settings.workers} worker{'s' if settings.workers > 1 else ''}"
