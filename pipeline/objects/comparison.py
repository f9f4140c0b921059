"""Comparison of two object searches: which things both found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.objects.objects import FoundObject

#: Metres in a degree of latitude.
_DEGREE = 111_320


@dataclass(frozen=True)
class ObjectComparison:
    """Two object searches side by side.

    Attributes:
        both: Pairs of objects that are the same thing.
        first: Objects of the first alone.
        second: Objects of the second alone.
    """

    both: tuple[tuple[FoundObject, FoundObject], ...]
    first: tuple[FoundObject, ...]
    second: tuple[FoundObject, ...]

    @property
    def agreement(self) -> float:
        """Share of things that both found, 0 to 1; 1 if neither found any."""
        total = len(self.both) + len(self.first) + len(self.second)
        return len(self.both) / total if total else 1.0


def compare(first: Sequence[FoundObject], second: Sequence[FoundObject]) -> ObjectComparison:
    """Which things two searches both found.

    Two objects are one thing if their centres are within half the larger one's size.  Each has one
    partner at most; better ones choose first.  Searches of different collections compare by place.
    """
    from scipy.spatial import cKDTree

    if not (first and second):
        return ObjectComparison((), tuple(first), tuple(second))
    lat = math.radians(float(np.median([each.lat for each in first])))
    scale = np.array([_DEGREE * max(math.cos(lat), 1e-6), _DEGREE])
    here, there = (np.array([(f.lon, f.lat) for f in each]) * scale for each in (first, second))
    sizes = [max(each.width_m, each.height_m) for each in first]
    widest = max(max(each.width_m, each.height_m) for each in second)
    tree = cKDTree(there)
    free, pairs, alone = set(range(len(second))), [], []
    for each, place, size in zip(first, here, sizes, strict=True):
        near = [i for i in tree.query_ball_point(place, max(size, widest) / 2) if i in free]
        reach = {i: max(size, second[i].width_m, second[i].height_m) / 2 for i in near}
        distances = {i: float(np.hypot(*(there[i] - place))) for i in near}
        fitting = [i for i in near if distances[i] <= reach[i]]
        if fitting:
            partner = min(fitting, key=lambda i: distances[i])
            free.remove(partner)
            pairs.append((each, second[partner]))
        else:
            alone.append(each)
    left = tuple(each for i, each in enumerate(second) if i in free)
    return ObjectComparison(tuple(pairs), tuple(alone), left)
