"""Area: draw it, choose imagery, check what the build needs, build."""

from __future__ import annotations

import streamlit as st

from pages.ui.area import (
    build,
    display,
    imagery,
    map,
    objects,
    outline,
    overlap,
    preflight,
    quality,
    step,
)

with st.container(key="area-page"):
    with st.container(key="area-map-pane"):
        pane = st.container()  # not st.empty, which would take the map away at every run
    with st.container(key="area-panel"):
        with step.container("outline"):
            area = outline.choose()
        with step.container("imagery"):
            chosen = imagery.choose(area)
        with step.container("display"):
            shown = display.choose(chosen)
        with step.container("stride"):
            stride = overlap.choose(area, chosen)
        with step.container("quality"):
            search_quality = quality.choose()
        with step.container("objects"):
            object_size = objects.choose(chosen)
        with step.container("check"):
            result = preflight.check(area, chosen, stride, search_quality, object_size)
        with st.container(key="area-build"):
            build.button(result, area, chosen, shown, stride, search_quality, object_size)
    with pane:
        map.show(shown.layers, result.missing, chosen.preview if chosen else "")
