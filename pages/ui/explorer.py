"""The map and gallery of the Search page: one components-v2 component, no iframe.

Everything between a click and its results happens in the browser and our search route
(`assets/explorer.js`); Streamlit runs again only when another collection is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.server import base_path
from pages.ui.style import sheets
from pipeline.api import describe
from pipeline.search import MAX_K
from pipeline.settings import settings
from pipeline.tiles import assets_version

if TYPE_CHECKING:
    from pipeline.collection import Collection

_HTML = """
<div class="lk-explorer" data-state="loading">
  <div class="lk-controls" role="toolbar" aria-label="Search options"></div>
  <section class="lk-filters" aria-label="Filters" hidden></section>
  <div class="lk-map-pane"><div class="lk-map" role="application" aria-label="Map"></div></div>
  <section class="lk-gallery" aria-label="Query and results"></section>
</div>
"""
# The modules themselves come from our route, so that they may import one another.
_JS = """
export default function (component) {
  const live = import(`${location.origin}${component.data.assets}/explorer.js`).then(
    ({ mount }) => mount(component),
  );
  return () => live.then((stop) => stop());
}
"""
_component = st.components.v2.component(
    "lookalike_explorer",
    html=_HTML,
    css=sheets("explorer.css", "search.css"),
    js=_JS,
    isolate_styles=False,
)


def explorer(collection: Collection, titles: dict[str, str]) -> None:
    """Show one collection.

    Args:
        collection: The one to search.
        titles: Title by name of every collection that can be chosen instead.
    """
    _component(
        key="explorer",
        data={
            "base": base_path(),
            "assets": f"{base_path()}/lookalike/assets/{assets_version()}",
            "basemap": settings().basemap,
            "collection": describe(collection),
            "collections": [{"name": name, "title": title} for name, title in titles.items()],
            "max_k": MAX_K,
        },
        on_collection_change=_choose,
    )


def _choose() -> None:
    chosen = st.session_state["explorer"].collection
    if chosen:
        st.query_params.from_dict({"collection": chosen})
