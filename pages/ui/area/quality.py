"""The Area page's step on search quality: how closely the network looks at each chip."""

from __future__ import annotations

from typing import cast

import streamlit as st

from pages.ui.area import addition, draft
from pages.ui.area.step import heading
from pipeline.model.descriptor import PASSES, Quality

KEY = "quality"
QUALITIES: dict[Quality, tuple[str, str]] = {
    "standard": ("Standard", "Looks at each chip once."),
    "thorough": (
        "Thorough",
        "Looks at each chip in four orientations and at two sizes: finds more of the same, takes "
        f"about {PASSES['thorough']:.1f} times as long.",
    ),
}


def choose() -> Quality:
    """Let the user choose the quality; a collection that imagery is added to keeps its own."""
    draft.pick(KEY, list(QUALITIES), "standard")
    into = addition.target()
    heading("Search quality")
    if into:
        kept = into.manifest.quality or "standard"
        st.caption(f"{QUALITIES[kept][0]}, as the collection has it. {QUALITIES[kept][1]}")
        return kept
    quality = cast(
        "Quality",
        st.segmented_control(
            "Search quality",
            list(QUALITIES),
            format_func=lambda name: QUALITIES[name][0],
            key=draft.PREFIX + KEY,
            persist_state="session",
            label_visibility="collapsed",
            width="stretch",
            required=True,
        ),
    )
    st.caption(QUALITIES[quality][1])
    return quality
