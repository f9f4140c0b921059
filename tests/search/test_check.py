"""A check: its sample is random, proportional, blind to order, and any beginning of it counts."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import QueryError
from pipeline.search.check import Check, Checked, drawn, judge, sample_order, size_choices, uniforms

HITS = tuple((f"hit{number}", 1 - number / 100) for number in range(100))


def checked_of(size: int = 20, hits=HITS, seed: str = "5eed") -> Checked:
    return Checked.of(drawn(Checked.of(None, hits), size, seed=seed), hits)


def judged(checked: Checked, *marks: str) -> Checked:
    """The check after its next hits were judged."""
    given = dict(zip(checked.next(len(marks)), marks, strict=True))
    return Checked.of(judge(checked, given), checked.hits, checked.gone)


def test_every_beginning_of_a_check_is_drawn_from_all_scores() -> None:
    ranks = np.array([int(hit[3:]) for hit in checked_of(100).sample])
    assert sorted(ranks) == list(range(100))
    for size in (10, 20, 50, 77):
        counts = np.bincount(ranks[:size] // 10, minlength=10)
        assert abs(counts - size / 10).max() <= 2


def test_every_hit_is_drawn_equally_often() -> None:
    rng, times = np.random.default_rng(1), np.zeros(57)
    for _ in range(4_000):
        times[sample_order(rng.random((57, 2)), (12, 11, 11, 11, 12))[:20]] += 1
    expected = 4_000 * 20 / 57
    assert abs(times / expected - 1).max() < 0.1


def test_seed_and_ids_recompute_the_sample() -> None:
    assert checked_of().sample == checked_of().sample
    assert checked_of(seed="a").sample != checked_of().sample
    assert Checked.of(checked_of().check, reversed(HITS)).sample == checked_of().sample
    # SHA-256 of "5eed:hit0" begins so.
    assert uniforms("5eed", ["hit0"])[0, 0] == pytest.approx(0x6348E57FC3A44CCA / 2**64)


def test_strata_hold_twenty_hits_at_least_and_there_are_ten_at_most() -> None:
    sizes = {number: Check.draw(number, 1).strata for number in (1, 39, 40, 100, 1_003)}
    assert [len(strata) for strata in sizes.values()] == [1, 1, 2, 5, 10]
    assert all(sum(strata) == number for number, strata in sizes.items())
    assert max(sizes[1_003]) - min(sizes[1_003]) <= 1


def test_check_goes_on_where_it_stopped_and_takes_a_judgement_back() -> None:
    checked = judged(checked_of(), "good", "bad", "skip")
    assert len(checked.next()) == 17
    assert list(checked.judged.values()) == ["good", "bad", "skip"]
    last = list(checked.judged)[-1]
    undone = Checked.of(judge(checked, {last: None}), HITS)
    assert undone.next(1) == (last,)
    again = Checked.of(judge(undone, {last: "good"}), HITS)
    assert again.judged[last] == "good"


def test_what_is_judged_out_of_turn_counts_once_its_turn_has_come() -> None:
    checked = checked_of(5)
    first, second, third, *_ = checked.sample
    ahead = Checked.of(judge(checked, {first: "good", third: "bad"}), HITS)
    assert list(ahead.judged) == [first]
    assert ahead.next(1) == (second,)
    whole = Checked.of(judge(ahead, {second: "good"}), HITS)
    assert list(whole.judged) == [first, second, third]


def test_hit_that_is_gone_counts_as_one_that_nobody_can_tell_when_its_turn_has_come() -> None:
    sample = checked_of(5).sample
    checked = Checked.of(checked_of(5).check, HITS, {sample[1], sample[4]})
    assert checked.judged == {}
    checked = judged(checked, "good", "good", "bad")
    assert list(checked.judged.values()) == ["good", "skip", "good", "bad", "skip"]
    assert checked.next() == ()


def test_more_hits_join_a_check_and_none_leaves_it() -> None:
    checked = judged(checked_of(5), "good")
    more = drawn(checked, 8)
    assert Checked.of(more, HITS).sample[:5] == checked.sample
    assert (more.size, more.judgements) == (8, checked.check.judgements)
    assert drawn(checked, 3).size == 5
    assert drawn(checked).size == 5
    assert drawn(checked, 1_000).size == 100
    assert drawn(Checked.of(None, HITS), error=0.1).size < 60
    assert drawn(Checked.of(None, HITS)).size == 50


def test_precision_at_a_threshold_rests_on_what_was_drawn_above_it() -> None:
    checked = judged(checked_of(20), *["good"] * 20)
    (cut,) = checked.at([0.705])
    above = sum(int(hit[3:]) < 30 for hit in checked.sample)
    assert (cut.hits, cut.judged, cut.good, cut.precision) == (30, above, above, 1)
    assert cut.low < 1 == cut.high
    assert cut.recall == pytest.approx(0.3, abs=0.01)


def test_list_of_one_score_and_list_of_one_hit_are_checked() -> None:
    same = tuple((f"hit{number}", 0.5) for number in range(40))
    checked = judged(checked_of(10, same), *["good", "bad"] * 5)
    assert [(each.hits, each.judged) for each in checked.estimates] == [(40, 10)]
    (only,) = judged(checked_of(50, HITS[:1]), "bad").estimates
    assert (only.precision, only.low, only.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: drawn(Checked.of(None, ())), "no hits to check"),
        (lambda: drawn(Checked.of(None, HITS), 0), "at least one hit"),
        (lambda: drawn(Checked.of(None, HITS), 5, 0.1), "exclude each other"),
        (lambda: drawn(Checked.of(None, HITS), error=2), "share, 0 to 1"),
        (lambda: judge(checked_of(), {"hit200": "good"}), "did not draw"),
        (lambda: judge(Checked.of(None, HITS), {"hit2": "good"}), "did not draw"),
        (lambda: judge(Checked.of(None, HITS), {}), "no check"),
        (lambda: judge(checked_of(), {checked_of().sample[0]: "great"}), "No such mark"),
    ],
)
def test_what_cannot_be_checked_is_refused(make, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        make()


def test_sizes_to_choose_from_end_with_all_hits_of_a_short_list() -> None:
    assert size_choices(30) == [25, 30]
    assert size_choices(100) == [25, 50, 100]
    assert size_choices(5_000) == [25, 50, 100, 200, 400]
    assert size_choices(0) == [0]


def test_record_tells_estimate_design_and_seed() -> None:
    record = judged(checked_of(), *["good"] * 10, *["skip"] * 2).record(0.5)
    assert record["seed"] == "5eed"
    assert record["strata"] == [20] * 5
    assert (record["list"], record["judged_in_list"], record["confidence"]) == (100, 12, 0.95)
    low, high = record["precision_interval"]
    assert low < record["precision"] == 1 == high
    assert checked_of().record() is None
