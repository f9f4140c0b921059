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
