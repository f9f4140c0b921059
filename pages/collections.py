"""Collections: what there is, what it is called, how large it is; its chips as a picture; trash."""

from __future__ import annotations

from pages.ui import home as cards
from pages.ui import messages as trouble
from pages.ui.collections import card as collection_card
from pages.ui.collections import trash as collection_trash
from pages.ui.collections import visual_map as collection_space
from pages.ui.formatting import page_title
from pages.ui.server import open_collections

page_title("Collections")
opened, refused = cards.readable(open_collections())
if not opened and not refused:
    cards.nothing_yet()
for error in refused:
    trouble.show(error)
chosen = collection_card.choose(opened)
if chosen:
    collection_card.show(chosen)
    collection_space.show(chosen)
collection_trash.show()
