"""The picture of a collection's embedding space (`assets/space.js`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.server import base_path
from pages.ui.style import sheets
from pipeline.api import describe
from pipeline.settings import settings
from pipeline.tiles import assets_version

if TYPE_CHECKING:
    from pipeline.collection import Collection

_HTML = """
<div class="lk-space" data-state="loading">
  <div class="lk-space-words"></div>
  <canvas class="lk-plot" tabindex="0" role="img" aria-label="Chips by their looks"></canvas>
  <div class="lk-map-pane"><div class="lk-map" role="application" aria-label="Map"></div></div>
</div>
"""
_JS = """
export default function (component) {
  const live = import(`${location.origin}${component.data.assets}/space.js`).then(
    ({ mount }) => mount(component),
  );
  return () => live.then((stop) => stop());
}
"""
_component = st.components.v2.component(
    "lookalike_space",
    html=_HTML,
    css=sheets("explorer.css", "space.css"),
    js=_JS,
    isolate_styles=False,
)


def show(collection: Collection) -> None:
    """Its chips as points, near ones alike, beside the map."""
    if not len(collection.chips):
        return
    st.subheader("What it holds, by looks")
    _component(
        key="space",
        data={
            "base": base_path(),
            "assets": f"{base_path()}/lookalike/assets/{assets_version()}",
            "basemap": settings().basemap,
            "collection": describe(collection),
        },
    )
