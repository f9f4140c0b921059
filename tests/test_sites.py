from __future__ import annotations

import numpy as np
import pytest

from pipeline.search import Hit
from pipeline.sites import merge


def hit(rank: int, x: float, y: float, size: float = 1.0) -> Hit:
    corners = np.array([[x, y + size], [x + size, y + size], [x + size, y], [x, y]])
    return Hit(rank, f"{rank:016x}", 1 - rank / 100, "scene", None, rank, corners)


def test_overlapping_hits_become_one_place_with_the_best_score():
    sites = merge([hit(1, 0, 0), hit(2, 5, 5), hit(3, 0.5, 0)])
    assert [site.count for site in sites] == [2, 1]
    assert [site.rank for site in sites] == [1, 2]
    assert sites[0].score == 0.99
    assert sites[0].best.rank == 1
    assert sites[0].outline.area == pytest.approx(1.5)
    assert sites[0].centre == pytest.approx((0.75, 0.5))


def test_a_chain_of_overlaps_is_one_place():
    sites = merge([hit(i + 1, i * 0.5, 0) for i in range(6)])
    assert len(sites) == 1
    assert sites[0].to_dict()["chips"] == [f"{i:016x}" for i in range(1, 7)]


def test_hits_that_only_touch_stay_apart():
    assert len(merge([hit(1, 0, 0), hit(2, 1, 0), hit(3, 1, 1)])) == 3


def test_a_late_hit_joins_two_earlier_places():
    sites = merge([hit(1, 0, 0), hit(2, 1.5, 0), hit(3, 0.75, 0)])
    assert [site.count for site in sites] == [3]


def test_no_hits_make_no_sites():
    assert merge([]) == ()
