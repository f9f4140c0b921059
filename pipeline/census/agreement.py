"""Two reviewers: how far they agree, and what their disagreement does to the interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.census.judgements import Answer


@dataclass(frozen=True)
class Agreement:
    """What units that two reviewers judged say.

    Attributes:
        double: Number of such units.
        same: Share of them with the same answer.
        kappa: Cohen's kappa (Educational and Psychological Measurement 20, 1960) over the answers,
            "cannot tell" being one; None if chance alone would agree.
        lean: Half the difference of the reviewers' totals over these units, as a share of their
            mean.
    """

    double: int
    same: float
    kappa: float | None
    lean: float


def agreement(answers: Mapping[str, Sequence[Answer]]) -> Agreement | None:
    """The agreement of the first two reviewers of each unit; None without a double review.

    Args:
        answers: The answers that hold, by unit.
    """
    pairs = [
        sorted(given[:2], key=lambda each: each.reviewer)
        for given in answers.values()
        if len(given) > 1
    ]
    if not pairs:
        return None
    first = [one.count for one, _ in pairs]
    second = [other.count for _, other in pairs]
    same = float(np.mean([one == other for one, other in zip(first, second, strict=True)]))
    left, right = Counter(first), Counter(second)
    chance = sum(left[value] * right[value] for value in left) / len(pairs) ** 2
    kappa = None if chance >= 1 else (same - chance) / (1 - chance)
    both = [(one.count, two.count) for one, two in pairs
            if one.count is not None and two.count is not None]  # fmt: skip
    total = sum(one + two for one, two in both)
    lean = abs(sum(one - two for one, two in both)) / total if total else 0.0
    return Agreement(len(pairs), same, kappa, lean)


def noise_of(given: Sequence[Answer]) -> float:
    """Variance of a single reviewer's count, from two: half their squared difference."""
    counts = [each.count for each in given[:2] if each.count is not None]
    return (counts[0] - counts[1]) ** 2 / 2 if len(counts) == 2 else float("nan")
