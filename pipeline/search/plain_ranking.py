"""The ranking of versions before 0.3: cosines of plain vectors, or, with marks, feedback on them.

Saved searches and links of those versions keep it, and so does a collection whose graph is still
being made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pipeline.index.graph import SAMPLED
from pipeline.search import feedback

if TYPE_CHECKING:
    from pipeline.index.index import Index
    from pipeline.index.rows import Eligible
    from pipeline.search.queries import Query


class Ranked(Protocol):
    """How the chips of a collection rank for one query."""

    def best(self, k: int, eligible: Eligible | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rows int64 and scores float32 of the k best chips, best first."""
        ...

    def similarity(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Scores of some chips, or of all: float32 (r,)."""
        ...

    def by_chance(self) -> tuple[np.ndarray, ...]:
        """Samples of scores of what has nothing to do with the query; see `chance.Chance`."""
        ...


@dataclass
class PlainRanking:
    """Chips by their plain vectors.

    Attributes:
        index: The collection's index.
        query: What to look for.
        own: Rows that are no candidates of the feedback: those the query starts from, bad marks.
    """

    index: Index
    query: Query
    own: tuple[int, ...] = ()
    _first: tuple[Eligible | None, np.ndarray, np.ndarray] | None = field(
        default=None, init=False, repr=False
    )

    def best(self, k: int, eligible: Eligible | None = None) -> tuple[np.ndarray, np.ndarray]:
        """As `Ranked.best`; with marks those that the marks order come first."""
        foremost, cosines = self._foremost(eligible)
        reach = min(max(k, len(foremost) + len(self.own)), len(self.index))
        rows, scores = self.query.best(self.index, reach, eligible)
        new = ~np.isin(rows, foremost)
        return np.concatenate([foremost, rows[new]])[:k], np.concatenate([cosines, scores[new]])[:k]

    def similarity(self, rows: np.ndarray | None = None) -> np.ndarray:
        """As `Ranked.similarity`: cosines of plain vectors to the query's best view."""
        return self.index.cosines(self.query.vector, rows)

    def by_chance(self) -> tuple[np.ndarray, ...]:
        """As `Ranked.by_chance`."""
        rows = np.random.default_rng(0).permutation(len(self.index))[:SAMPLED]
        return (self.similarity(np.sort(rows)),)

    def _foremost(self, eligible: Eligible | None) -> tuple[np.ndarray, np.ndarray]:
        """Rows and cosines of the nearest chips, ordered by the marks; none without marks."""
        if self.query.marks is None:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if self._first is None or self._first[0] is not eligible:
            reach = min(feedback.CANDIDATES + len(self.own), len(self.index))
            rows, scores = self.query.best(self.index, reach, eligible)
            keep = np.flatnonzero(~np.isin(rows, self.own))[: feedback.CANDIDATES]
            rows, scores = rows[keep], scores[keep]
            order = feedback.rank(self.index.vectors, rows, self.query.marks)
            self._first = eligible, rows[order], scores[order]
        return self._first[1:]
