"""Peaks: the local maxima of a score map, each apart from every better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.objects.scan import spread

#: Rows of a map searched at a time.
_BAND = 64


@dataclass(frozen=True)
class Peaks:
    """Local maxima of a score map, best first.

    Attributes:
        rows: int (n,), row of each window in the map.
        cols: int (n,), column.
        scores: float32 (n,).
    """

    rows: np.ndarray
    cols: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def first(self, count: int) -> Peaks:
        """The best `count`."""
        return self.where(slice(count))

    def where(self, kept: np.ndarray | slice) -> Peaks:
        """Those that are kept."""
        return Peaks(self.rows[kept], self.cols[kept], self.scores[kept])


def last_of(tops: Sequence[Peaks], count: int) -> float:
    """The last score of the `count` best of several scenes; -inf if there are no more than that."""
    scores = np.concatenate([each.scores for each in tops]) if tops else np.empty(0)
    return float(np.partition(scores, -count)[-count]) if len(scores) > count else -np.inf


def peaks(
    scores: np.ndarray,
    radius: float,
    limit: int,
    *,
    threshold: float = -np.inf,
    eligible: np.ndarray | None = None,
) -> Peaks:
    """Local maxima, each at least `radius` cells from every better one, best first.

    Args:
        scores: float (h, w), NaN where a window is not scored.
        radius: Distance in cells, the larger of down and across, below which two maxima are one
            object.
        limit: Maximum number.
        threshold: Minimum score.
        eligible: bool (h, w), False for windows that may not be found.
    """
    tops = _local_maxima(scores, threshold)
    if eligible is not None:
        tops &= eligible
    flat = np.flatnonzero(tops)
    values = scores.ravel()[flat]
    found, kept = suppressed(scores.shape, flat, values, radius, limit)
    rows, cols = np.unravel_index(found, scores.shape)
    return Peaks(rows, cols, kept)


def _local_maxima(scores: np.ndarray, threshold: float) -> np.ndarray:
    """bool (h, w): no neighbour is better."""
    tops = np.empty(scores.shape, bool)
    height = len(scores)

    def band(top: int) -> None:
        bottom = min(top + _BAND, height)
        first, last = max(top - 1, 0), min(bottom + 1, height)
        part = np.nan_to_num(scores[first:last], nan=-np.inf)
        across = part.copy()
        np.maximum(across[:, 1:], part[:, :-1], out=across[:, 1:])
        np.maximum(across[:, :-1], part[:, 1:], out=across[:, :-1])
        best = across.copy()
        np.maximum(best[1:], across[:-1], out=best[1:])
        np.maximum(best[:-1], across[1:], out=best[:-1])
        inner = slice(top - first, bottom - first)
        np.greater_equal(part[inner], best[inner], out=tops[top:bottom])
        tops[top:bottom] &= part[inner] >= max(threshold, np.finfo(np.float32).min)

    spread(band, range(0, height, _BAND))
    return tops


def suppressed(
    shape: tuple[int, ...], flat: np.ndarray, values: np.ndarray, radius: float, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """The maxima that stay, best first, and their scores; of equal ones the first of the map.

    Args:
        shape: Of the map.
        flat: int (n,), flat indices of the maxima, ascending.
        values: float32 (n,), their scores.
        radius: As in `peaks`.
        limit: Maximum number.
    """
    # Most maxima lie under better ones: several times the limit are looked at, then all.
    for most in (max(8 * limit, 4096), len(flat)):
        kept = _suppressed(shape, flat, values, radius, limit, most)
        if len(kept) == limit or most >= len(flat):
            break
    return flat[kept], values[kept]


def _suppressed(
    shape: tuple[int, ...],
    flat: np.ndarray,
    values: np.ndarray,
    radius: float,
    limit: int,
    most: int,
) -> np.ndarray:
    """Places in `flat` of the maxima that stay, best first."""
    chosen = np.arange(len(flat))
    if most < len(flat):
        chosen = np.sort(np.argpartition(-values, most - 1)[:most])
    chosen = chosen[np.argsort(-values[chosen], kind="stable")]
    reach = int(np.ceil(radius)) - 1
    if reach < 1:
        return chosen[:limit]
    taken = np.zeros(shape, bool)
    rows, cols = (axis.tolist() for axis in np.unravel_index(flat[chosen], shape))
    kept = []
    for place, row, col in zip(chosen.tolist(), rows, cols, strict=True):
        if taken[row, col]:
            continue
        kept.append(place)
        if len(kept) == limit:
            break
        taken[max(row - reach, 0) : row + reach + 1, max(col - reach, 0) : col + reach + 1] = True
    return np.array(kept, np.int64)
