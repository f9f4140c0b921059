"""Numbers, sizes, durations, dates and titles as every page writes them."""

from __future__ import annotations

from datetime import datetime, timezone

THIN = "\u2009"


def count(number: float) -> str:
    """12345 → "12 345", with a thin space."""
    return f"{number:,.0f}".replace(",", THIN)


def percent(share: float) -> str:
    """0.8125 → "81.2%"."""
    return f"{100 * share:.3g}%"


def square_km(area: float) -> str:
    """An area in km², with as many digits as its size needs."""
    digits = 4 if area < 0.1 else 2 if area < 10 else 1 if area < 100 else 0
    return f"{area:,.{digits}f}".replace(",", THIN) + " km²"


def size(number: float) -> str:
    """Bytes: "12 kB", "3.4 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """A duration: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours >= 10 or not minutes:
        return f"{hours} h"
    return f"{hours} h {minutes} min"


def plural(number: int, noun: str, many: str = "") -> str:
    """1 → "1 job", 3 → "3 jobs"; `many` is a plural that does not just end in s."""
    return f"{count(number)} {noun if number == 1 else many or noun + 's'}"


def ago(timestamp: str) -> str:
    """How long ago an ISO 8601 timestamp was: "just now", "5 min ago", "2016-08-16"."""
    then = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    seconds = (datetime.now(timezone.utc) - then).total_seconds()
    if seconds < 60:
        return "just now"
    return f"{duration(seconds)} ago" if seconds < 86_400 else timestamp[:10]


def escape_markdown(text: str) -> str:
    """Text in which Markdown finds nothing of its own, for labels and captions."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!<>$~|:" else c for c in text)
