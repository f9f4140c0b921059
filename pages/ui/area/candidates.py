"""Services that are asked which scenes they have: their options, their answer, the choice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.ui import messages as trouble
from pages.ui.area import state as area_state
from pipeline.dates import Dates
from pipeline.errors import LookalikeError
from pipeline.sources.candidates import Candidate
from pipeline.sources.earth_engine.catalogue import CATALOGUE, COMPOSITES
from pipeline.sources.earth_engine.client import check
from pipeline.sources.google.identity import identity
from pipeline.sources.registry import KINDS
from pipeline.sources.selection import best
from pipeline.sources.source import Source
from pipeline.sources.stac.source import apis
from pipeline.sources.thumbnails import thumbnails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.geo.area import Area

FOUND, PICTURES = "area-found", "area-pictures"
ROADS = {
    "direct": "Straight from Earth Engine",
    "drive": "By way of Google Drive",
    "storage": "By way of Cloud Storage",
}


def options(kind: str) -> dict[str, Any] | None:
    """Let the user set what this kind of source needs; None while something is missing."""
    st.caption(f"Needs {KINDS[kind].needs}.")
    if kind == "earth_engine":
        return _earth_engine()
    if kind == "stac":
        return _stac()
    if kind == "drive":
        folder = st.text_input(
            "Folder: name, id or address", key="area.folder", persist_state="session"
        )
        if not folder:
            trouble.hint("Share the folder with the account in use, then name it here.")
            return None
        return {"folder": folder}
    return {}


def _earth_engine() -> dict[str, Any]:
    _sign_in()
    known = area_state.with_typed("ee-collection", list(CATALOGUE))
    area_state.pick("ee-collection", known, known[0])
    name = st.selectbox(
        "Collection",
        known,
        format_func=lambda key: CATALOGUE[key].title if key in CATALOGUE else key,
        key="area.ee-collection",
        persist_state="session",
        accept_new_options=True,
        help="Or type the id of any image or collection",
    )
    product = CATALOGUE.get(name)
    if product:
        st.caption(f"{product.where}; {product.when}; {product.scale:g} m; {product.license}")
    with st.expander("How it is fetched"):
        suits = product.composite if product else "mosaic"
        area_state.pick("ee-composite", list(COMPOSITES), suits)
        composite = st.selectbox(
            "Scenes made of the images",
            list(COMPOSITES),
            format_func=lambda key: COMPOSITES[key].capitalize(),
            key="area.ee-composite",
            persist_state="session",
        )
        area_state.pick("ee-road", list(ROADS), "direct")
        road = st.selectbox(
            "Road",
            list(ROADS),
            format_func=lambda key: ROADS[key],
            key="area.ee-road",
            persist_state="session",
        )
        bucket = (
            st.text_input("Bucket", key="area.ee-bucket", persist_state="session")
            if road == "storage"
            else ""
        )
    chosen = {"collection": name, "composite": composite, "road": road}
    return {**chosen, "bucket": bucket} if bucket else chosen


def _sign_in() -> None:
    """Whose Google account is used, and whether Earth Engine lets it in."""
    try:
        who = str(identity())
    except LookalikeError as error:
        trouble.show(error)
        return
    left, right = st.columns([3, 1], vertical_alignment="center")
    left.caption(f"Signed in as {who}")
    if right.button("Test", key="area-sign-in", width="stretch"):
        tested = check()
        (st.success if tested.ok else st.error)(tested.message)


def _stac() -> dict[str, Any]:
    known = apis()
    area_state.pick("stac-api", list(known), next(iter(known)))
    api = st.selectbox("Catalogue", list(known), key="area.stac-api", persist_state="session")
    collections = known[api].collections
    if not collections:
        name = st.text_input(
            "Collection", key="area.stac-collection-typed", persist_state="session"
        )
        return {"api": api, "collection": name or None}
    area_state.pick("stac-collection", collections, collections[0])
    return {
        "api": api,
        "collection": st.selectbox(
            "Collection", collections, key="area.stac-collection", persist_state="session"
        ),
    }


def found(
    kind: str, source: Source, asked: dict[str, Any], area: Area
) -> Sequence[Candidate] | None:
    """What the service has of the area, once it was asked; None before."""
    left, right = st.columns(2)
    dates = left.text_input(
        "Dates",
        key="area.dates",
        persist_state="session",
        placeholder="2016-05/2016-09",
        help="A year, a month, or two",
    )
    cloud = right.number_input(
        "Cloud at most, %", 0, 100, key=area_state.start("cloud", 20), persist_state="session"
    )
    when = Dates.parse(dates) if dates else None
    question = json.dumps([kind, asked, area.geometry.wkt, dates, cloud], sort_keys=True)
    if st.button("Find images", width="stretch", icon=":material/search:"):
        with st.spinner("Asking …"):
            answer = source.search(area, when, cloud=cloud)
            reason = "" if answer else _explained(source, area, when)
            st.session_state[PICTURES] = thumbnails(source, answer)
        st.session_state[FOUND] = (question, answer, reason)
    asked_last, answer, reason = st.session_state.get(FOUND, ("", [], ""))
    if asked_last != question:
        if asked_last:
            trouble.hint("Something changed since the last look: find images again.")
        return None
    if not answer:
        trouble.hint(reason)
        _alternatives(kind, source, area, when)
    return answer


def _explained(source: Source, area: Area, when: Dates | None) -> str:
    explain = getattr(source, "explain", None)
    if explain is None:
        between = f" between {when.start} and {when.end}" if when else ""
        return f"It has no image here{between}. Try other dates, or other imagery."
    return str(explain(area, when))


def _alternatives(kind: str, source: Source, area: Area, when: Dates | None) -> None:
    """One click to each collection that does have images."""
    ask = getattr(source, "alternatives", None)
    if kind != "earth_engine" or ask is None:
        return
    for product, number in ask(area, when)[:3]:
        st.button(
            f"Use {product.title.partition(',')[0]} ({number} images)",
            key=f"area-instead-{product.id}",
            on_click=_use_collection,
            args=(product.id,),
            width="stretch",
        )


def _use_collection(name: str) -> None:
    st.session_state["area.ee-collection"] = name
    st.session_state.pop("area.ee-composite", None)


def choose(offered: Sequence[Candidate], area: Area) -> list[Candidate]:
    """Let the user choose among candidates; the best ones are chosen already."""
    if not offered:
        return []
    chosen = {one.id for one in best(area, offered)}
    pictures = st.session_state.get(PICTURES, {})
    rows = [
        {
            "Use": one.id in chosen,
            **({"Picture": pictures.get(one.id)} if pictures else {}),
            "Date": one.day,
            "Covers": round(100 * one.share),
            "Cloud": None if one.cloud is None else round(one.cloud),
            "Metres": one.gsd,
            "Scene": one.title,
        }
        for one in offered
    ]
    percent = st.column_config.NumberColumn(format="%d %%", width="small")
    edited = st.data_editor(
        rows,
        key=f"area-candidates-{hash(tuple(one.id for one in offered))}",
        hide_index=True,
        height=min(36 * (len(rows) + 1), 260),
        disabled=["Picture", "Date", "Covers", "Cloud", "Metres", "Scene"],
        column_config={
            "Use": st.column_config.CheckboxColumn(width="small"),
            "Picture": st.column_config.ImageColumn(width="small"),
            "Covers": percent,
            "Cloud": percent,
            "Metres": st.column_config.NumberColumn(format="%.1f", width="small"),
        },
    )
    return [one for one, row in zip(offered, edited, strict=True) if row["Use"]]


def preview(source: Source, asked: dict[str, Any], area: Area, chosen: list[Candidate]) -> str:
    """URL template of map tiles of the chosen scenes; "" where the service has none."""
    if not hasattr(source, "preview") or not chosen:
        return ""
    question = json.dumps([source.name, asked, area.geometry.wkt, [one.id for one in chosen]])
    try:
        return _preview(question, source, area, chosen)
    except LookalikeError as error:
        trouble.hint(f"There is no preview on the map: {error}")
        return ""


# The address of Earth Engine's tiles is good for hours.
@st.cache_data(ttl=3600, max_entries=64, show_spinner="Making a preview …")
def _preview(question: str, _source: Any, _area: Area, _chosen: list[Candidate]) -> str:
    return str(_source.preview(_area, _chosen))
