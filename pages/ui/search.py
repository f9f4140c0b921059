"""The map and gallery of the Search page: one component (`assets/search/search.js`).

Everything between a click and its results happens in the browser and our search route.
Streamlit runs again only when another collection is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.ui import component
from pipeline.objects.open_cells import scales_of
from pipeline.objects.places import usual_size
from pipeline.search.recipe import MAX_K

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

_HTML = """
<div class="lk-explorer" data-state="loading">
  <div class="lk-controls" role="toolbar" aria-label="Search options"></div>
  <section class="lk-filters" aria-label="Filters" hidden></section>
  <div class="lk-map-pane"><div class="lk-map" role="application" aria-label="Map"></div></div>
  <section class="lk-gallery" aria-label="Query and results"></section>
</div>
"""
_component = component.declare("search", _HTML)


def show(collection: Collection, titles: dict[str, str]) -> None:
    """Search one collection.

    Args:
        collection: The collection to search.
        titles: Title by name of every collection that can be chosen instead.
    """
    sized = any(layer.object_size for layer in collection.manifest.cells)
    scenes = collection.scenes.values()
    _component(
        key="explorer",
        data={
            **component.collection_data(collection, titles),
            "max_k": MAX_K,
            "objects": sized,
            "cells": any(scales_of(collection, scene) for scene in scenes),
            "object_size": next((usual_size(collection, scene) for scene in scenes), None),
        },
        on_collection_change=component.open_chosen_collection("explorer"),
    )
