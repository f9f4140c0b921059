"""One job as a card: how it stands, what was made, what can be done."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages as trouble
from pages.ui.formatting import ago, count, duration, plural, size
from pages.ui.server import jobs, open_collections
from pipeline.build.build import describe_left_out
from pipeline.errors import LookalikeError
from pipeline.jobs.queue import (
    CANCELLED,
    CANCELLING,
    DONE,
    ENDED_EARLY,
    FAILED,
    INTERRUPTED,
    QUEUED,
)

if TYPE_CHECKING:
    from pipeline.jobs.queue import Job

#: What a state is called, and the colour of its badge.
STATES = {
    QUEUED: ("Waiting", "gray"),
    "running": ("Running", "blue"),
    CANCELLING: ("Stopping", "orange"),
    CANCELLED: ("Cancelled", "gray"),
    FAILED: ("Failed", "red"),
    INTERRUPTED: ("Interrupted", "orange"),
    DONE: ("Done", "green"),
}
LOG_LINES = 200


def card(job: Job, ahead: int = 0) -> None:
    """Show a job.

    Args:
        job: The job.
        ahead: Jobs that run before it, if it waits.
    """
    with st.container(border=True, key=f"job-{job.id}"):
        _head(job)
        if job.active:
            _progress(job, ahead)
        elif job.state == DONE:
            _made(job)
        else:
            _ended_early(job)
        _actions(job)
        _details(job)
    refused = st.session_state.pop(f"job-refused-{job.id}", None)
    if refused:
        trouble.show(refused)


def _head(job: Job) -> None:
    name, colour = STATES[job.state]
    done = "ended" if job.ended else "started" if job.started else "asked for"
    when = f"{done} {ago(job.ended or job.started or job.created)}"
    st.html(
        f'<div class="lk-job"><h2>{escape(job.title)}</h2>'
        f'<span class="lk-state lk-{colour}">{name}</span><span class="lk-when">{when}</span></div>'
    )


def _progress(job: Job, ahead: int) -> None:
    if job.state == QUEUED:
        place = f"{plural(ahead, 'job')} before it" if ahead else "It starts in a moment"
        st.progress(0.0, text=f"{place}.")
        return
    st.progress(job.share, text=_standing(job))
    preview = jobs().preview(job.id)
    if preview:
        st.image(preview.read_bytes(), width="stretch", caption="Chips made last")


def _standing(job: Job) -> str:
    """ "Embedding · 512 of 2 048 chips · 8.2 a second · 3 min left"."""
    parts = [job.stage or "Starting"]
    if job.total and job.unit == "bytes":
        parts.append(f"{size(job.done)} of {size(job.total)}")
    elif job.total:
        parts.append(f"{count(job.done)} of {count(job.total)} {job.unit}")
    if job.rate and job.unit != "bytes":
        parts.append(f"{job.rate:.1f} a second")
    elif job.rate:
        parts.append(f"{size(job.rate)} a second")
    if job.left is not None and job.done < job.total:
        parts.append(f"{duration(job.left)} left")
    elif job.note:
        # A file's folder is the server's own business.
        parts.append(job.note.rsplit("/", 1)[-1])
    return " · ".join(parts)


def _made(job: Job) -> None:
    made = job.summary or {}
    chips, new = made.get("chips", 0), made.get("made", 0)
    facts = [f"{count(chips)} chips"]
    if 0 < new < chips:
        facts.append(f"{count(new)} of them new")
    if made.get("seconds"):
        facts.append(f"in {duration(made['seconds'])}")
    left_out = describe_left_out(made.get("left_out", {}))
    if left_out:
        facts.append(f"left out: {left_out}")
    st.markdown(" · ".join(facts))


def _ended_early(job: Job) -> None:
    if job.error:
        error = job.error
        trouble.show(LookalikeError(error["what"], where=error["where"], remedy=error["remedy"]))
    elif job.state == INTERRUPTED:
        st.markdown("It was interrupted. What is finished is kept; it goes on where it stopped.")
    else:
        st.markdown("Stopped. Finished blocks are kept; resuming goes on from there.")
    for failure in job.failures:
        st.markdown(f"- `{failure['block']}`: {failure['reason']} ({failure['tries']} tries)")


def _actions(job: Job) -> None:
    """What can be done about a job in this state."""
    with st.container(horizontal=True, key=f"job-actions-{job.id}"):
        collection = open_collections().library.current(job.collection) if job.state == DONE else ""
        if collection:
            st.page_link(
                "search.py",
                label="Search it",
                icon=":material/travel_explore:",
                query_params={"collection": collection},
            )
        elif job.state == DONE:
            st.caption("Its collection was deleted.")
        if job.state in ENDED_EARLY:
            retry = "Retry failed blocks" if job.failures else "Resume"
            _button(retry, job, jobs().resume, icon=":material/play_arrow:", primary=True)
        if job.active and job.state != CANCELLING:
            _button("Cancel", job, jobs().cancel, icon=":material/stop:")
        if not job.active:
            _button("Forget", job, jobs().remove, icon=":material/close:")


def _button(
    label: str, job: Job, act: Callable[[str], object], *, icon: str, primary: bool = False
) -> None:
    st.button(
        label,
        key=f"{label}-{job.id}",
        on_click=_do,
        args=(job.id, act),
        icon=icon,
        type="primary" if primary else "secondary",
    )


def _do(job_id: str, act: Callable[[str], object]) -> None:
    try:
        act(job_id)
    except LookalikeError as error:
        st.session_state[f"job-refused-{job_id}"] = error
        return
    st.session_state["jobs-changed"] = True


def _details(job: Job) -> None:
    with st.expander("Log"):
        st.code("\n".join(jobs().log(job.id, last=LOG_LINES)) or "Nothing yet", language=None)
        st.caption(f"Job {job.id}, collection `{job.collection}`, {job.engine or 'not started'}")
