"""A trained model: plain arrays that rank windows, and their form in JSON.

Nothing in it is executable.  `ObjectModel.from_dict` accepts only finite numbers of the right
shape, so a file from elsewhere can be applied without trust.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import DamagedError
from pipeline.model.basis import COMPONENTS

#: Maximum number of windows that a second stage compares with.
MOST_ANCHORS = 2_000
#: Share of the first stage in the logit of both, of models that do not state it.
FIRST = 0.25
#: Largest number of a model that is read, so that no logit overflows.
MOST_NUMBER = 1e6
#: Windows whose likeness is computed at a time.
_BATCH = 8_192


@dataclass(frozen=True, eq=False)
class Kernel:
    """The second stage: a weighted sum of likenesses to marked windows and likely hits.

    Attributes:
        anchors: float32 (m, 64), unit vectors of those windows.
        coefficients: float32 (m,), the weight of the likeness to each.
        bias: Added to the sum.
        width: How fast likeness falls: exp(-width · (1 - cosine)).
        first_share: Share of the first stage in the logit of both.
    """

    anchors: np.ndarray
    coefficients: np.ndarray
    bias: float
    width: float
    first_share: float = FIRST


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """Ranks windows by their unit vectors.

    Attributes:
        weights: float32 (64,) of the first stage, which `scan.score_map` applies to all windows.
        bias: Added to the product.
        kernel: The second stage, which ranks the best windows again; None if there is none.
    """

    weights: np.ndarray
    bias: float
    kernel: Kernel | None = None

    def first(self, vectors: np.ndarray) -> np.ndarray:
        """Logits float32 (n,) of the first stage for unit vectors (n, 64)."""
        return vectors @ self.weights + np.float32(self.bias)

    def logits(self, vectors: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
        """Logits float32 (n,) of both stages together; 0 is the border between good and bad.

        Args:
            vectors: Unit vectors (n, 64) of windows.
            first: Their logits by the first stage, if known, smoothed perhaps.
        """
        known = self.first(vectors) if first is None else np.asarray(first, np.float32)
        if self.kernel is None:
            return known
        share = self.kernel.first_share
        return share * known + (1 - share) * self._second(vectors, self.kernel)

    @staticmethod
    def _second(vectors: np.ndarray, kernel: Kernel) -> np.ndarray:
        found = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), _BATCH):
            part = slice(start, start + _BATCH)
            near = likeness(vectors[part], kernel.anchors, kernel.width)
            found[part] = near @ kernel.coefficients + np.float32(kernel.bias)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        values: dict[str, Any] = {"weights": _listed(self.weights), "bias": self.bias}
        if self.kernel is not None:
            values["kernel"] = {
                "anchors": [_listed(anchor) for anchor in self.kernel.anchors],
                "coefficients": _listed(self.kernel.coefficients),
                "bias": self.kernel.bias,
                "width": self.kernel.width,
                "first_share": round(self.kernel.first_share, 6),
            }
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ObjectModel:
        """The model that `to_dict` wrote.

        Raises:
            DamagedError: If a value is missing, not finite or of another shape.
        """
        if not isinstance(values, Mapping):
            raise _damaged("model")
        weights = _array(values, "weights", (COMPONENTS,))
        return cls(weights, _number(values, "bias"), _kernel(values.get("kernel")))


def likeness(vectors: np.ndarray, anchors: np.ndarray, width: float) -> np.ndarray:
    """float32 (n, m): 1 where unit vectors (n, 64) and (m, 64) are equal, falling to 0."""
    return np.exp(np.float32(width) * (vectors @ anchors.T - np.float32(1)))


def _kernel(values: Any) -> Kernel | None:
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise _damaged("kernel")
    coefficients = _array(values, "coefficients", (None,))
    if not 1 <= len(coefficients) <= MOST_ANCHORS:
        raise _damaged("coefficients")
    anchors = _array(values, "anchors", (len(coefficients), COMPONENTS))
    lengths = np.linalg.norm(anchors.astype(np.float64), axis=1)
    if (np.abs(lengths - 1) > 1e-2).any():
        raise _damaged("anchors")
    width = _number(values, "width")
    if not 0 < width <= 1e3:
        raise _damaged("width")
    first = _number(values, "first_share") if "first_share" in values else FIRST
    if not 0 <= first <= 1:
        raise _damaged("first_share")
    return Kernel(anchors, coefficients, _number(values, "bias"), width, first)


def _listed(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]


def _array(values: Mapping[str, Any], key: str, shape: tuple[int | None, ...]) -> np.ndarray:
    try:
        given = np.array(values[key])
        if given.dtype.kind not in "iuf":  # numpy would read numbers out of texts
            raise ValueError(given.dtype)
        found = given.astype(np.float32)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise _damaged(key) from error
    fits = found.ndim == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, found.shape, strict=False)
    )
    if not fits or not (np.abs(found) <= MOST_NUMBER).all():
        raise _damaged(key)
    return found


def _number(values: Mapping[str, Any], key: str) -> float:
    return float(_array(values, key, ()))


def _damaged(key: str) -> DamagedError:
    return DamagedError(
        "The model has a value that is missing or not usable",
        where=key,
        remedy="Get the file again from where it was trained, or train anew",
    )
