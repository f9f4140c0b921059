"""Quality of a collection: recall of its index, duplicates, and chips without data or detail.

Measured on a sample, so that it takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.search.chance import Chance
from pipeline.vectors import normalise, random_scores

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.index.graph import Graph
    from pipeline.index.index import Index

SAMPLE = 2_000
#: Chips of it that are paired, and searches whose chance is measured.
PAIRED, SEARCHES = 100, 100
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
        scores: Histogram of the scores of random pairs of chips, `BINS` bins over -1 to 1.
        typical: Median of these scores.
        chance: Scores that one chip reaches by chance, of searches from random chips: the median,
            and the 10th and 90th percentile; None where they are unknown.
        sampled: Number of chips whose nearest neighbours were searched.
        duplicates: Rows (m, 2) of pairs that look alike in different places, most similar first.
        poor: Rows of chips with too much nodata.
        blurred: Rows of chips with little detail for their scene.
    """

    chips: int
    recall: float
    scores: np.ndarray
    typical: float
    chance: tuple[float, float, float] | None
    sampled: int
    duplicates: np.ndarray
    poor: np.ndarray
    blurred: np.ndarray


def measure(collection: Collection, index: Index, graph: Graph | None) -> Quality:
    """Measure a collection; takes seconds, most of them for the exact search.

    Args:
        collection: The collection.
        index: Its index.
        graph: Its graph, or None while it is being made: scores are then those of plain vectors.
    """
    table, count = collection.chips, len(index)
    rng = np.random.default_rng(20160816)
    rows = np.sort(rng.permutation(count)[:SAMPLE])
    vectors = graph.joined if graph is not None else index.vectors
    sample = normalise(np.asarray(vectors[rows], np.float32))
    first, second = np.triu_indices(min(len(sample), PAIRED), 1)
    scores = (sample[first] * sample[second]).sum(axis=1)
    return Quality(
        chips=count,
        recall=index.recall(),
        scores=np.histogram(scores, BINS, (-1, 1))[0],
        typical=float(np.median(scores)) if len(scores) else 0.0,
        chance=_chance(sample, count),
        sampled=len(rows),
        duplicates=_duplicates(collection, index, rows),
        poor=np.flatnonzero(table.nodata_percent >= POOR_NODATA),
        blurred=_find_blurred(table.sharpness, table.scene),
    )


def _chance(sample: np.ndarray, count: int) -> tuple[float, float, float] | None:
    """Scores that one chip reaches by chance, in searches from chips drawn at random."""
    others = random_scores(sample) if len(sample) else sample
    found = [
        chance.score_of(1)
        for row in range(min(len(sample), SEARCHES))
        if (chance := Chance.of(count, np.delete(sample, row, 0) @ sample[row], others))
    ]
    if not found:
        return None
    low, middle, high = np.quantile(found, (0.1, 0.5, 0.9)).tolist()
    return middle, low, high


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
