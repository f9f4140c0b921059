"""How rows of a collection map to rows of its segments, and which rows a search may return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from pipeline.collection import parquet

Origin = tuple[str, str, str, int]


@dataclass(frozen=True, eq=False)
class Eligible:
    """The rows that may be returned, of a collection or of one segment.

    Derived values are computed once.  Finding the few true rows of a long mask takes longer than
    scoring them, so keep the object for the next search with the same filter.

    Attributes:
        mask: Bool (n,).
    """

    mask: np.ndarray
    _within: WeakKeyDictionary[RowMap, Eligible] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )

    @classmethod
    def of(cls, mask: np.ndarray | Eligible | None) -> Eligible | None:
        """From a plain mask; None, for all rows, stays None."""
        return cls(mask) if isinstance(mask, np.ndarray) else mask

    @cached_property
    def count(self) -> int:
        """Number of eligible rows."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def rows(self) -> np.ndarray:
        """Int64 (count,), ascending."""
        return np.flatnonzero(self.mask)

    def within(self, row_map: RowMap) -> Eligible:
        """The eligible rows of one segment, numbered as in the segment."""
        if row_map.whole:
            return self
        found = self._within.get(row_map)
        if found is None:
            found = self._within[row_map] = Eligible(row_map.segment_mask(self.mask))
        return found


@dataclass(frozen=True, eq=False)
class RowMap:
    """Where the rows of one segment are in the collection.

    Attributes:
        start: Collection row of the segment's first row, if `rows` is None.
        count: Rows in the segment.
        rows: Int64 (count,): the collection row of each, -1 for a removed one; None if they are
            consecutive from `start`.
        whole: Whether the segment holds the whole collection in order.
    """

    start: int
    count: int
    rows: np.ndarray | None = None
    whole: bool = False

    @property
    def live(self) -> int:
        """Number of rows that are still in the collection."""
        return self.count if self.rows is None else int(np.count_nonzero(self.rows >= 0))

    def collection_rows(self, own: np.ndarray) -> np.ndarray:
        """Segment rows to collection rows."""
        return own + self.start if self.rows is None else self.rows[own]

    def eligible(self, allowed: Eligible | None) -> Eligible | None:
        """The segment's eligible rows, given the collection's; None for all."""
        return self._present if allowed is None else allowed.within(self)

    def segment_mask(self, mask: np.ndarray) -> np.ndarray:
        """A mask of collection rows as one of segment rows, bool (count,); removed are False."""
        if self.rows is None:
            return mask[self.start : self.start + self.count]
        return (self.rows >= 0) & mask[self.rows]

    @cached_property
    def _present(self) -> Eligible | None:
        return None if self.rows is None else Eligible(self.rows >= 0)


def row_maps(
    current: Sequence[parquet.Part], segments: Sequence[Sequence[Origin]]
) -> tuple[RowMap, ...]:
    """The row map of each segment, for a collection of these parts.

    Args:
        current: The collection's parts in row order.
        segments: For each segment, the parts that its rows came from, in order.
    """
    first: dict[tuple[str, str, str], int] = {}
    total = 0
    for part in current:
        first[part.scene_id, part.path.name, part.stamp] = total
        total += part.rows
    return tuple(_row_map(first, origins, total) for origins in segments)


def _row_map(
    first: dict[tuple[str, str, str], int], origins: Sequence[Origin], total: int
) -> RowMap:
    starts = [first.get((scene, name, stamp), -1) for scene, name, stamp, _ in origins]
    counts = [rows for *_, rows in origins]
    count = sum(counts)
    follows = np.cumsum([starts[0], *counts[:-1]]).tolist() == starts
    if starts[0] >= 0 and follows:
        return RowMap(starts[0], count, whole=count == total)
    rows = [
        np.arange(start, start + n) if start >= 0 else np.full(n, -1)
        for start, n in zip(starts, counts, strict=True)
    ]
    return RowMap(0, count, np.concatenate(rows))
