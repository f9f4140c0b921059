"""One collection on the Collections page: its facts, its names and its actions."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages
from pages.ui.area import duplicate
from pages.ui.formatting import count, duration, escape_markdown, percent, plural, size
from pages.ui.server import base_path, jobs, open_collections
from pipeline.build import brightness
from pipeline.build.build import describe_left_out
from pipeline.build.request import BuildRequest
from pipeline.collection.library import TRASH_DAYS
from pipeline.errors import LookalikeError, NotFoundError
from pipeline.export.chip_files import MAX_ZIPPED
from pipeline.imagery.chips import CHIP
from pipeline.jobs.job import JobRequest
from pipeline.objects.open_cells import forget_removed

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

#: Formats of chip files, as the menu writes them.
FORMATS = {"png": "PNG", "jpeg": "JPEG", "geotiff": "GeoTIFF"}


def choose(opened: list[Collection]) -> Collection | None:
    """Let the user choose a collection; the URL names it."""
    if not opened:
        return None
    by_name = {collection.name: collection for collection in opened}
    asked = st.query_params.get("collection")
    name: str | None
    if asked:
        current = open_collections().library.current(asked)
        name = current if current in by_name else None
    else:
        remembered = st.session_state.get("collection")
        name = remembered if remembered in by_name else next(iter(by_name))
    if len(opened) > 1 or not name:
        name = st.pills(
            "Collection",
            list(by_name),
            default=name,
            required=True,
            format_func=lambda name: escape_markdown(by_name[name].manifest.title),
            label_visibility="collapsed",
            key=f"collections-{'-'.join(by_name)}",
        )
    if not name:
        _tell_missing(asked)
        return None
    st.query_params["collection"] = name
    st.session_state["collection"] = name
    return by_name[name]


def _tell_missing(name: str) -> None:
    """Say what became of a collection that cannot be shown; the page tells of damaged ones."""
    try:
        open_collections().collection(name)
    except NotFoundError as error:
        messages.show_error(error)
    except LookalikeError:
        pass


def show(collection: Collection) -> None:
    """The card of one collection."""
    _actions(collection)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _names(collection)
    with right:
        _facts(collection)
        if collection.manifest.stretches is None:
            _update_brightness(collection)


def _names(collection: Collection) -> None:
    manifest = collection.manifest
    with st.form(f"words-{collection.name}", border=False):
        title = st.text_input("Name", manifest.title, max_chars=80)
        name = st.text_input(
            "URL name",
            collection.name,
            max_chars=64,
            help="Lowercase letters, digits and hyphens. Old links then report the new name",
        )
        description = st.text_area(
            "Description",
            manifest.description,
            max_chars=2000,
            height=96,
            placeholder="What it shows and what it is for",
        )
        if not st.form_submit_button("Save"):
            return
    try:
        if name.strip() != collection.name:
            collection = jobs().rename_collection(
                open_collections().library, collection.name, name.strip()
            )
            st.query_params["collection"] = st.session_state["collection"] = collection.name
        open_collections().library.describe(
            collection.name, title=title.strip() or manifest.title, description=description.strip()
        )
    except LookalikeError as error:
        messages.show_error(error)
        return
    st.toast("Saved")
    st.rerun()


def _actions(collection: Collection) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="collection-actions"):
        st.page_link(
            "search.py",
            label="Search",
            icon=":material/travel_explore:",
            query_params={"collection": collection.name},
        )
        if st.button(
            "Add imagery",
            icon=":material/add_photo_alternate:",
            help="Add scenes or enlarge the area; only new chips are computed",
        ):
            _to_area(collection, into=collection.name)
        if st.button(
            "Duplicate settings",
            icon=":material/content_copy:",
            help="Start another collection with the same area, overlap, imagery and colours",
        ):
            _to_area(collection)
        if len(collection.dates) > 1:
            st.page_link(
                "changes.py",
                label="Changes",
                icon=":material/compare:",
                query_params={"collection": collection.name},
            )
        with st.popover("Export chips", icon=":material/download:"):
            _export(collection)
        with st.popover("Disk", icon=":material/hard_drive:"):
            _free_disk(collection)
        if st.button("Delete", icon=":material/delete:", disabled=collection.busy):
            _confirm(collection)


def _export(collection: Collection) -> None:
    number = len(collection.chips)
    st.caption("All chips as georeferenced image files, with a manifest that lists them.")
    if number > MAX_ZIPPED:
        st.caption(f"For more than {count(MAX_ZIPPED)} chips, use the command line:")
        st.code(f"python -m pipeline chips export {collection.name} --to FOLDER", language=None)
        return
    kind = st.segmented_control(
        "Format",
        list(FORMATS),
        default="png",
        required=True,
        format_func=lambda name: FORMATS[name],
        key=f"chips-{collection.name}",
    )
    url = f"{base_path()}/api/collections/{collection.name}/chips.zip?format={kind}"
    label = f"Download {plural(number, 'chip')} as ZIP"
    st.html(f'<a class="lk-download" href="{escape(url)}" download>{escape(label)}</a>')


def _free_disk(collection: Collection) -> None:
    """What the parts of a collection take, and buttons to drop what can be made again."""
    use = collection.disk_use()
    rows = [(part.capitalize(), size(used)) for part, used in use.items() if used]
    st.html(
        '<dl class="lk-figures" aria-label="Disk by part">'
        + "".join(f"<div><dt>{part}</dt><dd>{escape(text)}</dd></div>" for part, text in rows)
        + "</dl>"
    )
    again = {
        "cells": "Object search needs them; Make object cells brings them back.",
        "index": "The next search makes it again.",
    }
    for part, note in again.items():
        if st.button(
            f"Drop {part}",
            help=note,
            disabled=collection.busy or not use[part],
            key=f"drop-{part}-{collection.name}",
        ):
            try:
                open_collections().library.drop(collection.name, part)
                forget_removed()
            except LookalikeError as error:
                messages.show_error(error)
                return
            st.rerun()
    if not use["cells"] and st.button(
        "Make object cells",
        disabled=collection.busy,
        help="Object search needs them; chips are not embedded again",
        key=f"make-cells-{collection.name}",
    ):
        jobs().submit(JobRequest(BuildRequest(collection.name)))
        st.switch_page("jobs.py")


def _to_area(collection: Collection, into: str = "") -> None:
    duplicate.start_from(collection, into)
    st.switch_page("area.py")


def _update_brightness(collection: Collection) -> None:
    """Offer the brightness of new collections for one of 0.1.0."""
    if st.button(
        "Update brightness",
        icon=":material/brightness_6:",
        disabled=collection.busy,
        help="Show 8-bit RGB as stored, and the rest with one display range per sensor. Chips that "
        "change are embedded again; saved searches stay",
    ):
        jobs().submit(JobRequest(BuildRequest(collection.name, restretch=brightness.KEEP)))
        st.switch_page("jobs.py")


@st.dialog("Delete this collection?")
def _confirm(collection: Collection) -> None:
    chips = plural(len(collection.chips), "chip")
    st.markdown(
        f"**{escape_markdown(collection.manifest.title)}** moves to Trash with its {chips}, "
        f"imagery and saved searches. You can restore it for {TRASH_DAYS} days."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel"):
            st.rerun()
        if st.button("Delete", type="primary", key="delete-for-sure"):
            try:
                open_collections().library.delete(collection.name)
            except LookalikeError as error:
                messages.show_error(error)
                return
            st.query_params.clear()
            st.session_state.pop("collection", None)
            st.session_state["deleted"] = collection.manifest.title
            st.rerun()


def _disk(collection: Collection) -> str:
    use = collection.disk_use()
    parts = ", ".join(
        f"{part} {size(use[part])}" for part in ("imagery", "chips", "cells", "index") if use[part]
    )
    return f"{size(sum(use.values()))} ({parts})"


def _facts(collection: Collection) -> None:
    manifest, dates = collection.manifest, collection.dates
    resolutions = sorted({f"{scene.gsd:.3g} m" for scene in collection.scenes.values()})
    overlap = percent(1 - manifest.stride / CHIP) if manifest.stride < CHIP else "none"
    rows = [
        ("Chips", count(len(collection.chips)) + ("" if manifest.complete else " (unfinished)")),
        ("Skipped", describe_left_out(manifest.left_out)) if manifest.left_out else None,
        ("Scenes", count(len(collection.scenes))),
        ("Date", " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "unknown"),
        ("Resolution", ", ".join(resolutions)),
        ("Brightness", brightness.describe(collection)),
        ("Chip overlap", f"{overlap} (stride {manifest.stride} pixels)"),
        ("Search quality", manifest.quality or "of an earlier version"),
        ("Built", f"{manifest.created[:10]}, in {duration(manifest.seconds)}"),
        ("Disk", _disk(collection)),
    ]
    cells = "".join(
        f"<div><dt>{escape(row[0])}</dt><dd>{escape(row[1])}</dd></div>" for row in rows if row
    )
    picture = f"{base_path()}/api/collections/{collection.name}/preview.png?v={collection.version}"
    st.html(
        f'<div class="lk-about"><img src="{escape(picture)}" alt="The imagery">'
        f'<dl class="lk-figures">{cells}</dl></div>'
    )
