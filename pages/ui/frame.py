"""What every page has: title, icon, logo and our own style."""

from __future__ import annotations

import streamlit as st

from pages.ui.style import sheets
from pipeline.frontend import ASSETS


def begin() -> None:
    """Set the page up; the first call of every run."""
    st.set_page_config(
        page_title="Lookalike",
        page_icon=str(ASSETS / "icon.svg"),
        layout="wide",
        initial_sidebar_state="collapsed",
    )
    st.logo(str(ASSETS / "logo.svg"), size="medium")
    css = sheets("app.css", "pages.css")
    st.html(f"<style>{css}</style>")


def end() -> None:
    """Number this run in the page, as its last element: by it one sees that all before it is there.

    A run that another one cuts short does not come here.
    """
    runs = st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    st.html(f'<i class="lk-run" data-run="{runs}"></i>')
