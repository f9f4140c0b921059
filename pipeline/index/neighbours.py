"""The nearest neighbours of every chip, of other ground only.

Chips that share ground show the same thing, so one is no evidence for the other, and two that share
ground with each other are one neighbour.  Up to 20,000
vectors every pair is compared.  More are divided into about √n clusters (spherical k-means on a
sample), and those of a cluster are compared with those of the clusters nearest to it, as an
inverted file does (Sivic & Zisserman, ICCV 2003).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipeline.imagery.chips import CHIP
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable

#: Up to so many vectors every pair is compared.
EXACT_UP_TO = 20_000
#: Clusters that are compared with each cluster, itself included.
PROBED = 12
#: Vectors of the sample per cluster, and rounds of k-means.
_SAMPLED, _ROUNDS = 40, 6
#: Vectors compared with all others at a time.
_BLOCK = 512
#: Maximum number of neighbours on the same ground that are looked past.
_MOST_SHARED = 320
#: Share by which footprints of two scenes are shrunk before they are compared: the boxes of
#: neighbours on a turned grid touch.
_SHRINK = 0.1
_THREADS = 2


@dataclass(frozen=True)
class Ground:
    """Which chips share ground.

    Attributes:
        table: The chips.
    """

    table: ChipTable

    @cached_property
    def _boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner, float32 (n, 2), relative to the first chip."""
        if not len(self.table):
            return np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)
        corners = self.table.corners - self.table.corners[0, 0]
        low, high = corners.min(axis=1), corners.max(axis=1)
        edge = _SHRINK * (high - low)
        return (low + edge).astype(np.float32), (high - edge).astype(np.float32)

    @cached_property
    def most(self) -> int:
        """About how many others share a chip's ground at most."""
        n = len(self.table)
        rows = np.random.default_rng(0).choice(n, min(n, 64), replace=False)
        low, high = self._boxes
        counts = [
            int(((low < high[row]) & (high > low[row])).all(axis=1).sum()) - 1 for row in rows
        ]
        return max(counts, default=0)

    def shared(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Bool: whether each pair of rows, arrays that broadcast, shares ground."""
        table, (low, high) = self.table, self._boxes
        same = table.scene[rows] == table.scene[others]
        near = np.abs(table.cols[rows] - table.cols[others]) < CHIP
        near &= np.abs(table.rows[rows] - table.rows[others]) < CHIP
        apart = (low[rows] >= high[others]) | (high[rows] <= low[others])
        return np.where(same, near, ~apart.any(axis=-1))

    def apart(self, rows: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best of each line, none of which shares ground with a better one.

        Args:
            rows: Int (m, r).
            scores: Float32 (m, r), -inf for those that do not count; overwritten.
            k: Number wanted.

        Returns:
            Rows int64 (m, k), -1 where there are fewer, and scores float32 (m, k), best first.
        """
        low, high = self._boxes
        left, lower, right, upper = (*np.moveaxis(low[rows], 2, 0), *np.moveaxis(high[rows], 2, 0))
        left, lower, right, upper = map(np.ascontiguousarray, (left, lower, right, upper))
        found = np.full((len(rows), k), -1, np.int64)
        best = np.zeros((len(rows), k), np.float32)
        line = np.arange(len(rows))
        for place in range(k):
            first = scores.argmax(axis=1)
            values = scores[line, first]
            there = np.isfinite(values)
            if not there.any():
                break
            found[there, place], best[there, place] = rows[line, first][there], values[there]
            meets = left < right[line, first, None]
            meets &= right > left[line, first, None]
            meets &= lower < upper[line, first, None]
            meets &= upper > lower[line, first, None]
            np.putmask(scores, meets, -np.inf)
        return found, best


@dataclass(frozen=True)
class Clusters:
    """Rows in clusters of similar vectors.

    Attributes:
        centres: Unit vectors, float32 (m, d).
        order: Rows, int64 (n,), cluster by cluster.
        starts: Where each cluster starts in `order`, int64 (m + 1,).
    """

    centres: np.ndarray
    order: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> Clusters:
        """Divide unit vectors (n, d)."""
        n = len(vectors)
        if n <= EXACT_UP_TO:
            return cls(vectors[:1].astype(np.float32), np.arange(n), np.array([0, n]))
        rng, count = np.random.default_rng(0), round(n**0.5)
        picked = np.sort(rng.choice(n, min(n, _SAMPLED * count), replace=False))
        sample = vectors[picked].astype(np.float32)
        centres = sample[rng.choice(len(sample), count, replace=False)]
        for _ in range(_ROUNDS):
            nearest = _nearest_centre(sample, centres)
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, sample)
            empty = np.bincount(nearest, minlength=count) == 0
            sums[empty] = sample[rng.choice(len(sample), int(empty.sum()))]
            centres = normalise(sums)
        cluster = _nearest_centre(vectors, centres)
        order = np.argsort(cluster, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(cluster, minlength=count))])
        return cls(centres, order, starts)

    def members(self, cluster: int) -> np.ndarray:
        """The rows of a cluster."""
        return self.order[self.starts[cluster] : self.starts[cluster + 1]]

    def around(self) -> np.ndarray:
        """For each cluster those nearest to it, itself first: int64 (m, PROBED)."""
        scores = self.centres @ self.centres.T
        np.fill_diagonal(scores, 2)
        return np.argsort(-scores, axis=1, kind="stable")[:, :PROBED]


def nearest(
    vectors: np.ndarray,
    k: int,
    ground: Ground,
    clusters: Clusters,
    *,
    rows: np.ndarray | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of other ground.

    Args:
        vectors: Unit vectors, float32 (n, d).
        k: Number of neighbours.
        ground: Which rows share ground.
        clusters: The vectors in clusters.
        rows: Whose neighbours to find, ascending; None for all.
        done: Called with the number of rows finished so far; may raise to cancel.

    Returns:
        Rows int32 (m, k), -1 where there are fewer, and cosines float32 (m, k), best first.
    """
    wanted = np.arange(len(vectors)) if rows is None else rows
    place = np.full(len(vectors), -1, np.int64)
    place[wanted] = np.arange(len(wanted))
    found = np.full((len(wanted), k), -1, np.int32)
    cosines = np.zeros((len(wanted), k), np.float32)
    finished = 0
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="neighbours") as pool:
        for queries, rows_found, scores in pool.map(
            lambda job: _compare(vectors, k, ground, *job), _jobs(clusters, place)
        ):
            found[place[queries]], cosines[place[queries]] = rows_found, scores
            finished += len(queries)
            done(finished)
    return found, cosines


def _jobs(clusters: Clusters, place: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to compare, and the rows to compare them with."""
    around = clusters.around()
    for cluster in range(len(around)):
        queries = clusters.members(cluster)
        queries = queries[place[queries] >= 0]
        if not len(queries):
            continue
        others = np.concatenate([clusters.members(near) for near in around[cluster].tolist()])
        for start in range(0, len(queries), _BLOCK):
            yield queries[start : start + _BLOCK], others


def _compare(
    vectors: np.ndarray, k: int, ground: Ground, queries: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores = vectors[queries] @ vectors[others].T
    reach = min((k + 1) * (1 + ground.most), k + 1 + _MOST_SHARED, len(others))
    best = np.argpartition(-scores, reach - 1, axis=1)[:, :reach]
    values = np.take_along_axis(scores, best, 1)
    candidates = others[best]
    values[ground.shared(queries[:, None], candidates)] = -np.inf
    rows, values = ground.apart(candidates, values, k)
    return queries, rows.astype(np.int32), values


def _nearest_centre(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    nearest = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), 8_192):
        part = vectors[start : start + 8_192].astype(np.float32)
        nearest[start : start + 8_192] = (part @ centres.T).argmax(axis=1)
    return nearest
