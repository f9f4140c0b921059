"""The Area page's last steps: how finely to cut, what it will take, and Build."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages as trouble
from pages.ui.area import state as area_state
from pages.ui.formatting import THIN, count, duration, heading, size, square_km
from pages.ui.server import jobs, open_collections
from pipeline.build.build import BuildRequest, SceneInput, default_mode
from pipeline.build.preflight import Finding, Pace, Preflight, count_chips, free_name, preflight
from pipeline.errors import LookalikeError
from pipeline.jobs.pace import pace_of
from pipeline.jobs.queue import JobRequest
from pipeline.settings import settings

if TYPE_CHECKING:
    from pages.ui.area.display import Display
    from pages.ui.area.state import Imagery
    from pipeline.geo.area import Area

STRIDES = {
    256: ("None", "Fastest and smallest, but what lies on a seam is cut."),
    128: ("Half", "Four times the chips; most things lie well inside one."),
    64: ("Three quarters", "Sixteen times the chips; finds and places small things best."),
}


def choose_stride(area: Area | None, imagery: Imagery | None) -> int:
    """Let the user choose the stride, each with the chips it makes."""
    area_state.pick("stride", list(STRIDES), 128)
    heading("Overlap of chips", _side(imagery))
    stride: int = st.segmented_control(
        "Overlap of chips",
        list(STRIDES),
        format_func=lambda pixels: STRIDES[pixels][0],
        key="area.stride",
        persist_state="session",
        label_visibility="collapsed",
        width="stretch",
    )
    chosen = imagery.chosen if imagery else ()
    geometry = area.geometry if area else None
    tally = [
        _unbroken(f"{name}: {count(sum(count_chips(one, geometry, pixels) for one in chosen))}")
        for pixels, (name, _) in STRIDES.items()
    ]
    st.caption(STRIDES[stride][1] + (f" Chips: {', '.join(tally).lower()}." if chosen else ""))
    return stride


def _unbroken(text: str) -> str:
    return text.replace(THIN, "\u202f").replace(" ", "\xa0")


def _side(imagery: Imagery | None) -> str:
    gsd = imagery.chosen[0].gsd if imagery and imagery.chosen else None
    if not gsd:
        return "each 256×256 pixels"
    side = gsd * 256
    return f"each {side / 1000:.1f} km wide" if side >= 1000 else f"each {side:.0f} m wide"


def check(area: Area | None, imagery: Imagery | None, stride: int) -> Preflight:
    """What the build takes, and what speaks against it."""
    found = preflight(
        area,
        imagery.chosen if imagery else (),
        stride=stride,
        pace=_pace(stride),
        home=settings().home,
        estimate=imagery.estimate if imagery else None,
    )
    heading("Pre-flight", "ready" if found.ready else "not ready")
    with st.container():
        if imagery and imagery.chosen:
            _figures(found)
    for finding in found.findings:
        if not (area and finding.what in area.notes):  # those stand at the outline
            tell(finding)
    return found


@st.cache_data(ttl=20, show_spinner=False)
def _pace(stride: int) -> Pace:
    return pace_of(jobs(), open_collections().library, settings(), default_mode(stride), stride)


def _figures(found: Preflight) -> None:
    rows = [
        ("Coverage", f"{found.share:.0%} of {square_km(found.area_km2)}"),
        ("Pixels", _millions(found.pixels)),
        ("Chips", count(found.chips)),
        (
            "Time",
            f"about {duration(found.seconds)}" + ("" if found.pace.known else ", a first guess"),
        ),
        ("Disk", f"{size(found.disk)} of {size(found.free)} free"),
    ]
    if found.transfer:
        rows.insert(4, ("To fetch", size(found.transfer)))
    cells = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in rows)
    st.html(f'<dl class="lk-figures" aria-label="What the build takes">{cells}</dl>')
    st.caption(
        "Time from this machine's own past builds."
        if found.pace.known
        else "This machine has built nothing in this way yet; after the first such build it knows."
    )


def _millions(pixels: int) -> str:
    if pixels < 1_000_000:
        return count(pixels)
    return f"{pixels / 1e6:,.1f}".replace(",", THIN) + " million"


def tell(finding: Finding) -> None:
    """Show one finding of the pre-flight, or what there is to know about the outline."""
    remedy = f"<span>{escape(finding.remedy)}.</span>" if finding.remedy else ""
    st.html(
        f'<div class="lk-finding lk-{finding.level}" role="status">'
        f"<b>{escape(finding.what)}.</b>{remedy}</div>"
    )


def build_button(
    found: Preflight, area: Area | None, imagery: Imagery | None, display: Display, stride: int
) -> None:
    """Name it, and Build: queues the job and goes to where it can be watched."""
    if imagery and imagery.chosen:
        st.html(f'<p class="lk-sum">{_in_short(found)}</p>')
    suggested = (imagery.title if imagery else "") or "My area"
    into = _into()
    title = "" if into else _title(suggested)
    ready = found.ready and display.sound and imagery is not None
    pressed = st.button(
        "Build",
        type="primary",
        width="stretch",
        disabled=not ready,
        icon=":material/rocket_launch:",
    )
    if not (pressed and imagery):
        return
    if area_state.begin():
        try:
            request = _request(title.strip() or suggested, area, imagery, display, stride)
            jobs().submit(_added(request, into) if into else request)
        except LookalikeError as error:
            trouble.show(error)
            return
    area_state.conclude()
    st.switch_page("jobs.py")


def _title(suggested: str) -> str:
    return st.text_input(
        "Name",
        key="area.title",
        persist_state="session",
        placeholder=suggested,
        max_chars=80,
        label_visibility="collapsed",
    )


def _into() -> str:
    """The collection that the imagery is added to, as the Collections page asked, or ""."""
    name = st.session_state.get("area.into", "")
    if not name or name not in open_collections().library.names():
        return ""
    manifest = open_collections().collection(name).manifest
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(f"Added to {manifest.title}; only what is new is computed")
        if st.button("Build a new one instead", type="tertiary"):
            st.session_state["area.into"] = ""
            st.rerun()
    return str(name)


def _added(request: JobRequest, into: str) -> JobRequest:
    """The request, for an existing collection: with its own title, stride and model."""
    mode = open_collections().collection(into).manifest.model.mode
    build = replace(request.build, name=into, title=None, stride=None, mode=mode)
    return replace(request, build=build)


def _in_short(found: Preflight) -> str:
    if not found.ready:
        return escape(found.findings[0].what)
    time = f"about {duration(found.seconds)}"
    facts = escape(" · ".join([f"{count(found.chips)} chips", time, size(found.disk)]))
    warnings = [finding for finding in found.findings if finding.level == "warning"]
    return facts + "".join(f"<span>{escape(one.what)}</span>" for one in warnings[:1])


def _request(
    title: str, area: Area | None, imagery: Imagery, display: Display, stride: int
) -> JobRequest:
    """What the runner shall do."""
    taken = {
        *open_collections().library.names(),
        *(job.collection for job in jobs().all() if job.active),
    }
    name = free_name(title, taken)
    if name != free_name(title, ()):  # two of one name are told apart by their title too
        title = f"{title} {name.rpartition('-')[2]}"
    build = BuildRequest(
        name=name,
        title=title,
        stride=stride,
        area=area.to_geojson()["geometry"] if area else None,
    )
    stretch = (display.stretch.low, display.stretch.high) if display.stretch else None
    if imagery.source:
        options = dict(imagery.options)
        if imagery.is_raster:
            options |= {"bands": display.bands, "stretch": stretch}
        candidates = tuple(one.to_dict() for one in imagery.chosen)
        return JobRequest(build, imagery.source, options, candidates)
    scenes = tuple(
        SceneInput(
            path=Path(one.id),
            bands=display.bands,
            stretch=stretch,
            title=imagery.title if len(imagery.chosen) == 1 else one.title,
            datetime=one.datetime,
            source=imagery.origin,
            license=one.license,
        )
        for one in imagery.chosen
    )
    return JobRequest(BuildRequest(**{**vars(build), "scenes": scenes}))
