"""Search: the map, the query and the gallery."""

from __future__ import annotations

import streamlit as st

from pages.ui import home as cards
from pages.ui.search import explorer
from pages.ui.server import open_collections

opened, _ = cards.readable(open_collections())
titles = {one.name: one.manifest.title for one in opened if cards.searchable(one)}
asked = st.query_params.get("collection")
name = asked or st.session_state.get("collection")
if not asked and name not in titles:
    name = next(iter(titles), opened[0].name if opened else None)
if name:
    st.session_state["collection"] = name
    collection = open_collections().collection(name)
    if name in titles:
        explorer(collection, titles)
    else:
        cards.not_built(collection)
else:
    cards.nothing_yet()
