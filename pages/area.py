"""Area: draw it, choose imagery, see what it takes, build."""

from __future__ import annotations

import streamlit as st

from pages.ui.area import display as area_display
from pages.ui.area import imagery as area_imagery
from pages.ui.area import outline as area_outline
from pages.ui.area import preflight as area_check
from pages.ui.area.map import area_map


def step(name: str) -> st.delta_generator.DeltaGenerator:
    """A place of its own: else Streamlit shows what follows twice while a step grows or shrinks."""
    return st.container(key=f"area-step-{name}")


with st.container(key="area-page"):
    with st.container(key="area-map-pane"):
        place = st.container()  # and not st.empty, which would take the map away at every run
    with st.container(key="area-panel"):
        with step("outline"):
            area = area_outline.choose()
        with step("imagery"):
            imagery = area_imagery.choose(area)
        with step("display"):
            display = area_display.choose(imagery)
        with step("stride"):
            stride = area_check.choose_stride(area, imagery)
        with step("check"):
            found = area_check.check(area, imagery, stride)
        with st.container(key="area-build"):
            area_check.build_button(found, area, imagery, display, stride)
    with place:
        area_map(display.shown, found.missing, imagery.preview if imagery else "")
