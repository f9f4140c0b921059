"""The app: Streamlit's pages and our own routes, in one process and one origin.

`streamlit run streamlit_app.py` finds `app` here; `pages/main.py` is the script it runs.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.ui import identity
from pages.ui.messages import explain
from pages.ui.server import our_routes
from pipeline.errors import LookalikeError
from pipeline.web.access import check_listening

try:
    check_listening(st.get_option("server.address"), identity.access())
except LookalikeError as refusal:
    raise SystemExit(f"Error: {refusal}") from None

app = st.App(
    Path(__file__).parent / "pages" / "main.py",
    routes=our_routes(),
    on_script_error=explain,
)
