from __future__ import annotations

import numpy as np
import pytest

from pipeline.search.search import Hit, Result
from pipeline.search.sites import gather, merge


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


def looking(hits: list[Hit]):
    """A search among these hits, and the numbers of hits it was asked for."""
    asked: list[int] = []

    def look(k: int) -> Result:
        asked.append(k)
        return Result(tuple(hits[:k]), len(hits), len(hits), 0.0)

    return look, asked


def test_k_counts_places_not_hits():
    # Every third hit is a new place, the two after it overlap that one.
    hits = [hit(i + 1, 10 * (i // 3) + 0.3 * (i % 3), 0) for i in range(60)]
    look, asked = looking(hits)
    result, sites = gather(look, 12)
    assert [site.count for site in sites] == [3] * 11 + [1]
    assert len(result.hits) == 34
    assert asked == [12, 48]
    assert result.seconds > 0  # of all the searches together


def test_where_places_grow_together_the_most_there_are_at_a_time_come():
    apart = [hit(i + 1, 2 * i * 0.8, 0) for i in range(5)]
    between = [hit(i + 6, (2 * i + 1) * 0.8, 0) for i in range(4)]
    result, sites = gather(looking(apart + between)[0], 8)
    assert len(sites) == 5
    assert len(result.hits) == 5


def test_fewer_places_than_wanted_take_every_hit():
    result, sites = gather(looking([hit(1, 0, 0), hit(2, 5, 0), hit(3, 0.5, 0)])[0], 9)
    assert [site.count for site in sites] == [2, 1]
    assert len(result.hits) == 3
    assert gather(looking([])[0], 9)[1] == ()
