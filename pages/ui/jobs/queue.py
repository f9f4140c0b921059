"""The list of jobs: refreshed while a job runs, static otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.empty import draw_an_area, empty_state
from pages.ui.formatting import plural
from pages.ui.frame import page_title
from pages.ui.jobs import card
from pages.ui.server import jobs
from pipeline.jobs.job import CANCELLING, QUEUED

if TYPE_CHECKING:
    from pipeline.jobs.job import Job

SECONDS = 1.0
SHOWN = 8


def show() -> None:
    """All jobs, the newest first."""
    page_title("Jobs")
    st.session_state.pop("jobs-changed", None)
    running = any(job.active for job in jobs().all())
    # A fragment that no longer needs to refresh ends by running the page once, without it.
    st.fragment(_live if running else _static, run_every=SECONDS if running else None)()


def _live() -> None:
    if not any(job.active for job in jobs().all()):
        st.rerun()
    _list()


def _static() -> None:
    # A button in here reruns this fragment only; once it has started a job, the page must follow.
    if st.session_state.pop("jobs-changed", False):
        st.rerun()
    _list()


def _list() -> None:
    every = jobs().all()
    if not every:
        _no_job()
        return
    active = [job for job in reversed(every) if job.active]
    ended = [job for job in every if not job.active]
    st.caption(headline(active, len(ended)))
    for ahead, job in enumerate(active):
        card.show(job, ahead)
    shown = st.session_state.setdefault("jobs-shown", SHOWN)
    for job in ended[:shown]:
        card.show(job)
    if len(ended) > shown:
        st.button(f"Show {min(len(ended) - shown, 20)} more", on_click=_show_more)


def _show_more() -> None:
    st.session_state["jobs-shown"] = st.session_state.get("jobs-shown", SHOWN) + 20


def headline(active: list[Job], finished: int) -> str:
    """ "1 job running, 2 waiting; they continue if you close this page"."""
    if not active:
        return f"No jobs running · {finished} finished"
    waiting = sum(job.state == QUEUED for job in active)
    stopping = sum(job.state == CANCELLING for job in active)
    running = len(active) - waiting - stopping
    states = [(running, "running"), (stopping, "stopping"), (waiting, "waiting")]
    (first, state), *others = [(number, state) for number, state in states if number]
    headline = f"{plural(first, 'job')} {state}"
    headline += "".join(f", {number} {state}" for number, state in others)
    if not (running or waiting):
        return headline
    subject = "it continues" if len(active) == 1 else "they continue"
    return f"{headline}; {subject} if you close this page"


def _no_job() -> None:
    empty_state(
        "No job yet",
        "A job makes an area searchable: it fetches imagery, cuts it into chips and embeds each "
        "one. Long object searches are jobs, too. Draw an area to start.",
    )
    draw_an_area()
