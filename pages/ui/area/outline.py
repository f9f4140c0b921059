"""The Area page's first step: where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages as trouble
from pages.ui.area import preflight as area_check
from pages.ui.area import state as area_state
from pages.ui.formatting import heading, square_km
from pipeline.build.preflight import Finding

if TYPE_CHECKING:
    from pipeline.geo.area import Area

WAYS = ("Draw", "File", "Text")
FILES = ["geojson", "json", "kml", "kmz", "zip", "gpkg"]


def choose() -> Area | None:
    """Let the user give an area; returns the one there is."""
    area = area_state.area()
    heading("Area", square_km(area.area_km2) if area else "whole scenes")
    area_state.pick("way", WAYS, "Draw")
    way = st.segmented_control(
        "Give the area by",
        WAYS,
        key="area.way",
        persist_state="session",
        width="stretch",
        label_visibility="collapsed",
    )
    with st.container():
        if way == "File":
            _file()
        elif way == "Text":
            _text()
        elif area is None:
            st.caption(
                "Use the rectangle or polygon button on the map, then drag its corners. "
                "Without an area, whole scenes become searchable."
            )
    refused = area_state.refusal()
    if refused:
        trouble.show(refused)
    given = area_state.area()
    for note in given.notes if given else ():
        area_check.tell(Finding("note", note))
    return given


def _file() -> None:
    st.file_uploader(
        "GeoJSON, KML, KMZ, GeoPackage or zipped Shapefile",
        type=FILES,
        key="area-file",
        on_change=_take_file,
        max_upload_size=64,
    )


def _take_file() -> None:
    given = st.session_state.get("area-file")
    if given is not None:
        area_state.take_file(given.getvalue(), given.name)


def _text() -> None:
    with st.form("area-text", border=False):
        text = st.text_area(
            "A bounding box, a place, or GeoJSON",
            key="area.text",
            persist_state="session",
            placeholder="-122.2, 37.4, -122.0, 37.6   (west, south, east, north)\n"
            "37.79, -122.40   (latitude, longitude)",
            height=88,
        )
        left, right = st.columns(2, vertical_alignment="bottom")
        with left:
            km = st.number_input(
                "Box around a place, km",
                0.1,
                2000.0,
                key=area_state.start("km", 10.0),
                persist_state="session",
                format="%g",
            )
        with right:
            used = st.form_submit_button("Use it", width="stretch")
    if used:
        area_state.take_text(text or "", km)
        st.rerun()
