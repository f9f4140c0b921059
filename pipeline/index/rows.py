"""Which row of a collection lies where in an index's segments, and which may be returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from pipeline.collection import parquet

if TYPE_CHECKING:
    pass

Origin = tuple[str, str, str, int]


@dataclass(frozen=True, eq=False)
class Eligible:
    """The rows that may be returned, of a collection or of one segment.

    What searches need of them is found once: finding the few true rows of a long mask takes longer
    than scoring them, so whoever searches again under the same filter keeps this.

    Attributes:
        mask: Bool (n,).
    """

    mask: np.ndarray
    _within: WeakKeyDictionary[Place, Eligible] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )

    @classmethod
    def of(cls, mask: np.ndarray | Eligible | None) -> Eligible | None:
        """What a search is given, be it a plain mask; None, for all rows, stays None."""
        return cls(mask) if isinstance(mask, np.ndarray) else mask

    @cached_property
    def count(self) -> int:
        """How many there are."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def rows(self) -> np.ndarray:
        """Int64 (count,), ascending."""
        return np.flatnonzero(self.mask)

    def within(self, place: Place) -> Eligible:
        """Those of one segment, by its own rows."""
        if place.whole:
            return self
        found = self._within.get(place)
        if found is None:
            found = self._within[place] = Eligible(place.own(self.mask))
        return found


@dataclass(frozen=True, eq=False)
class Place:
    """Where one segment's rows are in the collection.

    Attributes:
        start: The collection's row of the segment's first, when `rows` is None.
        count: Rows in the segment.
        rows: Int64 (count,): the collection's row of each, -1 for a removed one; None when all are
            there and follow each other from `start`.
        whole: Whether the segment holds the whole collection in its order.
    """

    start: int
    count: int
    rows: np.ndarray | None = None
    whole: bool = False

    @property
    def live(self) -> int:
        """Rows that are still in the collection."""
        return self.count if self.rows is None else int(np.count_nonzero(self.rows >= 0))

    def rows_of(self, own: np.ndarray) -> np.ndarray:
        """The collection's rows of the segment's own."""
        return own + self.start if self.rows is None else self.rows[own]

    def eligible(self, among: Eligible | None) -> Eligible | None:
        """The segment's own rows that may be returned, of those of the collection; None for all."""
        return self._present if among is None else among.within(self)

    def own(self, mask: np.ndarray) -> np.ndarray:
        """Bool (count,): a mask of the collection's rows for the segment's own; not the removed."""
        if self.rows is None:
            return mask[self.start : self.start + self.count]
        return (self.rows >= 0) & mask[self.rows]

    @cached_property
    def _present(self) -> Eligible | None:
        return None if self.rows is None else Eligible(self.rows >= 0)


def places(
    current: Sequence[parquet.Part], segments: Sequence[Sequence[Origin]]
) -> tuple[Place, ...]:
    """Each segment's place in a collection of these parts.

    Args:
        current: The collection's parts in row order.
        segments: For each segment the parts its rows came from, in its order.
    """
    first: dict[tuple[str, str, str], int] = {}
    total = 0
    for part in current:
        first[part.scene_id, part.path.name, part.stamp] = total
        total += part.rows
    return tuple(_place(first, origins, total) for origins in segments)


def _place(first: dict[tuple[str, str, str], int], origins: Sequence[Origin], total: int) -> Place:
    starts = [first.get((scene, name, stamp), -1) for scene, name, stamp, _ in origins]
    counts = [rows for *_, rows in origins]
    count = sum(counts)
    follows = np.cumsum([starts[0], *counts[:-1]]).tolist() == starts
    if starts[0] >= 0 and follows:
        return Place(starts[0], count, whole=count == total)
    rows = [
        np.arange(start, start + n) if start >= 0 else np.full(n, -1)
        for start, n in zip(starts, counts, strict=True)
    ]
    return Place(0, count, np.concatenate(rows))
