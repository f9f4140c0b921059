"""Home: what this is, the collections, what to do next."""

from __future__ import annotations

from pages.ui import home as cards
from pages.ui import messages as trouble
from pages.ui.server import open_collections

cards.hero()
opened, refused = cards.readable(open_collections())
if opened:
    cards.collections(opened)
    cards.draw_an_area()
elif not refused:
    cards.nothing_yet()
for error in refused:
    trouble.show(error)
cards.steps()
