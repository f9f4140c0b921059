"""What a service of imagery needs to know before it can be searched."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui import messages
from pages.ui.area import draft
from pipeline.errors import LookalikeError
from pipeline.sources.earth_engine.catalogue import CATALOGUE, COMPOSITES
from pipeline.sources.earth_engine.client import check_sign_in
from pipeline.sources.google.identity import identity
from pipeline.sources.registry import KINDS
from pipeline.sources.stac.source import apis

#: Download methods of Earth Engine, as the menu writes them.
DOWNLOAD_METHODS = {
    "direct": "Direct from Earth Engine",
    "drive": "Via Google Drive",
    "storage": "Via Cloud Storage",
}


def options(kind: str) -> dict[str, Any] | None:
    """Let the user set what this kind of source needs; None while something is missing."""
    needs = KINDS[kind].needs
    st.caption(f"Needs {needs}." if needs else "No sign-in needed.")
    if kind == "earth_engine":
        return _earth_engine()
    if kind == "stac":
        return _stac()
    if kind == "drive":
        return _drive()
    return {}


def _drive() -> dict[str, Any] | None:
    folder = st.text_input("Folder name, ID or URL", key="area.folder", persist_state="session")
    if folder:
        return {"folder": folder}
    messages.hint("Share the folder with the account in use, then enter it here.")
    return None


def _earth_engine() -> dict[str, Any]:
    _sign_in()
    collections = draft.with_custom("ee-collection", list(CATALOGUE))
    draft.pick("ee-collection", collections, collections[0])
    name = st.selectbox(
        "Image collection",
        collections,
        format_func=lambda key: CATALOGUE[key].title if key in CATALOGUE else key,
        key="area.ee-collection",
        persist_state="session",
        accept_new_options=True,
        help="You can also type the ID of any image or image collection",
    )
    product = CATALOGUE.get(name)
    if product:
        st.caption(f"{product.where}; {product.when}; {product.scale:g} m; {product.license}")
    with st.expander("Download options"):
        draft.pick("ee-composite", list(COMPOSITES), product.composite if product else "mosaic")
        composite = st.selectbox(
            "Combine images into scenes",
            list(COMPOSITES),
            format_func=lambda key: COMPOSITES[key].capitalize(),
            key="area.ee-composite",
            persist_state="session",
        )
        draft.pick("ee-road", list(DOWNLOAD_METHODS), "direct")
        road = st.selectbox(
            "Download method",
            list(DOWNLOAD_METHODS),
            format_func=lambda key: DOWNLOAD_METHODS[key],
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
    """Which Google account is in use, and whether Earth Engine accepts it."""
    try:
        account = str(identity())
    except LookalikeError as error:
        messages.show_error(error)
        return
    left, right = st.columns([3, 1], vertical_alignment="center")
    left.caption(f"Signed in as {account}")
    if right.button("Test", key="area-sign-in", width="stretch"):
        tested = check_sign_in()
        (st.success if tested.ok else st.error)(tested.message)


def _stac() -> dict[str, Any]:
    catalogues = apis()
    draft.pick("stac-api", list(catalogues), next(iter(catalogues)))
    api = st.selectbox("Catalogue", list(catalogues), key="area.stac-api", persist_state="session")
    collections = catalogues[api].collections
    if not collections:
        name = st.text_input(
            "Image collection", key="area.stac-collection-typed", persist_state="session"
        )
        return {"api": api, "collection": name or None}
    draft.pick("stac-collection", collections, collections[0])
    name = st.selectbox(
        "Image collection", collections, key="area.stac-collection", persist_state="session"
    )
    return {"api": api, "collection": name}
