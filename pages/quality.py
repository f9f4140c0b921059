"""Quality: whether a collection's searches can be trusted."""

from __future__ import annotations

import streamlit as st

from pages.ui import empty, quality
from pages.ui.collections import card
from pages.ui.frame import page_title
from pages.ui.server import open_collections

page_title("Quality")
opened, _ = open_collections().library.open_all()
chosen = card.choose(opened)
if chosen is None:
    empty.no_collection()
elif not len(chosen.chips):
    st.info("This collection has no chips yet.")
else:
    quality.show(chosen)
