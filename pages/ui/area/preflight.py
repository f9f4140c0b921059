"""The Area page's pre-flight: what the build needs and makes, and what stops it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.area.step import heading
from pages.ui.formatting import THIN, count, duration, percent, size, square_km
from pages.ui.server import jobs, open_collections
from pipeline.build.build import default_mode
from pipeline.build.preflight import Notice, Pace, Preflight, preflight
from pipeline.jobs.pace import pace_of
from pipeline.settings import settings

if TYPE_CHECKING:
    from pipeline.geo.area import Area
    from pipeline.jobs.chosen_imagery import ChosenImagery
    from pipeline.model.descriptor import Quality


def check(
    area: Area | None,
    imagery: ChosenImagery | None,
    stride: int,
    quality: Quality,
    object_size: float | None,
) -> Preflight:
    """Show what the build needs and makes, and what to know before it."""
    result = preflight(
        area,
        imagery.chosen if imagery else (),
        stride=stride,
        pace=_pace(stride),
        home=settings().home,
        estimate=imagery.estimate if imagery else None,
        mode=default_mode(stride),
        object_size=object_size,
        quality=quality,
    )
    heading("Pre-flight", "ready to build" if result.ready else "not ready to build")
    with st.container():
        if imagery and imagery.chosen:
            _figures(result)
    for notice in result.notices:
        if not (area and notice.what in area.notes):  # those stand at the outline
            show_notice(notice)
    return result


@st.cache_data(ttl=20, show_spinner=False)
def _pace(stride: int) -> Pace:
    return pace_of(jobs(), open_collections().library, settings(), default_mode(stride), stride)


def _figures(result: Preflight) -> None:
    rows = [
        ("Coverage", f"{percent(result.share)} of {square_km(result.area_km2)}"),
        ("Pixels", _millions(result.pixels)),
        ("Chips", count(result.chips)),
        ("Object cells", _cells(result)),
        ("Time", build_time(result)),
        ("Disk", f"{size(result.disk)} of {size(result.free)} free"),
    ]
    if result.transfer:
        rows.insert(5, ("Download", size(result.transfer)))
    cells = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in rows)
    st.html(f'<dl class="lk-figures" aria-label="What the build needs">{cells}</dl>')
    st.caption(
        "Time estimated from earlier builds on this machine."
        if result.pace.known
        else "The time is a rough estimate; it improves after your first build."
    )


def build_time(result: Preflight) -> str:
    """The time that the build takes, and whether it is more than a guess."""
    about = f"about {duration(result.seconds)}"
    return about if result.pace.known else f"{about} (rough estimate)"


def _cells(result: Preflight) -> str:
    if not result.cell_seconds:
        return f"{_millions(result.cells)}, with the chips"
    return f"{_millions(result.cells)}, about {duration(result.cell_seconds)}"


def _millions(pixels: int) -> str:
    if pixels < 1_000_000:
        return count(pixels)
    return f"{pixels / 1e6:,.1f}".replace(",", THIN) + " million"


def show_notice(notice: Notice) -> None:
    """Show one notice of the pre-flight, or one note on the outline."""
    remedy = f"<span>{escape(notice.remedy)}.</span>" if notice.remedy else ""
    st.html(
        f'<div class="lk-finding lk-{notice.level}" role="status">'
        f"<b>{escape(notice.what)}.</b>{remedy}</div>"
    )
