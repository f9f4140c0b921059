"""Figures and headings as every page says them."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape

import streamlit as st

THIN = "\u2009"


def count(number: float) -> str:
    """12345 → "12 345", with a thin space."""
    return f"{number:,.0f}".replace(",", THIN)


def square_km(size: float) -> str:
    """An area in km², with the digits its size deserves."""
    digits = 4 if size < 0.1 else 2 if size < 10 else 1 if size < 100 else 0
    return f"{size:,.{digits}f}".replace(",", THIN) + " km²"


def size(number: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """A time as people say it: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours >= 10 or not minutes:
        return f"{hours} h"
    return f"{hours} h {minutes} min"


def plural(number: int, thing: str) -> str:
    """1 → "1 job", 3 → "3 jobs"."""
    return f"{count(number)} {thing}" + ("" if number == 1 else "s")


def ago(moment: str) -> str:
    """How long an ISO 8601 moment is past: "just now", "5 min ago", "2016-08-16"."""
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    seconds = (datetime.now(timezone.utc) - then).total_seconds()
    if seconds < 60:
        return "just now"
    return f"{duration(seconds)} ago" if seconds < 86_400 else moment[:10]


def page_title(title: str) -> None:
    """The heading of a page."""
    st.html(f'<header class="lk-page-head"><h1>{escape(title)}</h1></header>')


def heading(title: str, fact: str = "") -> None:
    """The heading of one step, with what is settled so far; the style numbers those in sight."""
    told = f"<span>{escape(fact)}</span>" if fact else ""
    st.html(f'<h2 class="lk-step"><b></b>{escape(title)}{told}</h2>')
