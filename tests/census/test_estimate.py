"""Totals: the interval holds the truth, and nothing that is unknown makes it narrower."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.census.design import FLOOR, LEVELS, design, uniforms, unit_weights
from pipeline.census.estimate import Estimate, estimate
from pipeline.census.interval import gamma_end
from pipeline.census.round_total import prefix_length
from tests.census.populations import UNITS, detected, drawn, judged

RNG = np.random.default_rng(3)
COMMON = RNG.poisson(0.4, UNITS).astype(float)
RARE = np.zeros(UNITS)
RARE[RNG.choice(UNITS, 12, replace=False)] = 1
BLIND = np.zeros((UNITS, len(LEVELS)))


def of(made: object, answers: object, *more: object) -> Estimate:
    found = estimate([made], answers, *more)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_a_prefix_of_the_order_estimates_without_bias() -> None:
    mass = detected(COMMON)
    totals = []
    for seed in range(300):
        made = drawn(mass, seed)
        chances = made.probabilities(40)[:40]
        totals.append((COMMON[made.order[:40]] / chances).sum())
    error = np.std(totals) / np.sqrt(len(totals))
    assert abs(np.mean(totals) - COMMON.sum()) < 4 * error


@pytest.mark.parametrize(
    ("counts", "mass"),
    [
        (COMMON, detected(COMMON)),
        (RARE, detected(RARE)),
        (COMMON, BLIND),
        (np.zeros(UNITS), detected(np.zeros(UNITS))),
    ],
    ids=["common", "rare", "no scores", "none"],
)
def test_the_interval_holds_the_truth(counts: np.ndarray, mass: np.ndarray) -> None:
    held = []
    for seed in range(60):
        made = drawn(mass, seed)
        total = of(made, judged(made, counts, 60)).total
        held.append(total.low <= counts.sum() <= total.high)
    assert np.mean(held) > 0.88  # of 60 runs; the simulations with 1,000 are in docs/census.md


@pytest.mark.parametrize("recall", [0.9, 0.5])
def test_the_interval_holds_however_much_the_scores_miss(recall: float) -> None:
    mass, held = detected(COMMON, recall=recall), []
    for seed in range(60):
        made = drawn(mass, seed)
        total = of(made, judged(made, COMMON, 60)).total
        held.append(total.low <= COMMON.sum() <= total.high)
    assert np.mean(held) > 0.88


def test_a_thing_where_scores_show_nothing_is_told() -> None:
    made = drawn(detected(COMMON), 3)
    answers = judged(made, COMMON, 60)
    hidden = answers.answered & made.floor_units
    assert hidden.any()
    none = replace(answers, counts=np.where(hidden, 0.0, answers.counts))
    one = replace(answers, counts=np.where(hidden, 1.0, answers.counts))
    assert of(made, none).missed == 0
    assert of(made, one).missed == hidden.sum()
    assert of(made, one).total.high > of(made, none).total.high


def test_scores_narrow_the_interval() -> None:
    halves = []
    for mass in (detected(COMMON), BLIND):
        found = [of(made, judged(made, COMMON, 80)).total
                 for made in (drawn(mass, seed) for seed in range(12))]  # fmt: skip
        halves.append(np.median([each.high - each.low for each in found]))
    assert halves[0] < 0.85 * halves[1]


def test_all_units_judged_is_exact() -> None:
    made = drawn(detected(COMMON), 1)
    found = of(made, judged(made, COMMON, UNITS))
    assert found.exact
    assert (found.total.estimate, found.total.low, found.total.high) == (COMMON.sum(),) * 3


def test_nothing_seen_is_zero_at_most_something() -> None:
    made = drawn(BLIND, 1)
    total = of(made, judged(made, np.zeros(UNITS), 60)).total
    assert total.estimate == 0
    assert total.low == 0
    assert 10 <= total.high <= 40  # the rule of three says 20


def test_no_unit_judged_has_no_estimate() -> None:
    made = drawn(detected(COMMON), 1)
    assert estimate([made], judged(made, COMMON, 0)) is None


def test_cannot_tell_widens_the_interval_on_both_sides() -> None:
    made = drawn(detected(COMMON), 2)
    answers = judged(made, COMMON, 80)
    before = of(made, answers).total
    unsure = answers.counts.copy()
    unsure[made.order[[3, 20, 41, 60]]] = np.nan
    after = of(made, replace(answers, counts=unsure))
    assert after.unknown == 4
    assert after.total.high - after.total.low > before.high - before.low
    assert after.total.low <= after.total.estimate <= after.total.high


def test_a_unit_that_is_put_off_does_not_hold_up_the_others() -> None:
    order = np.arange(50)
    answered = np.ones(50, bool)
    answered[4] = False
    answered[20:] = False
    assert prefix_length(order, answered) == 20
    answered[:4] = False
    assert prefix_length(order, answered) == 0


def test_reviewers_who_disagree_widen_the_interval() -> None:
    made = drawn(detected(COMMON), 2)
    answers = judged(made, COMMON, 80)
    noise = np.full(UNITS, np.nan)
    noise[made.order[:16]] = 0.0
    agreed = of(made, replace(answers, noise=noise, double=0.2)).total
    noise[made.order[:16:2]] = 2.0
    differ = of(made, replace(answers, noise=noise, double=0.2)).total
    leaning = of(made, replace(answers, noise=noise, double=0.2, lean=0.1)).total
    assert agreed.high < differ.high < leaning.high
    assert agreed.low > leaning.low


def test_rounds_with_a_better_detector_stay_valid() -> None:
    bad, good = detected(COMMON, recall=0.7, false=200), detected(COMMON, recall=0.95, false=20)
    errors, held = [], []
    for seed in range(60):
        first = drawn(bad, seed)
        before = np.zeros(UNITS, bool)
        before[first.order[:40]] = True
        second = drawn(good, 1_000 + seed, judged=before)
        assert not before[second.order].any()
        answered = before.copy()
        answered[second.order[:60]] = True
        answers = judged(first, COMMON, 40)
        both = replace(answers, counts=np.where(answered, COMMON, np.nan), answered=answered)
        found = estimate([first, second], both)
        assert found is not None
        assert [each.drawn for each in found.rounds] == [40, 60]
        assert sum(each.share for each in found.rounds) == pytest.approx(1)
        errors.append(found.total.estimate - COMMON.sum())
        held.append(found.total.low <= COMMON.sum() <= found.total.high)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors))
    assert np.mean(held) > 0.88


def test_districts_add_up_and_a_district_without_judged_units_is_wide() -> None:
    made = drawn(detected(COMMON), 4)
    answers = judged(made, COMMON, 80)
    left = np.arange(UNITS) < UNITS // 2
    unseen = ~answers.answered & left
    found = of(made, answers, [left, ~left, unseen])
    west, east, empty = found.districts
    assert west.estimate + east.estimate == pytest.approx(found.total.estimate, abs=1)
    assert west.high - west.low < found.total.high - found.total.low + 20
    assert empty.high - empty.low >= 0.2 * max(empty.estimate, 1)


def test_recall_and_precision_of_a_list() -> None:
    mass = detected(COMMON)
    listed = np.minimum(COMMON, 2) + (np.arange(UNITS) % 20 == 0)
    right = np.minimum(COMMON, listed)
    uniform = np.random.default_rng(8).random(UNITS) + 1e-9
    made = design(mass, listed.astype(int), uniform, unit_weights(mass, FLOOR))
    answers = judged(made, COMMON, 150)
    found = of(made, replace(answers, matched=np.where(answers.answered, right, np.nan)))
    assert found.recall is not None
    assert found.precision is not None
    assert found.recall.low <= right.sum() / COMMON.sum() <= found.recall.high
    assert found.precision.low <= right.sum() / listed.sum() <= found.precision.high


def test_random_numbers_belong_to_units_and_purposes() -> None:
    ids = [f"unit{i}" for i in range(50)]
    first = uniforms(ids, 1, "round 1")
    assert (first == uniforms(ids, 1, "round 1")).all()
    assert (first[::-1] == uniforms(ids[::-1], 1, "round 1")).all()
    assert not (first == uniforms(ids, 2, "round 1")).any()
    assert not (first == uniforms(ids, 1, "round 2")).any()
    assert ((first > 0) & (first <= 1)).all()


@pytest.mark.parametrize("total", [0.0, -2.0, 1e-9])
def test_an_end_of_next_to_nothing_is_a_number(total: float) -> None:
    assert gamma_end(total, 3.0, 0.0, 0.975) == 0
    assert np.isfinite(gamma_end(total, 3.0, 1.5, 0.975))
