"""The frame of every page: title, theme, navigation."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.ui import frame, identity, messages, server
from pipeline.errors import LookalikeError

HERE = Path(__file__).parent

frame.begin()
identity.gate()
page = st.navigation(
    [
        st.Page(HERE / "home.py", title="Home", icon=":material/home:", default=True),
        st.Page(HERE / "area.py", title="Area", icon=":material/draw:"),
        st.Page(HERE / "search.py", title="Search", icon=":material/travel_explore:"),
        st.Page(HERE / "changes.py", title="Changes", icon=":material/compare:"),
        st.Page(HERE / "results.py", title="Results", icon=":material/fact_check:"),
        st.Page(HERE / "census.py", title="Census", icon=":material/calculate:"),
        st.Page(HERE / "collections.py", title="Collections", icon=":material/folder_open:"),
        st.Page(HERE / "quality.py", title="Quality", icon=":material/verified:"),
        st.Page(HERE / "jobs.py", title="Jobs", icon=":material/pending_actions:"),
    ],
    position="top",
)
try:
    page.run()
except LookalikeError as error:
    messages.show_error(error)
    st.page_link("home.py", label="Home", icon=":material/home:")
frame.end()
server.warm_soon()
