"""The Changes page's component (`assets/changes.js`): two dates, three layers, three galleries."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import component
from pages.ui.home import draw_an_area

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

_HTML = """
<div class="lk-explorer lk-changes" data-state="loading">
  <div class="lk-controls" role="toolbar" aria-label="Dates and options"></div>
  <div class="lk-map-pane"><div class="lk-map" role="application" aria-label="Map"></div></div>
  <section class="lk-gallery" aria-label="Query and changes"></section>
</div>
"""
_component = component.declare("changes", _HTML, "search.css", "changes.css")


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
        data={**component.told_of(collection, titles), "days": dates(collection)},
        on_collection_change=component.follow("changes"),
    )


def no_series(asked: Collection | None, titles: dict[str, str]) -> None:
    """The empty state: how to get a collection with several dates.

    Args:
        asked: The collection asked for, which has fewer than two dates, if one was.
        titles: Title by name of every collection that has two.
    """
    which = f"{asked.manifest.title} has fewer than" if asked else "No collection has"
    st.html(
        f'<section class="lk-empty"><h2>{escape(which)} two dates</h2>'
        "<p>Changes are seen between scenes of one place, taken on different days. Add a scene of "
        "another date to a collection with <b>Add imagery</b> on the Collections page, or build "
        "one from rasters of several dates.</p></section>"
    )
    with st.container(horizontal=True):
        if asked:
            fields = {"collection": asked.name}
            st.page_link("collections.py", label="Open it in Collections", query_params=fields)
        else:
            draw_an_area()
        for name, title in titles.items():
            st.page_link(
                "changes.py", label=f"Changes of {title}", query_params={"collection": name}
            )
