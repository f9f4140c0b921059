"""The Area page's step on overlap: how far apart chips start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.area import draft
from pages.ui.area.step import heading
from pages.ui.formatting import THIN, count
from pipeline.build.preflight import count_chips
from pipeline.imagery.chips import CHIP

if TYPE_CHECKING:
    from pipeline.geo.area import Area
    from pipeline.jobs.chosen_imagery import ChosenImagery

STRIDES = {
    256: ("None", "Fastest and smallest, but objects on a seam are cut in two."),
    128: ("Half", "Four times the chips; most objects lie well inside one."),
    64: ("Three quarters", "Sixteen times the chips; finds and locates small objects best."),
}


def choose(area: Area | None, imagery: ChosenImagery | None) -> int:
    """Let the user choose the stride, each with the number of chips it makes."""
    draft.pick("stride", list(STRIDES), 128)
    heading("Chip overlap", _chip_size(imagery))
    stride: int = st.segmented_control(
        "Chip overlap",
        list(STRIDES),
        format_func=lambda pixels: STRIDES[pixels][0],
        key="area.stride",
        persist_state="session",
        label_visibility="collapsed",
        width="stretch",
    )
    chosen = imagery.chosen if imagery else ()
    geometry = area.geometry if area else None
    counts = [
        _unbroken(f"{name}: {count(sum(count_chips(image, geometry, pixels) for image in chosen))}")
        for pixels, (name, _) in STRIDES.items()
    ]
    st.caption(STRIDES[stride][1] + (f" Chips: {', '.join(counts).lower()}." if chosen else ""))
    return stride


def _unbroken(text: str) -> str:
    return text.replace(THIN, "\u202f").replace(" ", "\xa0")


def _chip_size(imagery: ChosenImagery | None) -> str:
    gsd = imagery.chosen[0].gsd if imagery and imagery.chosen else None
    if not gsd:
        return f"each {CHIP}×{CHIP} pixels"
    side = gsd * CHIP
    return f"each {side / 1000:.1f} km wide" if side >= 1000 else f"each {side:.0f} m wide"
