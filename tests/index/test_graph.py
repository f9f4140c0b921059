"""The graph: neighbours on other ground, kept when a collection grows, made again if damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.parquet import write_part
from pipeline.index.graph import Graph
from pipeline.index.index import Index
from pipeline.index.neighbours import Clusters, Ground, nearest
from pipeline.search.queries import by_chip
from pipeline.search.ranking import rank
from pipeline.vectors import normalise
from tests.factories import synthetic


@pytest.fixture
def overlapping(home: Path) -> Collection:
    return synthetic.collection(home, sizes=(1024,), stride=64)


def test_chips_that_share_ground_are_no_neighbours(overlapping: Collection) -> None:
    graph, table = Graph.open(overlapping), overlapping.chips
    rows, place = np.nonzero(graph.neighbours >= 0)
    near = graph.neighbours[rows, place]
    apart = np.abs(table.cols[rows] - table.cols[near]) >= 256
    apart |= np.abs(table.rows[rows] - table.rows[near]) >= 256
    assert len(rows) > 5 * len(table)
    assert apart.all()


def test_two_dates_of_one_place_share_ground(home: Path) -> None:
    days = ("2009-08-18T00:00:00Z", "2020-08-31T00:00:00Z")
    both = synthetic.collection(home, sizes=(1024, 1024), datetimes=days)
    graph, n = Graph.open(both), len(both.chips) // 2
    assert not (graph.neighbours[:n] == np.arange(n, 2 * n)[:, None]).any()


def test_clusters_find_most_of_what_an_exact_comparison_finds(
    overlapping: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = overlapping.chips
    centres = np.random.default_rng(0).normal(size=(6, 16))
    noise = np.random.default_rng(1).normal(size=(len(table), 16))
    vectors = normalise(centres[np.arange(len(table)) % 6] + 0.2 * noise)
    ground = Ground(table)
    exact, _ = nearest(vectors, 5, ground, Clusters.of(vectors))
    monkeypatch.setattr("pipeline.index.neighbours.EXACT_UP_TO", 50)
    divided, _ = nearest(vectors, 5, ground, Clusters.of(vectors))
    shared = [len(np.intersect1d(a, b)) / 5 for a, b in zip(exact, divided, strict=True)]
    assert np.mean(shared) > 0.9


def test_a_grown_collection_keeps_its_components_and_ranks_new_chips(home: Path) -> None:
    made = synthetic.collection(home, sizes=(1024,), stride=128)
    before = Graph.open(made)
    scene = next(iter(made.scenes.values()))
    whole = synthetic.chips_of(scene, 128)
    few = whole.select([i < 5 for i in range(len(whole.ids))])
    like = made.chips.corners  # new chips on the same grid, with vectors of their own
    assert len(like) == len(whole.ids)
    vectors = np.random.default_rng(9).normal(size=(5, 2048)).astype(np.float32)
    path = made.path / "chips" / scene.id / "block-r0001-c0000-all.parquet"
    write_part(path, scene, few, vectors, synthetic.MODEL, stride=128)
    grown = Library(home).open(made.name).write(chips=len(made.chips) + 5)
    after = Graph.open(grown)
    assert len(after) == len(before) + 5
    np.testing.assert_array_equal(after.components.axes, before.components.axes)
    assert (after.neighbours[-5:] >= 0).any()
    assert (after.neighbours < len(after)).all()


def test_a_damaged_graph_is_made_again(overlapping: Collection) -> None:
    graph = Graph.open(overlapping)
    (graph.folder / "joined.npy").write_bytes(b"no array")
    again = Graph.open(overlapping)
    np.testing.assert_array_equal(again.neighbours, graph.neighbours)


def test_dropping_the_index_frees_the_graph_and_the_next_search_makes_it_again(
    overlapping: Collection, home: Path
) -> None:
    graph = Graph.open(overlapping)
    used = overlapping.disk_use()["index"]
    assert Library(home).drop(overlapping.name, "index") == used > 0
    assert not overlapping.graph_folder.exists()
    np.testing.assert_array_equal(Graph.open(overlapping).weights, graph.weights)


def test_a_smaller_k_gives_the_first_hits_of_a_larger_one(overlapping: Collection) -> None:
    index = Index.open(overlapping)
    query = by_chip(overlapping, index, overlapping.chips.id_of(7))
    ranking = rank(Graph.open(overlapping), overlapping.chips, query)
    many, _ = ranking.best(100)
    few, scores = ranking.best(10)
    assert few.tolist() == many[:10].tolist()
    assert scores == pytest.approx(ranking.similarity()[few])
    assert len(ranking.best(len(overlapping.chips))[0]) == len(overlapping.chips)


def test_neighbours_of_one_place_count_once(overlapping: Collection) -> None:
    graph, table = Graph.open(overlapping), overlapping.chips
    for near in graph.neighbours[::7]:
        near = near[near >= 0]
        one, other = np.triu_indices(len(near), 1)
        apart = np.abs(table.cols[near[one]] - table.cols[near[other]]) >= 256
        apart |= np.abs(table.rows[near[one]] - table.rows[near[other]]) >= 256
        assert apart.all()
