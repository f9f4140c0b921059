"""The Results page's component (`assets/results.js`): it asks our REST routes for everything."""

from __future__ import annotations

from pages.ui import component
from pipeline.export.formats import FORMATS

_component = component.declare(
    "results", '<div class="lk-results" data-state="loading"></div>', "results.css"
)


def results() -> None:
    """Show the saved searches, or the one that the address names."""
    _component(
        key="results",
        data={
            **component.told(),
            "formats": [
                {"name": made.name, "title": made.title, "opens_in": made.opens_in}
                for made in FORMATS.values()
            ],
        },
    )
