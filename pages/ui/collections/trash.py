"""Trash: deleted collections, to be restored or deleted permanently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages
from pages.ui.formatting import ago, plural
from pages.ui.server import open_collections
from pipeline.collection.library import TRASH_DAYS
from pipeline.errors import LookalikeError

if TYPE_CHECKING:
    from pipeline.collection.library import Trashed


def show() -> None:
    """The deleted collections, if there are any."""
    deleted = open_collections().library.trashed()
    if st.session_state.pop("deleted", None):
        st.toast("Moved to Trash")
    if not deleted:
        return
    st.subheader("Trash")
    st.caption(
        f"Restore deleted collections within {TRASH_DAYS} days. After that they are deleted "
        "permanently."
    )
    for collection in deleted:
        _row(collection)
    if st.button("Empty Trash", icon=":material/delete_forever:"):
        _confirm(len(deleted))


def _row(deleted: Trashed) -> None:
    facts = [deleted.title, f"deleted {ago(deleted.deleted)}"]
    if deleted.searches:
        facts.append(plural(deleted.searches, "saved search", "saved searches"))
    with st.container(horizontal=True, vertical_alignment="center", key=f"gone-{deleted.token}"):
        st.text(" · ".join(facts))
        if st.button("Restore", key=f"restore-{deleted.token}", icon=":material/undo:"):
            try:
                restored = open_collections().library.restore(deleted.token)
            except LookalikeError as error:
                messages.show_error(error)
                return
            st.query_params["collection"] = restored.name
            st.rerun()


@st.dialog("Empty Trash?")
def _confirm(number: int) -> None:
    collections = plural(number, "collection")
    st.markdown(f"{collections} will be deleted permanently, saved searches included.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel"):
            st.rerun()
        if st.button("Delete permanently", type="primary"):
            open_collections().library.empty_trash()
            st.rerun()
