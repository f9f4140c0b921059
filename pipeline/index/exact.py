"""Exact search by scanning every vector: the reference, and the judge of the index's recall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.vectors import normalise, widen

#: Vectors widened to float32 at a time: 64 MiB.
BLOCK = 8_192
#: Self-check: queries and neighbours.
PROBES, NEIGHBOURS = 128, 10
#: A probe between two chips: weight of the second, and among how many it is the most alike.  Such
#: are nearly as hard as places not in the index; between any two there may be nothing at all.
BETWEEN, ALIKE = 0.5, 8
#: Cosines closer than this may be ordered either way by rounding.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Truth:
    """What a self-check knows.

    Attributes:
        queries: Probes, float32 (q, 2048), of length one.
        scores: Cosines of their exact neighbours, float32 (q, k), in any order.
    """

    queries: np.ndarray
    scores: np.ndarray

    def recall(self, search: Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]) -> float:
        """Share of the neighbours that a search finds.

        A chip as near as the k-th is as right as the k-th: the same field in two overlapping
        images would else count as a miss (ann-benchmarks counts by distance too).

        Args:
            search: Gives rows and cosines of a query's k nearest.
        """
        k = self.scores.shape[1]
        least = self.scores.min(axis=1, initial=1.0) - ROUNDING
        found = [
            np.count_nonzero(search(query, k)[1] >= near)
            for query, near in zip(self.queries, least, strict=True)
        ]
        return float(sum(found) / max(self.scores.size, 1))


def best(rows: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of rows (m,) by scores (m,), best first; ties go to the lower row."""
    if k < len(rows):
        first = np.argpartition(-scores, k - 1)[:k]
        # Equal scores at the cut: those of lower rows are taken, whatever order they came in.
        last = scores[first].min()
        if np.count_nonzero(scores == last) > 1:
            first = np.flatnonzero(scores >= last)
        rows, scores = rows[first], scores[first]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]


def nearest(vectors: np.ndarray, units: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact neighbours by a scan of all vectors: rows and cosines (q, min(k, n)), best first."""
    k = min(k, len(vectors))
    rows = np.empty((len(units), 0), np.int64)
    scores = np.empty((len(units), 0), np.float32)
    for start in range(0, len(vectors), BLOCK):
        block = widen(vectors[start : start + BLOCK])
        rows, scores = merged(rows, scores, units @ block.T, start, k)
    order = np.lexsort((rows, -scores))
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


def merged(
    rows: np.ndarray, scores: np.ndarray, new: np.ndarray, start: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best, in no order, of known rows and of a block of new ones that begins at `start`."""
    first = np.argpartition(-new, min(k, new.shape[1]) - 1, axis=1)[:, :k]
    rows = np.concatenate([rows, first + start], axis=1)
    scores = np.concatenate([scores, np.take_along_axis(new, first, 1)], axis=1)
    if rows.shape[1] > k:
        kept = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        rows, scores = np.take_along_axis(rows, kept, 1), np.take_along_axis(scores, kept, 1)
    return rows, scores


def probes(vectors: np.ndarray, count: int = PROBES) -> np.ndarray:
    """Queries for a self-check, float32 (m, 2048).

    Half are chips, as when one is clicked; half lie between two chips somewhat alike, as a
    picture's or several examples' do, which are harder because nothing is very near to them.
    """
    rng = np.random.default_rng(1)
    count = min(count, len(vectors))
    queries = widen(vectors[np.sort(rng.choice(len(vectors), count, replace=False))])
    others = widen(vectors[np.sort(rng.choice(len(vectors), count, replace=False))])
    each = np.arange(count)
    choice = (each[:, None] + np.arange(min(ALIKE, count))) % count
    alike = np.take_along_axis(queries @ others.T, choice, axis=1).argmax(axis=1)
    second = others[choice[each, alike]]
    queries[1::2] += BETWEEN * second[1::2]
    return normalise(queries)
