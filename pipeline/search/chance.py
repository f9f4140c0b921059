"""Chance: how many chips or windows would score as high though nothing like the query is there.

Most of a collection has nothing to do with a query.  The scores of that bulk are close to a normal
distribution, which is fitted to their upper half without the best tenth (an empirical null: Efron,
JASA 2004).  A score's number by chance is the number of chips times the share of this distribution
at or above it, which is what sequence searches call an E-value (Karlin & Altschul, PNAS 1990).

Where much of a collection is like the query, its bulk is no background.  So the number is never
more than what random queries give: vectors each component of which is another chip's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pipeline.search.plain_ranking import Ranked

#: Quantiles of the scores that the normal distribution is fitted to.
BULK = np.linspace(0.5, 0.9, 5)
#: Fewest scores that say anything.
FEWEST = 30
#: A best hit is no find if more places than this are expected to score as high by chance.
NOTHING = 1.0
#: Numbers by chance whose scores a histogram shows.
LEVELS = (10.0, 1.0, 0.1, 0.01)
#: Note of a search without a find.
NOTHING_LIKE_THIS = (
    "Nothing like this here: the example aside, even the best hit scores no higher than unrelated "
    "imagery does by chance"
)
#: Note of a search that tells nothing apart.
ALL_ALIKE = "Every chip has the same score, so the order of these results means nothing"


@dataclass(frozen=True)
class Chance:
    """What scores of one search mean in one collection.

    Attributes:
        count: Number of chips, or windows, in the collection.
        fits: Mean and standard deviation of scores by chance: of the search's own bulk, and of
            random queries where they are known.
    """

    count: int
    fits: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, count: int, *samples: np.ndarray) -> Chance | None:
        """What random samples of scores say, or None if they are too few or all alike.

        Args:
            count: Number of chips, or windows, in the collection.
            samples: Of their scores to the query, and to random queries.
        """
        fits = [fit for sample in samples if (fit := _fit(sample)) is not None]
        return cls(count, tuple(fits)) if fits and len(fits) == len(samples) else None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> Chance | None:
        """From `to_dict`.

        Raises:
            TypeError: If a value is of the wrong kind.
            ValueError: If it is out of range.
        """
        if values is None:
            return None
        fits = tuple((float(mean), float(spread)) for mean, spread in values["fits"])
        count = int(values["count"])
        if not (fits and np.isfinite(fits).all() and all(spread > 0 for _, spread in fits)):
            raise ValueError("no distribution of scores")
        if count < 1:
            raise ValueError("no scores")
        return cls(count, fits)

    def by_chance(self, scores: np.ndarray | float) -> np.ndarray:
        """How many chips or windows would score at least this by chance, for each score."""
        from scipy.special import ndtr

        shares = [ndtr((mean - np.asarray(scores)) / spread) for mean, spread in self.fits]
        return np.asarray(self.count * np.min(shares, axis=0))

    def score_of(self, number: float) -> float:
        """The score at or above which this many are expected by chance."""
        from scipy.special import ndtri

        share = min(number / self.count, 1 - 1e-9)
        return min(mean - spread * float(ndtri(share)) for mean, spread in self.fits)

    @property
    def levels(self) -> dict[str, float]:
        """Scores by the number expected by chance at or above them, those of `LEVELS`."""
        return {f"{number:g}": round(self.score_of(number), 4) for number in LEVELS}

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"count": self.count, "fits": [list(fit) for fit in self.fits]}


def chance_of(ranking: Ranked, count: int) -> Chance | None:
    """What the scores of a ranking mean among the chips of its collection."""
    return Chance.of(count, *ranking.by_chance())


def notes_on(
    scores: np.ndarray,
    corners: np.ndarray,
    query: np.ndarray,
    chance: Chance | None,
    places: float = 1.0,
) -> tuple[str, ...]:
    """What scores mean for a whole answer, sentences without their full stops.

    Hits that share ground with the query resemble it, and are no evidence.

    Args:
        scores: Of the hits, float32 (h,).
        corners: Their footprints, float64 (h, 4, 2).
        query: The query's footprints, float64 (m, 4, 2).
        chance: What scores mean here.
        places: Places that may be hits, as a share of the number of chips: those that overlap show
            one place together, and filters leave some out.
    """
    if chance is None:
        return (ALL_ALIKE,) if len(scores) > 1 and np.ptp(scores) == 0 else ()
    others = scores[~_share_ground(corners, query)]
    if len(others) and chance.by_chance(others.max()) * places > NOTHING:
        return (NOTHING_LIKE_THIS,)
    return ()


def rounded(number: float | None) -> float | None:
    """A number by chance with three digits."""
    return None if number is None else float(f"{number:.3g}")


def in_words(number: float | None) -> str:
    """A number by chance as tables show it: "<0.001", "0.02", "3"; empty if it is unknown."""
    if number is None:
        return ""
    if number < 0.001:
        return "<0.001"
    return f"{number:.1g}" if number < 1 else f"{number:,.0f}"


def _share_ground(corners: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Whether footprints' bounding boxes meet that of one of the query's, bool (h,)."""
    low, high = corners.min(axis=1), corners.max(axis=1)
    meets = np.zeros(len(corners), bool)
    for each in query:
        meets |= ((low < each.max(axis=0)) & (high > each.min(axis=0))).all(axis=1)
    return meets


def _fit(scores: np.ndarray) -> tuple[float, float] | None:
    """Mean and standard deviation of the bulk of some scores."""
    from scipy.special import ndtri

    known = scores[np.isfinite(scores)]
    if len(known) < FEWEST:
        return None
    spread, mean = np.polyfit(ndtri(BULK), np.quantile(known.astype(np.float64), BULK), 1)
    return (float(mean), float(spread)) if spread > 1e-6 else None
