"""Empty states: what is missing, and the link to the page that provides it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection


def empty_state(title: str, text: str) -> None:
    """A heading and a paragraph, which may hold HTML."""
    st.html(f'<section class="lk-empty"><h2>{escape(title)}</h2><p>{text}</p></section>')


def draw_an_area() -> None:
    """The link to the Area page."""
    st.page_link("area.py", label="Draw an area", icon=":material/draw:")


def no_collection() -> None:
    """How to make a first collection."""
    empty_state(
        "No collection yet",
        "A collection is imagery made searchable. Draw an area on a sample scene or on your own "
        "raster, select Build, and search it minutes later.",
    )
    draw_an_area()


def not_built(collection: Collection) -> None:
    """A collection that has no chips yet."""
    empty_state(
        f"{collection.manifest.title} is not built yet",
        "You can search it as soon as its first chips are ready. Jobs shows the progress and "
        "resumes a stopped build.",
    )
    st.page_link("jobs.py", label="See its build", icon=":material/work_history:")
