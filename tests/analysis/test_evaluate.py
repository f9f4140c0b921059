"""Evaluation counts as the literature does; descriptors and Refine do what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.analysis.evaluate import Evaluation, evaluate, measure
from pipeline.errors import InputError, QueryError
from pipeline.model import descriptor, pooling
from pipeline.progress import Progress
from pipeline.search import feedback
from pipeline.search.feedback import Marks
from pipeline.vectors import normalise


def by_hand(
    similarity: np.ndarray, labels: list[int], names: list[str] | None = None
) -> Evaluation:
    names = names or [str(label) for label in sorted(set(labels))]
    return measure(lambda queries: similarity[queries], np.array(labels), names)


def clusters(seed: int = 0, classes: int = 4, each: int = 30, spread: float = 1.6) -> tuple:
    """Unit vectors around class centres, (n, 64), with their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = rng.normal(size=(classes, 64)) / 8
    vectors = centres[labels] + spread * rng.normal(size=(len(labels), 64)) / 8 + 0.4
    return normalise(vectors).astype(np.float32), labels


def test_perfect_retrieval_scores_one_and_anmrr_zero() -> None:
    labels = [0, 0, 0, 1, 1, 1]
    found = by_hand(np.equal.outer(labels, labels).astype(float), labels)
    assert found.map == 1
    assert found.anmrr == pytest.approx(0)
    assert found.precision[1] == 1
    np.testing.assert_array_equal(found.confusion[0] > 0.3, [True, True])


def test_average_precision_and_anmrr_worked_by_hand() -> None:
    # Query 0 ranks: wrong, right, wrong, right.  AP = (1/2 + 2/4) / 2.  NG = 2, limit 4: ranks 2
    # and 4 count as they are, mean 3; best 1.5; worst 1.25 · 4 = 5: (3 − 1.5) / (5 − 1.5).
    labels = np.array([0, 1, 0, 1, 0])
    scores = np.array([[9, 4.0, 3, 2, 1]])
    only = measure(lambda queries: np.repeat(scores, len(queries), 0), labels, ["a", "b"])
    similarity = np.tile(scores, (5, 1))
    assert only.map == by_hand(similarity, labels.tolist()).map
    lone = measure(
        lambda queries: np.array([[9, 4.0, 3, 2, 1]])[np.zeros(len(queries), int)],
        np.array([0, 1, 0, 2, 0]),
        ["a", "b", "c"],
    )
    first = lone.classes[0]
    assert lone.queries == 3
    assert first.name == "a"
    # Queries 2 and 4 see row 0 first, which is right: AP (1 + 2/4)/2 and (1 + 2/3)/2.
    assert first.map == pytest.approx((0.5 + 0.75 + (1 + 2 / 3) / 2) / 3)
    assert lone.anmrr == pytest.approx(
        np.mean([(3 - 1.5) / 3.5, (2.5 - 1.5) / 3.5, (2 - 1.5) / 3.5])
    )


def test_the_query_itself_is_never_counted() -> None:
    labels = [0, 0, 1, 1]
    against = -np.equal.outer(labels, labels).astype(float)
    np.fill_diagonal(against, 100)
    assert by_hand(against, labels).precision[1] == 0


def test_joining_neighbours_and_diffusion_beat_plain_cosine() -> None:
    vectors, labels = clusters()
    names = [str(i) for i in range(4)]
    plain = measure(lambda queries: vectors[queries] @ vectors.T, labels, names)
    edges = pooling.graph(pooling.augment(pooling.Whitening.learn(vectors)(vectors)))
    better = measure(lambda queries: pooling.diffuse(edges, queries), labels, names)
    assert better.map > plain.map + 0.03


def test_projection_gives_unit_vectors_from_few_or_many() -> None:
    for count in (5, 200):
        vectors = normalise(np.random.default_rng(1).normal(size=(count, 40)))
        projected = pooling.Whitening.learn(vectors, components=16)(vectors)
        assert projected.shape == (count, min(16, count - 1))
        np.testing.assert_allclose(np.linalg.norm(projected, axis=1), 1, rtol=1e-6)


def test_generalised_mean_lies_between_average_and_maximum() -> None:
    maps = np.random.default_rng(2).random((2, 8, 8, 5))
    pooled = descriptor.generalised_mean(maps)
    assert (pooled > maps.mean((1, 2))).all()
    assert (pooled < maps.max((1, 2))).all()


def test_diffusion_reaches_along_the_data_what_is_far_from_the_query() -> None:
    angles = np.linspace(0, np.pi / 2, 30)
    arc = np.stack([np.cos(angles), np.sin(angles), np.zeros(30)], 1)
    tilt = np.random.default_rng(0).normal(1.0, 0.01, 10)
    off = np.stack([np.cos(tilt), np.zeros(10), np.sin(tilt)], 1)
    vectors = np.concatenate([arc, off]).astype(np.float32)
    scores = pooling.diffuse(pooling.graph(vectors, 4), np.array([0]))[0]
    assert vectors[0] @ vectors[30] > vectors[0] @ vectors[25]
    assert scores[25] > scores[30]


def test_refining_by_marks_beats_the_first_ranking() -> None:
    vectors, labels = clusters(3, classes=6, each=40, spread=2.0)
    before, after = [], []
    for query in range(0, len(vectors), 17):
        first = np.argsort(-vectors @ vectors[query])[1:]
        right = labels[first[:10]] == labels[query]
        good, bad = first[:10][right], first[:10][~right]
        marks = Marks(vectors[[query]], tuple(good), tuple(bad))
        rows = np.setdiff1d(first, bad)
        ranked = rows[feedback.rank(vectors, rows, marks)]
        assert set(ranked[: len(good)]) == set(good)
        before.append((labels[first[10:30]] == labels[query]).mean())
        after.append((labels[ranked[len(good) :][:20]] == labels[query]).mean())
    assert np.mean(after) > np.mean(before) + 0.1


@pytest.mark.parametrize("count", [1, 5, 60])
def test_refining_is_repeatable_whatever_the_marks_and_candidates(count: int) -> None:
    vectors, _ = clusters()
    half, rows = vectors.astype(np.float16), np.arange(50, 50 + count)
    for marks in (
        Marks(vectors[:1]),
        Marks(vectors[:8], bad=(5,)),
        Marks(vectors[:0], good=(50, 3), bad=(6, 7)),
    ):
        once = feedback.rank(half, rows, marks)
        np.testing.assert_array_equal(once, feedback.rank(half, rows, marks))
        assert sorted(once) == list(range(count))


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Stripes, blobs and noise, five small pictures each."""
    rng = np.random.default_rng(4)
    folder = tmp_path / "classes"
    for number, name in enumerate(("stripes", "checks", "noise")):
        (folder / name).mkdir(parents=True)
        for i in range(5):
            period = int(rng.integers(10, 20))
            y, x = np.mgrid[:128, :128]
            pattern = [
                (x // period) % 2,
                (x // period + y // period) % 2,
                rng.random((128, 128)),
            ][number]
            colour = rng.integers(120, 255, 3)
            pixels = (pattern[..., None] * colour).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.model
@pytest.mark.parametrize("method", ["plain", "default", "thorough"])
def test_a_folder_of_classes_is_evaluated_by_each_method(
    home: Path, classes: Path, method: str
) -> None:
    (classes / "noise" / "broken.png").write_text("no picture")
    told: list[Progress] = []
    found = evaluate(classes, method, told.append)
    assert found.queries == 15
    assert found.map > 0.7
    assert [score.name for score in found.classes] == ["checks", "noise", "stripes"]
    assert len(found.left_out) == 1
    assert told[-1].done == told[-1].total == 15
    values = found.to_dict()
    assert {"map", "anmrr", "p_at_1", "p_at_5", "p_at_10", "p_at_20", "queries"} <= values.keys()


def test_what_is_no_folder_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        evaluate(tmp_path / "absent")
    (tmp_path / "one").mkdir()
    with pytest.raises(InputError, match="at least two classes"):
        evaluate(tmp_path)
    with pytest.raises(QueryError, match="Unknown method"):
        evaluate(tmp_path, "best")


@pytest.mark.model
def test_classes_of_one_readable_picture_each_are_too_few(home: Path, classes: Path) -> None:
    for folder in classes.iterdir():
        for picture in sorted(folder.iterdir())[1:]:
            picture.write_text("no picture")
    with pytest.raises(InputError, match="Too few pictures"):
        evaluate(classes, "plain")
