"""The Census page's component (`assets/census/census.js`): censuses, through REST."""

from __future__ import annotations

from pages.ui import component
from pipeline.census.design import FLOOR
from pipeline.census.start import ERROR
from pipeline.census.units import UNIT

_HTML = '<div class="lk-results lk-census" data-state="loading"></div>'
_component = component.declare("census", _HTML, "results/results.css")


def show() -> None:
    """Show the censuses, or the one that the address names."""
    defaults = {"unit": UNIT, "error": ERROR, "floor": FLOOR}
    _component(key="census", data={**component.page_data(), **defaults})
