"""The Changes page's component (`assets/changes.js`): two dates, three layers, three galleries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.server import base_path
from pages.ui.style import sheets
from pipeline.api import describe
from pipeline.changes import KINDS
from pipeline.settings import settings
from pipeline.tiles import assets_version

if TYPE_CHECKING:
    from pipeline.collection import Collection

_HTML = """
<div class="lk-explorer lk-changes" data-state="loading">
  <div class="lk-controls" role="toolbar" aria-label="Dates and options"></div>
  <div class="lk-map-pane"><div class="lk-map" role="application" aria-label="Map"></div></div>
  <section class="lk-gallery" aria-label="Query and changes"></section>
</div>
"""
_JS = """
export default function (component) {
  const live = import(`${location.origin}${component.data.assets}/changes.js`).then(
    ({ mount }) => mount(component),
  );
  return () => live.then((stop) => stop());
}
"""
_component = st.components.v2.component(
    "lookalike_changes",
    html=_HTML,
    css=sheets("explorer.css", "search.css", "changes.css"),
    js=_JS,
    isolate_styles=False,
)


def dates(collection: Collection) -> list[str]:
    """The days of a collection's scenes, oldest first."""
    return sorted({one.datetime[:10] for one in collection.scenes.values() if one.datetime})


def show(collection: Collection, titles: dict[str, str]) -> None:
    """Compare dates of one collection.

    Args:
        collection: One with two dates or more.
        titles: Title by name of every such collection.
    """
    _component(
        key="changes",
        data={
            "base": base_path(),
            "assets": f"{base_path()}/lookalike/assets/{assets_version()}",
            "basemap": settings().basemap,
            "collection": describe(collection),
            "collections": [{"name": name, "title": title} for name, title in titles.items()],
            "days": dates(collection),
            "kinds": list(KINDS),
        },
        on_collection_change=_choose,
    )


def no_series(known: bool) -> None:
    """The empty state: how to get a collection with several dates.

    Args:
        known: Whether the collection asked for exists, with fewer than two dates.
    """
    what = "This collection has fewer than two dates" if known else "No collection has two dates"
    st.html(
        f'<section class="lk-empty"><h2>{what}</h2>'
        "<p>Changes are seen between scenes of one place, taken on different days. Add a scene of "
        "another date with <b>Add imagery</b> on the Collections page, or build a series:</p>"
        "<pre>.venv/bin/python -m pipeline build --scene field_20090818.tif "
        "--scene field_20160816.tif --name field</pre></section>"
    )


def _choose() -> None:
    chosen = st.session_state["changes"].collection
    if chosen:
        st.query_params.from_dict({"collection": chosen})
