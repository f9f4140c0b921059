"""Precision and recall of a list, estimated from a random sample of it.

The intervals are exact for a finite list: they invert the hypergeometric test with the ordering of
Blaker (2000, Canadian Journal of Statistics 28, 783-798), which covers the truth in at least 95% of
samples whatever the truth is, and is shorter than the interval of Clopper and Pearson.  They close
once everything is judged.

A check's sample is stratified by score in proportion to the strata.  Its number of right ones
spreads less than that of a simple random sample of equal size (Cochran 1977, Sampling Techniques,
section 5.6), whose distribution is the worst case of all populations with the same number of right
ones.  The hypergeometric interval therefore holds for it too, and errs on the side of caution where
right ones lie mostly at high scores.  `benchmarks/estimates.py` simulates how often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

#: Probability with which an interval may miss the truth.
ALPHA = 0.05
CONFIDENCE = 1 - ALPHA
#: Number of hits to judge on each side of a threshold before a recall is told.
REACH = 5
#: Correction for continuity of the recall.  With 1/2, intervals of some lists, most of them judged,
#: held the truth in 92.7% of simulated checks; with 2/3, in 96%.
CONTINUITY = 2 / 3
#: Probabilities this close are the same but for rounding.
_ROUNDING = 1e-11
#: Numbers that are tried at once: spread over a range, and one after the other.
_FAN, _CHUNK = 32, 64


@dataclass(frozen=True)
class Estimate:
    """Precision and recall of the hits at or above a score.

    Attributes:
        threshold: The score.
        hits: Number of hits at or above it.
        judged: How many of them the sample holds that were judged good or bad.
        unsure: How many of them it holds that nobody could tell.
        good: How many of them were judged good.
        precision: Share of good ones among the judged, 0 to 1; None if none is judged.
        low: Lower end of the 95% interval of the precision.
        high: Upper end of it.
        recall: Share of the good ones of the whole list that lie at or above the threshold; None if
            fewer than `REACH` are judged on one of its sides.
        recall_low: Lower end of the 95% interval of the recall.
        recall_high: Upper end of it.
    """

    threshold: float
    hits: int
    judged: int
    unsure: int
    good: int
    precision: float | None
    low: float
    high: float
    recall: float | None
    recall_low: float
    recall_high: float


@dataclass(frozen=True)
class Tally:
    """What is known of a part of the list.

    Attributes:
        hits: Number of hits in it.
        good: Sampled and judged good.
        bad: Sampled and judged bad.
        unsure: Sampled, and nobody could tell.
    """

    hits: int
    good: int
    bad: int
    unsure: int = 0

    @property
    def share(self) -> float | None:
        """Share of good ones among the judged, or None if none is."""
        judged = self.good + self.bad
        return self.good / judged if judged else None

    @property
    def reached(self) -> bool:
        """Whether enough of it is judged to tell what it adds to a recall."""
        return self.good + self.bad >= min(REACH, self.hits)

    @property
    def interval(self) -> tuple[int, int]:
        """95% interval of the number of good ones among the hits.

        Those that nobody could tell count as bad at its lower end, as good at its upper one.
        """
        drawn = self.good + self.bad + self.unsure
        low, _ = exact_interval(self.good, drawn, self.hits)
        _, high = exact_interval(self.good + self.unsure, drawn, self.hits)
        return low, high


def estimate(threshold: float, above: Tally, below: Tally) -> Estimate:
    """Precision and recall at a threshold from what is known on its two sides."""
    low, high = above.interval
    hits = max(above.hits, 1)
    reached = above.reached and below.reached
    recall, recall_low, recall_high = recall_of(above, below) if reached else (None, 0.0, 1.0)
    return Estimate(
        threshold=threshold,
        hits=above.hits,
        judged=above.good + above.bad,
        unsure=above.unsure,
        good=above.good,
        precision=above.share,
        low=low / hits,
        high=high / hits if above.hits else 1.0,
        recall=recall,
        recall_low=recall_low,
        recall_high=recall_high,
    )


def recall_of(above: Tally, below: Tally) -> tuple[float | None, float, float]:
    """Recall of a threshold within the list, with its 95% interval.

    The recall is r where (1 - r) times the good ones above equals r times those below.  The exact
    intervals of the two numbers give the interval of that difference by the method of variance
    estimates recovery (Zou and Donner 2008, Statistics in Medicine 27, 1693-1702); r is in the
    interval if the difference may be nothing.
    """
    if not below.hits:
        return 1.0, 1.0, 1.0
    (low_a, high_a), (low_b, high_b) = above.interval, below.interval
    good_a, good_b = _number(above, low_a, high_a), _number(below, low_b, high_b)
    share = good_a / (good_a + good_b) if good_a + good_b else None
    if share is not None and low_a == high_a and low_b == high_b:
        return share, share, share
    r = np.linspace(0, 1, 2001)
    difference = (1 - r) * good_a - r * good_b
    # Numbers are whole: a share of one is added, unless the number is known.
    more_a, more_b = (low_a < high_a) * CONTINUITY, (low_b < high_b) * CONTINUITY
    down = np.hypot((1 - r) * (good_a - low_a + more_a), r * (high_b - good_b + more_b))
    up = np.hypot((1 - r) * (high_a - good_a + more_a), r * (good_b - low_b + more_b))
    inside = np.flatnonzero((difference <= down) & (difference + up >= 0))
    known = [] if share is None else [share]
    first, last = (
        (r[max(inside[0] - 1, 0)], r[min(inside[-1] + 1, 2000)]) if len(inside) else (1, 0)
    )
    return share, float(min([first, *known])), float(max([last, *known]))


def _number(part: Tally, low: int, high: int) -> float:
    """Estimated number of good ones in a part of the list."""
    share = part.share
    return (low + high) / 2 if share is None else min(max(share * part.hits, low), high)


@lru_cache(maxsize=100_000)
def exact_interval(good: int, drawn: int, population: int) -> tuple[int, int]:
    """95% interval of the number of good ones in a finite population, after Blaker (2000).

    Args:
        good: Number of good ones in the sample.
        drawn: Size of the sample, drawn at random without replacement.
        population: Size of the population.

    Returns:
        The smallest and the largest number that the sample does not contradict.
    """
    low = _lowest(good, drawn, population)
    return low, population - _lowest(drawn - good, drawn, population)


def _lowest(good: int, drawn: int, population: int) -> int:
    """Smallest number of good ones that is acceptable; its mirror image is the largest."""
    first, last = good, population - drawn + good
    if not good or first == last:
        return first
    # What is acceptable has an upper tail of more than half of alpha.
    start = _first_above(ALPHA / 2, good, drawn, population)
    for begin in range(start, last, _CHUNK):
        numbers = np.arange(begin, min(begin + _CHUNK, last))
        acceptable = _acceptability(numbers, good, drawn, population) > ALPHA
        if acceptable.any():
            return begin + int(np.argmax(acceptable))
    return last


def _first_above(level: float, good: int, drawn: int, population: int) -> int:
    """Smallest number of good ones whose upper tail exceeds a level."""
    first, last = good, population - drawn + good  # at the last one the sample is certain
    while first < last:
        numbers = np.append(np.arange(first, last, max(1, (last - first) // _FAN)), last)
        tails = 1 - _cumulated(numbers, good, drawn, population)[:, -1]
        at = int(np.argmax(tails > level))
        if not at:
            return first
        first, last = int(numbers[at - 1]) + 1, int(numbers[at])
    return last


def _acceptability(numbers: np.ndarray, good: int, drawn: int, population: int) -> np.ndarray:
    """Probability of a sample at least as far out as this one, for numbers below its estimate.

    The tail beyond the sample, and the largest tail on the other side that is no larger.
    """
    lower = _cumulated(numbers, good, drawn, population)
    tail = 1 - lower[:, -1]
    opposite = np.where(lower <= tail[:, None] + _ROUNDING, lower, 0).max(axis=1)
    return np.asarray(tail + opposite)


def _cumulated(numbers: np.ndarray, good: int, drawn: int, population: int) -> np.ndarray:
    """Hypergeometric probability of at most k good ones, for k up to `good` - 1.

    Args:
        numbers: Numbers of good ones in the population, ascending, (n,).
        good: Number in the sample, at least 1.
        drawn: Size of the sample.
        population: Size of the population.

    Returns:
        (n, m), the last column that of `good` - 1; those of numbers that are next to impossible
        are left out.
    """
    share = numbers[0] / population
    least = drawn * share - 9 * (drawn * share * (1 - share)) ** 0.5 - 9
    count, k = numbers[:, None], np.arange(max(0, min(int(least), good - 1)), good)[None]
    factorial = _log_factorials(population)
    rest, missed = population - count, drawn - k
    possible = (k <= count) & (missed <= rest)
    logarithm = (
        factorial[count]
        - factorial[np.where(possible, count - k, 0)]
        + factorial[rest]
        - factorial[np.where(possible, rest - missed, 0)]
        - (factorial[k] + factorial[missed])
        + (factorial[drawn] + factorial[population - drawn] - factorial[population])
    )
    return np.cumsum(np.exp(np.where(possible, logarithm, -np.inf)), axis=1)


@lru_cache(maxsize=8)
def _log_factorials(largest: int) -> np.ndarray:
    """Logarithms of 0! to largest!, (largest + 1,)."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])


def half_width(size: int, population: int) -> float:
    """Half the width of the interval of a share that is a half: the error of a sample of this size.

    Args:
        size: Size of the sample.
        population: Size of the population.
    """
    if not population:
        return 0.0
    low, high = exact_interval(size // 2, size, population)
    return (high - low) / 2 / population


def needed(error: float, population: int) -> int:
    """Smallest sample whose error, as `half_width` gives it, is no larger.

    Args:
        error: Of a share, 0 to 1.
        population: Size of the population.
    """
    sizes: Sequence[int] = range(population + 1)
    low, high = 0, len(sizes) - 1
    while low < high:
        middle = (low + high) // 2
        if half_width(middle, population) <= error:
            high = middle
        else:
            low = middle + 1
    return low
