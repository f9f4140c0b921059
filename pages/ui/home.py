"""Home's cards: one a collection, and what to do when there is none."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui.formatting import plural, size
from pages.ui.server import base_path
from pipeline.errors import LookalikeError

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.search.open_collections import OpenCollections

COLUMNS = 3


def collections(found: list[Collection]) -> None:
    """Collections as cards, `COLUMNS` in a row."""
    for start in range(0, len(found), COLUMNS):
        for column, collection in zip(
            st.columns(COLUMNS), found[start : start + COLUMNS], strict=False
        ):
            with column:
                _card(collection)


def _card(collection: Collection) -> None:
    manifest = collection.manifest
    picture = f"{base_path()}/api/collections/{collection.name}/preview.png?v={collection.version}"
    facts = [
        plural(manifest.chips, "chip") if manifest.complete else "not finished",
        size(collection.disk_bytes()),
        f"{manifest.updated[:10]}",
    ]
    with st.container(border=True, key=f"card-{collection.name}"):
        st.html(
            f'<article class="lk-collection"><img src="{escape(picture)}" alt="">'
            f"<h3>{escape(manifest.title)}</h3><p>{escape(' · '.join(facts))}</p></article>"
        )
        if searchable(collection):
            st.page_link(
                "search.py",
                label=f"Search {manifest.title}",
                query_params={"collection": collection.name},
            )
        else:
            st.page_link("jobs.py", label=f"See the build of {manifest.title}")


def searchable(collection: Collection) -> bool:
    """Whether it has chips: those of a finished block can be searched while others are made."""
    manifest = collection.manifest
    return manifest.complete or any(map(collection.part_files, manifest.scenes))


def nothing_yet() -> None:
    """The empty state: how to get a first collection."""
    st.html(
        '<section class="lk-empty"><h2>No collection yet</h2>'
        "<p>A collection is imagery made searchable. Draw an area over a sample scene or over your "
        "own raster, press Build, and search it minutes later.</p></section>"
    )
    draw_an_area()


def not_built(collection: Collection) -> None:
    """What there is to know of a collection without chips."""
    st.html(
        f'<section class="lk-empty"><h2>{escape(collection.manifest.title)} is not built yet</h2>'
        "<p>You can search it as soon as its first chips are ready. Jobs shows the progress and "
        "resumes a stopped build.</p></section>"
    )
    st.page_link("jobs.py", label="See its build", icon=":material/work_history:")


def draw_an_area() -> None:
    """The way to the Area page."""
    st.page_link("area.py", label="Draw an area", icon=":material/draw:")


def steps() -> None:
    """What to do, in the order one does it."""
    st.html(
        '<ol class="lk-steps">'
        "<li><b>Draw</b> Choose imagery, draw an area, and Build: it becomes searchable.</li>"
        "<li><b>Search</b> Click what you look for, or drop a picture; mark results good or bad "
        "and Refine.</li>"
        "<li><b>Review and export</b> Save the search, see how far to trust it, and take it along "
        "as a file.</li></ol>"
    )


def readable(open_collections: OpenCollections) -> tuple[list[Collection], list[LookalikeError]]:
    """The collections that open, and why the others do not."""
    opened, refused = [], []
    for name in open_collections.library.names():
        try:
            opened.append(open_collections.collection(name))
        except LookalikeError as error:
            refused.append(error)
    return opened, refused


def hero() -> None:
    """What this is, in one sentence."""
    st.html(
        '<header class="lk-hero"><h1>Find every place that looks like this one</h1>'
        "<p>Click one thing in satellite imagery – a salt pond, a quarry, a kind of roof – and "
        "Lookalike shows the places that look most like it, ranked, on the same map.</p></header>"
    )
