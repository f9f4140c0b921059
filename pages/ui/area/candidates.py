"""The images that a service offers of the area: search, choice and preview."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.ui import messages
from pages.ui.area import draft
from pages.ui.formatting import plural
from pipeline.dates import Dates
from pipeline.errors import LookalikeError
from pipeline.sources.candidates import Candidate
from pipeline.sources.earth_engine.source import EarthEngine
from pipeline.sources.selection import best
from pipeline.sources.source import Source, why_empty
from pipeline.sources.thumbnails import thumbnails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.geo.area import Area

FOUND, THUMBNAILS = "area-found", "area-pictures"
FACTS = ["Preview", "Date", "Coverage", "Cloud", "Resolution", "Image"]


def find(
    kind: str, source: Source, options: dict[str, Any], area: Area
) -> Sequence[Candidate] | None:
    """Images of the area, once the user has searched for them; None before."""
    left, right = st.columns(2)
    dates = left.text_input(
        "Dates",
        key="area.dates",
        persist_state="session",
        placeholder="2016-05/2016-09",
        help="A year, a month, a day, or two of them with a slash between",
    )
    cloud = right.number_input(
        "Max. cloud, %", 0, 100, key=draft.start("cloud", 20), persist_state="session"
    )
    when = Dates.parse(dates) if dates else None
    question = json.dumps([kind, options, area.geometry.wkt, dates, cloud], sort_keys=True)
    if st.button("Find images", width="stretch", icon=":material/search:"):
        with st.spinner("Searching …"):
            images = source.search(area, when, cloud=cloud)
            reason = "" if images else why_empty(source, area, when)
            st.session_state[THUMBNAILS] = thumbnails(source, images)
        st.session_state[FOUND] = (question, images, reason)
    answered, images, reason = st.session_state.get(FOUND, ("", [], ""))
    if answered != question:
        if answered:
            messages.hint("The area or the options have changed: find images again.")
        return None
    if not images:
        messages.hint(reason)
        _alternatives(source, area, when)
    return images


def _alternatives(source: Source, area: Area, when: Dates | None) -> None:
    """One button for each image collection that does have images."""
    if not isinstance(source, EarthEngine):
        return
    for product, number in source.alternatives(area, when)[:3]:
        st.button(
            f"Use {product.short_title} ({plural(number, 'image')})",
            key=f"area-instead-{product.id}",
            on_click=_use_collection,
            args=(product.id,),
            width="stretch",
        )


def _use_collection(name: str) -> None:
    st.session_state["area.ee-collection"] = name
    st.session_state.pop("area.ee-composite", None)


def choose(offered: Sequence[Candidate], area: Area) -> list[Candidate]:
    """Let the user choose among candidates; the best ones are chosen to begin with."""
    if not offered:
        return []
    chosen = {candidate.id for candidate in best(area, offered)}
    pictures = st.session_state.get(THUMBNAILS, {})
    rows = [
        {
            "Use": candidate.id in chosen,
            **({"Preview": pictures.get(candidate.id)} if pictures else {}),
            "Date": candidate.day,
            "Coverage": round(100 * candidate.share),
            "Cloud": None if candidate.cloud is None else round(candidate.cloud),
            "Resolution": candidate.gsd,
            "Image": candidate.title,
        }
        for candidate in offered
    ]
    percent = st.column_config.NumberColumn(format="%d%%", width="small")
    edited = st.data_editor(
        rows,
        key=f"area-candidates-{hash(tuple(candidate.id for candidate in offered))}",
        hide_index=True,
        height=min(36 * (len(rows) + 1), 260),
        disabled=FACTS,
        column_config={
            "Use": st.column_config.CheckboxColumn(width="small"),
            "Preview": st.column_config.ImageColumn(width="small"),
            "Coverage": percent,
            "Cloud": percent,
            "Resolution": st.column_config.NumberColumn(format="%.1f m", width="small"),
        },
    )
    return [candidate for candidate, row in zip(offered, edited, strict=True) if row["Use"]]


def preview(source: Source, options: dict[str, Any], area: Area, chosen: list[Candidate]) -> str:
    """URL template of map tiles of the chosen images; "" where the service has none."""
    if not isinstance(source, EarthEngine) or not chosen:
        return ""
    ids = [candidate.id for candidate in chosen]
    question = json.dumps([source.name, options, area.geometry.wkt, ids])
    try:
        return _preview(question, source, area, chosen)
    except LookalikeError as error:
        messages.hint(f"The map shows no preview: {error}")
        return ""


# Earth Engine's tile URLs are valid for some hours.
@st.cache_data(ttl=3600, max_entries=64, show_spinner="Preparing the preview …")
def _preview(question: str, _source: EarthEngine, _area: Area, _chosen: list[Candidate]) -> str:
    return _source.preview(_area, _chosen)
