"""Steps on the vectors of a whole set at once, without labels.

`pipeline.search.feedback` takes them among its candidates, and docs/quality.md measures each alone;
`pipeline.index.graph` is what searches use.

- centring on the collection's mean, projecting to the first principal components, and half
  whitening (Jégou & Chum, ECCV 2012, whiten fully, which is worse here);
- adding its nearest neighbours to each vector (database-side augmentation, Arandjelović &
  Zisserman, CVPR 2012; weights after Radenović et al.);
- diffusion on the graph of nearest neighbours (Donoser & Bischof, CVPR 2013; Iscen et al., CVPR
  2017): similar to what is similar to the query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.vectors import leading_axes, normalise

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

COMPONENTS = 128
#: Degree of whitening: 0 is none, 1 is full whitening.
EVENING = 0.5
JOINED = 5
NEIGHBOURS = 20
#: Share of a diffusion step that continues rather than returns to the query.
WALK = 0.9
_STEPS = 40
#: Enough for the axes: five rounds change mAP and P@20 on labelled pictures by less than 0.005.
_ROUNDS = 2
_CHUNK = 1024


@dataclass(frozen=True)
class Whitening:
    """Centring, principal components and half whitening, learned from a collection.

    Attributes:
        mean: (d,).
        axes: (d, components).
        scales: (components,) divisor of each component.
    """

    mean: np.ndarray
    axes: np.ndarray
    scales: np.ndarray

    @classmethod
    def learn(
        cls, vectors: np.ndarray, components: int = COMPONENTS, evening: float = EVENING
    ) -> Whitening:
        """Learn from vectors (n, d); there are fewer components if n is small."""
        mean = vectors.mean(0)
        centred = vectors - mean
        count = min(components, max(len(vectors) - 1, 1), vectors.shape[1])
        axes = leading_axes(centred, count, _ROUNDS)
        spread = np.linalg.norm(centred @ axes, axis=0)
        kept = spread > 1e-6 * max(spread[0], 1e-12)
        return cls(mean, axes[:, kept], (spread[kept] / spread[0]) ** evening)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Unit vectors (n, components)."""
        return normalise((vectors - self.mean) @ self.axes / self.scales)


def neighbours(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of every unit vector, itself included: (n, k) indices and cosines."""
    k = min(k, len(vectors))
    indices = np.empty((len(vectors), k), np.int64)
    cosines = np.empty((len(vectors), k), vectors.dtype)
    for start in range(0, len(vectors), _CHUNK):
        part = slice(start, start + _CHUNK)
        scores = vectors[part] @ vectors.T
        found = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(scores, found, 1)
        order = np.argsort(-values, axis=1, kind="stable")
        indices[part] = np.take_along_axis(found, order, 1)
        cosines[part] = np.take_along_axis(values, order, 1)
    return indices, cosines


def augment(vectors: np.ndarray, k: int = JOINED) -> np.ndarray:
    """Each unit vector with its k nearest added, weighted by their cosine cubed."""
    indices, cosines = neighbours(vectors, k + 1)
    weights = np.clip(cosines, 0, 1) ** 3
    return normalise(np.einsum("nk,nkd->nd", weights, vectors[indices]))


def graph(vectors: np.ndarray, k: int = NEIGHBOURS) -> csr_matrix:
    """Symmetric, degree-normalised graph of the k nearest neighbours, weights cosine cubed."""
    from scipy.sparse import coo_matrix, diags

    indices, cosines = neighbours(vectors, k + 1)
    rows = np.repeat(np.arange(len(vectors)), indices.shape[1])
    weights = np.clip(cosines, 0, 1).ravel() ** 3
    others = indices.ravel() != rows
    edges = coo_matrix(
        (weights[others], (rows[others], indices.ravel()[others])), shape=(len(vectors),) * 2
    ).tocsr()
    edges = (edges + edges.T) / 2
    scale = diags(1 / np.sqrt(np.asarray(edges.sum(1)).ravel() + 1e-9))
    return (scale @ edges @ scale).tocsr()


def diffuse(edges: csr_matrix, queries: np.ndarray) -> np.ndarray:
    """Scores (q, n) after walking the graph from each query, given by its index."""
    start = np.zeros((edges.shape[0], len(queries)), np.float32)
    start[queries, np.arange(len(queries))] = 1
    return random_walk(edges, start).T


def random_walk(edges: csr_matrix, start: np.ndarray) -> np.ndarray:
    """Scores after walking the graph from `start`, (n,) or (n, q), in the same shape."""
    scores = start
    for _ in range(_STEPS):
        scores = WALK * (edges @ scores) + start
    return scores
