"""How good ranked detections are, if the places of all objects are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: A detection is right within half the object's larger side, at least this many pixels.
LEAST_REACH = 24.0


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of all scenes.

    Attributes:
        scenes: int (n,).
        centres: float (n, 2), column and row in pixels.
        reach: float (n,), distance in pixels within which a detection is right.
    """

    scenes: np.ndarray
    centres: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, scenes: np.ndarray, centres: np.ndarray, sides: np.ndarray) -> Truth:
        """The truth of objects whose larger sides are known, in pixels."""
        return cls(scenes, centres, np.maximum(sides / 2, LEAST_REACH))

    def near(self, scene: int, col: float, row: float) -> np.ndarray:
        """The objects within whose reach a place lies, the nearest first."""
        away = np.abs(self.centres - (col, row)).max(1)
        rows = np.flatnonzero((self.scenes == scene) & (away <= self.reach))
        return rows[np.argsort(away[rows], kind="stable")]


@dataclass(frozen=True)
class Figures:
    """Average precision over all objects, precision of the first 10 and 100, and recall.

    Attributes:
        average_precision: Mean over all objects of the precision at which each is found, or 0.
        first_10: Share of the first ten detections that are right.
        first_100: Share of the first hundred.
        recall_at_90: Share of the objects that are found where 90 % of all detections are right.
        found: Share of the objects that are found at all.
        seconds: Duration of the search.
    """

    average_precision: float
    first_10: float
    first_100: float
    recall_at_90: float
    found: float
    seconds: float = 0.0

    @classmethod
    def mean(cls, figures: list[Figures]) -> Figures:
        """Their mean."""
        return cls(*np.mean([list(vars(one).values()) for one in figures], axis=0))


def measured(
    truth: Truth, scenes: np.ndarray, cols: np.ndarray, rows: np.ndarray, seconds: float = 0.0
) -> Figures:
    """Figures of detections, best first.

    Matching is greedy and one to one: a detection takes the nearest object in reach that none
    before it took.  Everything else is an error, a second hit on one object included.
    """
    taken = np.zeros(len(truth.scenes), bool)
    right = np.zeros(len(scenes), bool)
    for i, (scene, col, row) in enumerate(zip(scenes, cols, rows, strict=True)):
        left = [j for j in truth.near(scene, col, row) if not taken[j]]
        if left:
            taken[left[0]] = right[i] = True
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    recall = np.cumsum(right) / max(len(taken), 1)
    return Figures(
        float((precision * right).sum() / max(len(taken), 1)),
        float(right[:10].mean()),
        float(right[:100].mean()),
        float(recall[precision >= 0.9].max(initial=0)),
        float(recall[-1]),
        seconds,
    )
