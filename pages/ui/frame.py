"""What every page has: title, icon, logo, our style sheets and a heading."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.style import sheets
from pipeline.frontend import ASSETS


def begin() -> None:
    """Set up the page; the first call of every run."""
    st.set_page_config(
        page_title="Lookalike",
        page_icon=str(ASSETS / "icon.svg"),
        layout="wide",
        initial_sidebar_state="collapsed",
    )
    st.logo(str(ASSETS / "logo.svg"), size="medium")
    css = sheets("shared/app.css", "shared/pages.css")
    st.html(f"<style>{css}</style>")


def page_title(title: str) -> None:
    """The heading of a page."""
    st.html(f'<header class="lk-page-head"><h1>{escape(title)}</h1></header>')


def end() -> None:
    """Number this run in the page's last element, which shows that all before it has arrived.

    A run that another one interrupts does not get here.
    """
    runs = st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    st.html(f'<i class="lk-run" data-run="{runs}"></i>')
