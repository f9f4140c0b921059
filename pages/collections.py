"""Collections: their facts, names and actions; their chips as a visual map; Trash."""

from __future__ import annotations

from pages.ui import empty, messages
from pages.ui.collections import card, trash, visual_map
from pages.ui.frame import page_title
from pages.ui.server import open_collections

page_title("Collections")
opened, refused = open_collections().library.open_all()
if not opened and not refused:
    empty.no_collection()
for error in refused:
    messages.show_error(error)
chosen = card.choose(opened)
if chosen:
    card.show(chosen)
    visual_map.show(chosen)
trash.show()
