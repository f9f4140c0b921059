"""The Search page as one writes it with leafmap's foliumap and st_folium; a Streamlit script.

It is given its best form.  The map of all footprints stays in the browser: a click sends back where
it was and nothing else, the script runs once, and only the group of hits is replaced.  Footprints
are plain GeoJSON on a canvas, made once; there are no tooltips, no imagery, no pictures of chips.
The hits come from the same index as ours, opened in this process.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folium
import leafmap.foliumap as leafmap
import streamlit as st
from streamlit_folium import st_folium

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.index.index import Index
from pipeline.search.queries import by_point
from pipeline.search.search import search
from pipeline.settings import settings

if TYPE_CHECKING:
    import numpy as np

HIGHLIGHT = "#ff5a1f"


@st.cache_resource
def opened(name: str) -> tuple[Collection, Index]:
    """The collection and its index."""
    collection = Library(settings().home).open(name)
    return collection, Index.open(collection)


@st.cache_resource
def footprints(name: str) -> dict[str, Any]:
    """Every chip as GeoJSON."""
    rings = opened(name)[0].chips.corners.round(6)
    return {"type": "FeatureCollection", "features": [feature(ring) for ring in rings]}


def map_of(name: str) -> leafmap.Map:
    """The map with every chip.  Made anew in each run: st_folium cannot show one map twice."""
    corners = opened(name)[0].chips.corners
    (west, south), (east, north) = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    made = leafmap.Map(
        center=[(south + north) / 2, (west + east) / 2],
        tiles=None,
        prefer_canvas=True,
        fullscreen_control=False,
        layers_control=False,
    )
    folium.GeoJson(footprints(name)).add_to(made)
    made.fit_bounds([[south, west], [north, east]])
    return made


def feature(ring: np.ndarray, **properties: str) -> dict[str, Any]:
    """A chip's outline as GeoJSON."""
    points = ring.tolist()
    shape = {"type": "Polygon", "coordinates": [[*points, points[0]]]}
    return {"type": "Feature", "properties": properties, "geometry": shape}


def hits_at(name: str, lon: float, lat: float) -> folium.FeatureGroup:
    """The chips most similar to the one at a point."""
    collection, index = opened(name)
    found = search(collection, index, by_point(collection, index, lon, lat), k=10)
    group = folium.FeatureGroup(name="hits")
    shapes = [feature(collection.chips.corners[hit.row], id=hit.id) for hit in found.hits]
    everything = {"type": "FeatureCollection", "features": shapes}
    folium.GeoJson(everything, style_function=lambda _: {"color": HIGHLIGHT}).add_to(group)
    return group


st.set_page_config(layout="wide")
chosen = st.query_params["collection"]
clicked = (st.session_state.get("map") or {}).get("last_object_clicked")
st_folium(
    map_of(chosen),
    key="map",
    height=780,
    use_container_width=True,
    returned_objects=["last_object_clicked"],
    feature_group_to_add=hits_at(chosen, clicked["lng"], clicked["lat"]) if clicked else None,
)
