"""The Changes page's component (`assets/changes/changes.js`): two dates, three galleries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import component
from pages.ui.empty import draw_an_area, empty_state
from pages.ui.formatting import escape_markdown

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

_HTML = """
<div class="lk-explorer lk-changes" data-state="loading">
  <div class="lk-controls" role="toolbar" aria-label="Dates and options"></div>
  <div class="lk-map-pane"><div class="lk-map" role="application" aria-label="Map"></div></div>
  <section class="lk-gallery" aria-label="Query and changes"></section>
</div>
"""
_component = component.declare("changes", _HTML, "search/search.css")


def show(collection: Collection, titles: dict[str, str]) -> None:
    """Compare dates of one collection.

    Args:
        collection: A collection of two dates or more.
        titles: Title by name of every such collection.
    """
    _component(
        key="changes",
        data={**component.collection_data(collection, titles), "days": collection.dates},
        on_collection_change=component.open_chosen_collection("changes"),
    )


def one_date(asked: Collection | None, titles: dict[str, str]) -> None:
    """The empty state: how to get a collection that covers several dates.

    Args:
        asked: The collection that the URL names, if it covers fewer than two dates.
        titles: Title by name of every collection that covers two or more.
    """
    title = f"{asked.manifest.title} does not cover" if asked else "No collection covers"
    empty_state(
        f"{title} more than one date",
        "Changes compares scenes of the same place taken on different days. Add a scene of another "
        "date with <b>Add imagery</b> on the Collections page, or build a collection from rasters "
        "of several dates.",
    )
    with st.container(horizontal=True):
        if asked:
            fields = {"collection": asked.name}
            st.page_link("collections.py", label="Open in Collections", query_params=fields)
        else:
            draw_an_area()
        for name, title in titles.items():
            st.page_link(
                "changes.py",
                label=f"Compare dates of {escape_markdown(title)}",
                query_params={"collection": name},
            )
