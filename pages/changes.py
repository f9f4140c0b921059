"""Changes: where something appeared, disappeared or persists between two dates."""

from __future__ import annotations

import streamlit as st

from pages.ui import changes, messages
from pages.ui.server import open_collections

opened, refused = open_collections().library.open_all()
series = {collection.name: collection for collection in opened if len(collection.dates) > 1}
titles = {name: collection.manifest.title for name, collection in series.items()}
asked = st.query_params.get("collection")
for error in refused if not asked else []:  # with a damaged one asked for, opening it says so
    messages.show_error(error)
if not series or (asked and asked not in series):
    changes.one_date(open_collections().collection(asked) if asked else None, titles)
else:
    remembered = st.session_state.get("collection")
    name = asked or (remembered if remembered in series else next(iter(series)))
    st.session_state["collection"] = name
    changes.show(series[name], titles)
