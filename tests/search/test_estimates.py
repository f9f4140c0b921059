"""Intervals of a check: how often they hold the truth, and what they cost."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import hypergeom

from pipeline.search.check import Checked, drawn, judge
from pipeline.search.estimates import (
    Tally,
    estimate,
    exact_interval,
    half_width,
    needed,
    recall_of,
)
from tests.factories.reviews import Case, simulated

ORDERS = ("unordered", "ordered", "even")

SHARES = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)


def brute_force(good: int, drawn: int, population: int) -> tuple[int, int]:
    """Blaker's interval from its definition, number by number."""
    counts, kept = np.arange(drawn + 1), []
    for number in range(good, population - drawn + good + 1):
        chance = hypergeom.pmf(counts, population, number, drawn)
        lower, upper = np.cumsum(chance), np.cumsum(chance[::-1])[::-1]
        tails = np.minimum(lower, upper)
        if chance[tails <= tails[good] * (1 + 1e-9)].sum() > 0.05:
            kept.append(number)
    return kept[0], kept[-1]


@pytest.mark.parametrize(("drawn", "population"), [(1, 1), (5, 20), (10, 20), (12, 60), (20, 150)])
def test_interval_is_that_of_its_definition(drawn: int, population: int) -> None:
    found = [exact_interval(good, drawn, population) for good in range(drawn + 1)]
    assert found == [brute_force(good, drawn, population) for good in range(drawn + 1)]


@pytest.mark.parametrize("population", [20, 200, 2_000, 20_000])
def test_interval_holds_the_truth_in_at_least_95_of_100_samples(population: int) -> None:
    coverage = []
    for size in (size for size in (10, 50, 200) if size < population):
        counts = np.arange(size + 1)
        limits = np.array([exact_interval(int(good), size, population) for good in counts])
        for share in SHARES:
            number = min(max(round(share * population), 1), population - 1)
            held = (limits[:, 0] <= number) & (number <= limits[:, 1])
            coverage.append(hypergeom.pmf(counts, population, number, size)[held].sum())
    assert min(coverage) > 0.95 - 1e-9
    assert population == 20 or np.mean(coverage) <= 0.99


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """1,000 checks of each list, of 20 to 20,000 hits of which 1% to 99% are right."""
    return [
        case
        for hits in (20, 300, 20_000)
        for case in simulated(hits, (10, 50, 200), (0.01, 0.1, 0.5, 0.9, 0.99), (0.25, 1.0), ORDERS)
    ]


def test_intervals_of_stratified_samples_hold_the_truth(cases: list[Case]) -> None:
    precision = np.array([case.precision for case in cases])
    recall = np.array([case.recall for case in cases if not np.isnan(case.recall)])
    assert min(precision.min(), recall.min()) >= 0.93
    whole = [case.precision for case in cases if case.part == 1 and case.size < case.hits]
    assert 0.95 < np.mean(whole) <= 0.99


def test_interval_closes_when_everything_was_judged() -> None:
    assert exact_interval(3, 4, 4) == (3, 3)
    assert exact_interval(0, 0, 9) == (0, 9)
    low, high = exact_interval(3, 4, 100)
    assert low / 100 < 0.75 < high / 100
    assert exact_interval(3, 4, 6)[0] / 6 > low / 100


def test_what_nobody_can_tell_widens_the_interval_on_both_sides() -> None:
    sure, unsure = Tally(100, 15, 5), Tally(100, 15, 5, 4)
    assert unsure.interval[0] < sure.interval[0]
    assert unsure.interval[1] > sure.interval[1]
    assert unsure.share == sure.share == 0.75
    assert Tally(9, 0, 0, 9).interval == (0, 9)


def test_recall_is_told_where_the_sample_reaches_below_the_threshold() -> None:
    known = estimate(0.5, Tally(10, 8, 2), Tally(10, 2, 8))
    assert (known.recall, known.recall_low, known.recall_high) == (0.8, 0.8, 0.8)
    sampled = estimate(0.5, Tally(100, 8, 2), Tally(100, 2, 8))
    assert sampled.recall == pytest.approx(0.8)
    assert sampled.recall_low < 0.8 < sampled.recall_high
    blind = estimate(0.5, Tally(100, 8, 2), Tally(100, 0, 0))
    assert (blind.recall, blind.recall_low, blind.recall_high) == (None, 0, 1)
    assert estimate(0.5, Tally(100, 8, 2), Tally(0, 0, 0)).recall == 1
    assert recall_of(Tally(9, 0, 9), Tally(9, 0, 9)) == (None, 0, 1)


def test_sample_for_a_wanted_error() -> None:
    size = needed(0.1, 5_000)
    assert half_width(size, 5_000) <= 0.1 < half_width(size - 1, 5_000)
    assert needed(0.1, 40) < 40
    assert needed(0, 40) == 40
    assert needed(0.1, 0) == 0


def test_curve_of_a_long_list_is_quick() -> None:
    hits = [(f"{number}", 1 - number / 20_000) for number in range(20_000)]
    checked = Checked.of(drawn(Checked.of(None, hits), 200), hits)
    marks = {hit: "bad" if number % 3 else "good" for number, hit in enumerate(checked.sample)}
    checked = Checked.of(judge(checked, marks), hits)
    exact_interval.cache_clear()
    started = time.process_time()
    assert len(checked.estimates) == 20
    assert time.process_time() - started < 1  # 0.1 s on an idle core
