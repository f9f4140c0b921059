"""One job as a card: its state, its result and its actions."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.ui import messages
from pages.ui.formatting import ago, count, duration, plural, size
from pages.ui.server import jobs, open_collections
from pipeline.build.build import describe_left_out
from pipeline.errors import LookalikeError
from pipeline.jobs.job import (
    CANCELLED,
    CANCELLING,
    DONE,
    ENDED_EARLY,
    FAILED,
    INTERRUPTED,
    QUEUED,
    RUNNING,
)

if TYPE_CHECKING:
    from pipeline.jobs.job import Job

#: Label of a state, and the colour of its badge.
STATES = {
    QUEUED: ("Waiting", "gray"),
    RUNNING: ("Running", "blue"),
    CANCELLING: ("Stopping", "orange"),
    CANCELLED: ("Cancelled", "gray"),
    FAILED: ("Failed", "red"),
    INTERRUPTED: ("Interrupted", "orange"),
    DONE: ("Done", "green"),
}
LOG_LINES = 200


def show(job: Job, ahead: int = 0) -> None:
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
            _result(job)
        else:
            _why_it_ended(job)
        _actions(job)
        _log(job)
    error = st.session_state.pop(f"job-refused-{job.id}", None)
    if error:
        messages.show_error(error)


def _head(job: Job) -> None:
    label, colour = STATES[job.state]
    event = "ended" if job.ended else "started" if job.started else "queued"
    when = f"{event} {ago(job.ended or job.started or job.created)}"
    st.html(
        f'<div class="lk-job"><h2>{escape(job.title)}</h2>'
        f'<span class="lk-state lk-{colour}">{label}</span>'
        f'<span class="lk-when">{when}</span></div>'
    )


def _progress(job: Job, ahead: int) -> None:
    if job.state == QUEUED:
        st.progress(0.0, text=f"{plural(ahead, 'job')} ahead" if ahead else "Starting soon")
        return
    st.progress(job.share, text=_standing(job))
    preview = jobs().preview(job.id)
    if preview:
        st.image(preview.read_bytes(), width="stretch", caption="Latest chips")


def _standing(job: Job) -> str:
    """ "Embedding · 512 of 2 048 chips · 8.2/s · 3 min left"."""
    parts = [job.stage or "Starting"]
    if job.total and job.unit == "bytes":
        parts.append(f"{size(job.done)} of {size(job.total)}")
    elif job.total:
        parts.append(f"{count(job.done)} of {count(job.total)} {job.unit}")
    if job.rate:
        parts.append(f"{size(job.rate) if job.unit == 'bytes' else f'{job.rate:.1f}'}/s")
    if job.left is not None and job.done < job.total:
        parts.append(f"{duration(job.left)} left")
    elif job.note:
        # A file's folder is the server's own business.
        parts.append(job.note.rsplit("/", 1)[-1])
    return " · ".join(parts)


def _result(job: Job) -> None:
    summary = job.summary or {}
    if job.is_search:
        _search_result(job, summary)
        return
    chips, new = summary.get("chips", 0), summary.get("made", 0)
    facts = [plural(chips, "chip")]
    if 0 < new < chips:
        facts.append(f"{count(new)} new")
    if summary.get("seconds"):
        facts.append(f"in {duration(summary['seconds'])}")
    skipped = describe_left_out(summary.get("left_out", {}))
    if skipped:
        facts.append(f"skipped: {skipped}")
    st.markdown(" · ".join(facts))
    for note in job.notes:
        st.text(f"{note}.")


def _search_result(job: Job, summary: dict[str, Any]) -> None:
    facts = [plural(summary.get("objects", 0), "object")]
    if summary.get("found", 0) > summary.get("objects", 0):
        facts.append(f"of {count(summary['found'])}")
    st.markdown(" ".join(facts) + f" · in {duration(summary.get('seconds', 0))}")
    for note in job.notes:
        st.text(f"{note}.")


def _why_it_ended(job: Job) -> None:
    if job.error:
        error = job.error
        messages.show_error(
            LookalikeError(error["what"], where=error["where"], remedy=error["remedy"])
        )
    else:
        label, _ = STATES[job.state]
        kept = "Nothing was saved; Resume starts the search again"
        if not job.is_search:
            kept = "Finished blocks are kept; Resume continues from there"
        st.markdown(f"{label}. {kept}.")
    for failure in job.failures:
        attempts = plural(failure["tries"], "attempt")
        st.markdown(f"- `{failure['block']}`: {failure['reason']} ({attempts})")


def _actions(job: Job) -> None:
    """What the user can do with a job in this state."""
    with st.container(horizontal=True, key=f"job-actions-{job.id}"):
        collection = open_collections().library.current(job.collection) if job.state == DONE else ""
        if collection:
            fields = {"collection": collection}
            if job.is_search and job.summary:
                fields |= {"mode": "objects", "saved": job.summary["search"]}
            st.page_link(
                "search.py",
                label="Open" if job.is_search else "Search",
                icon=":material/travel_explore:",
                query_params=fields,
            )
        elif job.state == DONE:
            st.caption("The collection was deleted.")
        if job.state in ENDED_EARLY:
            retry = "Retry failed blocks" if job.failures else "Resume"
            _button(retry, job, jobs().resume, icon=":material/play_arrow:", primary=True)
        if job.active and job.state != CANCELLING:
            _button("Cancel", job, jobs().cancel, icon=":material/stop:")
        if not job.active:
            _button("Remove from list", job, jobs().remove, icon=":material/close:")


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


def _log(job: Job) -> None:
    with st.expander("Log"):
        lines = jobs().log(job.id, last=LOG_LINES)
        st.code("\n".join(lines) or "No entries yet", language=None)
        st.caption(f"Job {job.id}, collection `{job.collection}`, {job.engine or 'not started'}")
