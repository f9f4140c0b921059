"""A segment: proven below its threshold, self-checked above, filtered before the search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DamagedError
from pipeline.index import segment_writer
from pipeline.index.exact import Truth, best, scan
from pipeline.index.projection import Projection
from pipeline.index.rows import Eligible
from pipeline.index.segment import Segment
from pipeline.vectors import normalise, products, widen
from tests import ROOT


def alike(n: int, seed: int = 0) -> np.ndarray:
    """Unit vectors float16 (n, 2048) like embeddings: few directions matter, groups are close."""
    axes = np.random.default_rng(100).normal(size=(300, 2048)) / 2048**0.5
    strength = np.geomspace(1, 0.02, 300)[:, None] * axes
    rng = np.random.default_rng(seed)
    groups = rng.normal(size=(n // 20 + 1, 300))
    members = np.repeat(groups, 20, axis=0)[:n] + 0.5 * rng.normal(size=(n, 300))
    return normalise(members @ strength + 0.02).astype(np.float16)


def made(folder: Path, vectors: np.ndarray) -> Segment:
    segment_writer.write(folder, len(vectors), [vectors], [("s", "b", "x", len(vectors))], int)
    return Segment.open(folder)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return alike(3000)


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory, vectors: np.ndarray) -> Segment:
    return made(tmp_path_factory.mktemp("exact") / "000", vectors)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, vectors: np.ndarray) -> Segment:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment_writer, "EXACT_BELOW", 1000)
        return made(tmp_path_factory.mktemp("tree") / "000", vectors)


@pytest.fixture(scope="module")
def queries(vectors: np.ndarray) -> np.ndarray:
    elsewhere = alike(30, seed=9).astype(np.float32)
    noise = np.random.default_rng(2).normal(size=(3, 2048)).astype(np.float32)
    return normalise(np.concatenate([vectors[:900:30].astype(np.float32), elsewhere, noise]))


@pytest.mark.parametrize("k", [1, 10, 80, 749, 750, 3000, 4000])
def test_small_segments_give_the_exact_scan_whatever_the_query(
    exact: Segment, vectors: np.ndarray, queries: np.ndarray, k: int
) -> None:
    few = queries if k < 1000 else queries[::6]  # each compares as many as it finds
    expected, cosines = scan(vectors, few, k)
    for i, query in enumerate(few):
        rows, scores = exact.search(query, k)
        assert len(rows) == len(set(rows)) == min(k, 3000)
        assert scores == pytest.approx(cosines[i], abs=3e-6)
        assert exact.cosines(query, rows) == pytest.approx(scores, abs=1e-5)
        assert len(np.intersect1d(rows, expected[i])) >= len(rows) - 1


def test_filtered_search_equals_an_exact_scan_of_the_eligible(
    exact: Segment, vectors: np.ndarray, queries: np.ndarray
) -> None:
    for share in (0.004, 0.05, 0.5, 0.99):
        eligible = np.random.default_rng(3).random(3000) < share
        few = np.flatnonzero(eligible)
        _, cosines = scan(vectors[few], queries, 10)
        for query, expected in zip(queries, cosines, strict=True):
            rows, scores = exact.search(query, 10, Eligible(eligible))
            assert eligible[rows].all()
            assert scores == pytest.approx(expected, abs=3e-6)


def test_a_tree_finds_almost_all_and_scores_exactly(
    tree: Segment, vectors: np.ndarray, queries: np.ndarray
) -> None:
    assert tree.content.parameters.kind == "tree"
    assert tree.content.recall_at_10 >= 0.99
    expected, _ = scan(vectors, queries[:60], 10)
    found = [tree.search(query, 10) for query in queries[:60]]
    hits = [len(np.intersect1d(rows, e)) for (rows, _), e in zip(found, expected, strict=True)]
    assert np.mean(hits[:30]) >= 9.9
    assert np.mean(hits[30:]) >= 9.0
    for query, (rows, scores) in zip(queries, found, strict=False):
        assert scores == pytest.approx(vectors[rows].astype(np.float32) @ query, abs=3e-6)
        assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("share", [0.002, 0.01, 0.3, 0.95])
def test_a_filter_on_a_tree_returns_its_k(
    tree: Segment, vectors: np.ndarray, queries: np.ndarray, share: float
) -> None:
    eligible = np.random.default_rng(4).random(3000) < share
    few = np.flatnonzero(eligible)
    expected, _ = scan(vectors[few], queries[:60], 10)
    found = []
    for query, truth in zip(queries, few[expected], strict=False):
        rows, _ = tree.search(query, 10, Eligible(eligible))
        assert len(rows) == min(10, len(few))
        assert eligible[rows].all()
        found.append(len(np.intersect1d(rows, truth)) / len(rows))
    assert np.mean(found) >= 0.94


def test_a_filter_far_from_the_query_still_returns_its_k(
    tree: Segment, vectors: np.ndarray
) -> None:
    query = vectors[0].astype(np.float32)
    order = np.argsort(vectors.astype(np.float32) @ query)
    eligible = np.zeros(3000, bool)
    eligible[order[:1500]] = True  # the less similar half: what the tree proposes is not in it
    rows, _ = tree.search(query, 10, Eligible(eligible))
    assert len(rows) == 10
    assert len(np.intersect1d(rows, order[1490:1500])) >= 9


@pytest.mark.parametrize("kind", ["exact", "tree"])
def test_many_queries_at_once_equal_one_by_one(
    request: pytest.FixtureRequest, queries: np.ndarray, kind: str
) -> None:
    found: Segment = request.getfixturevalue(kind)
    rows, scores = found.search_many(queries, 10)
    assert rows.shape == scores.shape == (len(queries), 10)
    for i, query in enumerate(queries):
        alone = found.search(query, 10)
        assert rows[i].tolist() == alone[0].tolist()
        assert scores[i] == pytest.approx(alone[1], abs=2e-6)


def test_equal_vectors_come_in_row_order(tmp_path: Path) -> None:
    vectors = alike(400)
    vectors[[5, 17, 100, 101, 399]] = vectors[7]
    found = made(tmp_path / "000", vectors)
    rows, _ = found.search(vectors[7].astype(np.float32), 6)
    assert rows.tolist() == [5, 7, 17, 100, 101, 399]
    rows, _ = found.search(vectors[7].astype(np.float32), 3)
    assert rows.tolist() == [5, 7, 17]


@pytest.mark.parametrize("n", [1, 2, 5, 63])
def test_a_handful_of_chips_is_enough(tmp_path: Path, n: int) -> None:
    vectors = alike(n)
    found = made(tmp_path / "000", vectors)
    rows, _ = found.search(vectors[n - 1].astype(np.float32), 100)
    assert sorted(rows.tolist()) == list(range(n))
    assert found.search(vectors[0].astype(np.float32), 1)[0].tolist() == [0]


def test_a_planted_pickle_is_never_opened(exact: Segment, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "000"
    shutil.copytree(exact.folder, folder)
    (folder / "scann" / "scann_docids.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DamagedError):
        Segment.open(folder)


def test_half_floats_widen_to_the_very_same_numbers() -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    assert (widen(every) == every.astype(np.float32)).all()


def test_products_are_those_of_the_widened_vectors(vectors: np.ndarray) -> None:
    query = np.random.default_rng(0).normal(size=2048).astype(np.float32)
    expected = vectors[:50].astype(np.float64) @ query
    assert products(vectors[:50], query) == pytest.approx(expected, abs=1e-5)


def test_the_bound_is_never_below_the_cosine(vectors: np.ndarray, queries: np.ndarray) -> None:
    projection = Projection.fit(vectors)
    bounds = projection.of_queries(queries, share=1.0) @ projection.of_chips(widen(vectors)).T
    cosines = queries @ widen(vectors).T
    assert (bounds >= cosines - 2e-6).all()
    assert projection.axes.T @ projection.axes == pytest.approx(np.eye(127), abs=1e-4)


def test_best_breaks_ties_by_row() -> None:
    rows, scores = np.array([9, 4, 7, 1, 3]), np.array([0.5, 0.7, 0.5, 0.5, 0.9], np.float32)
    assert best(rows, scores, 3)[0].tolist() == [3, 4, 1]
    assert best(rows, scores, 9)[0].tolist() == [3, 4, 1, 7, 9]
    assert len(best(rows[:0], scores[:0], 3)[0]) == 0


@pytest.mark.model  # for `import scann`, which loads TensorFlow
def test_the_search_needs_no_tensorflow(exact: Segment) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from pipeline.index.segment import Segment\n"
        "found = Segment.open(Path(sys.argv[1]))\n"
        "assert found.search(found.vectors[3].astype('f4'), 1)[0][0] == 3\n"
        "assert 'tensorflow' not in sys.modules and 'scann' not in sys.modules\n"
        "import scann; assert scann.scann_ops_pybind.builder\n"
    )
    subprocess.run([sys.executable, "-c", code, str(exact.folder)], check=True, cwd=ROOT)


def test_a_chip_as_near_as_the_last_true_neighbour_counts_as_found(vectors: np.ndarray) -> None:
    query = normalise(vectors[:1])
    _, scores = scan(vectors, query, 3)
    truth = Truth(query, scores)

    def twins(_: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return np.array([7, 8, 9]), np.array([1.0, scores.min(), scores.min() - 0.01], np.float32)

    assert truth.recall(twins) == pytest.approx(2 / 3)
