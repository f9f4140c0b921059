"""The collection that the Area page adds imagery to, if the Collections page asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.server import open_collections

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection


def target() -> Collection | None:
    """The collection, or None if a new one is to be built."""
    name = st.session_state.get("area.into", "")
    if not name or name not in open_collections().library.names():
        return None
    return open_collections().collection(str(name))
