"""The Changes page's component (`assets/changes.js`): two dates, three layers, three galleries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import component

if TYPE_CHECKING:
    from pipeline.collection import Collection

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
