"""Search: the map, the query and the gallery."""

from __future__ import annotations

import streamlit as st

from pages.ui import cards
from pages.ui.explorer import explorer
from pages.ui.server import shelf

titles = cards.titles(shelf())
if titles:
    name = st.query_params.get("collection") or st.session_state.get("collection")
    if name not in titles and not st.query_params.get("collection"):
        name = next(iter(titles))
    st.session_state["collection"] = name
    explorer(shelf().collection(name), titles)
else:
    cards.nothing_yet()
