"""Training of detectors: marks make a model that ranks windows.

A model has two stages.  The first is a logistic regression on unit vectors of windows, so that
`scan.score_map` ranks every window of a collection by it.  The second ranks the best of these
again by a logistic regression on their likeness to each marked window and the best hits (a radial
kernel).  Windows
that nobody marked stand in for the rest of the world.  Some of them may hold what is sought, so
all together they weigh half of what the good examples weigh.

Marks are few, so the best hits of a first model count as weak good examples of a second one, each
by its likelihood (self-training: Yarowsky, ACL 1995; soft labels as in Nigam et al., 2000).

After one click there are no marks to learn from.  `expand` then takes the best hits of the click
for good examples, which finds more than the click alone (pseudo-relevance feedback, Buckley et al.,
TREC-3, 1994).  Figures of these choices: docs/objects.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.model.basis import COMPONENTS
from pipeline.objects.model import Kernel, ObjectModel, likeness
from pipeline.vectors import evenly, normalise

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

#: Inverse strength of the penalty on the first stage's weights, after marks and after one click.
STRENGTH, CLICK_STRENGTH = 0.3, 0.5
#: The same of the second stage.
KERNEL_STRENGTH = 0.2
#: How fast likeness falls with distance: exp(-width · (1 - cosine)).
WIDTH = 4.0
#: Added to the kernel's diagonal, in units of likeness.
_RIDGE = 1e-3
#: Weight of the bad examples and of the unmarked windows, if the good ones weigh 1.
BAD, UNMARKED = 0.5, 0.5
#: Unmarked windows of the first and the second stage.
UNMARKED_WINDOWS, KERNEL_WINDOWS = 2_000, 1_000
#: Share of the unmarked windows that count as background after one click: the worst.
BACKGROUND = 0.95
#: Hits of a click that `expand` takes for good examples.
EXPANSION = 20
#: Hits of a first model that count as weak good examples of the second: so many for each mark, at
#: least and at most; and the weight of the surest, if a good example weighs 1.
HITS_PER_MARK, FEWEST_HITS, MOST_HITS, LIKELY = 5, 200, 400, 0.5
#: Maximum number of marked windows, and of hits, that the second stage compares with.
MAX_ANCHORS, LIKELY_ANCHORS = 500, 100
#: Least and largest share of the first stage in the logit of both: few marks teach the second less.
_FIRST = (0.25, 0.5)
#: This over the number of marks is that share.
_ALONE = 10
#: Effective number of examples that the unmarked windows stand for.
_PRIOR = 2_000
_ITERATIONS = 300


@dataclass(frozen=True, eq=False)
class Examples:
    """Marked windows as vectors.

    Attributes:
        good: float32 (g, v, 64): unit vectors of each good example in v views.  The first view is
            upright, the others are turned.
        bad: float32 (b, v, 64): those of the bad ones.
    """

    good: np.ndarray
    bad: np.ndarray

    @classmethod
    def of(cls, good: np.ndarray, bad: np.ndarray | None = None) -> Examples:
        """Examples of vectors (n, 64) or (n, v, 64).

        Raises:
            QueryError: If there is no good example, or vectors are not finite or of another shape.
        """
        if bad is None:
            bad = np.zeros((0, 1, COMPONENTS), np.float32)
        return cls(_views(good, "good"), _views(bad, "bad")).checked()

    @property
    def mean(self) -> np.ndarray:
        """Mean of the good examples in all views, unit vector (64,)."""
        return normalise(self.good.mean((0, 1)))

    def joined(self, other: Examples) -> Examples:
        """These and others, in as many views as all have."""
        views = min(
            each.shape[1] for each in (self.good, self.bad, other.good, other.bad) if len(each)
        )
        return Examples(
            np.concatenate([self.good[:, :views], other.good[:, :views]]),
            np.concatenate([self.bad[:, :views], other.bad[:, :views]]),
        )

    def checked(self) -> Examples:
        """Itself.

        Raises:
            QueryError: If there is no good example.
        """
        if not len(self.good):
            raise QueryError(
                "There is no good example to learn from",
                remedy="Mark at least one object that is what you look for",
            )
        return self


def _views(vectors: np.ndarray, name: str) -> np.ndarray:
    wide = np.asarray(vectors, np.float32)
    if wide.ndim == 2:
        wide = wide[:, None]
    if wide.ndim != 3 or wide.shape[2] != COMPONENTS:
        raise QueryError(f"Vectors of the {name} examples have the wrong shape", where=wide.shape)
    if not np.isfinite(wide).all():
        raise QueryError(f"Vectors of the {name} examples are not finite")
    return normalise(wide)


@dataclass(frozen=True, eq=False)
class Likely:
    """Hits that nobody marked and that count as good examples, each by its likelihood.

    Attributes:
        vectors: float32 (n, 64), unit vectors, the best first.
        weights: float (n,), the weight of each; a good example weighs 1.
    """

    vectors: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, logits: np.ndarray) -> Likely:
        """Those of some hits, best first, that are more like the good examples than anything else.

        Args:
            vectors: float32 (n, 64), unit vectors.
            logits: float (n,), by the marks alone.
        """
        from scipy.special import expit

        kept = logits > 0
        return cls(vectors[kept], LIKELY * expit(logits[kept]))

    @classmethod
    def none(cls) -> Likely:
        """No hits."""
        return cls(np.empty((0, COMPONENTS), np.float32), np.empty(0))


def train(examples: Examples, unmarked: np.ndarray, likely: Likely | None = None) -> ObjectModel:
    """The model that marks train.

    Args:
        examples: The marks.
        unmarked: float32 (n, 64), unit vectors of windows drawn at random; a few thousand.
        likely: Hits that count as weak good examples.

    Raises:
        QueryError: If there is no good example.
    """
    examples.checked()
    likely = Likely.none() if likely is None else likely
    unmarked = np.asarray(unmarked, np.float32)
    first = _rows(examples, unmarked[:UNMARKED_WINDOWS], likely)
    weights, bias = _fit(first.vectors, first, STRENGTH)
    return ObjectModel(weights, bias, _second_stage(examples, unmarked[:KERNEL_WINDOWS], likely))


def expand(
    query: np.ndarray, hits: np.ndarray, unmarked: np.ndarray, scores: np.ndarray
) -> ObjectModel:
    """The model of one click: its query and its best hits against the background.

    Args:
        query: float32 (v, 64), unit vectors of all views of the examples.
        hits: float32 (n, 64), unit vectors of its best hits without the query; about `EXPANSION`.
        unmarked: float32 (m, 64), unit vectors of windows drawn at random.
        scores: float (m,), their scores by the query.

    Returns:
        A model of one stage.
    """
    worst = unmarked[scores <= np.quantile(scores, BACKGROUND)] if len(unmarked) else unmarked
    views = _views(query, "good")[:, 0]
    vectors = np.concatenate([views, hits, worst[:UNMARKED_WINDOWS]]).astype(np.float32)
    good = np.r_[np.full(len(views), 1 / len(views)), np.ones(len(hits))]
    rows = _weighted(vectors, good / good.sum(), len(vectors) - len(good), 0, _PRIOR + len(hits))
    weights, bias = _fit(vectors, rows, CLICK_STRENGTH)
    return ObjectModel(weights, bias)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows to learn from: vectors (n, 64), labels (n,) and weights (n,)."""

    vectors: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def _rows(examples: Examples, unmarked: np.ndarray, likely: Likely) -> _Rows:
    good = examples.good.reshape(-1, COMPONENTS)
    bad = examples.bad.reshape(-1, COMPONENTS)
    weights = np.r_[np.full(len(good), len(examples.good) / len(good)), likely.weights]
    return _weighted(
        np.concatenate([good, likely.vectors, bad, unmarked]),
        weights / weights.sum(),
        len(unmarked),
        len(bad),
        len(examples.good) + len(examples.bad) + _PRIOR,
    )


def _weighted(vectors: np.ndarray, good: np.ndarray, unmarked: int, bad: int, total: int) -> _Rows:
    parts = [good, np.full(bad, BAD / max(bad, 1)), np.full(unmarked, UNMARKED / max(unmarked, 1))]
    labels = np.r_[np.ones(len(good)), np.zeros(bad + unmarked)]
    return _Rows(vectors, labels, np.concatenate(parts) * total)


def _fit(features: np.ndarray, rows: _Rows, strength: float) -> tuple[np.ndarray, float]:
    found = logistic(features, rows.labels, rows.weights, 0.5 / strength)
    return found[:-1].astype(np.float32), float(found[-1])


def _second_stage(examples: Examples, unmarked: np.ndarray, likely: Likely) -> Kernel | None:
    """The kernel of a model; None without bad examples, from which alone it would learn."""
    if not len(examples.bad):
        return None
    marked = np.concatenate([examples.good[:, 0], examples.bad[:, 0]])
    share = float(np.clip(_ALONE / len(marked), *_FIRST))
    anchors = evenly(marked, MAX_ANCHORS)
    anchors = np.concatenate([anchors, likely.vectors[:LIKELY_ANCHORS]])
    between = likeness(anchors, anchors, WIDTH).astype(np.float64)
    with _one_thread():
        values, axes = np.linalg.eigh(between + _RIDGE * np.eye(len(anchors)))
    # Features whose products are the kernel (Nyström): a penalty on their weights is the kernel's.
    to_features = axes / np.sqrt(values)
    rows = _rows(examples, unmarked, likely)
    features = likeness(rows.vectors, anchors, WIDTH) @ to_features
    weights, bias = _fit(features, rows, KERNEL_STRENGTH)
    coefficients = (to_features @ weights).astype(np.float32)
    return Kernel(anchors, coefficients, bias, WIDTH, share)


def logistic(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, penalty: float
) -> np.ndarray:
    """Weights and bias (d + 1,) of a logistic regression, the weights penalised by squares.

    Args:
        features: float (n, d).
        labels: float (n,), 0 or 1.
        weights: float (n,), weight of each row.
        penalty: Factor of the squared length of the weights; scikit-learn's 1 / (2 C).
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    wide = np.asarray(features, np.float64)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        logits = wide @ values[:-1] + values[-1]
        slopes = weights * (expit(logits) - labels)
        cost = float(weights @ (np.logaddexp(0, logits) - labels * logits))
        cost += penalty * float(values[:-1] @ values[:-1])
        return cost, np.append(wide.T @ slopes + 2 * penalty * values[:-1], slopes.sum())

    start = np.zeros(wide.shape[1] + 1)
    options = {"maxiter": _ITERATIONS}
    # Each product takes microseconds, of which OpenBLAS's threads would make milliseconds.
    with _one_thread():
        return minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x


#: Held while OpenBLAS is limited: limits that overlap would leave it so.
_limited = threading.Lock()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Products of matrices on one thread."""
    with _limited, _blas().limit(limits=1):
        yield


@cache
def _blas() -> ThreadpoolController:
    """The threads of OpenBLAS, of numpy and of scipy, which brings its own."""
    import scipy.linalg  # noqa: F401  (what is not loaded yet would not be limited)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
