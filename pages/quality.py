"""Quality: whether a collection's searches can be trusted, in plain words."""

from __future__ import annotations

import streamlit as st

from pages.ui import home as cards
from pages.ui import quality as quality_report
from pages.ui.collections import card as collection_card
from pages.ui.formatting import page_title
from pages.ui.server import open_collections

page_title("Quality")
opened, _ = cards.readable(open_collections())
chosen = collection_card.choose(opened)
if chosen is None:
    cards.nothing_yet()
elif not len(chosen.chips):
    st.info("This collection has no chips yet.")
else:
    quality_report.show(chosen)
