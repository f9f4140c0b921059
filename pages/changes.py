"""Changes: where a thing appeared, disappeared or persists between two dates."""

from __future__ import annotations

import streamlit as st

from pages.ui import changes as changes_view
from pages.ui import home as cards
from pages.ui.server import open_collections

opened, _ = cards.readable(open_collections())
series = {one.name: one for one in opened if len(changes_view.dates(one)) > 1}
asked = st.query_params.get("collection")
titles = {one.name: one.manifest.title for one in series.values()}
if not series or (asked and asked not in series):
    changes_view.no_series(open_collections().collection(asked) if asked else None, titles)
else:
    remembered = st.session_state.get("collection")
    name = asked or (remembered if remembered in series else next(iter(series)))
    st.session_state["collection"] = name
    changes_view.show(series[name], titles)
