"""The vectors of several segments, read as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.index.rows import RowMap
from pipeline.model.identity import DIMENSIONS

if TYPE_CHECKING:
    from pipeline.index.segment import Segment


class SegmentedVectors:
    """The vectors of several segments as one array in the collection's row order."""

    dtype = np.dtype(np.float16)

    def __init__(self, segments: Sequence[Segment], maps: Sequence[RowMap], n: int) -> None:
        self.shape = (n, DIMENSIONS)
        self._vectors = [segment.vectors for segment in segments]
        self._owner = np.zeros(n, np.int32)
        self._own = np.zeros(n, np.int64)
        for number, row_map in enumerate(maps):
            own = np.arange(row_map.count)
            rows = row_map.collection_rows(own)
            present = rows >= 0
            self._owner[rows[present]] = number
            self._own[rows[present]] = own[present]

    @classmethod
    def of(
        cls, segments: Sequence[Segment], maps: Sequence[RowMap], n: int
    ) -> np.ndarray | SegmentedVectors:
        """The vectors, as a plain memory map if one segment holds everything in order."""
        if not segments:
            return np.empty((0, DIMENSIONS), np.float16)
        return segments[0].vectors if maps[0].whole else cls(segments, maps, n)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        owner, own = self._owner[rows], self._own[rows]
        if np.ndim(owner) == 0:
            return np.asarray(self._vectors[int(owner)][int(own)])
        found = np.empty((len(owner), self.shape[1]), np.float16)
        for number, vectors in enumerate(self._vectors):
            here = owner == number
            found[here] = vectors[own[here]]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        everything = self[:]
        return everything if dtype is None else everything.astype(dtype)
