"""The embedding space as a picture: every chip a point, near ones alike.

The two directions along which the embeddings differ most (principal components), found on a sample
by subspace iteration: half a second for 5,000 chips, without a library of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.vectors import leading_axes, normalise, squared_lengths

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index

MOST = 5_000
_MOST_KEPT = 8
_kept: dict[tuple[Collection, int], Space] = {}


@dataclass(frozen=True)
class Space:
    """The embeddings of a collection, or of an even sample of them, in two dimensions.

    Attributes:
        rows: Int64 (m,), rows in the collection's table, ascending.
        points: Float32 (m, 2), each axis within -1 to 1.
        scenes: Int64 (m,), place of each chip's scene among the collection's.
        explained: Share of the embeddings' variance that the two axes show, 0 to 1.
    """

    rows: np.ndarray
    points: np.ndarray
    scenes: np.ndarray
    explained: float

    def table(self) -> np.ndarray:
        """Float32 (m, 4): row, x, y, scene; what the browser is sent."""
        columns = (self.rows, self.points[:, 0], self.points[:, 1], self.scenes)
        return np.stack(columns, axis=1).astype(np.float32)


def sample_rows(count: int, most: int = MOST) -> np.ndarray:
    """Rows spread evenly over a table, all of them if they are no more than `most`."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def space_of(collection: Collection, index: Index, most: int = MOST) -> Space:
    """The picture of a collection as it now is; kept, so that asking again costs nothing."""
    # The store gives the same object while nothing on disk changed, so it may stand for the state.
    if (collection, most) not in _kept:
        rows = sample_rows(len(index), most)
        points, explained = flattened(normalise(np.asarray(index.vectors[rows], np.float32)))
        scenes = collection.chips.scene[rows].astype(np.int64)
        _kept[collection, most] = Space(rows, points, scenes, explained)
        while len(_kept) > _MOST_KEPT:
            _kept.pop(next(iter(_kept)))
    return _kept[collection, most]


def flattened(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Vectors along their two principal components.

    Args:
        vectors: Float32 (m, d).

    Returns:
        Float32 (m, 2), each axis scaled into -1 to 1, the sign such that the largest entry of
        each component is positive; and the share of variance shown.
    """
    count, width = vectors.shape
    if count < 2:
        return np.zeros((count, 2), np.float32), 1.0
    centred = vectors - vectors.mean(axis=0)
    total = float(squared_lengths(centred).sum())
    if total == 0:
        return np.zeros((count, 2), np.float32), 1.0
    components = leading_axes(centred, min(2, count, width))
    components *= np.sign(components[np.abs(components).argmax(axis=0), range(components.shape[1])])
    points = np.zeros((count, 2), np.float32)
    points[:, : components.shape[1]] = centred @ components
    explained = min(float(squared_lengths(points).sum()) / total, 1.0)
    reach = np.abs(points).max(axis=0)
    return points / np.where(reach > 0, reach, 1), explained
