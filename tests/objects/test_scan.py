"""Score maps equal the plain computation, across blocks and where data is missing."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.collection.cell_files import CellWindow, SceneCells
from pipeline.model.basis import COMPONENTS, NO_DATA, basis
from pipeline.objects import scan
from pipeline.objects.peaks import peaks


class Block:
    """A block of cells in memory."""

    def __init__(self, row: int, col: int, codes: np.ndarray) -> None:
        self.window, self.codes = CellWindow(row, col, *codes.shape[:2]), codes


@pytest.fixture
def codes() -> np.ndarray:
    rng = np.random.default_rng(3)
    made = rng.integers(-90, 90, (75, 61, COMPONENTS)).astype(np.int8)
    made[30:40, 20:50] = NO_DATA
    return made


def cells_of(codes: np.ndarray) -> SceneCells:
    """The codes in four overlapping blocks."""
    blocks = [
        Block(row, col, codes[row : row + 45, col : col + 40]) for row in (0, 38) for col in (0, 33)
    ]
    return SceneCells("scene", 1.0, *codes.shape[:2], tuple(blocks))  # type: ignore[arg-type]


def plain(codes: np.ndarray, weights: np.ndarray, row: int, col: int) -> float:
    """The score of one window, from its definition."""
    square = codes[row : row + 3, col : col + 3].astype(np.float64) * basis().steps
    empty = codes[row : row + 3, col : col + 3, 0] == NO_DATA
    weights_of_cells = np.where(empty, 0, np.outer([1, 2, 1], [1, 2, 1]))
    if weights_of_cells.sum() < 8:
        return float("nan")
    total = np.tensordot(weights_of_cells, square, 2)
    return float(total @ weights / np.linalg.norm(total))


def test_every_window_has_its_score(codes: np.ndarray) -> None:
    cells = cells_of(codes)
    weights = np.random.default_rng(4).normal(size=COMPONENTS)
    scores = scan.score_map(cells, scan.inverse_lengths(cells), weights, bias=0.25)
    assert scores.shape == (73, 59)
    for row, col in [(0, 0), (72, 58), (36, 31), (28, 18), (29, 30), (33, 33), (38, 40), (41, 20)]:
        expected = plain(codes, weights, row, col) + 0.25
        assert scores[row, col] == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert np.isnan(scores[33, 33])
    assert np.isfinite(scores).mean() > 0.8


def test_window_vectors_are_what_scores_are_made_of(codes: np.ndarray) -> None:
    cells = cells_of(codes)
    weights = np.random.default_rng(5).normal(size=COMPONENTS)
    scores = scan.score_map(cells, scan.inverse_lengths(cells), weights)
    rows, cols = np.array([72, 3, 41]), np.array([2, 55, 20])
    vectors = scan.window_vectors(cells, rows, cols)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(vectors @ weights, scores[rows, cols], atol=1e-4)


def test_peaks_are_apart_best_first_and_deterministic() -> None:
    scores = np.zeros((40, 40), np.float32)
    scores[10, 10], scores[10, 12], scores[30, 30], scores[5, 35] = 3, 2.9, 2, 2
    scores[20, 20] = np.nan
    tops = peaks(scores, 4, 10, threshold=1)
    assert list(zip(tops.rows, tops.cols, strict=True)) == [(10, 10), (5, 35), (30, 30)]
    near = peaks(scores, 2, 10, threshold=1)
    assert (10, 12) in list(zip(near.rows, near.cols, strict=True))
    mask = np.ones(scores.shape, bool)
    mask[10, 10] = False
    assert peaks(scores, 4, 1, eligible=mask).cols.tolist() == [12]
    assert len(peaks(scores, 4, 2, threshold=1)) == 2


def test_as_many_peaks_as_asked_for_however_many_lie_under_better_ones() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((400, 400)).astype(np.float32)
    scores[:200] += 1  # thousands of better maxima lie close together
    tops = peaks(scores, 60, 30)
    assert len(tops) == 30
    assert (np.diff(tops.scores) <= 0).all()


def test_scan_stops_when_asked(codes: np.ndarray) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    cells = cells_of(codes)
    with pytest.raises(KeyboardInterrupt):
        scan.score_map(cells, scan.inverse_lengths(cells), np.ones(COMPONENTS), check=stop)


def test_scene_smaller_than_a_window_has_no_scores() -> None:
    codes = np.ones((2, 5, COMPONENTS), np.int8)
    cells = SceneCells("tiny", 1.0, 2, 5, (Block(0, 0, codes),))  # type: ignore[arg-type]
    inverse = scan.inverse_lengths(cells)
    assert scan.score_map(cells, inverse, np.ones(COMPONENTS)).size == 0
