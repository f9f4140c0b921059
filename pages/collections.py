"""Collections: what there is, what it is called, how large it is; its chips as a picture; trash."""

from __future__ import annotations

from pages.ui import cards, collection_card, collection_space, collection_trash, trouble
from pages.ui.server import open_collections
from pages.ui.words import page_title

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
