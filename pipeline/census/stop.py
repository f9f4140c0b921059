"""The stop rule of Callaghan and Müller-Hansen (Systematic Reviews 9:273, 2020).

Who looks for every thing, and not only for their number, may stop when the hypothesis "less than
95% of the units with things have been seen" is rejected.  The test is hypergeometric.  Its random
sample are the units whose random number alone, whatever their score, brought them in front of where
judging stands: a simple random sample of all units, because those numbers know nothing of scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.census.design import Design

RECALL = CONFIDENCE = 0.95


@dataclass(frozen=True)
class Stop:
    """What the rule says.

    Attributes:
        reached: Whether one may stop.
        p: Probability of having seen so few in the random sample if less than 95% were seen.
        seen: Units with things that were judged.
        random: Units of the random sample.
    """

    reached: bool
    p: float
    seen: int
    random: int


def stop_rule(design: Design, drawn: int, counts: np.ndarray) -> Stop:
    """Test whether 95% of the units with things have been seen, with 95% confidence.

    Args:
        design: The latest round.
        drawn: Units of its sample.
        counts: float (n,), things in each unit, NaN where it is not known; unknown units count as
            not seen.
    """
    from scipy.stats import hypergeom

    full = np.nan_to_num(counts) > 0
    seen = int(full.sum())
    known = np.isfinite(counts)
    if known.all():
        return Stop(True, 0.0, seen, len(counts))
    order, chances = design.order, design.probabilities(drawn)
    # Every unit is drawn with at least this probability by its random number alone.
    least = float(chances.min()) if drawn else 0.0
    sampled = order[:drawn]
    random = sampled if design.plain else sampled[design.uniform[sampled] <= least]
    random = random[known[random]]
    others = int(known.sum()) - len(random)
    population = len(counts) - others
    # A unit outside is no less likely in the sample than `least`: the sample counts no more.
    size = min(len(random), math.floor(least * population))
    inside = int(full[random].sum())
    missing = math.floor(seen / RECALL) + 1 - (seen - inside)
    if missing > population or size <= 0:
        return Stop(missing > population, 0.0 if missing > population else 1.0, seen, size)
    p = float(hypergeom.cdf(inside, population, missing, size))
    return Stop(p < 1 - CONFIDENCE, p, seen, size)
