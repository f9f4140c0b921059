"""Search: the map, the query and the gallery."""

from __future__ import annotations

import streamlit as st

from pages.ui import cards
from pages.ui.explorer import explorer
from pages.ui.server import shelf

titles = cards.titles(shelf())
asked = st.query_params.get("collection")
name = asked or st.session_state.get("collection")
if name not in titles and not asked:
    name = next(iter(titles), None)
if name:
    st.session_state["collection"] = name
    collection = shelf().collection(name)
    if name in titles:
        explorer(collection, titles)
    else:
        cards.not_built(collection)
else:
    cards.nothing_yet()
