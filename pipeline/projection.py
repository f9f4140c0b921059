"""Fewer numbers a chip: the first stage of a search.

Embeddings of one area lie close to a subspace.  Each vector b is written as its coordinates z on
the leading axes of the sample's second moments (a truncated SVD, not centred, because a cosine is
not), and the length r of what is left over.  Then, for unit vectors a and b,

    a·b = z_a·z_b + rest_a·rest_b,   |rest_a·rest_b| ≤ r_a r_b.

So one dot product of length d + 1, with r as the last coordinate, is at once an upper bound of the
cosine (the query's last coordinate being r_a), by which an exact search knows when it may stop,
and a good guess (with half of r_a: what is left over tends to agree too), by which an approximate
one ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Numbers kept of a chip, the length of the rest among them.
REDUCED = 128
SAMPLE = 6_144
ROUNDS = 5
#: Share of the largest possible agreement of the rests that is expected.
EXPECTED = 0.5
#: Added to squared lengths, so that rounding never makes the bound too small.
SLACK = 1e-6
_WIDEN = np.float32(2.0**112)


@dataclass(frozen=True)
class Projection:
    """Orthonormal axes, float32 (2048, d), best first; fewer than 127 where chips are fewer."""

    axes: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray) -> Projection:
        """The axes that keep most of a sample's squared length; all of it where they can.

        Args:
            vectors: Float16 (n, 2048), of length one; up to 6,144 of them are looked at.
        """
        picked = np.linspace(0, len(vectors) - 1, min(len(vectors), SAMPLE)).astype(np.int64)
        sample = widened(vectors[picked])
        if len(sample) < REDUCED:
            return cls(np.ascontiguousarray(np.linalg.qr(sample.T)[0]))
        return cls(leading(sample, REDUCED - 1))

    def of_chips(self, vectors: np.ndarray) -> np.ndarray:
        """Float32 (n, d + 1) of unit vectors, float32 (n, 2048)."""
        return self._reduced(vectors, 1.0)

    def of_queries(self, units: np.ndarray, share: float = EXPECTED) -> np.ndarray:
        """Float32 (n, d + 1) of unit queries, float32 (n, 2048).

        Args:
            units: The queries.
            share: 1 for an upper bound of the cosines, less for a guess.
        """
        return self._reduced(units, share)

    def _reduced(self, vectors: np.ndarray, share: float) -> np.ndarray:
        reduced = np.empty((len(vectors), self.axes.shape[1] + 1), np.float32)
        np.matmul(vectors, self.axes, out=reduced[:, :-1])
        left = _squares(vectors) - _squares(reduced[:, :-1])
        reduced[:, -1] = share * np.sqrt(np.maximum(left, 0) + SLACK)
        return reduced


def leading(sample: np.ndarray, count: int, rounds: int = ROUNDS) -> np.ndarray:
    """Float32 (d, count): orthonormal axes, best first, that keep most of its squared length.

    Subspace iteration (Halko, Martinsson and Tropp, SIAM Review 53, 2011): a full
    eigendecomposition of 2048×2048 takes longer than everything else together.

    Args:
        sample: Float32 (n, d), n and d at least `count`.
        count: Axes wanted.
        rounds: Of iteration; more come nearer to the very best axes.
    """
    wide = min(count + 33, *sample.shape)
    start = np.random.default_rng(0).normal(size=(sample.shape[1], wide))
    basis = np.linalg.qr(start.astype(np.float32))[0]
    for _ in range(rounds):
        basis = np.linalg.qr(sample.T @ (sample @ basis))[0]
    seen = sample @ basis
    _, turn = np.linalg.eigh(seen.T @ seen)
    return np.ascontiguousarray(basis @ turn[:, ::-1][:, :count], np.float32)


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Float32 copy of (n, 2048) finite vectors, each of length one; a zero vector stays zero."""
    wide = widened(vectors) if vectors.dtype == np.float16 else np.array(vectors, np.float32)
    wide /= np.maximum(np.sqrt(_squares(wide)), np.float32(1e-12))[:, None]
    return wide


def widened(half: np.ndarray) -> np.ndarray:
    """Float32 copy of a finite float16 array, several times faster than numpy's own conversion."""
    return _shifted(half) * _WIDEN


def products(half: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Float32 (n,) or (n, q): finite float16 vectors (n, 2048) times one float32 vector or several.

    Args:
        half: The vectors.
        unit: (2048,) or (2048, q).
    """
    return _shifted(half) @ (unit * _WIDEN)


def _shifted(half: np.ndarray) -> np.ndarray:
    """Float32 array 2¹¹² times smaller: the same sign and digits under the wider exponent."""
    bits = np.ascontiguousarray(half).view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(-0x70002000)
    return bits.view(np.float32)


def _squares(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", vectors, vectors)
