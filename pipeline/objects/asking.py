"""Active learning: which windows to judge next.

Half of those asked for are the best hits, which yield good examples.  The other half are the most
doubtful ones, which lie at the border between good and bad (uncertainty sampling, Lewis and Gale,
SIGIR 1994).  Asking for the best alone teaches far less: docs/objects.md.  Windows near one that is
marked, or near one already asked for, are left out, and doubtful ones are spread over scenes and
appearance.
"""

from __future__ import annotations

import numpy as np

#: Doubtful windows among which the most different are chosen, as a multiple of those wanted.
_CHOICE = 2
#: Cost of a doubtful window for its rank by doubt, and for each window asked for in its scene, in
#: units of cosine.
_RANK_COST, _SCENE_COST = 0.3, 0.05


def to_judge(
    logits: np.ndarray, vectors: np.ndarray, scenes: np.ndarray, free: np.ndarray, count: int
) -> np.ndarray:
    """Which hits to judge next.

    Args:
        logits: float (n,), of the hits, best first; 0 is the border between good and bad.
        vectors: float32 (n, 64), their unit vectors.
        scenes: int (n,), the scene of each.
        free: bool (n,), False for those that are marked, or lie on a marked object.
        count: Windows wanted.

    Returns:
        int (≤ count,): rows, the best and the doubtful ones in turn.
    """
    rows = np.flatnonzero(free)
    doubtful = _doubtful(logits, vectors, scenes, rows, min(count // 2, len(rows)))
    best = rows[~np.isin(rows, doubtful)][: count - len(doubtful)]
    return _in_turn(best, doubtful)


def is_free(
    rows: np.ndarray,
    cols: np.ndarray,
    scenes: np.ndarray,
    marked: np.ndarray,
    apart: float,
) -> np.ndarray:
    """bool (n,): the windows that are farther than `apart` from every mark, down or across.

    Args:
        rows: (n,), place of each window down.
        cols: (n,), across.
        scenes: int (n,), its scene.
        marked: (m, 3): scene, place down and across of each mark, in the same units.
        apart: Distance.
    """
    free = np.ones(len(rows), bool)
    for scene, row, col in np.asarray(marked).reshape(-1, 3):
        near = np.maximum(np.abs(rows - row), np.abs(cols - col)) <= apart
        free &= ~(near & (scenes == scene))
    return free


def _doubtful(
    logits: np.ndarray, vectors: np.ndarray, scenes: np.ndarray, rows: np.ndarray, count: int
) -> np.ndarray:
    """The rows nearest to the border that differ from each other, in the order they are chosen."""
    nearest = rows[np.argsort(np.abs(logits[rows]), kind="stable")][: _CHOICE * count]
    cost = _RANK_COST * np.arange(len(nearest)) / max(len(nearest), 1)
    alike = np.full(len(nearest), -1.0)
    crowd = np.zeros(len(nearest))
    chosen: list[int] = []
    for _ in range(count):
        total = alike + cost + crowd
        total[chosen] = np.inf
        pick = int(total.argmin())
        chosen.append(pick)
        alike = np.maximum(alike, vectors[nearest] @ vectors[nearest[pick]])
        crowd += _SCENE_COST * (scenes[nearest] == scenes[nearest[pick]])
    return nearest[chosen]


def _in_turn(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Both arrays, one of each in turn, then the rest of the longer."""
    order = np.concatenate([np.arange(len(first)) * 2.0, np.arange(len(second)) * 2.0 + 1])
    return np.concatenate([first, second])[np.argsort(order, kind="stable")].astype(np.int64)
