"""Moments as they are written down everywhere: ISO 8601 in UTC, to the second."""

from __future__ import annotations

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
