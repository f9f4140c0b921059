"""Dates and times: ISO 8601 in UTC, to the second; and spans of days."""

from __future__ import annotations

from calendar import monthrange
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from pipeline.errors import QueryError


def now() -> str:
    """The current time."""
    return format_utc(datetime.now(timezone.utc))


def format_utc(moment: datetime) -> str:
    """Format an aware datetime."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def parse(text: str) -> str:
    """Normalise an ISO 8601 date or time; UTC unless it names a time zone.

    Raises:
        ValueError: If it is not one.
    """
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return format_utc(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc))


def parse_lenient(text: str | None) -> str | None:
    """Normalise a catalogue's time, or at least its day; None if neither can be read."""
    for part in (text, text[:10]) if text else ():
        with suppress(ValueError):  # Python 3.10 does not read every fraction of a second
            return parse(part)
    return None


def from_timestamp(seconds: float) -> str:
    """Format a Unix timestamp."""
    return format_utc(datetime.fromtimestamp(seconds, timezone.utc))


@dataclass(frozen=True)
class Dates:
    """A span of days, both ends included; an end may be open (None).

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
        return str(date.fromisoformat(self.end) + timedelta(days=1)) if self.end else None

    def holds(self, moment: str | None) -> bool:
        """Whether an ISO 8601 time is within the span; None, of an undated scene, always is."""
        if moment is None:
            return True
        day = moment[:10]
        return (self.start is None or day >= self.start) and (self.end is None or day <= self.end)

    @property
    def phrase(self) -> str:
        """ " between 2016-01-01 and 2016-12-31", " from 2016-01-01 on" and so on, or ""."""
        if self.start and self.end:
            return f" between {self.start} and {self.end}"
        return f" from {self.start} on" if self.start else f" until {self.end}" * bool(self.end)

    def __str__(self) -> str:
        if not (self.start or self.end):
            return "any date"
        return f"{self.start or '…'} to {self.end or '…'}"


def _day(text: str, *, end: bool) -> str | None:
    text = text.strip()
    if text in ("", ".."):
        return None
    try:
        parts = [int(part) for part in text.split("-")]
        year = parts[0]
        if len(parts) > 3:
            raise ValueError(text)
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
