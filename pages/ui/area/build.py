"""The Area page's last step: name the collection and build it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages
from pages.ui.area import addition, draft
from pages.ui.area.preflight import build_time
from pages.ui.formatting import plural, size
from pages.ui.server import jobs, open_collections
from pipeline.build.preflight import Preflight
from pipeline.errors import LookalikeError
from pipeline.jobs.chosen_imagery import ChosenImagery, added_to

if TYPE_CHECKING:
    from pages.ui.area.display import Display
    from pipeline.collection.collection import Collection
    from pipeline.geo.area import Area
    from pipeline.model.descriptor import Quality


def button(
    result: Preflight,
    area: Area | None,
    imagery: ChosenImagery | None,
    display: Display,
    stride: int,
    quality: Quality,
    object_size: float | None,
) -> None:
    """The name and Build, which queues the job and opens the Jobs page."""
    if imagery and imagery.chosen:
        st.html(f'<p class="lk-sum">{_summary(result)}</p>')
    suggested = (imagery.title if imagery else "") or "My area"
    into = _into()
    title = "" if into else _title(suggested)
    ready = result.ready and display.readable and imagery is not None
    pressed = st.button(
        "Build",
        type="primary",
        width="stretch",
        disabled=not ready,
        icon=":material/rocket_launch:",
    )
    if not (pressed and imagery):
        return
    if draft.begin_build():
        try:
            request = imagery.job(
                title.strip() or suggested,
                area,
                stride,
                bands=display.bands,
                stretch=display.stretch,
                object_size=object_size,
                percentile=display.percentile,
                quality=quality,
                taken=_taken(),
            )
            if into:
                request = added_to(into, request)
            jobs().submit(request)
        except LookalikeError as error:
            messages.show_error(error)
            return
    draft.end_build()
    st.switch_page("jobs.py")


def _summary(result: Preflight) -> str:
    if not result.ready:
        return escape(result.notices[0].what)
    disk = size(result.disk).replace(" ", "\xa0")
    facts = [plural(result.chips, "chip"), build_time(result), disk]
    warnings = [notice for notice in result.notices if notice.level == "warning"]
    first = "".join(f"<span>{escape(notice.what)}</span>" for notice in warnings[:1])
    return escape(" · ".join(facts)) + first


def _title(suggested: str) -> str:
    return st.text_input(
        "Name",
        key="area.title",
        persist_state="session",
        placeholder=suggested,
        max_chars=80,
        label_visibility="collapsed",
    )


def _into() -> Collection | None:
    """The collection that the imagery is added to, as the Collections page asked, or None."""
    into = addition.target()
    if into is None:
        return None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(f"Adding to {into.manifest.title}; only new chips are computed")
        if st.button("Build a new collection instead", type="tertiary"):
            draft.put(into="")
            st.rerun()
    return into


def _taken() -> set[str]:
    """Names of collections that exist or are being built."""
    building = {job.collection for job in jobs().all() if job.active and not job.is_search}
    return {*open_collections().library.names(), *building}
