"""Quality: whether a collection's searches can be trusted."""

from __future__ import annotations

import streamlit as st

from pages.ui import empty, messages, quality
from pages.ui.collections import card
from pages.ui.frame import page_title
from pages.ui.server import open_collections

page_title("Quality")
opened, refused = open_collections().library.open_all()
for error in refused:
    messages.show_error(error)
chosen = card.choose(opened)
if not opened and not refused:
    empty.no_collection()
elif chosen is None:
    pass  # what was asked for is damaged or missing, which was said
elif not len(chosen.chips):
    st.info("This collection has no chips yet.")
else:
    quality.show(chosen)
