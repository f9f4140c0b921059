"""Overlaps: of chips that show the same ground, the best one."""

from __future__ import annotations

import numpy as np

#: Share of a footprint that may lie under a better one before suppression drops it.
OVERLAP = 0.25


def suppress_overlaps(
    corners: np.ndarray, query: np.ndarray, wanted: int, stays: np.ndarray | None = None
) -> np.ndarray:
    """Indices of the hits that survive suppression, at most `wanted`, and of all that stay.

    Args:
        corners: Float64 (n, 4, 2), footprints, best first.
        query: Float64 (m, 4, 2), the query's own footprints, which count as better than any hit.
        wanted: Number of hits after which to stop.
        stays: Bool (n,), hits that survive whatever covers them; None if there is none.
    """
    import shapely

    if not len(corners):
        return np.empty(0, np.int64)
    everything = np.concatenate([query.reshape(-1, 4, 2), corners])
    shapes = shapely.polygons(everything)
    areas = shapely.area(shapes)
    low, high = everything.min(axis=1), everything.max(axis=1)
    kept = list(range(len(query)))
    stay = np.zeros(len(everything), bool)
    stay[len(query) :] = False if stays is None else stays
    for i in range(len(query), len(everything)):
        if len(kept) - len(query) >= wanted:
            kept += (i + np.flatnonzero(stay[i:])).tolist()
            break
        near = np.array(kept, np.int64)
        touching = ((low[near] < high[i]) & (high[near] > low[i])).all(axis=1)
        near = near[touching]
        if len(near) and not stay[i]:
            shared = shapely.area(shapely.intersection(shapes[near], shapes[i]))
            if shared.max() > OVERLAP * areas[i]:
                continue
        kept.append(i)
    return np.array(kept[len(query) :], np.int64) - len(query)
