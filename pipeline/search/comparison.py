"""Two searches side by side: which places they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.search.search import Hit


@dataclass(frozen=True)
class Comparison:
    """Two searches side by side.

    Attributes:
        both: Pairs of hits, one of each search, at the same place.
        first: Hits of the first search only.
        second: Hits of the second search only.
    """

    both: tuple[tuple[Hit, Hit], ...]
    first: tuple[Hit, ...]
    second: tuple[Hit, ...]

    @property
    def agreement(self) -> float:
        """Share of all places that both found, 0 to 1 (Jaccard index)."""
        everything = len(self.both) + len(self.first) + len(self.second)
        return len(self.both) / everything if everything else 1.0


def compare(first: Sequence[Hit], second: Sequence[Hit], share: float = 0.25) -> Comparison:
    """Which places two searches have in common.

    Args:
        first: Hits of one search, best first.
        second: Hits of the other.
        share: Minimum share of the first hit's footprint that the second must cover to be at the
            same place.
    """
    import shapely

    taken: set[int] = set()
    both: list[tuple[Hit, Hit]] = []
    alone: list[Hit] = []
    others = shapely.polygons(np.stack([hit.corners for hit in second])) if second else []
    tree = shapely.STRtree(others) if len(others) else None
    for hit in first:
        shape = shapely.polygons(hit.corners)
        near = [int(i) for i in tree.query(shape) if int(i) not in taken] if tree else []
        shared = [shapely.intersection(shape, others[i]).area / shape.area for i in near]
        if shared and max(shared) >= share:
            match = near[int(np.argmax(shared))]
            taken.add(match)
            both.append((hit, second[match]))
        else:
            alone.append(hit)
    rest = tuple(hit for i, hit in enumerate(second) if i not in taken)
    return Comparison(tuple(both), tuple(alone), rest)
