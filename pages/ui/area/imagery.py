"""The Area page's second step: which imagery."""

from __future__ import annotations

import streamlit as st

from pages.ui import messages as trouble
from pages.ui.area import candidates as area_candidates
from pages.ui.area import duplicate as area_duplicate
from pages.ui.area import state as area_state
from pages.ui.area.state import Imagery
from pages.ui.formatting import heading
from pages.ui.server import open_collections, previews
from pipeline.errors import LookalikeError, NotFoundError, QueryError
from pipeline.geo.area import Area
from pipeline.settings import settings
from pipeline.sources.candidates import Candidate
from pipeline.sources.files import SUFFIXES, is_url
from pipeline.sources.registry import KINDS, open_source
from pipeline.sources.sample import samples

OWN = {"sample": "Sample scenes", "raster": "My raster"}
WAYS = ("Upload", "Server path", "Web address")
#: World files and the like, which give a picture its place.
BESIDE = ("tfw", "pgw", "jgw", "wld", "prj", "xml")


def choose(area: Area | None) -> Imagery | None:
    """Let the user choose imagery; returns what is chosen so far, if anything."""
    kinds = {**OWN, **{k.name: k.title for k in KINDS.values() if k.name not in OWN}}
    place = st.container()
    area_state.pick("kind", list(kinds), "sample")
    kind = st.selectbox(
        "Imagery from",
        list(kinds),
        format_func=lambda name: kinds[name],
        key="area.kind",
        persist_state="session",
        label_visibility="collapsed",
    )
    with st.container():
        try:
            if kind == "sample":
                found = _sample()
            elif kind == "raster":
                found = _raster(area)
            else:
                found = _searched(kind, area)
        except LookalikeError as error:
            trouble.show(error)
            found = None
    with place:
        heading("Imagery", _fact(found))
    if found and found.chosen:
        st.button(
            "Use its outline as the area",
            on_click=_take_outline,
            args=(found.chosen,),
            type="tertiary",
            icon=":material/select_all:",
        )
    return found


def _fact(found: Imagery | None) -> str:
    if not found or not found.chosen:
        return "none chosen"
    gsd = found.chosen[0].gsd
    number = f"{len(found.chosen)} scene{'s' if len(found.chosen) > 1 else ''}"
    return number + (f", {gsd:.2g} m a pixel" if gsd and gsd < 10 else f", {gsd:.0f} m a pixel")


def _take_outline(chosen: tuple[Candidate, ...]) -> None:
    from shapely import union_all

    try:
        outline = union_all([one.footprint for one in chosen])
        area_state.take(Area.of(outline, f"Outline of {chosen[0].title}"))
    except LookalikeError as error:
        area_state.refuse(error)


def _sample() -> Imagery:
    every = samples()
    area_state.pick("sample", list(every), next(iter(every)))
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
    found = tuple(source.search(None))
    return Imagery(
        "",
        "sample",
        offered=found,
        chosen=found,
        title=sample.title,
        bands=sample.bands,
    )


def _raster(area: Area | None) -> Imagery | None:
    area_state.pick("from", WAYS, WAYS[0])
    way = st.segmented_control(
        "Where it is",
        WAYS,
        key="area.from",
        persist_state="session",
        label_visibility="collapsed",
        width="stretch",
    )
    if way == "Upload":
        places = _uploaded()
    elif way == "Server path":
        places = _on_server()
    else:
        url = st.text_input(
            "Address of a GeoTIFF",
            key="area.url",
            persist_state="session",
            placeholder="https://example.org/scene.tif",
        )
        places = [url.strip()] if url.strip() else []
    if not places:
        return None
    remote = way == "Web address"
    if remote and not is_url(places[0]):
        raise QueryError(
            "This is not a web address", where=places[0], remedy="It begins with https://"
        )
    folders = (*settings().folders, previews().uploads, open_collections().library.root)
    source = open_source("raster", locations=places, folders=folders)
    with st.spinner("Reading what it says of itself …", show_time=False):
        # Without the area, so that a raster that misses it is shown, and said to miss it.
        found = tuple(map(area_duplicate.described, source.search(None)))
    touching = area is None or any(one.footprint.intersects(area.geometry) for one in found)
    estimate = source.estimate(area, found) if remote and touching else None
    options = {"locations": places} if remote else {}
    return Imagery(
        "raster" if remote else "",
        options=options,
        offered=found,
        chosen=found,
        title=found[0].title if found else "",
        estimate=estimate,
    )


def _uploaded() -> list[str]:
    st.file_uploader(
        f"GeoTIFF, COG, JPEG 2000, or PNG and JPEG with their world file, "
        f"up to {settings().upload_mb} MB",
        type=[*(suffix[1:] for suffix in SUFFIXES), *BESIDE],
        accept_multiple_files=True,
        key="area-raster",
        on_change=_take_upload,
    )
    kept = [str(place) for place in st.session_state.get("area.uploaded") or []]
    if kept:
        names = ", ".join(place.rsplit("/", 1)[-1] for place in kept)
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.caption(f"In use: {names}")
        right.button("Remove", key="area-drop", type="tertiary", on_click=_drop_upload)
    return kept


def _take_upload() -> None:
    given = st.session_state.get("area-raster")
    if not given:
        return
    try:
        paths = previews().keep_uploads([(one, one.name) for one in given])
    except LookalikeError as error:
        area_state.refuse(error)
        return
    st.session_state["area.uploaded"] = [
        str(path) for path in paths if path.suffix.lower() in SUFFIXES
    ]


def _drop_upload() -> None:
    st.session_state["area.uploaded"] = []


def _on_server() -> list[str]:
    folders = settings().folders
    if not folders:
        trouble.hint(
            "No folder of this server is open to the app. Its operator opens one with "
            "`LOOKALIKE_FOLDERS=/data/imagery`; until then, upload the file."
        )
        return []
    path = st.text_input(
        "Path of a raster or a folder of them",
        key="area.path",
        persist_state="session",
        placeholder=f"{folders[0]}/scene.tif",
        help="Allowed: " + ", ".join(f"`{folder}`" for folder in folders),
    )
    return [path.strip()] if path.strip() else []


def _searched(kind: str, area: Area | None) -> Imagery | None:
    """A service that is asked which scenes it has."""
    options = area_candidates.options(kind)
    if options is None:
        return None
    if area is None:
        trouble.hint("Draw an area first; then look for images of it here.")
        return None
    source = open_source(kind, **options)
    found = area_candidates.found(kind, source, options, area)
    if found is None:
        return None
    chosen = area_candidates.choose(found, area)
    estimate = None
    if chosen:
        try:
            estimate = source.estimate(area, chosen)
        except NotFoundError as error:
            trouble.show(error)
    return Imagery(
        kind,
        options=options,
        offered=tuple(found),
        chosen=tuple(chosen),
        title=area.name if area.name != "Drawn area" else "",
        estimate=estimate,
        preview=area_candidates.preview(source, options, area, chosen),
    )
