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


@dataclass(frozen=True)
class Ranking:
    """How the chips of a collection rank for one query.

    Attributes:
        graph: The collection's graph.
        units: The query among the joined vectors, one for each view: float32 (m, c), unit vectors.
        moved: The same, moved towards the most visited chips.
        visited: Rows of the visited chips, int64 (v,), ascending.
        visits: Their order of magnitude, float32 (v,): 1 for the most visited, above 0.
    """

    graph: Graph
    units: np.ndarray
    moved: np.ndarray
    visited: np.ndarray
    visits: np.ndarray

    def best(self, k: int, eligible: Eligible | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rows int64 and similarities float32 of the k best chips, best first.

        The chips of a smaller k are the first of a larger one.
        """
        found = [self.graph.nearest(unit, k, eligible)[0] for unit in self.moved]
        visited = self.visited if eligible is None else self.visited[eligible.mask[self.visited]]
        rows = np.unique(np.concatenate([visited, *found]))
        rows, _ = best(rows, self.orders(rows).round(6), k)
        return rows, self.similarity(rows)

    def orders(self, rows: np.ndarray) -> np.ndarray:
        """By what chips are ranked, float32 (r,), the higher the better."""
        orders = self.graph.similarity(self.moved, rows)
        place = np.searchsorted(self.visited, rows)
        place = np.minimum(place, max(len(self.visited) - 1, 0))
        if len(self.visited):
            was = self.visited[place] == rows
            orders[was] += np.float32(VISITS) * self.visits[place[was]]
        return orders

    def similarity(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Cosine of some chips, or of all, to the query's best view: float32 (r,)."""
        return np.asarray(self.graph.similarity(self.units, rows).round(6), np.float32)


def rank(graph: Graph, table: ChipTable, query: Query) -> Ranking:
    """The ranking of a query.

    Args:
        graph: The collection's graph.
        table: The collection's chips.
        query: What to look for.
    """
    own = np.array(query.rows_in(table), np.int64)
    units, entries, weights = _enter(graph, table, query)
    candidates = _candidates(graph, units, entries)
    start = np.zeros(len(candidates), np.float32)
    np.add.at(start, np.searchsorted(candidates, entries), weights)
    visits = walk(graph, candidates, start)
    visits[np.isin(candidates, own)] = 0
    moved = _expand(graph, units, candidates, visits)
    most = float(visits.max(initial=0))
    if most <= 0:
        return Ranking(graph, units, moved, np.empty(0, np.int64), np.empty(0, np.float32))
    magnitude = 1 + np.log10(np.maximum(visits / most, 1e-9)) / MAGNITUDES
    counted = magnitude > 0
    return Ranking(graph, units, moved, candidates[counted], magnitude[counted].astype(np.float32))


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
    if query.descriptor is None:
        units = normalise(graph.joined[rows].mean(axis=0)[None])
        return units, rows, np.full(len(rows), 1 / max(len(rows), 1), np.float32)
    covered = _sharing_ground(table, query.corners)
    units = graph.place(np.atleast_2d(query.descriptor), covered)
    if len(rows):
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
