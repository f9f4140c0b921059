"""The list of jobs: live while something runs, still when nothing does."""

from __future__ import annotations

import streamlit as st

from pages.ui import home as cards
from pages.ui.formatting import page_title, plural
from pages.ui.jobs import card as job_card
from pages.ui.server import jobs

SECONDS = 1.0
SHOWN = 8


def show() -> None:
    """All jobs, the newest first."""
    page_title("Jobs")
    st.session_state.pop("jobs-changed", None)
    running = any(job.active for job in jobs().all())
    # A fragment that no longer needs to run ends by running the page once, without it.
    st.fragment(_live if running else _still, run_every=SECONDS if running else None)()


def _live() -> None:
    if not any(job.active for job in jobs().all()):
        st.rerun()
    _list()


def _still() -> None:
    # A button in here runs this part alone; once it made something run, the page must follow it.
    if st.session_state.pop("jobs-changed", False):
        st.rerun()
    _list()


def _list() -> None:
    every = jobs().all()
    if not every:
        _nothing_yet()
        return
    active = [job for job in reversed(every) if job.active]
    ended = [job for job in every if not job.active]
    st.caption(_summary(len(active), len(ended)))
    for place, job in enumerate(active):
        job_card.card(job, ahead=place)
    more = st.session_state.setdefault("jobs-shown", SHOWN)
    for job in ended[:more]:
        job_card.card(job)
    if len(ended) > more:
        st.button(f"Show {min(len(ended) - more, 20)} more", on_click=_show_more)


def _show_more() -> None:
    st.session_state["jobs-shown"] = st.session_state.get("jobs-shown", SHOWN) + 20


def _summary(active: int, ended: int) -> str:
    if not active:
        return f"Nothing runs. {plural(ended, 'job')} ended."
    waiting = f", {active - 1} more waiting" if active > 1 else ""
    return f"One job runs{waiting}. You may close this page: it goes on by itself."


def _nothing_yet() -> None:
    st.html(
        '<section class="lk-empty"><h2>No job yet</h2>'
        "<p>A job makes an area searchable: it fetches imagery, cuts it into chips and looks at "
        "each. Draw an area to begin.</p></section>"
    )
    cards.draw_an_area()
