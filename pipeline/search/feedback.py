"""Refine: from a few marks, good and bad, to a better ranking.

A first approximation moves the query to 2·good − bad (Rocchio, as Earth Index and GeoVibes do) and
fetches the chips nearest to it.  Those are ranked anew by the sum of two rankings, each
standardised over them:

- a logistic model over the marks and a few weak random negatives, on vectors joined by their
  neighbours: it learns which directions tell good from bad;
- label propagation on the graph of nearest neighbours (Zhou et al., NIPS 2003): good marks light
  up what is near them along the data, bad ones darken it.

On a simulated analyst the sum beats either one, and both beat 2·good − bad; docs/quality.md has
the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.model import pooling
from pipeline.vectors import normalise, widen

#: Chips that are ranked anew; bounds the cost whatever the collection's size.
CANDIDATES = 2000
#: Share of the logistic model in the sum.
LOGISTIC = 0.3
_WEAK = 20
_WEAK_WEIGHT = 0.2
_STEEPNESS = 5.0
_PENALTY = 0.01
#: Vectors of which there must be more for a graph or a projection to mean anything.
_FEW = 8


@dataclass(frozen=True)
class Marks:
    """What a search started from and what was said about its hits.

    Attributes:
        start: Float32 (m, d), unit vectors of the start or of its views, together as much worth as
            one good mark; none if the search started from the marks alone.
        good: Rows marked good.
        bad: Rows marked bad.
    """

    start: np.ndarray
    good: tuple[int, ...] = ()
    bad: tuple[int, ...] = ()


def ranked(vectors: np.ndarray, rows: np.ndarray, marks: Marks) -> np.ndarray:
    """Places of candidates in a better order: those marked good, then the likeliest.

    Args:
        vectors: Vectors (n, d) of the collection; may be a float16 memory map.
        rows: Int (m,), the candidates, none of them marked bad.
        marks: At least a start or a good mark.  They take part whether candidates or not.

    Returns:
        Int (m,), indices into `rows`, best first; always the same for the same input.
    """
    marked = np.array(marks.good + marks.bad, np.int64)
    rng = np.random.default_rng(0)
    weak = np.setdiff1d(rng.choice(len(vectors), min(_WEAK, len(vectors)), replace=False), marked)
    pool = np.concatenate([rows, np.setdiff1d(np.concatenate([marked, weak]), rows)])
    near = normalise(widen(np.asarray(vectors[pool], np.float16)))
    space = np.concatenate([near, marks.start])
    place = {row: at for at, row in enumerate(pool.tolist())}
    says = np.zeros(len(space), np.float32)
    says[[place[row] for row in marks.good]] = 1
    says[len(pool) :] = 1 / max(len(marks.start), 1)
    says /= says.sum()
    says[[place[row] for row in marks.bad]] = -1 / max(len(marks.bad), 1)
    scores = _scores(space, says, np.array([place[row] for row in weak.tolist()], np.int64))
    return np.lexsort((-scores[: len(rows)], ~np.isin(rows, marks.good)))


def _scores(space: np.ndarray, says: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """Summed standardised scores (n,) of a space (n, d).

    Args:
        space: Unit vectors.
        says: Weight of each good mark, positive and 1 together, of each bad one, negative and -1
            together; 0 for the rest.
        weak: Places of the random negatives.
    """
    if len(space) <= _FEW:
        return space @ (np.where(says > 0, 2 * says, says) @ space)
    vectors = pooling.joined(pooling.Projection.learn(space)(space))
    lit = pooling.walked(pooling.graph(vectors), says)
    learned = vectors @ _logistic(vectors, says, weak)
    return LOGISTIC * _standard(learned) + (1 - LOGISTIC) * _standard(lit)


def _standard(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.mean()) / max(float(scores.std()), 1e-12)


def _logistic(vectors: np.ndarray, says: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """Direction (d,) of a penalised logistic model: good against bad and weak random others."""
    from scipy.optimize import minimize

    marked = np.flatnonzero(says)
    examples = _STEEPNESS * vectors[np.concatenate([marked, weak])]
    truth = np.concatenate([says[marked] > 0, np.zeros(len(weak))])
    weights = np.concatenate([abs(says[marked]), np.full(len(weak), _WEAK_WEIGHT / _WEAK)])

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        logits = examples @ at[:-1] + at[-1]
        miss = np.logaddexp(0, logits) - truth * logits
        slope = weights * (1 / (1 + np.exp(-logits)) - truth)
        value = float(weights @ miss + _PENALTY * at[:-1] @ at[:-1])
        gradient = np.append(examples.T @ slope + 2 * _PENALTY * at[:-1], slope.sum())
        return value, gradient

    start = np.zeros(vectors.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return np.asarray(found.x[:-1], np.float32)
