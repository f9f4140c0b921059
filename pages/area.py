"""Area: draw it, choose imagery, see what it takes, build."""

from __future__ import annotations

import streamlit as st

from pages.ui import area_check, area_display, area_imagery, area_outline
from pages.ui.area_map import area_map

with st.container(key="area-page"):
    with st.container(key="area-map-pane"):
        place = st.container()  # and not st.empty, which would take the map away at every run
    with st.container(key="area-panel"):
        area = area_outline.choose()
        imagery = area_imagery.choose(area)
        display = area_display.choose(imagery)
        stride = area_check.choose_stride(area, imagery)
        found = area_check.check(area, imagery, stride)
        with st.container(key="area-build"):
            area_check.build_button(found, area, imagery, display, stride)
    with place:
        area_map(display.shown, found.missing, imagery.preview if imagery else "")
