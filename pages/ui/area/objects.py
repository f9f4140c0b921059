"""The Area page's step on objects: how small the things are that will be looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.area.step import heading
from pipeline.build.layers import LARGEST, SMALLEST
from pipeline.build.preflight import object_scale

if TYPE_CHECKING:
    from pipeline.jobs.chosen_imagery import ChosenImagery

KEY = "area.object_size"
SCALES = {0.5: "half size", 1.0: "full size", 2.0: "double size"}


def choose(imagery: ChosenImagery | None) -> float | None:
    """Let the user state the size in metres of the smallest thing, None where it is not known."""
    size = _kept()
    chosen = imagery.chosen if imagery else ()
    scale = object_scale(chosen[0], size) if chosen else 1.0
    heading("Objects", f"seen at {SCALES[scale]}")
    st.number_input(
        "Smallest thing to look for, in metres",
        min_value=SMALLEST,
        max_value=LARGEST,
        value=None,
        format="%g",
        placeholder=_usual(imagery),
        key=KEY,
        persist_state="session",
    )
    costs = {
        0.5: "Large things: a quarter of the work.",
        1.0: "Object search works best on things 60 to 120 pixels wide.",
        2.0: "Small things: enlarged twice, which takes four times the work.",
    }
    st.caption(costs[scale])
    return st.session_state.get(KEY)


def _kept() -> float | None:
    """The size in the session; one that a browser kept may be out of range or an integer."""
    given = st.session_state.get(KEY)
    valid = isinstance(given, (int, float)) and SMALLEST <= given <= LARGEST
    size = float(given) if valid and given is not None else None
    if KEY not in st.session_state or given is not size:
        st.session_state[KEY] = size
    return size


def _usual(imagery: ChosenImagery | None) -> str:
    gsd = imagery.chosen[0].gsd if imagery and imagery.chosen else None
    if not gsd:
        return "Optional"
    return f"Optional; otherwise suits {60 * gsd:.3g} to {120 * gsd:.3g} m"
