"""The match inside a chip: which part of it resembles the query.

The last feature map of ResNet-50 has a vector of 2048 numbers for every 32×32 pixels: 8×8 squares a
chip, whose mean is the chip's vector.  So a square is compared with a query as a chip is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection.chip_pictures import read_chip
from pipeline.imagery.chips import CHIP
from pipeline.model.resnet import SQUARE
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.collection.collection import Collection
    from pipeline.model.resnet import Network

SIDE = CHIP // SQUARE
#: Pixels read around a chip of a dense collection, whose squares were embedded with surroundings.
MARGIN = 2 * SQUARE


def match_scores(
    collection: Collection, network: Network, chips: Sequence[str], vector: np.ndarray
) -> np.ndarray:
    """Cosine of every square of several chips to a query.

    Args:
        collection: Where the chips are.
        network: Runs ResNet-50.
        chips: Their ids.
        vector: The query's vector (2048,), or those of its views (q, 2048).

    Returns:
        float32 (n, 8, 8), rows from the top.

    Raises:
        NotFoundError: If there is no such chip.
        DamagedError: If the imagery cannot be read.
    """
    margin = MARGIN if collection.manifest.model.mode == "dense" else 0
    table = collection.chips
    pixels = np.stack([read_chip(collection, table.row_of(chip), margin) for chip in chips])
    inside = slice(margin // SQUARE, margin // SQUARE + SIDE)
    return cosines(network.maps(pixels)[:, inside, inside], vector)


def cosines(maps: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Float32 (n, h, w): cosines of feature maps (n, h, w, 2048) to a query's best view."""
    flat = normalise(maps.reshape(-1, maps.shape[-1]).astype(np.float32))
    scores = (flat @ normalise(np.atleast_2d(vector)).T).max(axis=1)
    return scores.reshape(maps.shape[:3]).astype(np.float32)
