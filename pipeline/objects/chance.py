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

from pipeline.objects.learning import unmarked_windows
from pipeline.search.chance import Chance, random_scores

if TYPE_CHECKING:
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
