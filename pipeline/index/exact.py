"""Exact search by scanning every vector: the reference against which recall is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.vectors import normalise, widen

#: Vectors widened to float32 at a time: 64 MiB.
BLOCK = 8_192
#: Self-check: queries and neighbours.
PROBES, NEIGHBOURS = 128, 10
#: A probe between two chips: weight of the second chip, and the number of random chips from which
#: the most similar one is taken.  Such probes are nearly as hard as pictures from elsewhere;
#: between two chips drawn at random there may be nothing at all.
BETWEEN, ALIKE = 0.5, 8
#: Rounding may swap cosines that are closer than this.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Truth:
    """Queries of a self-check and their exact answers.

    Attributes:
        queries: Unit vectors, float32 (q, 2048).
        scores: Cosines of their exact neighbours, float32 (q, k), in any order.
    """

    queries: np.ndarray
    scores: np.ndarray

    def recall(self, search: Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]) -> float:
        """Share of the neighbours that a search finds.

        A chip as near as the k-th neighbour counts as found.  Otherwise the same field in two
        overlapping images would be a miss (ann-benchmarks compares distances, too).

        Args:
            search: Returns rows and cosines of the k nearest chips of a query.
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
        # argpartition keeps any of the rows that share the lowest score; ties go to lower rows.
        last = scores[first].min()
        if np.count_nonzero(scores == last) > 1:
            first = np.flatnonzero(scores >= last)
        rows, scores = rows[first], scores[first]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]


def scan(vectors: np.ndarray, units: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact neighbours, every vector read once: rows and cosines (q, min(k, n)), best first."""
    k = min(k, len(vectors))
    rows = np.empty((len(units), 0), np.int64)
    scores = np.empty((len(units), 0), np.float32)
    for start in range(0, len(vectors), BLOCK):
        block = widen(vectors[start : start + BLOCK])
        rows, scores = merge_block(rows, scores, units @ block.T, start, k)
    order = np.lexsort((rows, -scores))
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


def merge_block(
    rows: np.ndarray, scores: np.ndarray, new: np.ndarray, start: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best, unordered, of known rows and of a block of new ones from row `start` on."""
    first = np.argpartition(-new, min(k, new.shape[1]) - 1, axis=1)[:, :k]
    rows = np.concatenate([rows, first + start], axis=1)
    scores = np.concatenate([scores, np.take_along_axis(new, first, 1)], axis=1)
    if rows.shape[1] > k:
        kept = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        rows, scores = np.take_along_axis(rows, kept, 1), np.take_along_axis(scores, kept, 1)
    return rows, scores


def make_probes(vectors: np.ndarray, count: int = PROBES) -> np.ndarray:
    """Queries for a self-check, float32 (m, 2048).

    Half are chips, like a click on the map.  Half lie between two similar chips, like a picture or
    several examples; these are harder, because nothing is very near to them.
    """
    rng = np.random.default_rng(1)
    count = min(count, len(vectors))
    queries = widen(vectors[np.sort(rng.choice(len(vectors), count, replace=False))])
    others = widen(vectors[np.sort(rng.choice(len(vectors), count, replace=False))])
    each = np.arange(count)
    choice = (each[:, None] + np.arange(min(ALIKE, count))) % count
    nearest = np.take_along_axis(queries @ others.T, choice, axis=1).argmax(axis=1)
    second = others[choice[each, nearest]]
    queries[1::2] += BETWEEN * second[1::2]
    return normalise(queries)
