"""The first stage of a search: 128 numbers per chip instead of 2,048.

Embeddings of one area lie close to a subspace.  A vector b becomes its coordinates z on the leading
axes of a sample (a truncated SVD, not centred because a cosine is not) and the length r of the
residual.  For unit vectors a and b,

    a·b = z_a·z_b + rest_a·rest_b,   |rest_a·rest_b| ≤ r_a r_b.

One dot product of length d + 1, with r as the last coordinate, therefore gives two things.  With
r_a as the query's last coordinate it is an upper bound of the cosine: an exact search stops once no
bound reaches its k-th best.  With half of r_a it is a good estimate, by which an approximate search
ranks, since the residuals of similar chips tend to agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.vectors import leading_axes, squared_lengths, widen

#: Numbers per chip, including the length of the residual.
REDUCED = 128
SAMPLE = 6_144
#: Expected agreement of two residuals, as a share of the largest possible one.
EXPECTED = 0.5
#: Added to squared lengths so that rounding never makes a bound too small.
SLACK = 1e-6


@dataclass(frozen=True)
class Projection:
    """Orthonormal axes, float32 (2048, d), best first; fewer than 127 where chips are fewer."""

    axes: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray) -> Projection:
        """The axes that keep most of a sample's squared length (all of it for few vectors).

        Args:
            vectors: Float16 (n, 2048), unit vectors, of which up to 6,144 are used.
        """
        picked = np.linspace(0, len(vectors) - 1, min(len(vectors), SAMPLE)).astype(np.int64)
        sample = widen(vectors[picked])
        if len(sample) < REDUCED:
            return cls(np.ascontiguousarray(np.linalg.qr(sample.T)[0]))
        return cls(leading_axes(sample, REDUCED - 1))

    def of_chips(self, vectors: np.ndarray) -> np.ndarray:
        """Float32 (n, d + 1) of unit vectors, float32 (n, 2048)."""
        return self._reduce(vectors, 1.0)

    def of_queries(self, units: np.ndarray, share: float = EXPECTED) -> np.ndarray:
        """Float32 (n, d + 1) of unit queries, float32 (n, 2048).

        Args:
            units: The queries.
            share: 1 for an upper bound of the cosines, less for an estimate.
        """
        return self._reduce(units, share)

    def _reduce(self, vectors: np.ndarray, share: float) -> np.ndarray:
        reduced = np.empty((len(vectors), self.axes.shape[1] + 1), np.float32)
        np.matmul(vectors, self.axes, out=reduced[:, :-1])
        left = squared_lengths(vectors) - squared_lengths(reduced[:, :-1])
        reduced[:, -1] = share * np.sqrt(np.maximum(left, 0) + SLACK)
        return reduced
