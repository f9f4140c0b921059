"""Review: what marks on some of a search's hits say about all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.search.search import Hit

GOOD, BAD, SKIP = "good", "bad", "skip"
MARKS = (GOOD, BAD, SKIP)
#: 97.5th percentile of the normal distribution: intervals hold 95 %.
Z = 1.959964


@dataclass(frozen=True)
class Precision:
    """How many of the hits above a threshold are right, as far as the review tells.

    Attributes:
        threshold: Least score.
        hits: Hits at or above it.
        reviewed: Of those, how many were marked good or bad.
        good: Of those, how many were marked good.
        estimate: Share of good ones, 0 to 1, or None without a review.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    threshold: float
    hits: int
    reviewed: int
    good: int
    estimate: float | None
    low: float
    high: float


def wilson(good: int, n: int, population: int | None = None) -> tuple[float, float]:
    """95 % interval of a share, after Wilson (1927).

    Args:
        good: Successes.
        n: Trials.
        population: What the trials were drawn from without putting back; once everything was
            looked at nothing is left to guess and the interval closes.
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
    hits: Sequence[Hit], marks: Mapping[str, str], thresholds: Iterable[float] | None = None
) -> list[Precision]:
    """Estimated precision at each threshold, highest threshold first.

    Skipped hits count as not reviewed.  The estimate is fair if the reviewed hits are spread evenly
    over the ranks, as `review_order` proposes them.

    Args:
        hits: Best first.
        marks: By chip id.
        thresholds: Scores to cut at; by default some twenty of the hits' own, so that cuts
            lie where hits are.
    """
    scores = np.array([hit.score for hit in hits])
    judged = np.array([marks.get(hit.id) in (GOOD, BAD) for hit in hits], bool)
    good = np.array([marks.get(hit.id) == GOOD for hit in hits], bool)
    if thresholds is None:
        ranked, step = sorted(scores, reverse=True), max(1, len(hits) // 20)
        thresholds = {*ranked[step - 1 :: step], *ranked[-1:]}
    found = []
    for threshold in sorted(map(float, thresholds), reverse=True):
        above = scores >= threshold
        count, n, right = int(above.sum()), int((above & judged).sum()), int((above & good).sum())
        low, high = wilson(right, n, count)
        found.append(Precision(threshold, count, n, right, right / n if n else None, low, high))
    return found


def review_order(count: int) -> list[int]:
    """Positions of `count` ranked hits in an order whose every beginning is spread over all ranks.

    The bits of the position reversed (van der Corput): stopping early still gives a fair sample.
    """
    if count < 1:
        return []
    bits = max((count - 1).bit_length(), 1)
    turned = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits))
    return [position for position in turned if position < count]
