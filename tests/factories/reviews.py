"""Simulated checks of lists whose right hits are known: how often the intervals hold the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.search.check import Check, sample_order
from pipeline.search.estimates import REACH, Tally, exact_interval, recall_of

#: Where the right hits of a list lie: anywhere; more of them at high scores; all at the top; evenly
#: spaced, which gives every stratum its share and is the worst for a stratified sample.
ORDERS = ("unordered", "ordered", "separated", "even")


@dataclass(frozen=True)
class Case:
    """How often the intervals of one list, sample size and threshold held the truth.

    Attributes:
        hits: Length of the list.
        size: Number of hits judged.
        part: Share of the list at or above the threshold.
        order: Of `ORDERS`.
        share: Share of right hits in the list.
        precision: Share of runs whose interval of the precision held it.
        recall: The same of the recall, of runs that judged enough on both sides to tell it; NaN if
            these are less than a fifth.
        width: Mean width of the interval of the precision.
    """

    hits: int
    size: int
    part: float
    order: str
    share: float
    precision: float
    recall: float
    width: float


def right_hits(order: str, hits: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which hits of a list, best first, are right, (hits,) bool."""
    number = min(max(round(share * hits), 1), hits - 1)
    right = np.zeros(hits, bool)
    if order == "separated":
        places = np.arange(number)
    elif order == "even":
        places = np.arange(number) * hits // number
    else:  # the largest of random numbers that fall with the rank
        slope = 8 if order == "ordered" else 0
        places = np.argsort(slope * np.arange(hits) / hits - rng.gumbel(size=hits))[:number]
    right[places] = True
    return right


def simulated(
    hits: int,
    sizes: Sequence[int],
    shares: Sequence[float],
    parts: Sequence[float],
    orders: Sequence[str] = ORDERS,
    runs: int = 1_000,
    seed: int = 0,
) -> Iterator[Case]:
    """The cases of lists of one length, every sample drawn as a check draws it."""
    rng = np.random.default_rng(seed)
    sizes = [size for size in sizes if size <= hits]
    kinds = [(order, share) for order in orders for share in shares]
    lists = np.array([right_hits(*kind[:1], hits, kind[1], rng) for kind in kinds])
    strata = Check.draw(hits, 1).strata
    cuts = {part: max(1, round(part * hits)) for part in parts}
    drawn: dict[tuple[int, float], list[np.ndarray]] = {
        (size, part): [] for size in sizes for part in parts
    }
    for _ in range(runs):
        order = sample_order(rng.random((hits, 2)), strata)[: max(sizes)]
        right = np.cumsum(lists[:, order], axis=1)
        for part, cut in cuts.items():
            above = order < cut
            above_right = np.cumsum(lists[:, order] & above, axis=1)
            count = np.cumsum(above)
            for size in sizes:
                tallies = [np.full(len(kinds), count[size - 1]), above_right[:, size - 1]]
                drawn[size, part].append(np.array([*tallies, right[:, size - 1]]))
    for (size, part), outcomes in drawn.items():
        by_kind = np.array(outcomes)  # (runs, 3, kinds)
        for number, (order, share) in enumerate(kinds):
            cut, truth = cuts[part], lists[number]
            yield _case(by_kind[:, :, number], size, part, cut, order, share, truth)


def _case(
    outcomes: np.ndarray,
    size: int,
    part: float,
    cut: int,
    order: str,
    share: float,
    truth: np.ndarray,
) -> Case:
    hits, above = len(truth), int(truth[:cut].sum())
    below = int(truth.sum()) - above
    held = width = recalled = reached = 0.0
    for (drawn, right, all_right), runs in zip(
        *np.unique(outcomes, axis=0, return_counts=True), strict=True
    ):
        low, high = exact_interval(int(right), int(drawn), cut)
        held += runs * (low <= above <= high)
        width += runs * (high - low) / cut
        if cut < hits and min(drawn, size - drawn) >= REACH:
            low, high = _recall(cut, hits, size, int(drawn), int(right), int(all_right))
            recalled += runs * (low - 1e-9 <= above / (above + below) <= high + 1e-9)
            reached += runs
    total = len(outcomes)
    recall = recalled / reached if reached >= total / 5 else np.nan
    return Case(hits, size, part, order, share, held / total, recall, width / total)


@cache
def _recall(
    cut: int, hits: int, size: int, drawn: int, right: int, all_right: int
) -> tuple[float, float]:
    above = Tally(cut, right, drawn - right)
    below = Tally(hits - cut, all_right - right, size - drawn - all_right + right)
    return recall_of(above, below)[1:]
