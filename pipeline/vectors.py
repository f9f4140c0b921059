"""Arithmetic of embeddings: unit vectors, fast float16 conversion, leading axes."""

from __future__ import annotations

import numpy as np

#: Rounds of subspace iteration: more rounds give better axes.
ROUNDS = 5
#: Extra axes carried through the iteration, which speeds up its convergence.
_OVERSAMPLING = 33
#: Random queries, and the vectors that each is compared with.
QUERIES, COMPARED = 50, 200
#: Between float16's exponent bias (15) and float32's (127).
_BIAS = np.float32(2.0**112)


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Float32 copy of finite vectors (…, d), each of length one; a zero vector stays zero."""
    wide = widen(vectors) if vectors.dtype == np.float16 else np.array(vectors, np.float32)
    wide /= np.maximum(np.sqrt(squared_lengths(wide)), np.float32(1e-12))[..., None]
    return wide


def squared_lengths(vectors: np.ndarray) -> np.ndarray:
    """Squared lengths (…) of vectors (…, d)."""
    return np.einsum("...j,...j->...", vectors, vectors)


def random_scores(vectors: np.ndarray, views: int = 1) -> np.ndarray:
    """Cosines of vectors to the best of some views of random queries, float32.

    A random query takes each of its numbers from another vector: it looks like nothing there.

    Args:
        vectors: Unit vectors float32 (n, d), drawn at random.
        views: Views of a query; the best of them counts.
    """
    rng = np.random.default_rng(1)
    length = vectors.shape[1]
    taken = rng.integers(0, len(vectors), (QUERIES * views, length))
    queries = normalise(vectors[taken, np.arange(length)])
    among = rng.permutation(len(vectors))[:COMPARED]
    cosines = (queries @ vectors[among].T).reshape(QUERIES, views, -1)
    return np.asarray(cosines.max(axis=1).ravel())


def leading_axes(sample: np.ndarray, count: int, rounds: int = ROUNDS) -> np.ndarray:
    """Float32 (d, count): the orthonormal axes that keep most of a sample's squared length.

    Subspace iteration (Halko, Martinsson and Tropp, SIAM Review 53, 2011): a full
    eigendecomposition of 2048×2048 takes longer than everything else together.

    Args:
        sample: Float32 (n, d), n and d at least `count`.  Centre it to get principal components.
        count: Number of axes, returned in order of falling length.
        rounds: Iterations.
    """
    width = min(count + _OVERSAMPLING, *sample.shape)
    start = np.random.default_rng(0).normal(size=(sample.shape[1], width))
    basis = np.linalg.qr(start.astype(np.float32))[0]
    for _ in range(rounds):
        basis = np.linalg.qr(sample.T @ (sample @ basis))[0]
    projected = sample @ basis
    _, rotation = np.linalg.eigh(projected.T @ projected)
    return np.ascontiguousarray(basis @ rotation[:, ::-1][:, :count], np.float32)


def widen(half: np.ndarray) -> np.ndarray:
    """Float32 copy of a finite float16 array, several times faster than numpy's own conversion."""
    return _shifted(half) * _BIAS


def products(half: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Float32 (n,) or (n, q): finite float16 vectors (n, d) times one float32 vector or several.

    Args:
        half: The vectors.
        unit: (d,) or (d, q).
    """
    # Scaling the one vector costs less than widening the many.
    return _shifted(half) @ (unit * _BIAS)


def _shifted(half: np.ndarray) -> np.ndarray:
    """Float32 array 2¹¹² times smaller: the same sign and digits under the wider exponent."""
    bits = np.ascontiguousarray(half).view(np.int16).astype(np.int32)
    bits <<= 13
    # Clears the copies of the sign bit that the shift dragged into the exponent.
    bits &= np.int32(-0x70002000)
    return bits.view(np.float32)


def evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, evenly over their order."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
