from __future__ import annotations

import numpy as np
import pytest

from pipeline.analysis.quality import BINS, _apart, _find_blurred, measure
from pipeline.index.graph import Graph
from pipeline.index.index import Index
from tests.factories.synthetic import collection


def test_a_sound_collection_measures_well(tmp_path):
    made = collection(tmp_path / "home")
    found = measure(made, Index.open(made), Graph.open(made))
    assert found.chips == len(made.chips)
    assert found.recall == pytest.approx(1)
    assert len(found.scores) == BINS
    assert found.chance is None  # sixteen chips say nothing of chance


def test_scores_by_chance_are_told_of_a_larger_collection(tmp_path):
    made = collection(tmp_path / "home", sizes=(2048,))
    for graph in (Graph.open(made), None):
        found = measure(made, Index.open(made), graph)
        middle, low, high = found.chance
        assert found.typical < low <= middle <= high < 1


def test_chips_without_detail_are_told_against_their_own_scene():
    sharpness = np.array([100, 110, 2, 900, 1000, 50], np.float32)
    scene = np.array([0, 0, 0, 1, 1, 1], np.int32)
    assert _find_blurred(sharpness, scene).tolist() == [2, 5]
    assert _find_blurred(np.empty(0, np.float32), np.empty(0, np.int32)).size == 0


def test_neighbours_that_share_an_edge_are_apart_and_overlapping_ones_are_not():
    square = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], float)
    assert _apart(square, np.add(square, (1, 0)))
    assert not _apart(square, np.add(square, 0.5))
