"""The ranking of a search: similar to the query, and to what is similar to it.

Three steps, measured in docs/quality.md:

1. The chips nearest to the query among the joined vectors of the graph are its candidates, and each
   candidate has its similarity: the cosine to the query.
2. A walk on the graph from the query (Donoser & Bischof, CVPR 2013; Iscen et al., CVPR 2017, cut to
   the candidates as by Iscen et al., CVPR 2018) finds what is similar to what is similar.
3. The query is moved towards the chips that the walk visits most (query expansion: Chum et al.,
   ICCV 2007).  A chip's rank is its cosine to the moved query plus, for the most visited chips,
   the order of magnitude of the visits.

The score that is shown stays the similarity, which is known for every chip of a collection, means
the same on each page, and can be held against chance (`pipeline.search.chance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.index.exact import best
from pipeline.search import feedback
from pipeline.search.chance import random_scores
from pipeline.search.feedback import Marks
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable
    from pipeline.index.graph import Graph
    from pipeline.index.rows import Eligible
    from pipeline.search.queries import Query

#: Chips that the walk may visit; bounds its cost whatever the collection's size.
CANDIDATES = 2_000
#: Share of a step that continues rather than returns to the query, and number of steps.
WALK, STEPS = 0.9, 20
#: Neighbours through which a walk enters the graph if the query is no chip of it.
ENTRIES = 20
#: Most visited chips towards which the query is moved, and their weight; the query's is 1.
EXPANDED, EXPANSION = 20, 3.0
#: Weight of the visits, and the orders of magnitude below the most visited chip that count.
VISITS, MAGNITUDES = 2.0, 2.0
#: Most weight of what marks teach, and the number of marks with which it has half of it.
LEARNED, HALF = 1.0, 10
#: Random chips that the model's values are scaled by, and those of them that count as weakly bad.
RANDOM, WEAK = 2_000, 20


@dataclass(frozen=True)
class Ranking:
    """How the chips of a collection rank for one query.

    Attributes:
        graph: The collection's graph.
        units: The query among the joined vectors, one for each view: float32 (m, c), unit vectors.
        moved: The same, moved towards the most visited chips.
        visited: Rows of the visited chips, int64 (v,), ascending.
        visits: Their order of magnitude, float32 (v,): 1 for the most visited, negative for those
            that bad marks repel.
        good: Rows marked good, which come first.
        learned: Direction float32 (c,) that marks taught, or None.
    """

    graph: Graph
    units: np.ndarray
    moved: np.ndarray
    visited: np.ndarray
    visits: np.ndarray
    good: np.ndarray
    learned: np.ndarray | None = None

    def best(self, k: int, eligible: Eligible | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rows int64 and similarities float32 of the k best chips, best first.

        The chips of a smaller k are the first of a larger one.
        """
        moved = self.moved if self.learned is None else self.moved + self.learned
        found = [self.graph.nearest(unit, k, eligible)[0] for unit in moved]
        near = np.concatenate([self.visited, self.good])
        near = near if eligible is None else near[eligible.mask[near]]
        rows = np.unique(np.concatenate([near, *found]))
        orders = self.orders(rows).round(6)
        orders[np.isin(rows, self.good)] += 100
        rows, _ = best(rows, orders, k)
        return rows, self.similarity(rows)

    def orders(self, rows: np.ndarray) -> np.ndarray:
        """By what chips are ranked, float32 (r,), the higher the better."""
        moved = self.moved if self.learned is None else self.moved + self.learned
        orders = self.graph.similarity(moved, rows)
        place = np.searchsorted(self.visited, rows)
        place = np.minimum(place, max(len(self.visited) - 1, 0))
        if len(self.visited):
            was = self.visited[place] == rows
            orders[was] += np.float32(VISITS) * self.visits[place[was]]
        return orders

    def similarity(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Cosine of some chips, or of all, to the query's best view: float32 (r,)."""
        return np.asarray(self.graph.similarity(self.units, rows).round(6), np.float32)

    def by_chance(self) -> tuple[np.ndarray, np.ndarray]:
        """As `Ranked.by_chance`."""
        sample = self.graph.sample
        return (sample @ self.units.T).max(axis=1), random_scores(sample, len(self.units))


def rank(graph: Graph, table: ChipTable, query: Query) -> Ranking:
    """The ranking of a query, and of its marks.

    A good mark is one more place to start from, a bad one repels, and a logistic model of the marks
    adds what separates them.  With few marks the ranking is nearly that of the start alone, so that
    they refine it and do not replace it.

    Args:
        graph: The collection's graph.
        table: The collection's chips.
        query: What to look for.
    """
    marks = query.marks or Marks(np.empty((0, 0), np.float32))
    starts, entries, weights = _enter(graph, table, query)
    units = _towards(graph, starts, marks)
    good, bad = np.array(marks.good, np.int64), np.array(marks.bad, np.int64)
    candidates = _candidates(graph, units, np.concatenate([entries, good, bad]))
    start = np.zeros(len(candidates), np.float32)
    shown = len(good) + (len(entries) > 0)
    np.add.at(start, np.searchsorted(candidates, entries), weights / max(shown, 1))
    start[np.searchsorted(candidates, good)] += np.float32(1 / max(shown, 1))
    start[np.searchsorted(candidates, bad)] -= np.float32(1 / max(len(bad), 1))
    visits = walk(graph, candidates, start)
    own = np.array(query.rows_in(table), np.int64)
    visits[np.isin(candidates, np.concatenate([own, good, bad]))] = 0
    moved = _expand(graph, units, candidates, visits)
    learned = _learn(graph, starts, marks)
    most = float(np.abs(visits).max(initial=0))
    magnitude = 1 + np.log10(np.maximum(np.abs(visits) / max(most, 1e-12), 1e-9)) / MAGNITUDES
    counted = magnitude > 0
    signed = (np.sign(visits) * magnitude)[counted].astype(np.float32)
    return Ranking(graph, units, moved, candidates[counted], signed, good, learned)


def _towards(graph: Graph, starts: np.ndarray, marks: Marks) -> np.ndarray:
    """The query's unit vectors moved to twice the good less the bad, after Rocchio (1971)."""
    good, bad = (graph.joined[np.array(rows, np.int64)] for rows in (marks.good, marks.bad))
    if not len(starts):
        units = good.mean(axis=0)[None]
    else:
        units = (starts + good.sum(axis=0)) / (1 + len(good))
    if len(bad):
        units = 2 * normalise(units) - normalise(bad.mean(axis=0)[None])
    return normalise(units)


def _learn(graph: Graph, starts: np.ndarray, marks: Marks) -> np.ndarray | None:
    """What separates good marks from bad ones and from random chips, (c,), or None without marks.

    Scaled so that its values have a standard deviation of its weight over random chips.
    """
    if not (marks.good or marks.bad):
        return None
    rows = np.random.default_rng(0).choice(len(graph), min(RANDOM, len(graph)), replace=False)
    background = graph.joined[rows]
    shown = np.concatenate([starts, graph.joined[np.array(marks.good, np.int64)]])
    against = graph.joined[np.array(marks.bad, np.int64)]
    direction = feedback.logistic_direction(shown, against, background[:WEAK])
    spread = float((background @ direction).std())
    count = len(marks.good) + len(marks.bad)
    weight = LEARNED * count / (count + HALF)
    return np.asarray(direction * (weight / max(spread, 1e-9)), np.float32)


def walk(graph: Graph, candidates: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Visits float32 (m,) of a walk among candidates.

    Args:
        graph: The collection's graph.
        candidates: Rows, ascending int64 (m,).
        start: Where the walk starts, and returns to, float32 (m,); negative weights repel.
    """
    from scipy.sparse import csr_matrix

    m = len(candidates)
    near = graph.neighbours[candidates]
    place = np.minimum(np.searchsorted(candidates, near), m - 1)
    kept = (near >= 0) & (candidates[place] == near)
    rows = np.repeat(np.arange(m), kept.sum(axis=1))
    scale = 1 / np.sqrt(graph.degrees[candidates] + np.float32(1e-9))
    weights = graph.weights[candidates].astype(np.float32)[kept] * scale[rows] * scale[place[kept]]
    edges = csr_matrix((weights / 2, (rows, place[kept])), shape=(m, m))
    edges = (edges + edges.T).tocsr()
    visits = start
    for _ in range(STEPS):
        visits = np.float32(WALK) * (edges @ visits) + start
    return np.asarray(visits, np.float32).copy()


def _enter(
    graph: Graph, table: ChipTable, query: Query
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The query's unit vectors (m, c), and the rows and weights where a walk enters the graph."""
    examples = [row for chip in query.examples if (row := table.find(chip)) is not None]
    rows = np.array(examples, np.int64)
    if query.descriptor is None and not len(rows):  # good marks are the only start
        return np.empty((0, graph.joined.shape[1]), np.float32), rows, np.empty(0, np.float32)
    if query.descriptor is None:
        units = normalise(graph.joined[rows].mean(axis=0)[None])
        return units, rows, np.full(len(rows), 1 / max(len(rows), 1), np.float32)
    covered = _sharing_ground(table, query.corners)
    units = graph.place(np.atleast_2d(query.descriptor), covered)
    if len(rows):
        units[0] = normalise(graph.joined[rows].mean(axis=0)[None])[0]
        return units, rows, np.full(len(rows), 1 / len(rows), np.float32)
    found, cosines = [], []
    for unit in units:
        near, scores = graph.nearest(unit, ENTRIES + len(covered))
        other = ~np.isin(near, covered)
        found.append(near[other][:ENTRIES])
        cosines.append(scores[other][:ENTRIES])
    rows, weights = np.concatenate(found), np.clip(np.concatenate(cosines), 0, 1) ** 3
    return units, rows, (weights / max(float(weights.sum()), 1e-12)).astype(np.float32)


def _sharing_ground(table: ChipTable, corners: np.ndarray) -> np.ndarray:
    """Rows of the chips whose footprints meet those of the query, (m, 4, 2)."""
    if not len(corners) or not len(table):
        return np.empty(0, np.int64)
    low, high = table.corners.min(axis=1), table.corners.max(axis=1)
    meets = np.zeros(len(table), bool)
    for each in corners:
        meets |= ((low < each.max(axis=0)) & (high > each.min(axis=0))).all(axis=1)
    return np.flatnonzero(meets)


def _candidates(graph: Graph, units: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Rows that the walk may visit, ascending."""
    each = max(CANDIDATES // len(units), ENTRIES)
    near = [graph.nearest(unit, each)[0] for unit in units]
    return np.unique(np.concatenate([entries, *near]))


def _expand(
    graph: Graph, units: np.ndarray, candidates: np.ndarray, visits: np.ndarray
) -> np.ndarray:
    """The query's unit vectors, moved towards the most visited candidates."""
    rows, weights = best(candidates, visits, EXPANDED)
    weights = np.clip(weights, 0, None)
    if not weights.any():
        return units
    towards = normalise((weights @ graph.joined[rows])[None])
    return normalise(units + np.float32(EXPANSION) * towards)
