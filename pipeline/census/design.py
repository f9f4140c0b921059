"""The design of a round: how likely each unit is to be drawn, and in which order units come.

Each unit has a weight and a random number of its own.  Units are handed out by priority, weight
over random number, the highest first (priority sampling: Duffield, Lund and Thorup, Journal of the
ACM 54(6), 2007; order sampling of Rosén and Ohlsson with permanent random numbers).  Wherever one
stops, the units before are a sample without replacement: with the priority of the next unit as
threshold, unit i was drawn with probability min(1, weight_i / threshold), and Horvitz-Thompson
estimates with these probabilities are unbiased.  Units of great weight are certain to be drawn.

Weights follow DISCount (Perez, Maji and Sheldon, AAAI 2024): what a detector expects in a unit says
how much its judgement is worth.  A floor keeps every unit in the draw.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

#: Logits of the levels into which scores are sorted.
LEVELS = np.linspace(-6.0, 6.0, 16)
#: Least weight of a unit if nobody says otherwise, as a share of the mean weight.
FLOOR = 0.3
#: A unit's weight is the sum of its scores to the first power, to the second.  The spread of a
#: count grows about as the root of what is expected; the first power tames low scores, of which
#: there are many and which a detector trained on as many good as bad marks overstates.
#: Chosen by `benchmarks/census.py`.
SHARPNESS, SPREAD = 3.0, 0.4


@dataclass(frozen=True, eq=False)
class Design:
    """What one round draws from, and how.

    Attributes:
        mass: float (n, 16): in each unit, scored things at each of `LEVELS`.
        weights: float (n,), positive.
        uniform: float (n,), the random number of each unit, above 0 and at most 1.
        order: int (m,), units in the order in which they are handed out; without those that were
            judged before the round began.
        listed: int (n,), things of the list whose centres lie in each unit.
    """

    mass: np.ndarray
    weights: np.ndarray
    uniform: np.ndarray
    order: np.ndarray
    listed: np.ndarray

    @property
    def plain(self) -> bool:
        """Whether all units are equally likely: plain random sampling."""
        return bool(np.ptp(self.weights) <= 1e-12 * self.weights.max())

    @property
    def floor_units(self) -> np.ndarray:
        """bool (n,): units in which scores show next to nothing, drawn because all units are."""
        return np.asarray(self.weights <= 2 * self.weights.min())

    def probabilities(self, drawn: int) -> np.ndarray:
        """float (m,): with which probability each unit of the order was among the first.

        Args:
            drawn: Number of the first units.
        """
        if drawn >= len(self.order):
            return np.ones(len(self.order))
        if self.plain:
            return np.full(len(self.order), drawn / len(self.order))
        threshold = self.priorities[self.order[drawn]]
        return np.minimum(1.0, self.weights[self.order] / threshold)

    @property
    def priorities(self) -> np.ndarray:
        """float (n,)."""
        return self.weights / self.uniform


def design(
    mass: np.ndarray,
    listed: np.ndarray,
    uniform: np.ndarray,
    weights: np.ndarray,
    judged: np.ndarray | None = None,
) -> Design:
    """The design of a round.

    Args:
        mass: As `Design.mass`.
        listed: As `Design.listed`.
        uniform: As `Design.uniform`.
        weights: As `Design.weights`.
        judged: bool (n,), units that were judged before and are not drawn again.
    """
    left = np.arange(len(mass)) if judged is None else np.flatnonzero(~judged)
    order = left[np.argsort(-(weights[left] / uniform[left]), kind="stable")]
    return Design(mass, weights, uniform, order, listed)


def unit_weights(mass: np.ndarray, floor: float) -> np.ndarray:
    """float (n,): weights of about 1 on average; all alike if no unit expects anything.

    Args:
        mass: As `Design.mass`.
        floor: The least weight, 0 to 1.
    """
    expected = (mass @ _scores(LEVELS) ** SHARPNESS) ** SPREAD
    total = expected.sum()
    if not total > 0:
        return np.ones(len(mass))
    # No weight is 0, so that every unit can be drawn.
    share = max(floor, 1e-3)
    return np.maximum(share, (1 - share) * expected * len(mass) / total)


def uniforms(ids: list[str], seed: int, purpose: str) -> np.ndarray:
    """float (n,), above 0 and at most 1: a random number for each id, the same on any machine.

    Args:
        ids: What the numbers belong to.
        seed: The seed of the census.
        purpose: What they are drawn for; other purposes get independent numbers.
    """
    digests = (hashlib.sha256(f"{seed} {purpose} {each}".encode()).digest()[:6] for each in ids)
    numbers = np.array([int.from_bytes(digest, "big") for digest in digests], float)
    return (numbers + 1) / 2.0**48


def _scores(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))
