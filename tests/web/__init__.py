"""The REST interface, as its tests ask it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.collection.library import Library
from pipeline.jobs.queue import Jobs
from pipeline.search.open_collections import OpenCollections
from pipeline.settings import Settings
from pipeline.sources.previews import Previews
from pipeline.web.app import Rest
from pipeline.web.dependencies import Services
from tests.factories.synthetic import MODEL


class FixedEmbedder:
    """Gives every picture the same vector: what is tested here is not the model."""

    identity = MODEL

    def embed(self, pixels):
        assert pixels.dtype == np.uint8
        return np.ones((len(pixels), 2048), np.float32)


class BrightnessNetwork:
    """A feature map that says in its first number how bright a cell is, in its second the rest."""

    def maps(self, pixels):
        n, height, width, _ = pixels.shape
        bright = pixels.reshape(n, height // 32, 32, width // 32, 32, 3).mean((2, 4, 5)) / 255
        made = np.zeros((*bright.shape, 2048), np.float32)
        made[..., 0], made[..., 1] = bright, 1 - bright
        return made


def rest(
    home: Path | None = None, open_collections: OpenCollections | None = None, base_path: str = ""
) -> Rest:
    """The REST interface of a home, whose own folder may be built from."""
    open_collections = open_collections or OpenCollections(Library(home))
    home = home or open_collections.library.root.parent
    settings = Settings(home=home, folders=(home,))
    return Rest(Services(open_collections, Previews(home), Jobs(home), settings), base_path)
