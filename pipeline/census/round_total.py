"""What one round makes of each unit: its sample, and the difference estimator on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.census.design import Design
from pipeline.census.recalibration import expected_counts, fit

#: Folds of the cross-fitting.
FOLDS = 5
#: A sample may lack this share of its units: the others in front of the next are used, too.
MOST_UNANSWERED = 0.1


@dataclass(frozen=True, eq=False)
class RoundTotal:
    """What one round makes of each unit.

    Attributes:
        drawn: Units of its sample.
        totals: float (n,), sum to the estimate.
        variances: float (n,), sum to its variance.
        hidden: float (n,), sum to the things that its floor units hide.
        hidden_variances: float (n,), sum to the variance of that.
        missed: float (n,), things seen in its floor units: the scores miss them.
        expected: float (n,), things expected.
        weights: float (n,), 1 / probability of drawn units, 1 of known ones, 0 of others.
        sampled: int (drawn,), the sample.
        chances: float (drawn,), their probabilities.
        weight: Units that stand behind a drawn one, on average.
        scored_weight: The same of units with scores, each worth what is expected in it.
        floor_weight: The same of the least likely floor unit.
        floor_left: bool (n,), floor units that were not drawn.
        wrong: float, variance of a unit's count by what is expected there.
    """

    drawn: int
    totals: np.ndarray
    variances: np.ndarray
    hidden: np.ndarray
    hidden_variances: np.ndarray
    missed: np.ndarray
    expected: np.ndarray
    weights: np.ndarray
    sampled: np.ndarray
    chances: np.ndarray
    weight: float
    scored_weight: float
    floor_weight: float
    floor_left: np.ndarray
    wrong: float


def prefix_length(order: np.ndarray, answered: np.ndarray) -> int:
    """How many of the first units make up the sample.

    Units are judged in about the order of the design; of several reviewers, one may be behind.  The
    sample ends where more than a tenth of the units in front were not answered.

    Args:
        order: int (m,), as `Design.order`.
        answered: bool (n,).
    """
    given = answered[order]
    lacking = np.cumsum(~given) / np.arange(1, len(order) + 1)
    ends = np.flatnonzero(given & (lacking <= MOST_UNANSWERED))
    return int(ends[-1]) + 1 if len(ends) else 0


def round_total(round_: Design, counts: np.ndarray, answered: np.ndarray) -> RoundTotal | None:
    """What a round makes of each unit; None while no unit of its sample is judged.

    Args:
        round_: Its design.
        counts: float (n,), things in each unit, NaN where it is not known.
        answered: bool (n,), units of its sample that somebody judged.
    """
    order = round_.order
    drawn = prefix_length(order, answered)
    if not drawn and len(order):
        return None
    size = len(counts)
    every = round_.probabilities(drawn)
    sampled, chances = order[:drawn], every[:drawn]
    before = np.ones(size, bool)
    before[order] = False
    expected = _cross_fitted(round_, np.concatenate([sampled, np.flatnonzero(before)]), counts)
    values = np.where(np.isfinite(counts), counts, expected)
    totals = expected.copy()
    totals[before] = values[before]
    wrong = values[sampled] - expected[sampled]
    totals[sampled] += wrong / chances
    variances = np.zeros(size)
    variances[sampled] = wrong**2 * (1 - chances) / chances**2
    floor = round_.floor_units & ~before
    hidden = np.where(floor, totals, 0.0)
    hidden[sampled] -= np.where(floor[sampled], values[sampled], 0.0)
    missed = np.zeros(size)
    missed[sampled] = np.where(floor[sampled], np.nan_to_num(counts[sampled]), 0.0)
    floor_left = floor.copy()
    floor_left[sampled] = False
    scored = ~floor[order]
    worth, chance = expected[order][scored], every[scored]
    weights = np.zeros(size)
    weights[before], weights[sampled] = 1.0, 1 / chances
    return RoundTotal(
        drawn=drawn,
        totals=totals,
        variances=variances,
        hidden=hidden,
        hidden_variances=np.where(floor, variances, 0.0),
        missed=missed,
        expected=expected,
        weights=weights,
        sampled=sampled,
        chances=chances,
        weight=max(len(order) - drawn, 0) / max(drawn, 1),
        scored_weight=float(worth @ (1 - chance) / max(worth @ chance, 1e-9)),
        floor_weight=float(min(1 / every.min() - 1, floor_left.sum())) if drawn else 0.0,
        floor_left=floor_left,
        wrong=float((wrong**2 / chances).sum() / max(expected.sum(), 1e-9)),
    )


def _cross_fitted(round_: Design, units: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Things expected in each unit, by the judged units of the other folds: float (n,)."""
    units = units[np.isfinite(counts[units])]
    # The digits of the random numbers that the order of units does not feel.
    folds = np.floor(round_.uniform * 2.0**40).astype(np.int64) % FOLDS
    expected = np.empty(len(counts))
    for fold in range(FOLDS):
        taught = units[folds[units] != fold]
        here = folds == fold
        expected[here] = expected_counts(
            round_.mass[here], fit(round_.mass[taught], counts[taught])
        )
    return expected
