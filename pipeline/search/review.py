"""Review: precision of all hits of a search, estimated from marks on some of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

GOOD, BAD, SKIP = "good", "bad", "skip"
MARKS = (GOOD, BAD, SKIP)
#: 97.5th percentile of the normal distribution, for 95% intervals.
Z = 1.959964


class Scored(Protocol):
    """A hit or a found object."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def score(self) -> float:
        """Its score."""


@dataclass(frozen=True)
class Precision:
    """Estimated precision of the hits above a threshold.

    Attributes:
        threshold: Minimum score.
        hits: Number of hits at or above it.
        reviewed: How many of them are marked good or bad.
        good: How many of them are marked good.
        estimate: Share of good ones among the reviewed, 0 to 1, or None if none is.
        low: Lower end of the 95% interval.
        high: Upper end of it.
    """

    threshold: float
    hits: int
    reviewed: int
    good: int
    estimate: float | None
    low: float
    high: float


def wilson(good: int, n: int, population: int | None = None) -> tuple[float, float]:
    """95% confidence interval of a share, after Wilson (1927).

    Args:
        good: Number of successes.
        n: Number of trials.
        population: Number that the trials were drawn from without replacement; the interval closes
            once all are drawn (finite population correction).
    """
    if n == 0:
        return 0.0, 1.0
    share = good / n
    if population is not None and population <= n:
        return share, share
    effective = n * (population - 1) / (population - n) if population else float(n)
    middle = (share + Z**2 / (2 * effective)) / (1 + Z**2 / effective)
    half = (
        Z
        / (1 + Z**2 / effective)
        * math.sqrt(share * (1 - share) / effective + Z**2 / (4 * effective**2))
    )
    return max(middle - half, 0.0), min(middle + half, 1.0)


def precision_at(
    hits: Sequence[Scored], marks: Mapping[str, str], thresholds: Iterable[float] | None = None
) -> list[Precision]:
    """Estimated precision at each threshold, highest threshold first.

    Skipped hits count as not reviewed.  The estimate is unbiased if the reviewed hits are spread
    evenly over the ranks, as `review_order` proposes them.

    Args:
        hits: Hits or found objects, best first.
        marks: By their ids.
        thresholds: Scores; by default about twenty of the hits' own.
    """
    scores = np.array([hit.score for hit in hits])
    judged = np.array([marks.get(hit.id) in (GOOD, BAD) for hit in hits], bool)
    good = np.array([marks.get(hit.id) == GOOD for hit in hits], bool)
    if thresholds is None:
        ranked, step = sorted(scores, reverse=True), max(1, len(hits) // 20)
        thresholds = {*ranked[step - 1 :: step], *ranked[-1:]}
    estimates = []
    for threshold in sorted(map(float, thresholds), reverse=True):
        above = scores >= threshold
        count, n, right = int(above.sum()), int((above & judged).sum()), int((above & good).sum())
        low, high = wilson(right, n, count)
        share = right / n if n else None
        estimates.append(Precision(threshold, count, n, right, share, low, high))
    return estimates


def review_order(count: int) -> list[int]:
    """Order in which to review `count` ranked hits: any first part of it covers all ranks evenly.

    Positions by their reversed bits (van der Corput), so that stopping early leaves a fair sample.
    """
    if count < 1:
        return []
    bits = max((count - 1).bit_length(), 1)
    reversed_bits = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits))
    return [position for position in reversed_bits if position < count]
