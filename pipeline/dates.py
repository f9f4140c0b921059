"""Moments as they are written down everywhere: ISO 8601 in UTC, to the second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import QueryError

if TYPE_CHECKING:
    pass


from contextlib import suppress
from datetime import datetime, timezone


def now() -> str:
    """The present."""
    return written(datetime.now(timezone.utc))


def written(moment: datetime) -> str:
    """A moment that knows its time zone."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def read(text: str) -> str:
    """A date or time as ISO 8601 has it; in UTC where it names no time zone.

    Raises:
        ValueError: If it is none.
    """
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return written(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc))


def told(text: str | None) -> str | None:
    """The moment that a catalogue tells, or at least its day; None if it tells none."""
    for part in (text, text[:10]) if text else ():
        with suppress(ValueError):  # Python 3.10 does not read every fraction of a second
            return read(part)
    return None


def at(seconds: float) -> str:
    """The moment so many seconds after the start of 1970 in UTC."""
    return written(datetime.fromtimestamp(seconds, timezone.utc))


@dataclass(frozen=True)
class Dates:
    """A span of days, both ends included; None is open.

    Attributes:
        start: First day, `YYYY-MM-DD`.
        end: Last day, `YYYY-MM-DD`.
    """

    start: str | None = None
    end: str | None = None

    @classmethod
    def parse(cls, text: str) -> Dates:
        """Dates from `2016`, `2016-08`, `2016-08-16` or two of these around a slash.

        Raises:
            QueryError: If a part is not a date or the span runs backwards.
        """
        first, slash, last = text.strip().partition("/")
        span = cls(_day(first, end=False), _day(last if slash else first, end=True))
        if span.start and span.end and span.start > span.end:
            raise QueryError(
                "These dates run backwards", where=text, remedy="Put the earlier date first"
            )
        return span

    @property
    def day_after(self) -> str | None:
        """The day after the last one, for services whose end is exclusive."""
        from datetime import date, timedelta

        return str(date.fromisoformat(self.end) + timedelta(days=1)) if self.end else None

    def holds(self, moment: str | None) -> bool:
        """Whether an ISO 8601 moment lies inside; an undated scene always does."""
        if moment is None:
            return True
        day = moment[:10]
        return (self.start is None or day >= self.start) and (self.end is None or day <= self.end)

    def __str__(self) -> str:
        if not (self.start or self.end):
            return "any date"
        return f"{self.start or '…'} to {self.end or '…'}"


def _day(text: str, *, end: bool) -> str | None:
    from calendar import monthrange
    from datetime import date

    text = text.strip()
    if text in ("", ".."):
        return None
    try:
        parts = [int(part) for part in text.split("-")]
        year = parts[0]
        if not 1800 <= year <= 2200:
            raise ValueError(year)
        month = parts[1] if len(parts) > 1 else (12 if end else 1)
        last = monthrange(year, month)[1]
        day = parts[2] if len(parts) > 2 else (last if end else 1)
        return str(date(year, month, day))
    except (ValueError, IndexError) as error:
        raise QueryError(
            "This is not a date", where=text, remedy="Write 2016-08-16, 2016-08 or 2016"
        ) from error
