"""Home: what Lookalike does, the collections, what to do next."""

from __future__ import annotations

from pages.ui import empty, home, messages
from pages.ui.server import open_collections
from pipeline.sources import sample

home.hero()
opened, refused = open_collections().library.open_all()
opened.sort(key=lambda made: sample.rank(made.name))
if opened:
    home.collections(opened)
    empty.draw_an_area()
elif not refused:
    empty.no_collection()
for error in refused:
    messages.show_error(error)
home.steps()
