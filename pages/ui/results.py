"""The Results page's component (`assets/results/results.js`): saved searches, through REST."""

from __future__ import annotations

from pages.ui import component
from pipeline.export.formats import FORMATS

_component = component.declare("results", '<div class="lk-results" data-state="loading"></div>')


def show() -> None:
    """Show the saved searches, or the one that the address names."""
    _component(
        key="results",
        data={
            **component.page_data(),
            "formats": [
                {"name": kind.name, "title": kind.title, "opens_in": kind.opens_in}
                for kind in FORMATS.values()
            ],
        },
    )
