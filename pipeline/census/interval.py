"""Intervals for totals of which little may have been seen.

The number that was not seen yet is a weighted sum of rare events.  Its interval is the mid-P gamma
interval of Fay and Kim (Biometrical Journal 59, 2017), after Fay and Feuer (Statistics in Medicine
16, 1997), with the mean weight of Tiwari, Clegg and Zou (Statistical Methods in Medical Research
15, 2006).  Where nothing was seen at all, it is the Poisson interval: "0, at most N".
"""

from __future__ import annotations

import math

import numpy as np

CONFIDENCE = 0.95
#: 97.5th percentile of the normal distribution.
Z = 1.959964
#: Units judged below which the lower end is what was seen: fewer say nothing of the spread.
_FEWEST = 5


def total_interval(
    total: float, variance: float, seen: float, weight: float, judged: int, upper: float = 0.0
) -> tuple[int, int]:
    """The 95% interval of a total, whole numbers, rounded outwards.

    Args:
        total: The estimate.
        variance: Its estimated variance.
        seen: Things that were seen: the total is no smaller.
        weight: How many things stand for one that is seen, beyond itself, on average: the weight
            of the one that might have been seen next.
        judged: Number of judged units.
        upper: Variance of things that scores miss and samples seldom hold; it raises the upper end.
    """
    unseen = max(total - seen, 0.0)
    low, high = gamma_interval(unseen, variance, weight)
    # Of a total that is mostly seen for certain, the gamma's lower end is too high.
    low = min(seen + low, total - Z * math.sqrt(variance))
    # Nothing seen is no evidence of anything, whatever the model expects.
    if judged < _FEWEST or not seen:
        low = seen
    high = max(seen + high, total + Z * math.sqrt(max(upper, 0.0)))
    least = math.floor(max(low, seen) + 1e-6)
    return least, max(math.ceil(high - 1e-6), least)


def gamma_interval(total: float, variance: float, weight: float) -> tuple[float, float]:
    """The mid-P gamma interval of a weighted sum of counts.

    Args:
        total: The sum.
        variance: Its estimated variance.
        weight: Weight of one more count.

    Returns:
        Lower and upper end of the 95% interval.
    """
    from scipy.optimize import brentq
    from scipy.stats import gamma

    if variance <= 0 and weight <= 0:
        return total, total
    tail = (1 - CONFIDENCE) / 2
    variance = max(variance, 1e-9)
    more, wider = total + weight, variance + weight**2
    sure = total <= 1e-6

    def probability(value: float) -> float:
        first = 1.0 if sure else gamma.cdf(value, total**2 / variance, scale=variance / total)
        second = gamma.cdf(value, more**2 / wider, scale=wider / more)
        return float(first + second) / 2

    top = more + 40 * math.sqrt(wider)
    low = 0.0 if probability(0.0) >= tail else brentq(lambda x: probability(x) - tail, 0.0, top)
    high = brentq(lambda x: probability(x) - (1 - tail), 0.0, top)
    return float(low), float(high)


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
