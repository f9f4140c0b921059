"""The map of the Area page: one component (`assets/area/area.js`)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.ui import component
from pages.ui.area import draft, shape
from pages.ui.formatting import square_km
from pages.ui.server import base_path
from pipeline.geo.antimeridian import unwrap_bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shapely.geometry.base import BaseGeometry

    from pipeline.imagery.scene import Scene
    from pipeline.sources.candidates import Candidate

_HTML = """
<div class="lk-area" data-state="loading">
  <div class="lk-map-pane">
    <div class="lk-map" role="application" aria-label="Map: draw the area here" tabindex="0"></div>
  </div>
</div>
"""
_component = component.declare("area", _HTML)
_KEY, _RECEIVED = "area-map", "area-map-heard"
#: Metres per pixel of a web map's tiles at zoom 0 on the equator: the Earth's girth over 256.
_ZOOM_0_METRES = 156543.034


@dataclass(frozen=True)
class Layer:
    """Imagery as the map shows it.

    Attributes:
        candidate: The scene.
        chosen: Whether the collection is to be made of it.
        preview: Id of its preview on this server, or "".
        scene: The preview's scene, if there is one.
    """

    candidate: Candidate
    chosen: bool = True
    preview: str = ""
    scene: Scene | None = None


def show(layers: Sequence[Layer], missing: BaseGeometry | None, service_tiles: str = "") -> None:
    """Show the map.

    Args:
        layers: The imagery under the outline.
        missing: The part of the area without imagery, EPSG:4326, or None.
        service_tiles: URL template of tiles that the imagery's service renders, or "".
    """
    area = shape.area()
    _component(
        key=_KEY,
        data={
            **component.page_data(),
            "page": "area",
            "session": draft.session(),
            "heard": st.session_state.get(_RECEIVED, 0),
            "draft": draft.draft(),
            "restores": draft.restores(),
            "shape": area.to_geojson()["geometry"] if area else None,
            "size": square_km(area.area_km2) if area else "",
            "shape_stamp": shape.stamp(),
            "imagery": [_imagery(layer) for layer in layers],
            "preview": _service_preview(layers, service_tiles),
            "missing": _geojson(missing) if missing is not None else None,
            "fit": _view(layers),
        },
        on_drawn_change=_drawn,
        on_restore_change=_restore,
    )


def _geojson(geometry: BaseGeometry) -> dict[str, Any]:
    from shapely import to_geojson

    feature: dict[str, Any] = json.loads(to_geojson(geometry))
    return feature


def _imagery(layer: Layer) -> dict[str, Any]:
    candidate = layer.candidate
    west, south, east, north = candidate.footprint.bounds
    tiles = f"{base_path()}/api/looks/{layer.preview}/{{z}}/{{x}}/{{y}}.png"
    gsd = (layer.scene.gsd if layer.scene else candidate.gsd) or 10.0
    return {
        "tiles": tiles if layer.preview else "",
        "bounds": [west, south, east, north],
        "native": _native_zoom(gsd, (south + north) / 2),
        "footprint": _geojson(candidate.footprint),
        "chosen": layer.chosen,
        "license": candidate.license,
    }


def _native_zoom(gsd: float, latitude: float) -> int:
    """The zoom of a web map beyond which imagery of this resolution shows nothing new."""
    metres = _ZOOM_0_METRES * math.cos(math.radians(latitude))
    return max(0, min(22, math.ceil(math.log2(max(metres, 1e-6) / gsd))))


def _service_preview(layers: Sequence[Layer], tiles: str) -> dict[str, Any] | None:
    chosen = [_imagery(layer) for layer in layers if layer.chosen]
    if not tiles or not chosen:
        return None
    bounds = _union([image["bounds"] for image in chosen])
    return {"tiles": tiles, "bounds": bounds, "native": max(image["native"] for image in chosen)}


def _view(layers: Sequence[Layer]) -> dict[str, Any] | None:
    """Where the map goes: to imagery just chosen, or to an area just given."""
    bounds = [layer.candidate.footprint.bounds for layer in layers]
    stamp = " ".join(sorted({layer.candidate.id for layer in layers}))
    if st.session_state.get("area-fitted") != stamp:
        st.session_state["area-fitted"] = stamp
        shape.stop_zooming()
    area = shape.area()
    if shape.zooms() and area:
        bounds = [unwrap_bounds(area.bounds)]
        stamp = shape.stamp()
    return {"stamp": stamp, "bounds": _union(bounds)} if bounds else None


def _union(bounds: Sequence[Sequence[float]]) -> list[float]:
    wests, souths, easts, norths = zip(*bounds, strict=True)
    return [min(wests), min(souths), max(easts), max(norths)]


def _message(name: str) -> dict[str, Any] | None:
    """The map's newest message, returned once; None if there is none or the map is not mounted yet.

    A run that begins before the one before it has drawn the map cannot read the message.  The map
    sends it again until it sees its number in `heard`.
    """
    message = getattr(st.session_state.get(_KEY), name, None)
    number = (message or {}).get("number", 0)
    if number <= st.session_state.get(_RECEIVED, 0):
        return None
    st.session_state[_RECEIVED] = number
    return dict(message)


def _drawn() -> None:
    message = _message("drawn")
    if message:
        geometry = message.get("geometry")
        if geometry:
            shape.take_geojson(geometry, drawn=True)
        else:
            shape.take(None, drawn=True)


def _restore() -> None:
    message = _message("restore")
    if message and draft.restores():
        draft.restore(message.get("draft"))
