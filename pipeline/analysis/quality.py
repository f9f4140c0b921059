"""Quality of a collection: recall of its index, duplicates, and chips without data or detail.

Measured on a sample, so that it takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index

SAMPLE = 2_000
#: Minimum no-data of a poor chip, in percent.
POOR_NODATA = 10.0
#: Minimum cosine of two duplicates.
DUPLICATE_SCORE = 0.995
#: A chip is blurred below this fraction of its scene's median sharpness.
BLURRED = 0.1
#: Bins of the histogram of scores.
BINS = 40


@dataclass(frozen=True)
class Quality:
    """Results of the measurement.

    Attributes:
        chips: Number of chips in the collection.
        recall: Recall at 10 of the index against exact search, 0 to 1.
        scores: Histogram of cosines between random pairs of chips, `BINS` bins over -1 to 1.
        typical: Median of these cosines: the score of unrelated chips.
        unusual: 99th percentile of these cosines.
        sampled: Number of chips whose nearest neighbours were searched.
        duplicates: Rows (m, 2) of pairs that look alike in different places, most similar first.
        poor: Rows of chips with too much nodata.
        blurred: Rows of chips with little detail for their scene.
    """

    chips: int
    recall: float
    scores: np.ndarray
    typical: float
    unusual: float
    sampled: int
    duplicates: np.ndarray
    poor: np.ndarray
    blurred: np.ndarray


def measure(collection: Collection, index: Index) -> Quality:
    """Measure a collection; takes seconds, most of them for the exact search."""
    table, count = collection.chips, len(index)
    rng = np.random.default_rng(20160816)
    scores = np.empty(0, np.float32)
    if count > 1:
        first = rng.integers(0, count, min(SAMPLE, count * 4))
        second = (first + rng.integers(1, count, len(first))) % count
        left = normalise(np.asarray(index.vectors[first], np.float32))
        right = normalise(np.asarray(index.vectors[second], np.float32))
        scores = (left * right).sum(axis=1)
    rows = np.sort(rng.permutation(count)[:SAMPLE])
    return Quality(
        chips=count,
        recall=index.recall(),
        scores=np.histogram(scores, BINS, (-1, 1))[0],
        typical=float(np.median(scores)) if len(scores) else 0.0,
        unusual=float(np.quantile(scores, 0.99)) if len(scores) else 1.0,
        sampled=len(rows),
        duplicates=_duplicates(collection, index, rows),
        poor=np.flatnonzero(table.nodata_percent >= POOR_NODATA),
        blurred=_find_blurred(table.sharpness, table.scene),
    )


def _duplicates(collection: Collection, index: Index, rows: np.ndarray) -> np.ndarray:
    """Pairs of a sampled chip and its nearest neighbour that look alike but do not overlap."""
    if len(index) < 2:
        return np.empty((0, 2), np.int64)
    corners = collection.chips.corners
    neighbours, scores = index.search_many(np.asarray(index.vectors[rows], np.float32), 8)
    pairs: dict[tuple[int, int], float] = {}
    for row, near, cosines in zip(rows.tolist(), neighbours, scores, strict=True):
        for other, score in zip(near.tolist(), cosines.tolist(), strict=True):
            if other != row and score >= DUPLICATE_SCORE and _apart(corners[row], corners[other]):
                pairs[min(row, other), max(row, other)] = score
                break
    best = sorted(pairs, key=lambda pair: -pairs[pair])
    return np.array(best, np.int64).reshape(-1, 2)


def _apart(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two footprints' bounding boxes do not overlap."""
    low = np.maximum(first.min(axis=0), second.min(axis=0))
    high = np.minimum(first.max(axis=0), second.max(axis=0))
    return bool((low >= high).any())


def _find_blurred(sharpness: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Rows whose sharpness is below `BLURRED` of their scene's median."""
    median = np.zeros(int(scene.max()) + 1 if len(scene) else 0)
    for number in np.unique(scene):
        median[number] = np.median(sharpness[scene == number])
    return np.flatnonzero(sharpness < BLURRED * median[scene])
