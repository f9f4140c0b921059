"""Detectors learn from marks, ask for more, know how sure they are, and survive JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import DamagedError, QueryError
from pipeline.objects.asking import is_free, to_judge
from pipeline.objects.calibration import calibrate
from pipeline.objects.model import ObjectModel
from pipeline.objects.training import Examples, Likely, expand, train
from pipeline.vectors import normalise

RNG = np.random.default_rng(5)
THING, DECOY, WORLD = normalise(RNG.normal(size=(3, 64)).astype(np.float32))


def windows_like(direction: np.ndarray, count: int, seed: int, noise: float = 0.08) -> np.ndarray:
    """Unit vectors scattered around a direction."""
    scatter = np.random.default_rng(seed).normal(0, noise, (count, 64))
    return normalise((direction + scatter).astype(np.float32))


UNMARKED = windows_like(WORLD, 600, seed=1, noise=0.2)
GOOD, BAD = windows_like(THING, 15, seed=2), windows_like(THING + DECOY, 15, seed=3)
UNSEEN = windows_like(THING, 50, seed=4)
DECOYS = windows_like(THING + DECOY, 50, seed=6)


def share_ranked_right(model: ObjectModel) -> float:
    things, decoys = model.logits(UNSEEN), model.logits(DECOYS)
    return float(np.mean(things[:, None] > decoys[None]))


def test_marks_teach_a_model_to_tell_things_from_what_looks_like_them() -> None:
    model = train(Examples.of(GOOD, BAD), UNMARKED)
    assert share_ranked_right(model) > 0.99
    assert model.logits(UNSEEN).min() > model.logits(UNMARKED).max()


def test_one_good_example_alone_trains_a_model() -> None:
    model = train(Examples.of(GOOD[:1]), UNMARKED)
    assert model.kernel is None
    assert model.logits(UNSEEN).mean() > model.logits(UNMARKED).max()


def test_turned_views_of_an_example_count_as_one() -> None:
    once = train(Examples.of(GOOD, BAD), UNMARKED)
    twice = train(
        Examples.of(np.stack([GOOD, GOOD], axis=1), np.stack([BAD, BAD], axis=1)), UNMARKED
    )
    assert np.allclose(once.logits(UNSEEN), twice.logits(UNSEEN), atol=0.05)


def test_likely_hits_make_up_for_few_marks_and_unlikely_ones_do_not_count() -> None:
    few = Examples.of(windows_like(THING, 3, seed=9, noise=0.13), BAD[:3])
    plain = train(few, UNMARKED)
    hits = np.concatenate([windows_like(THING, 60, seed=10), UNMARKED[:60]])
    likely = Likely.of(hits, plain.logits(hits))
    assert len(likely.vectors) > 10
    assert (likely.vectors @ THING).min() > (UNMARKED @ THING).max()

    def worst(model: ObjectModel) -> float:
        scores, others = model.logits(UNSEEN), model.logits(DECOYS)
        return float((scores.min() - others.max()) / scores.std())

    assert worst(train(few, UNMARKED, likely)) > worst(plain)


def test_examples_of_one_view_join_those_of_four() -> None:
    four = Examples.of(np.repeat(GOOD[:, None], 4, axis=1), np.repeat(BAD[:, None], 4, axis=1))
    both = four.joined(Examples.of(GOOD[:2]))
    assert both.good.shape == (len(GOOD) + 2, 1, 64)
    assert both.bad.shape == (len(BAD), 1, 64)


def test_a_model_of_an_earlier_version_ranks_as_it_did() -> None:
    model = train(Examples.of(GOOD[:6], BAD[:6]), UNMARKED)
    values = model.to_dict()
    values["kernel"].pop("first_share")
    assert model.kernel is not None
    earlier = replace(model, kernel=replace(model.kernel, first_share=0.25))
    np.testing.assert_allclose(
        ObjectModel.from_dict(values).logits(UNSEEN), earlier.logits(UNSEEN), atol=1e-4
    )


def test_without_a_good_example_training_says_what_to_do() -> None:
    with pytest.raises(QueryError, match="Mark at least one"):
        train(Examples.of(np.zeros((0, 64)), BAD), UNMARKED)


def test_a_vector_that_is_not_finite_is_refused() -> None:
    broken = GOOD.copy()
    broken[3, 7] = np.nan
    with pytest.raises(QueryError, match="not finite"):
        Examples.of(broken, BAD)


def test_the_best_hits_of_a_click_make_up_for_a_poor_query() -> None:
    query = windows_like(THING, 1, seed=8, noise=0.25)
    hits = windows_like(THING, 10, seed=9)
    model = expand(query, hits, UNMARKED, UNMARKED @ query[0])

    def worst(scores: np.ndarray) -> float:
        return float(scores[: len(UNSEEN)].min() - np.sort(scores[len(UNSEEN) :])[-5])

    everything = np.concatenate([UNSEEN, UNMARKED])
    learned, plain = model.logits(everything), everything @ query[0]
    assert worst(learned / learned.std()) > worst(plain / plain.std())


def test_a_model_read_back_from_json_ranks_the_same() -> None:
    model = train(Examples.of(GOOD, BAD), UNMARKED)
    again = ObjectModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert np.allclose(model.logits(UNSEEN), again.logits(UNSEEN), atol=1e-2)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("weights",), [1.0] * 63),
        (("weights",), [float("nan")] * 64),
        (("weights",), "weights"),
        (("bias",), None),
        (("bias",), [1.0]),
        (("kernel",), []),
        (("kernel", "coefficients"), []),
        (("kernel", "coefficients"), [[1.0]]),
        (("kernel", "anchors"), [[1e30] * 64] * 30),
        (("kernel", "width"), -1),
        (("kernel", "width"), float("inf")),
    ],
)
def test_an_altered_model_is_refused(path: tuple[str, ...], value: object) -> None:
    values = train(Examples.of(GOOD, BAD), UNMARKED).to_dict()
    *parents, last = path
    inner = values
    for key in parents:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(DamagedError, match=last):
        ObjectModel.from_dict(values)


def test_half_of_what_is_asked_for_is_best_and_half_is_doubtful() -> None:
    logits = np.linspace(5, -5, 101)
    vectors = normalise(RNG.normal(size=(101, 64)).astype(np.float32))
    asked = to_judge(logits, vectors, np.zeros(101, int), np.ones(101, bool), 10)
    assert len(set(asked.tolist())) == 10
    assert set(asked.tolist()) >= {0, 1, 2, 3, 4}
    assert sum(abs(logits[row]) <= 1.1 for row in asked) == 5


def test_near_duplicates_are_not_asked_for_together() -> None:
    vectors = np.repeat(normalise(np.eye(64, dtype=np.float32)[:4]), 2, axis=0)
    asked = to_judge(np.full(8, 0.0), vectors, np.zeros(8, int), np.ones(8, bool), 8)
    doubtful = asked[1::2]
    assert len({tuple(vectors[row]) for row in doubtful}) == 4


def test_what_is_marked_is_not_asked_for_again() -> None:
    rows, cols, scenes = (
        np.array([10, 12, 30, 10]),
        np.array([10, 10, 10, 10]),
        np.array([0, 0, 0, 1]),
    )
    free = is_free(rows, cols, scenes, np.array([[0, 10, 10]]), 3)
    assert free.tolist() == [False, False, True, True]
    asked = to_judge(np.arange(4.0)[::-1], UNSEEN[:4], scenes, free, 10)
    assert sorted(asked.tolist()) == [2, 3]


def test_probabilities_need_enough_marks_of_both_kinds() -> None:
    assert calibrate(Examples.of(GOOD, BAD[:9]), UNMARKED) is None
    found = calibrate(Examples.of(GOOD, BAD), UNMARKED)
    assert found is not None
    model = train(Examples.of(GOOD, BAD), UNMARKED)
    assert found.probability(model.logits(UNSEEN)).mean() > 0.8
    assert found.probability(model.logits(DECOYS)).mean() < 0.2
    assert found.accuracy > 0.9
    assert found.marks == 30


def test_marks_that_contradict_each_other_give_no_false_certainty() -> None:
    same = windows_like(THING, 40, seed=11)
    found = calibrate(Examples.of(same[:20], same[20:]), UNMARKED)
    assert found is None or abs(found.probability(np.zeros(1))[0] - 0.5) < 0.3
