"""The visual map: chips as points in a plane, similar ones near each other.

Its axes are the first two principal components of a sample of the embeddings, computed by
subspace iteration in half a second for 5,000 chips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.vectors import leading_axes, normalise, squared_lengths

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index

#: Maximum number of points.
MAX_POINTS = 5_000
_MAX_CACHED = 8
_cache: dict[tuple[Collection, int], Space] = {}


@dataclass(frozen=True)
class Space:
    """The embeddings of a collection, or of a sample spread evenly over it, in two dimensions.

    Attributes:
        rows: Int64 (m,), rows of the chip table, ascending.
        points: Float32 (m, 2), each axis within -1 to 1.
        scenes: Int64 (m,), index of each chip's scene in the chip table's `scene_ids`.
        explained: Share of the variance that the two axes explain, 0 to 1.
    """

    rows: np.ndarray
    points: np.ndarray
    scenes: np.ndarray
    explained: float

    def table(self) -> np.ndarray:
        """Float32 (m, 4): row, x, y and scene, as sent to the browser."""
        columns = (self.rows, self.points[:, 0], self.points[:, 1], self.scenes)
        return np.stack(columns, axis=1).astype(np.float32)


def sample_rows(count: int, most: int = MAX_POINTS) -> np.ndarray:
    """At most `most` rows, spread evenly over a table."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def space_of(collection: Collection, index: Index, most: int = MAX_POINTS) -> Space:
    """The visual map of a collection in its present state; cached."""
    # The library returns the same object until the collection changes on disk.
    if (collection, most) not in _cache:
        rows = sample_rows(len(index), most)
        points, explained = project_to_plane(normalise(np.asarray(index.vectors[rows], np.float32)))
        scenes = collection.chips.scene[rows].astype(np.int64)
        _cache[collection, most] = Space(rows, points, scenes, explained)
        while len(_cache) > _MAX_CACHED:
            _cache.pop(next(iter(_cache)))
    return _cache[collection, most]


def project_to_plane(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Project vectors onto their first two principal components.

    Args:
        vectors: Float32 (m, d).

    Returns:
        Float32 (m, 2), each axis scaled to within -1 to 1, its sign such that the component's
        largest entry is positive; and the share of variance explained.
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
