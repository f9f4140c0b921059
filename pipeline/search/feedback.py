"""Relevance feedback on plain vectors: from a few marks, good and bad, to a better ranking.

`pipeline.search.plain_ranking` ranks by it, as versions before 0.3 did; of it `ranking` takes the
logistic model.  A first approximation moves the query to 2·good − bad (Rocchio, as Earth Index and
GeoVibes do) and fetches the chips nearest to it.  They are re-ranked by the sum of two scores, each
standardised over these chips:

- a logistic model trained on the marks and a few weak random negatives, on vectors averaged with
  their neighbours: it learns which directions separate good from bad;
- label propagation on the graph of nearest neighbours (Zhou et al., NIPS 2003): good marks raise
  the scores of the chips connected to them, bad marks lower them.

With a simulated analyst the sum beat either score, and both beat 2·good − bad.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.model import pooling
from pipeline.vectors import normalise, widen

#: Chips that are re-ranked; bounds the cost whatever the collection's size.
CANDIDATES = 2000
#: Weight of the logistic model in the sum; the rest is that of label propagation.
LOGISTIC = 0.3
#: Number of random chips used as weak negatives, and their total weight; all bad marks weigh 1.
WEAK = 20
_WEAK_WEIGHT = 0.2
#: Factor on unit vectors, so that the logistic model reaches probabilities near 0 and 1.
_STEEPNESS = 5.0
#: L2 regularisation of the logistic model.
_PENALTY = 0.01
#: With this many vectors or fewer, a graph or a whitening is meaningless.
_FEW = 8


@dataclass(frozen=True)
class Marks:
    """What a search started from, and the marks on its hits.

    Attributes:
        start: Float32 (m, d), unit vectors of the start or of its views, which weigh together as
            much as one good mark; none if the search started from the marks alone.
        good: Rows marked good.
        bad: Rows marked bad.
    """

    start: np.ndarray
    good: tuple[int, ...] = ()
    bad: tuple[int, ...] = ()


def rank(vectors: np.ndarray, rows: np.ndarray, marks: Marks) -> np.ndarray:
    """Order of candidates by the marks: those marked good first, then the most similar.

    Args:
        vectors: Vectors (n, d) of the collection; may be a float16 memory map.
        rows: Int (m,), the candidates, none of them marked bad.
        marks: At least a start or a good mark.  Marked chips count whether candidates or not.

    Returns:
        Int (m,), indices into `rows`, best first; deterministic.
    """
    marked = np.array(marks.good + marks.bad, np.int64)
    rng = np.random.default_rng(0)
    weak = np.setdiff1d(rng.choice(len(vectors), min(WEAK, len(vectors)), replace=False), marked)
    pool = np.concatenate([rows, np.setdiff1d(np.concatenate([marked, weak]), rows)])
    pool_vectors = normalise(widen(np.asarray(vectors[pool], np.float16)))
    space = np.concatenate([pool_vectors, marks.start])
    position = {row: i for i, row in enumerate(pool.tolist())}
    judged = np.zeros(len(space), np.float32)
    judged[[position[row] for row in marks.good]] = 1
    judged[len(pool) :] = 1 / max(len(marks.start), 1)
    judged /= judged.sum()
    judged[[position[row] for row in marks.bad]] = -1 / max(len(marks.bad), 1)
    scores = _scores(space, judged, np.array([position[row] for row in weak.tolist()], np.int64))
    return np.lexsort((-scores[: len(rows)], ~np.isin(rows, marks.good)))


def _scores(space: np.ndarray, judged: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """Sum of the two standardised scores (n,) of a space (n, d).

    Args:
        space: Unit vectors.
        judged: Weight of each vector: good marks are positive and sum to 1, bad ones are negative
            and sum to -1, the rest is 0.
        weak: Indices of the random negatives.
    """
    if len(space) <= _FEW:
        return space @ (np.where(judged > 0, 2 * judged, judged) @ space)
    vectors = pooling.augment(pooling.Whitening.learn(space)(space))
    propagated = pooling.random_walk(pooling.graph(vectors), judged)
    good, bad = np.flatnonzero(judged > 0), np.flatnonzero(judged < 0)
    logistic = vectors @ logistic_direction(
        vectors[good], vectors[bad], vectors[weak], judged[good]
    )
    return LOGISTIC * _standardise(logistic) + (1 - LOGISTIC) * _standardise(propagated)


def _standardise(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.mean()) / max(float(scores.std()), 1e-12)


def logistic_direction(
    good: np.ndarray, bad: np.ndarray, weak: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Direction (d,) of a regularised logistic model: good against bad and random negatives.

    Args:
        good: Unit vectors (g, d).
        bad: Unit vectors (b, d).
        weak: Unit vectors of random chips, weakly bad, (w, d).
        weights: Of the good ones, which sum to 1; equal ones by default.
    """
    from scipy.optimize import minimize

    examples = _STEEPNESS * np.concatenate([good, bad, weak])
    truth = np.repeat([1.0, 0.0], [len(good), len(bad) + len(weak)])
    given = np.full(len(good), 1 / max(len(good), 1)) if weights is None else weights
    weak_weight = np.full(len(weak), _WEAK_WEIGHT / WEAK)
    each = np.concatenate([given, np.full(len(bad), 1 / max(len(bad), 1)), weak_weight])

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        logits = examples @ x[:-1] + x[-1]
        miss = np.logaddexp(0, logits) - truth * logits
        slope = each * (1 / (1 + np.exp(-logits)) - truth)
        value = float(each @ miss + _PENALTY * x[:-1] @ x[:-1])
        gradient = np.append(examples.T @ slope + 2 * _PENALTY * x[:-1], slope.sum())
        return value, gradient

    start = np.zeros(examples.shape[1] + 1)
    solution = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return np.asarray(solution.x[:-1], np.float32)
