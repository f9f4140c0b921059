"""The user's own raster on the Area page: uploaded, on the server, or at a URL."""

from __future__ import annotations

import streamlit as st

from pages.ui import messages
from pages.ui.area import draft, shape
from pages.ui.formatting import escape_markdown
from pages.ui.server import open_collections, previews
from pipeline.errors import LookalikeError, QueryError
from pipeline.geo.area import Area
from pipeline.jobs.chosen_imagery import ChosenImagery, with_provenance
from pipeline.settings import settings
from pipeline.sources.files import SUFFIXES, is_url
from pipeline.sources.registry import open_source

WAYS = ("Upload", "Server path", "Web address")
#: World files and the like, which georeference the image beside them.
BESIDE = ("tfw", "pgw", "jgw", "wld", "prj", "xml")


def choose(area: Area | None) -> ChosenImagery | None:
    """Let the user name a raster; None until one is named."""
    draft.pick("from", WAYS, WAYS[0])
    way = st.segmented_control(
        "Raster from",
        WAYS,
        key="area.from",
        persist_state="session",
        label_visibility="collapsed",
        width="stretch",
    )
    if way == "Upload":
        locations = _uploaded()
    elif way == "Server path":
        locations = _on_server()
    else:
        locations = _at_url()
    if not locations:
        return None
    remote = way == "Web address"
    library = open_collections().library
    folders = (*settings().folders, previews().uploads, library.root)
    source = open_source("raster", locations=locations, folders=folders)
    with st.spinner("Reading raster metadata …", show_time=False):
        # Without the area: a raster that misses it is shown, and the pre-flight says that it does.
        rasters = tuple(with_provenance(raster, library) for raster in source.search(None))
    touching = area is None or any(raster.footprint.intersects(area.geometry) for raster in rasters)
    return ChosenImagery(
        "raster" if remote else "",
        options={"locations": locations} if remote else {},
        offered=rasters,
        chosen=rasters,
        title=rasters[0].title if rasters else "",
        estimate=source.estimate(area, rasters) if remote and touching else None,
    )


def _uploaded() -> list[str]:
    st.file_uploader(
        f"GeoTIFF, COG, JPEG 2000, or PNG or JPEG with a world file; up to {settings().upload_mb} "
        "MB",
        type=[*(suffix[1:] for suffix in SUFFIXES), *BESIDE],
        accept_multiple_files=True,
        key="area-raster",
        on_change=_take_upload,
    )
    kept = [str(path) for path in st.session_state.get("area.uploaded") or []]
    if kept:
        names = ", ".join(path.rsplit("/", 1)[-1] for path in kept)
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.caption(f"Using {escape_markdown(names)}")
        right.button("Remove", key="area-drop", type="tertiary", on_click=_drop_upload)
    return kept


def _take_upload() -> None:
    uploads = st.session_state.get("area-raster")
    if not uploads:
        return
    try:
        paths = previews().keep_uploads([(upload, upload.name) for upload in uploads])
    except LookalikeError as error:
        shape.refuse(error)
        return
    draft.put(uploaded=[str(path) for path in paths if path.suffix.lower() in SUFFIXES])


def _drop_upload() -> None:
    draft.put(uploaded=[])


def _on_server() -> list[str]:
    folders = settings().folders
    if not folders:
        messages.hint(
            "This server gives access to no folder. Upload the file, or ask the operator to set "
            "`LOOKALIKE_FOLDERS=/data/imagery`."
        )
        return []
    path = st.text_input(
        "Path to a raster or a folder of rasters",
        key="area.path",
        persist_state="session",
        placeholder=f"{folders[0]}/scene.tif",
        help="Allowed: " + ", ".join(f"`{folder}`" for folder in folders),
    )
    return [path.strip()] if path.strip() else []


def _at_url() -> list[str]:
    url = st.text_input(
        "GeoTIFF URL",
        key="area.url",
        persist_state="session",
        placeholder="https://example.org/scene.tif",
    ).strip()
    if url and not is_url(url):
        raise QueryError(
            "This is not a web address", where=url, remedy="Enter one that starts with https://"
        )
    return [url] if url else []
