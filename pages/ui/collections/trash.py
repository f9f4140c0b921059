"""The trash: deleted collections, to be restored or removed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages as trouble
from pages.ui.formatting import ago, plural
from pages.ui.server import open_collections
from pipeline.collection.library import TRASH_DAYS
from pipeline.errors import LookalikeError

if TYPE_CHECKING:
    from pipeline.collection.library import Trashed


def show() -> None:
    """What lies in the trash, if anything does."""
    trashed = open_collections().library.trashed()
    if st.session_state.pop("deleted", None):
        st.toast("Moved to the trash, below")
    if not trashed:
        return
    st.subheader("Trash")
    st.caption(f"Restore what you miss; after {TRASH_DAYS} days it is removed for good.")
    for gone in trashed:
        _row(gone)
    if st.button("Empty the trash", icon=":material/delete_forever:"):
        _confirm(len(trashed))


def _row(gone: Trashed) -> None:
    searches = f" · {plural(gone.searches, 'saved search').replace('searchs', 'searches')}"
    with st.container(horizontal=True, vertical_alignment="center", key=f"gone-{gone.token}"):
        st.text(f"{gone.title} · deleted {ago(gone.deleted)}{searches if gone.searches else ''}")
        if st.button("Restore", key=f"restore-{gone.token}", icon=":material/undo:"):
            try:
                restored = open_collections().library.restore(gone.token)
            except LookalikeError as error:
                trouble.show(error)
                return
            st.query_params["collection"] = restored.name
            st.rerun()


@st.dialog("Empty the trash?")
def _confirm(number: int) -> None:
    st.markdown(f"{plural(number, 'collection')} will be gone for good, saved searches included.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep them"):
            st.rerun()
        if st.button("Remove for good", type="primary"):
            open_collections().library.empty_trash()
            st.rerun()
