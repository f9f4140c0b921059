"""The visual map of a collection: chips as points, similar ones close (`assets/space/space.js`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import component
from pipeline.web.collections import describe

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

_HTML = """
<div class="lk-space" data-state="loading">
  <div class="lk-space-words"></div>
  <canvas class="lk-plot" tabindex="0" role="img" aria-label="Chips by visual similarity"></canvas>
  <div class="lk-map-pane"><div class="lk-map" role="application" aria-label="Map"></div></div>
</div>
"""
_component = component.declare("space", _HTML)


def show(collection: Collection) -> None:
    """The visual map, beside the geographic one."""
    if not len(collection.chips):
        return
    st.subheader("Visual map")
    facts = describe(collection).model_dump()
    _component(key="space", data={**component.page_data(), "collection": facts})
