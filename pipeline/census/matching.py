"""Matching: which things of the list the reviewers saw, too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.census.census import Census
from pipeline.census.judgements import State
from pipeline.geo.antimeridian import wrap_longitude

#: Metres in a degree of latitude.
_DEGREE = 111_320


def things_matched(census: Census, state: State, counts: np.ndarray) -> np.ndarray:
    """float (n,): things of the list that are right, in each judged unit.

    Things that were clicked take the nearest of the list within half its width, each one once.
    Where they were only counted, as many of the list are right as there are things.
    """
    expected = census.latest.expectation
    right = np.where(np.isfinite(counts), np.minimum(counts, expected.listed), np.nan)
    clicked = {
        row: given[0].points
        for unit, given in state.answers.items()
        if (row := census.rows.get(unit)) is not None and given[0].points is not None
    }
    if not clicked or not expected.items:
        for row in clicked:
            right[row] = 0.0
        return right
    places = np.array([item[1:3] for item in expected.items])
    places[:, 0] = wrap_longitude(places[:, 0], places[0, 0])
    reach = np.array([item[3] for item in expected.items]) / 2
    stretch = math.cos(math.radians(float(places[:, 1].mean()))) * _DEGREE
    flat = np.column_stack([places[:, 0] * stretch, places[:, 1] * _DEGREE])
    around = {
        row: [(wrap_longitude(lon, places[0, 0]), lat) for lon, lat in points]
        for row, points in clicked.items()
    }
    pairs = _pairs(around, flat, reach, stretch)
    taken: set[int] = set()
    done: set[tuple[int, int]] = set()
    for row in clicked:
        right[row] = 0.0
    for _, row, number, item in sorted(pairs):
        if item not in taken and (row, number) not in done:
            taken.add(item)
            done.add((row, number))
            right[row] += 1
    return np.where(np.isfinite(counts), np.minimum(right, counts), np.nan)


def _pairs(
    clicked: Mapping[int, Sequence[tuple[float, float]]],
    flat: np.ndarray,
    reach: np.ndarray,
    stretch: float,
) -> list[tuple[float, int, int, int]]:
    """Distance, unit, click and item of each click and item near it."""
    from scipy.spatial import cKDTree

    tree = cKDTree(flat)
    pairs = []
    for row, points in clicked.items():
        for number, (lon, lat) in enumerate(points):
            at = (lon * stretch, lat * _DEGREE)
            for item in tree.query_ball_point(at, float(reach.max())):
                away = float(np.hypot(*(flat[item] - at)))
                if away <= reach[item]:
                    pairs.append((away, row, number, item))
    return pairs
