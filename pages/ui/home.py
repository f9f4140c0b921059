"""Home: what Lookalike does, one card per collection, and the steps of a search."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.formatting import escape_markdown, plural, size
from pages.ui.server import base_path

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

COLUMNS = 3


def hero() -> None:
    """What Lookalike does, in one sentence."""
    st.html(
        '<header class="lk-hero"><h1>Find everything that looks like this</h1>'
        "<p>Click an object in satellite imagery – a dead tree, an aircraft, a tank – or a place – "
        "a salt pond, a quarry – and Lookalike finds what looks like it, on the same map.</p>"
        "</header>"
    )


def collections(opened: list[Collection]) -> None:
    """Collections as cards, `COLUMNS` in a row."""
    for start in range(0, len(opened), COLUMNS):
        row = opened[start : start + COLUMNS]
        for column, collection in zip(st.columns(COLUMNS), row, strict=False):
            with column:
                _card(collection)


def _card(collection: Collection) -> None:
    manifest = collection.manifest
    picture = f"{base_path()}/api/collections/{collection.name}/preview.png?v={collection.version}"
    facts = [
        plural(manifest.chips, "chip") if manifest.complete else "unfinished",
        size(collection.disk_bytes()),
        manifest.updated[:10],
    ]
    with st.container(border=True, key=f"card-{collection.name}"):
        st.html(
            f'<article class="lk-collection"><img src="{escape(picture)}" alt="">'
            f"<h3>{escape(manifest.title)}</h3><p>{escape(' · '.join(facts))}</p></article>"
        )
        title = escape_markdown(manifest.title)
        if collection.searchable:
            st.page_link(
                "search.py",
                label=f"Search {title}",
                query_params={"collection": collection.name},
            )
        else:
            st.page_link("jobs.py", label=f"See the build of {title}")


def steps() -> None:
    """The steps of a search, in order."""
    st.html(
        '<ol class="lk-steps">'
        "<li><b>Draw and build</b> Choose imagery, draw an area and build it into a searchable "
        "collection.</li>"
        "<li><b>Search</b> Click the object or the place that you are looking for, or drop a "
        "picture. Judge some results, and they get better.</li>"
        "<li><b>Check and export</b> Save the search, check a random sample to see how many are "
        "right, and export them to a file.</li></ol>"
    )
