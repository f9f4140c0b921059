"""Search: the map, the query and the gallery."""

from __future__ import annotations

import streamlit as st

from pages.ui import empty, messages, search
from pages.ui.server import open_collections
from pipeline.sources import sample

opened, refused = open_collections().library.open_all()
opened.sort(key=lambda made: sample.rank(made.name))
titles = {made.name: made.manifest.title for made in opened if made.searchable}
asked = st.query_params.get("collection")
name = asked or st.session_state.get("collection")
for error in refused if not asked else []:  # with a damaged one asked for, opening it says so
    messages.show_error(error)
if not asked and name not in titles:
    name = next(iter(titles), opened[0].name if opened else None)
if name:
    st.session_state["collection"] = name
    collection = open_collections().collection(name)
    if name in titles:
        search.show(collection, titles)
    else:
        empty.not_built(collection)
elif not refused:
    empty.no_collection()
