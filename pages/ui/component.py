"""Streamlit components (v2), each drawn by its page's ES module, without an iframe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.ui import identity
from pages.ui.server import base_path
from pages.ui.style import sheets
from pipeline.frontend import assets_version
from pipeline.settings import settings
from pipeline.web.collections import describe

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

# The modules themselves come from our route, so that they may import one another.
_JS = """
export default function (component) {
  const live = import(`${location.origin}${component.data.assets}/PAGE/PAGE.js`).then(
    ({ mount }) => mount(component),
  );
  return () => live.then((stop) => stop());
}
"""


def declare(page: str, html: str, *styles: str) -> Callable[..., Any]:
    """A component that `assets/{page}/{page}.js` draws.

    Args:
        page: Its folder; the `mount` of the module is called at first and on every rerun.
        html: The initial HTML.
        styles: Style sheets of other folders, before its own `{page}/{page}.css`.
    """
    return st.components.v2.component(
        f"lookalike_{page}",
        html=html,
        css=sheets("shared/component.css", "map/map.css", *styles, f"{page}/{page}.css"),
        js=_JS.replace("PAGE", page),
        isolate_styles=False,
    )


def page_data() -> dict[str, Any]:
    """What every component needs: where server and modules are, the basemap, and who looks."""
    return {
        "base": base_path(),
        "assets": f"{base_path()}/lookalike/assets/{assets_version()}",
        "basemap": settings().basemap,
        "person": identity.person(),
    }


def collection_data(collection: Collection, titles: dict[str, str]) -> dict[str, Any]:
    """`page_data` with a collection and those that can be chosen instead.

    Args:
        collection: The collection to show.
        titles: Title by name of every collection to choose from.
    """
    choices = [{"name": name, "title": title} for name, title in titles.items()]
    facts = describe(collection).model_dump()
    return {**page_data(), "collection": facts, "collections": choices}


def open_chosen_collection(key: str) -> Callable[[], None]:
    """A callback that puts the collection chosen in a component into the page's URL.

    Args:
        key: Key of the component.
    """

    def open_chosen() -> None:
        name = getattr(st.session_state.get(key), "collection", None)
        if name:
            st.query_params.from_dict({"collection": name})

    return open_chosen
