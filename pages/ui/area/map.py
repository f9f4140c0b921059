"""The map of the Area page: one component (`assets/area.js`)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.ui import component
from pages.ui.area import state as area_state
from pages.ui.formatting import square_km
from pages.ui.server import base_path

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
_component = component.declare("area", _HTML, "area.css")
_KEY, _HEARD = "area-map", "area-map-heard"


@dataclass(frozen=True)
class Shown:
    """Imagery as the map shows it.

    Attributes:
        candidate: What it is.
        chosen: Whether the collection is to be made of it.
        look: Id of its picture among the server's looks, or "".
        scene: The look's scene, if there is one.
    """

    candidate: Candidate
    chosen: bool = True
    look: str = ""
    scene: Scene | None = None


def area_map(imagery: Sequence[Shown], missing: BaseGeometry | None, preview: str = "") -> None:
    """Show the map.

    Args:
        imagery: What lies under the outline.
        missing: The part of the area without imagery, EPSG:4326, or None.
        preview: URL template of tiles of what is chosen, made by its service, or "".
    """
    from shapely.geometry import mapping

    area = area_state.area()
    shape = area.to_geojson()["geometry"] if area else None
    _component(
        key=_KEY,
        data={
            **component.told(),
            "page": "area",
            "session": area_state.session(),
            "heard": st.session_state.get(_HEARD, 0),
            "draft": area_state.draft(),
            "restores": area_state.restores(),
            "shape": shape,
            "size": square_km(area.area_km2) if area else "",
            "shape_stamp": area_state.shape_stamp(),
            "imagery": [_imagery(one) for one in imagery],
            "preview": _preview(imagery, preview),
            "missing": json.loads(json.dumps(mapping(missing))) if missing is not None else None,
            "fit": _fit(imagery),
        },
        on_drawn_change=_drawn,
        on_restore_change=_restore,
    )


def _imagery(shown: Shown) -> dict[str, Any]:
    from shapely.geometry import mapping

    west, south, east, north = shown.candidate.footprint.bounds
    tiles = f"{base_path()}/api/looks/{shown.look}/{{z}}/{{x}}/{{y}}.png" if shown.look else ""
    gsd = (shown.scene.gsd if shown.scene else shown.candidate.gsd) or 10.0
    metres = 156543.034 * math.cos(math.radians((south + north) / 2))
    return {
        "tiles": tiles,
        "bounds": [west, south, east, north],
        "native": max(0, min(22, math.ceil(math.log2(max(metres, 1e-6) / gsd)))),
        "footprint": json.loads(json.dumps(mapping(shown.candidate.footprint))),
        "chosen": shown.chosen,
        "license": shown.candidate.license,
    }


def _preview(imagery: Sequence[Shown], tiles: str) -> dict[str, Any] | None:
    chosen = [_imagery(one) for one in imagery if one.chosen]
    if not tiles or not chosen:
        return None
    wests, souths, easts, norths = zip(*(one["bounds"] for one in chosen), strict=True)
    bounds = [min(wests), min(souths), max(easts), max(norths)]
    return {"tiles": tiles, "bounds": bounds, "native": max(one["native"] for one in chosen)}


def _fit(imagery: Sequence[Shown]) -> dict[str, Any] | None:
    """Where the map shall go: to imagery just chosen, or to an area just given."""
    bounds = [one.candidate.footprint.bounds for one in imagery]
    stamp = " ".join(sorted({one.candidate.id for one in imagery}))
    if st.session_state.get("area-fitted") != stamp:
        st.session_state["area-fitted"] = stamp
        area_state.stay()
    area = area_state.area()
    if area_state.goes() and area:
        west, south, east, north = area.bounds
        bounds = [(west, south, east + 360 if east < west else east, north)]
        stamp = area_state.shape_stamp()
    if not bounds:
        return None
    wests, souths, easts, norths = zip(*bounds, strict=True)
    return {"stamp": stamp, "bounds": [min(wests), min(souths), max(easts), max(norths)]}


def _told(name: str) -> dict[str, Any] | None:
    """What the map told, once each; None also where Streamlit does not know the map yet.

    A run that begins before the one before it has drawn the map cannot read what the map told.  The
    map tells it again until it sees its number in `heard`.
    """
    told = getattr(st.session_state.get(_KEY), name, None)
    number = (told or {}).get("number", 0)
    if number <= st.session_state.get(_HEARD, 0):
        return None
    st.session_state[_HEARD] = number
    return dict(told)


def _drawn() -> None:
    drawn = _told("drawn")
    if drawn:
        geometry = drawn.get("geometry")
        if geometry:
            area_state.take_geojson(geometry, drawn=True)
        else:
            area_state.take(None, drawn=True)


def _restore() -> None:
    saved = _told("restore")
    if saved and area_state.restores():
        area_state.restore(saved.get("draft"))
