"""The Area page's second step: the imagery."""

from __future__ import annotations

import streamlit as st

from pages.ui import messages
from pages.ui.area import candidates, draft, raster, service, shape
from pages.ui.area.step import heading
from pages.ui.formatting import plural
from pipeline.errors import LookalikeError, NotFoundError
from pipeline.geo.area import Area
from pipeline.jobs.chosen_imagery import ChosenImagery
from pipeline.sources.registry import KINDS, open_source
from pipeline.sources.sample import samples

OWN = {"sample": "Sample scenes", "raster": "My raster"}


def choose(area: Area | None) -> ChosenImagery | None:
    """Let the user choose imagery; returns what is chosen so far, if anything."""
    kinds = {**OWN, **{k.name: k.title for k in KINDS.values() if k.name not in OWN}}
    head = st.container()
    draft.pick("kind", list(kinds), "sample")
    kind = st.selectbox(
        "Imagery from",
        list(kinds),
        format_func=lambda name: kinds[name],
        key="area.kind",
        persist_state="session",
        label_visibility="collapsed",
        on_change=shape.forget_refusal,
    )
    with st.container():
        try:
            if kind == "sample":
                imagery = _sample()
            elif kind == "raster":
                imagery = raster.choose(area)
            else:
                imagery = _from_service(kind, area)
        except LookalikeError as error:
            messages.show_error(error)
            imagery = None
    with head:
        heading("Imagery", _fact(imagery))
    if imagery and imagery.chosen:
        st.button(
            f"Use imagery {'outlines' if len(imagery.chosen) > 1 else 'outline'} as area",
            on_click=_take_outline,
            args=(imagery,),
            type="tertiary",
            icon=":material/select_all:",
        )
    return imagery


def _fact(imagery: ChosenImagery | None) -> str:
    if not imagery or not imagery.chosen:
        return "none chosen"
    # A service offers images, which a composite makes into scenes.
    noun = "scene" if imagery.is_raster else "image"
    number, gsd = plural(len(imagery.chosen), noun), imagery.chosen[0].gsd
    if not gsd:
        return number
    return f"{number}, {f'{gsd:.2g}' if gsd < 10 else f'{gsd:.0f}'} m/pixel"


def _take_outline(imagery: ChosenImagery) -> None:
    try:
        shape.take(imagery.outline())
    except LookalikeError as error:
        shape.refuse(error)


def _sample() -> ChosenImagery:
    every = samples()
    draft.pick("sample", list(every), next(iter(every)))
    name = st.selectbox(
        "Sample scene",
        list(every),
        format_func=lambda key: every[key].title,
        key="area.sample",
        persist_state="session",
        label_visibility="collapsed",
    )
    sample = every[name]
    source = open_source("raster", locations=[sample.path], license=sample.credit)
    scenes = tuple(source.search(None))
    return ChosenImagery(
        "",
        "sample",
        offered=scenes,
        chosen=scenes,
        title=sample.title,
        bands=sample.bands,
        percentile=sample.percentile,
    )


def _from_service(kind: str, area: Area | None) -> ChosenImagery | None:
    """Imagery of a service that is searched for scenes."""
    options = service.options(kind)
    if options is None:
        return None
    if area is None:
        messages.hint("Draw an area first, then find images of it here.")
        return None
    source = open_source(kind, **options)
    offered = candidates.find(kind, source, options, area)
    if offered is None:
        return None
    chosen = candidates.choose(offered, area)
    estimate = None
    if chosen:
        try:
            estimate = source.estimate(area, chosen)
        except NotFoundError as error:
            messages.show_error(error)
    return ChosenImagery(
        kind,
        options=options,
        offered=tuple(offered),
        chosen=tuple(chosen),
        title=area.name if area.name != "Drawn area" else "",
        estimate=estimate,
        preview=candidates.preview(source, options, area, chosen),
    )
