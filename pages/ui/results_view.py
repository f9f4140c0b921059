"""The Results page's component (`assets/results.js`): it asks our REST routes for everything."""

from __future__ import annotations

import streamlit as st

from pages.ui.server import base_path
from pages.ui.style import sheets
from pipeline.export import FORMATS
from pipeline.tiles import assets_version

_JS = """
export default function (component) {
  const live = import(`${location.origin}${component.data.assets}/results.js`).then(
    ({ mount }) => mount(component),
  );
  return () => live.then((stop) => stop());
}
"""
_component = st.components.v2.component(
    "lookalike_results",
    html='<div class="lk-results" data-state="loading"></div>',
    css=sheets("explorer.css", "results.css"),
    js=_JS,
    isolate_styles=False,
)


def results() -> None:
    """Show the saved searches, or the one that the address names."""
    _component(
        key="results",
        data={
            "base": base_path(),
            "assets": f"{base_path()}/lookalike/assets/{assets_version()}",
            "formats": [
                {"name": made.name, "title": made.title, "opens_in": made.opens_in}
                for made in FORMATS.values()
            ],
        },
    )
