"""Whether a collection can be trusted: is the index right, are the chips good, are there doubles.

Everything is measured on a sample, so that it takes seconds, and says how large the sample was.
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
#: Share without data (percent) and cosine from which on a chip counts as poor, or as a double.
POOR_NODATA, DOUBLE = 10.0, 0.995
#: A chip is blurred or empty if its sharpness lies this far below the middle one of its scene.
BLURRED = 0.1
BINS = 40


@dataclass(frozen=True)
class Quality:
    """What was measured.

    Attributes:
        chips: Chips in the collection.
        recall: Share of the ten truly nearest chips that a search finds, 0 to 1.
        scores: Counts of cosines between chips drawn at random, `BINS` of them over -1 to 1.
        typical: Middle cosine of two chips drawn at random: what "no relation" scores here.
        unusual: Cosine that one pair in a hundred exceeds.
        sampled: Chips whose nearest neighbour was looked up.
        doubles: Rows (m, 2) of pairs that look the same, apart on the ground, closest first.
        poor: Rows of chips with much missing data.
        blurred: Rows of chips without detail, against their scene.
    """

    chips: int
    recall: float
    scores: np.ndarray
    typical: float
    unusual: float
    sampled: int
    doubles: np.ndarray
    poor: np.ndarray
    blurred: np.ndarray


def measure(collection: Collection, index: Index) -> Quality:
    """Measure a collection; some seconds, most of them in the exact search."""
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
        doubles=_doubles(collection, index, rows),
        poor=np.flatnonzero(table.nodata_percent >= POOR_NODATA),
        blurred=_blurred(table.sharpness, table.scene),
    )


def _doubles(collection: Collection, index: Index, rows: np.ndarray) -> np.ndarray:
    """Pairs of a sampled chip and its nearest one that look the same but do not overlap."""
    if len(index) < 2:
        return np.empty((0, 2), np.int64)
    corners = collection.chips.corners
    found, scores = index.search_many(np.asarray(index.vectors[rows], np.float32), 8)
    pairs: dict[tuple[int, int], float] = {}
    for row, near, cosine in zip(rows.tolist(), found, scores, strict=True):
        for other, score in zip(near.tolist(), cosine.tolist(), strict=True):
            if other != row and score >= DOUBLE and _apart(corners[row], corners[other]):
                pairs[min(row, other), max(row, other)] = score
                break
    best = sorted(pairs, key=lambda pair: -pairs[pair])
    return np.array(best, np.int64).reshape(-1, 2)


def _apart(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two footprints' bounding boxes have no point inside both."""
    low = np.maximum(first.min(axis=0), second.min(axis=0))
    high = np.minimum(first.max(axis=0), second.max(axis=0))
    return bool((low >= high).any())


def _blurred(sharpness: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Rows whose sharpness is under a tenth of their scene's middle one."""
    middle = np.zeros(int(scene.max()) + 1 if len(scene) else 0)
    for one in np.unique(scene):
        middle[one] = np.median(sharpness[scene == one])
    return np.flatnonzero(sharpness < BLURRED * middle[scene])
