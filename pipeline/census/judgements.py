"""Judgements: who was asked which unit, and who answered what.

The journal is only ever appended to.  A unit is *in hand* while a reviewer was asked and has not
answered, for half an hour; a reviewer who is asked twice answers once.  Undoing appends a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipeline import dates, journal
from pipeline.errors import DamagedError, LookalikeError, NotFoundError, storage_errors
from pipeline.files import exclusive

#: Version of the journal.
SCHEMA = 1
#: Seconds for which a unit is kept for the reviewer who was asked.
IN_HAND = 1_800
ASKED, ANSWERED, UNDONE, SKIPPED = "asked", "answered", "undone", "skipped"
_REMEDY = "Restore it from a backup; the units and scores are whole"


class Conflict(LookalikeError):
    """Somebody judged this unit already."""

    exit_code = 2
    http_status = 409


@dataclass(frozen=True)
class Answer:
    """One judgement.

    Attributes:
        unit: Id of the unit.
        reviewer: Who gave it.
        count: Things in the unit; None for "cannot tell".
        time: When, ISO 8601 UTC.
        points: Longitude and latitude of each thing that was clicked, or None if it was counted.
        round: Number of the round.
        seconds: How long it took, or None.
    """

    unit: str
    reviewer: str
    count: int | None
    time: str
    points: tuple[tuple[float, float], ...] | None = None
    round: int = 1
    seconds: float | None = None

    @classmethod
    def from_line(cls, line: dict[str, Any]) -> Answer:
        """The answer in a line of the journal."""
        points = line.get("points")
        return cls(
            unit=str(line["unit"]),
            reviewer=str(line["reviewer"]),
            count=None if line["count"] is None else int(line["count"]),
            time=str(line["time"]),
            points=None if points is None else tuple((float(x), float(y)) for x, y in points),
            round=int(line.get("round", 1)),
            seconds=None if line.get("seconds") is None else float(line["seconds"]),
        )

    def to_line(self) -> dict[str, Any]:
        """The answer as a line of the journal."""
        line = {"event": ANSWERED, **vars(self)}
        return {key: value for key, value in line.items() if value is not None or key == "count"}


@dataclass(frozen=True)
class State:
    """What the journal says now.

    Attributes:
        answers: The answers that hold by unit, the first given first.
        asked: When each unit was last handed to each reviewer who has not answered it since.
        skipped: Units that a reviewer put off, by reviewer, in that order.
        ever: Units that each reviewer was ever asked.
        order: Answers that hold in the order they were given.
        keys: Keys of requests that were answered.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    ever: dict[str, set[str]] = field(default_factory=dict)
    order: list[Answer] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def in_hand(self, reviewer: str, *, fresh: bool = False) -> list[str]:
        """Units that a reviewer was asked and has not answered, those put off last.

        Args:
            reviewer: The reviewer.
            fresh: Without those that were handed out too long ago.
        """
        now = datetime.now(timezone.utc)
        mine = [
            unit
            for unit, asked in self.asked.items()
            if reviewer in asked and not (fresh and _seconds(asked[reviewer], now) > IN_HAND)
        ]
        later = self.skipped.get(reviewer, [])
        return sorted(mine, key=lambda unit: later.index(unit) + 1 if unit in later else 0)

    def held_by_others(self, reviewer: str) -> set[str]:
        """Units that another reviewer has in hand."""
        now = datetime.now(timezone.utc)
        return {
            unit
            for unit, asked in self.asked.items()
            if any(
                other != reviewer and _seconds(when, now) <= IN_HAND
                for other, when in asked.items()
            )
        }


def _seconds(when: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(when.replace("Z", "+00:00"))).total_seconds()


class Judgements:
    """The journal of a census.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def lock(self) -> AbstractContextManager[None]:
        """Hold the journal, for what is read and then appended to.

        Raises:
            NotFoundError: If its folder is gone, which a lock would make anew.
        """
        if not self.path.parent.is_dir():
            raise NotFoundError(
                "The census was deleted or its collection renamed meanwhile",
                where=self.path.parent.name,
                remedy="Open it again: `python -m pipeline census list` lists those there are",
            )
        return exclusive(self.path.with_suffix(".lock"))

    def lines(self) -> list[dict[str, Any]]:
        """All lines, oldest first.

        Raises:
            DamagedError: If one is none.
        """
        return journal.read(self.path, SCHEMA, what="A journal of judgements", remedy=_REMEDY)

    def append(self, lines: Sequence[dict[str, Any]]) -> None:
        """Append lines, all or none; the caller holds the lock.

        Raises:
            StorageError: If they cannot be written.
        """
        if lines:
            with storage_errors(self.path):
                journal.append(self.path, lines, SCHEMA)

    def state(self) -> State:
        """What the journal says now.

        Raises:
            DamagedError: If a line is no judgement.
        """
        return state_of(self.lines(), self.path)

    def history(self) -> list[Answer]:
        """Every answer that was ever given."""
        return [Answer.from_line(line) for line in self.lines() if line["event"] == ANSWERED]


def state_of(lines: Iterable[dict[str, Any]], where: object) -> State:
    """What lines of a journal say.

    Raises:
        DamagedError: If one is no judgement.
    """
    state = State()
    try:
        for line in lines:
            _follow(state, line)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(
            "A journal of judgements is damaged", where=where, remedy=_REMEDY
        ) from error
    return state


def _follow(state: State, line: dict[str, Any]) -> None:
    event, reviewer = line["event"], str(line["reviewer"])
    if event == ANSWERED:
        answer = Answer.from_line(line)
        given = state.answers.setdefault(answer.unit, [])
        given[:] = [each for each in given if each.reviewer != reviewer]
        given.append(answer)
        state.order[:] = [
            each for each in state.order if (each.unit, each.reviewer) != (answer.unit, reviewer)
        ]
        state.order.append(answer)
        _drop(state, answer.unit, reviewer)
        if line.get("key"):
            state.keys.add(str(line["key"]))
        return
    units = [str(unit) for unit in line["units"]]
    if event == ASKED:
        for unit in units:
            state.asked.setdefault(unit, {})[reviewer] = str(line["time"])
            state.ever.setdefault(reviewer, set()).add(unit)
    elif event == SKIPPED:
        for unit in units:
            later = state.skipped.setdefault(reviewer, [])
            later[:] = [*(each for each in later if each != unit), unit]
    elif event == UNDONE:
        for unit in units:
            given = state.answers.get(unit, [])
            given[:] = [each for each in given if each.reviewer != reviewer]
            if not given:
                state.answers.pop(unit, None)
            state.order[:] = [
                each for each in state.order if (each.unit, each.reviewer) != (unit, reviewer)
            ]
            state.asked.setdefault(unit, {})[reviewer] = str(line["time"])
    else:
        raise ValueError(f"{event!r} is no event")


def _drop(state: State, unit: str, reviewer: str) -> None:
    asked = state.asked.get(unit, {})
    asked.pop(reviewer, None)
    if not asked:
        state.asked.pop(unit, None)
    if unit in state.skipped.get(reviewer, []):
        state.skipped[reviewer].remove(unit)


def note(event: str, reviewer: str, units: Sequence[str]) -> dict[str, Any]:
    """A line about units that a reviewer was asked, put off or takes back."""
    return {"event": event, "reviewer": reviewer, "units": list(units), "time": dates.now()}
