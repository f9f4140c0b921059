"""Chance among windows: how many would look as much like the examples by chance.

A ranking learns from its own best hits, so its scores rise above the background whatever is sought.
What is held against chance is the cosine of a window to the mean of the good examples, as a search
for chips does (`pipeline.search.chance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.objects import scan
from pipeline.objects.learning import unmarked_windows
from pipeline.search.chance import NOTHING, Chance
from pipeline.vectors import random_scores

if TYPE_CHECKING:
    from pipeline.objects.objects import FoundObject
    from pipeline.objects.ranking import Ranking
    from pipeline.objects.score_maps import SceneScores


@dataclass(frozen=True, eq=False)
class WindowChance:
    """What likeness to the examples means among the windows of some scenes.

    Attributes:
        chance: Of the cosines.
        example: Unit vector (64,), the mean of the good examples.
    """

    chance: Chance
    example: np.ndarray

    @classmethod
    def of(cls, maps: Sequence[SceneScores], ranking: Ranking) -> WindowChance | None:
        """What windows drawn at random say, or None if they are too few.

        Args:
            maps: The scenes searched.
            ranking: How their windows are ranked.
        """
        mapped = [each.mapped for each in maps]
        windows = unmarked_windows(mapped)
        example = ranking.example
        if example is None or not len(windows):
            return None
        count = sum(each.windows for each in mapped)
        chance = Chance.of(count, windows @ example, random_scores(windows))
        return None if chance is None else cls(chance, example)

    def by_chance(self, vectors: np.ndarray) -> list[float]:
        """How many windows would look as much like the examples, for each vector of (n, 64)."""
        found: list[float] = self.chance.by_chance(vectors @ self.example).tolist()
        return found


def is_nothing(
    objects: Sequence[FoundObject],
    maps: Sequence[SceneScores],
    eligible: Sequence[np.ndarray | None],
) -> bool:
    """Whether no object that is not marked looks more like the examples than chance allows.

    Args:
        objects: The objects found.
        maps: The scenes searched.
        eligible: For each of them bool, of its map's shape, windows that may be hits; None for all.
    """
    known = [each.by_chance for each in objects if each.by_chance is not None and not each.mark]
    if not known:
        return False
    windows = sum(each.mapped.windows for each in maps)
    left = sum(
        each.mapped.windows if free is None else int(np.count_nonzero(free))
        for each, free in zip(maps, eligible, strict=True)
    )
    # Two objects may lie half a window apart.
    places = (2 / scan.WINDOW) ** 2 * left / max(windows, 1)
    return min(known) * places > NOTHING
