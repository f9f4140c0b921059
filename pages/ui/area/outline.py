"""The Area page's first step: the area."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages
from pages.ui.area import draft, shape
from pages.ui.area.preflight import show_notice
from pages.ui.area.step import heading
from pages.ui.formatting import square_km
from pipeline.build.preflight import Notice

if TYPE_CHECKING:
    from pipeline.geo.area import Area

WAYS = ("Draw", "File", "Text")
FILES = ["geojson", "json", "kml", "kmz", "zip", "gpkg"]


def choose() -> Area | None:
    """Let the user give an area; returns the current one."""
    area = shape.area()
    heading("Area", square_km(area.area_km2) if area else "whole scenes")
    draft.pick("way", WAYS, "Draw")
    way = st.segmented_control(
        "Area from",
        WAYS,
        key="area.way",
        persist_state="session",
        width="stretch",
        label_visibility="collapsed",
        on_change=shape.forget_refusal,
    )
    with st.container():
        if way == "File":
            _file()
        elif way == "Text":
            _text()
        elif area is None:
            st.caption(
                "Draw a rectangle or polygon with the buttons on the map, then drag its corners. "
                "Without an area, whole scenes become searchable."
            )
    error = shape.refusal()
    if error:
        messages.show_error(error)
    area = shape.area()
    for note in area.notes if area else ():
        show_notice(Notice("note", note))
    return area


def _file() -> None:
    st.file_uploader(
        "GeoJSON, KML, KMZ, GeoPackage or zipped Shapefile",
        type=FILES,
        key="area-file",
        on_change=_take_file,
        max_upload_size=64,
    )


def _take_file() -> None:
    upload = st.session_state.get("area-file")
    if upload is not None:
        shape.take_file(upload.getvalue(), upload.name)


def _text() -> None:
    with st.form("area-text", border=False):
        text = st.text_area(
            "Bounding box, coordinates or GeoJSON",
            key="area.text",
            persist_state="session",
            placeholder="West, south, east, north:\n-122.2, 37.4, -122.0, 37.6\n"
            "Latitude, longitude:\n37.79, -122.40",
            height=122,
        )
        left, right = st.columns(2, vertical_alignment="bottom")
        with left:
            km = st.number_input(
                "Box side, km",
                0.1,
                2000.0,
                key=draft.start("km", 10.0),
                persist_state="session",
                format="%g",
                help="Size of the box drawn around a single point",
            )
        with right:
            pressed = st.form_submit_button("Set area", width="stretch")
    if pressed:
        shape.take_text(text or "", km)
        st.rerun()
