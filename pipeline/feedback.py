"""Refine: from a few marks, good and bad, to a better ranking.

Two rankings are added, each standardised over the candidates:

- a logistic model over the marks and a few weak random negatives, on vectors joined by their
  neighbours: it learns which directions tell good from bad;
- label propagation on the graph of nearest neighbours (Zhou et al., NIPS 2003): good marks light
  up what is near them along the data, bad ones darken it.

On a simulated analyst the sum beats either one, and both beat 2·good − bad; docs/quality.md has
the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import descriptors
from pipeline.errors import QueryError

#: Chips that are ranked anew: those nearest to the marks under 2·good − bad.
CANDIDATES = 2000
#: Share of the logistic model in the sum.
LOGISTIC = 0.3
_WEAK = 20
_WEAK_WEIGHT = 0.2
_STEEPNESS = 5.0
_PENALTY = 0.01


@dataclass(frozen=True)
class Refined:
    """A new ranking.

    Attributes:
        rows: (m,) rows of the candidates, best first, those marked bad left out.
        scores: (m,) standard deviations above the candidates' mean, falling.
    """

    rows: np.ndarray
    scores: np.ndarray


def refine(
    vectors: np.ndarray,
    good: Sequence[int],
    bad: Sequence[int] = (),
    *,
    query: np.ndarray | None = None,
    eligible: np.ndarray | None = None,
    candidates: int = CANDIDATES,
) -> Refined:
    """Rank a collection's chips by what an analyst marked.

    Args:
        vectors: Unit vectors (n, d) of the collection; may be a float16 memory map.
        good: Rows marked good.
        bad: Rows marked bad.
        query: Unit vector (d,) of the query when it is not a chip; counts as one good mark.
        eligible: bool (n,), the chips that filters admit; default all.
        candidates: How many to rank; bounds the cost whatever the collection's size.

    Raises:
        QueryError: If nothing is marked good and there is no query, or a row does not exist.
    """
    good, bad = list(dict.fromkeys(good)), list(dict.fromkeys(bad))
    marked = np.array(good + bad, np.int64)
    if not good and query is None:
        raise QueryError("Nothing is marked good", remedy="Mark at least one example as good")
    if len(marked) and (marked.min() < 0 or marked.max() >= len(vectors)):
        raise QueryError("A marked chip is not in this collection", where=int(marked.max()))
    if set(good) & set(bad):
        raise QueryError(
            "A chip is marked both good and bad",
            where=min(set(good) & set(bad)),
            remedy="Keep one of the two marks",
        )
    extra = np.empty((0, vectors.shape[1])) if query is None else query[None]
    positive = np.concatenate([vectors[good], extra])
    rows = _candidates(vectors, positive, vectors[bad], eligible, candidates)
    # Marks always take part, whatever the filters leave out of the answer.
    pool = np.concatenate([marked, np.setdiff1d(rows, marked)])
    space = np.concatenate([vectors[pool], extra]).astype(np.float32)
    is_good = np.arange(len(good))
    if query is not None:
        is_good = np.append(is_good, len(space) - 1)
    is_bad = np.arange(len(good), len(marked))
    scores = _scores(space, is_good, is_bad)[: len(pool)]
    keep = np.isin(pool, rows) & ~np.isin(pool, bad)
    order = np.argsort(-scores[keep], kind="stable")
    return Refined(pool[keep][order], scores[keep][order])


def _candidates(
    vectors: np.ndarray,
    good: np.ndarray,
    bad: np.ndarray,
    eligible: np.ndarray | None,
    count: int,
) -> np.ndarray:
    direction = 2 * good.astype(np.float32).mean(0)
    if len(bad):
        direction -= bad.astype(np.float32).mean(0)
    scores = np.concatenate(
        [
            vectors[start : start + 65536].astype(np.float32) @ direction
            for start in range(0, len(vectors), 65536)
        ]
    )
    rows = np.arange(len(vectors)) if eligible is None else np.flatnonzero(eligible)
    if len(rows) > count:
        rows = rows[np.argpartition(-scores[rows], count - 1)[:count]]
    return rows


def _scores(space: np.ndarray, good: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Summed standardised scores of every vector of a candidate space (n, d)."""
    if len(space) < 8:  # too few for a graph or a projection to mean anything
        scores = 2 * space @ space[good].mean(0)
        return scores - space @ space[bad].mean(0) if len(bad) else scores
    vectors = descriptors.joined(descriptors.Projection.learn(space)(space))
    edges = descriptors.graph(vectors)
    lit = descriptors.diffused(edges, good).mean(0)
    if len(bad):
        lit = lit - descriptors.diffused(edges, bad).mean(0)
    learned = vectors @ _logistic(vectors, good, bad)
    return LOGISTIC * _standard(learned) + (1 - LOGISTIC) * _standard(lit)


def _standard(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.mean()) / max(float(scores.std()), 1e-12)


def _logistic(vectors: np.ndarray, good: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Direction (d,) of a penalised logistic model: good against bad and weak random others."""
    from scipy.optimize import minimize

    others = np.setdiff1d(np.arange(len(vectors)), np.concatenate([good, bad]))
    rng = np.random.default_rng(0)
    weak = rng.choice(others, min(_WEAK, len(others)), replace=False) if len(others) else others
    examples = _STEEPNESS * vectors[np.concatenate([good, bad, weak])]
    truth = np.zeros(len(examples))
    truth[: len(good)] = 1
    shares = [(len(good), 1.0), (len(bad), 1.0), (len(weak), _WEAK_WEIGHT)]
    weights = np.concatenate([np.full(n, share / max(n, 1)) for n, share in shares])

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
