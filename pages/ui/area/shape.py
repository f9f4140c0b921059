"""The area drawn, uploaded or typed on the Area page, as the session keeps it."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from functools import lru_cache
from typing import Any

import streamlit as st

from pipeline.errors import LookalikeError
from pipeline.geo.area import Area

SHAPE, NOTES = "area.shape", "area.notes"
STAMP, REFUSED, ZOOM = "area-stamp", "area-refused", "area-zoom"


def area() -> Area | None:
    """The area, if there is one."""
    feature = st.session_state.get(SHAPE)
    if not feature:
        return None
    try:
        return replace(_parsed(json.dumps(feature)), notes=tuple(st.session_state.get(NOTES, ())))
    except LookalikeError as error:
        refuse(error)
        return None


def take(area: Area | None, *, drawn: bool = False) -> None:
    """Make this the area.

    Args:
        area: The area, or None for whole scenes.
        drawn: Whether the map shows it already, exactly so.
    """
    st.session_state.pop(REFUSED, None)
    st.session_state[SHAPE] = area.to_geojson() if area else None
    st.session_state[NOTES] = list(area.notes) if area else []
    if not drawn or (area and area.notes):
        st.session_state[STAMP] = secrets.token_hex(4)
        st.session_state[ZOOM] = not drawn


def zooms() -> bool:
    """Whether the map goes to the area: it was given by other means than drawing."""
    return bool(st.session_state.get(ZOOM))


def stop_zooming() -> None:
    """Leave the map where it is, or to the imagery."""
    st.session_state[ZOOM] = False


def take_geojson(geometry: dict[str, Any], *, drawn: bool = False) -> None:
    """Make a GeoJSON geometry or feature the area, or keep the error."""
    try:
        take(Area.from_geojson(geometry, "Drawn area" if drawn else ""), drawn=drawn)
    except LookalikeError as error:
        st.session_state[SHAPE] = None
        refuse(error)


def take_text(text: str, km: float) -> None:
    """Make pasted text the area, or keep the error."""
    try:
        take(Area.from_text(text, km))
    except LookalikeError as error:
        refuse(error)


def take_file(content: bytes, name: str) -> None:
    """Make an uploaded outline the area, or keep the error."""
    try:
        take(Area.from_bytes(content, name))
    except LookalikeError as error:
        refuse(error)


def refuse(error: LookalikeError) -> None:
    """Keep the error that some input raised; the area stays what it was."""
    st.session_state[REFUSED] = error


def refusal() -> LookalikeError | None:
    """The error that the latest input raised, if it did."""
    return st.session_state.get(REFUSED)


def forget_refusal() -> None:
    """Drop the error of an input that is no longer on the page."""
    st.session_state.pop(REFUSED, None)


def stamp() -> str:
    """Changes whenever the map must show another outline than the one it drew itself."""
    return str(st.session_state.setdefault(STAMP, secrets.token_hex(4)))


@lru_cache(maxsize=32)
def _parsed(text: str) -> Area:
    area = Area.from_geojson(text)
    feature = json.loads(text)
    return replace(area, name=str(feature.get("properties", {}).get("name") or area.name))
