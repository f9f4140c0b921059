"""Intervals for totals of which little may have been seen.

What was not seen yet is a weighted sum of rare events.  Its interval is the mid-P gamma interval of
Fay and Kim (Biometrical Journal 59, 2017), after Fay and Feuer (Statistics in Medicine 16, 1997),
with the mean weight of Tiwari, Clegg and Zou (Statistical Methods in Medical Research 15, 2006).

Units in which scores show next to nothing, the *floor units*, are drawn by their random number
alone, and few of them.  What they hide has an interval of its own, with the weight of the least
likely unit, so that it holds however much the scores miss.

- Where a thing was seen in a floor unit, both upper ends are combined by the method of variance
  estimates recovery (Zou and Donner, Statistics in Medicine 27, 2008).
- Where none was, the total is too low only if no thing was drawn although many are there, *and* the
  units with scores did not err upwards.  Both are independent: the upper end is the least for which
  the product of their probabilities is `MISSED`, however many things are hidden.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
#: 97.5th percentile of the normal distribution.
Z = 1.959964
#: Probability of what makes the upper end fail where no thing was seen in a floor unit.  The lower
#: end cannot fail then, so that it may be more than half of 5%; chosen by `benchmarks/census.py`.
MISSED = 0.055
#: Probability beyond each end.
_TAIL = (1 - CONFIDENCE) / 2
#: Units judged below which the lower end is what was seen: fewer say nothing of the spread.
_FEWEST = 5


@dataclass(frozen=True)
class Unseen:
    """Things that were not seen yet, in some of the units.

    Attributes:
        total: The estimate of their number.
        variance: Its estimated variance.
        weight: How many unseen things stand behind one that might be seen next.
    """

    total: float
    variance: float
    weight: float


def total_interval(
    seen: float,
    scored: Unseen,
    floor: Unseen,
    weight: float,
    judged: int,
    *,
    missed: bool,
    noise: float = 0.0,
) -> tuple[int, int]:
    """The 95% interval of a total, whole numbers, rounded outwards.

    Args:
        seen: Things that were seen: the total is no smaller.
        scored: What units with scores hide.
        floor: What floor units hide.
        weight: As `Unseen.weight`, on average of all units.
        judged: Number of judged units.
        missed: Whether a thing was seen in a floor unit.
        noise: Variance of the total from reviewers who count differently.
    """
    unseen, variance = scored.total + floor.total, scored.variance + floor.variance
    total, error = seen + unseen, Z * math.sqrt(variance)
    # Of a total that is mostly seen for certain, the gamma's lower end is too high.
    low = min(seen + gamma_end(unseen, variance, weight, _TAIL), total - error)
    # Nothing seen is no evidence of anything, whatever the model expects.
    if judged < _FEWEST or not seen:
        low = seen
    above = _above(scored)
    if missed:
        high = total + math.hypot(above, _above(floor))
    else:
        high = max(total + error, seen + scored.total + _hidden(floor, above / Z))
    noise = Z * math.sqrt(noise)
    low, high = total - math.hypot(total - low, noise), total + math.hypot(high - total, noise)
    least = math.floor(max(low, seen) + 1e-6)
    return least, max(math.ceil(high - 1e-6), least)


def _above(part: Unseen) -> float:
    """How far the upper end lies above the estimate."""
    high = gamma_end(part.total, part.variance, part.weight, 1 - _TAIL)
    return max(high - part.total, Z * math.sqrt(part.variance))


def _hidden(floor: Unseen, error: float) -> float:
    """Things in floor units at most, where none was seen.

    Args:
        floor: What is estimated.
        error: Standard error of the total of the other units.
    """
    from scipy.special import gammainccinv, ndtri

    mean, variance = floor.total + floor.weight, floor.variance + floor.weight**2
    if variance <= 0:
        return floor.total
    none_drawn = MISSED ** np.linspace(1e-3, 1 - 1e-3, 100)
    hidden = gammainccinv(mean**2 / variance, none_drawn) * variance / mean
    return float((hidden - error * ndtri(MISSED / none_drawn)).max())


def gamma_end(total: float, variance: float, weight: float, tail: float) -> float:
    """One end of the mid-P gamma interval of a weighted sum of counts.

    Args:
        total: The sum.
        variance: Its estimated variance.
        weight: Weight of one more count.
        tail: Probability below the end.
    """
    from scipy.optimize import brentq
    from scipy.special import gammainc

    if variance <= 0 and weight <= 0:
        return total
    variance = max(variance, 1e-9)
    more, wider = total + weight, variance + weight**2

    def below(value: float, mean: float, spread: float) -> float:
        if mean <= 1e-6:
            return 1.0
        return float(gammainc(mean**2 / spread, value * mean / spread))

    def beyond(value: float) -> float:
        return (below(value, total, variance) + below(value, more, wider)) / 2 - tail

    if beyond(0.0) >= 0:
        return 0.0
    return float(brentq(beyond, 0.0, more + 40 * math.sqrt(wider), xtol=1e-3))


def share_interval(share: float, variance: float, seen: float) -> tuple[float, float]:
    """The 95% interval of a share, after Wilson (1927), from its variance under the design.

    Args:
        share: The estimate, 0 to 1.
        variance: Its estimated variance; 0 says nothing where all that was seen agreed.
        seen: Number of things that were seen: no more than so many independent trials.
    """
    effective = seen
    if variance > 0 and 0 < share < 1:
        effective = min(seen, share * (1 - share) / variance)
    if effective <= 0:
        return 0.0, 1.0
    middle = (share + Z**2 / (2 * effective)) / (1 + Z**2 / effective)
    spread = share * (1 - share) / effective + Z**2 / (4 * effective**2)
    half = Z / (1 + Z**2 / effective) * math.sqrt(spread)
    return float(np.clip(middle - half, 0, share)), float(np.clip(middle + half, share, 1))
