"""The ranking of a search: similar to the query, and to what is similar to it.

Three steps, measured in docs/quality.md:

1. The chips nearest to the query among the joined vectors of the graph are its candidates, and each
   candidate has its similarity: the cosine to the query.
2. A walk on the graph from the query (Donoser & Bischof, CVPR 2013; Iscen et al., CVPR 2017, cut to
   the candidates as by Iscen et al., CVPR 2018) finds what is similar to what is similar.
3. The query is moved towards the chips that the walk visits most (query expansion: Chum et al.,
   ICCV 2007).  A chip's rank is its cosine to the moved query plus, for the most visited chips,
   the order of magnitude of the visits.

Marks add what they teach, which weighs more the more there are: a walk from the good ones away from
the bad ones, and a logistic model of both.

The score that is shown stays the similarity, which is known for every chip of a collection, means
the same on each page, and can be held against chance (`pipeline.search.chance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from pipeline.index.graph import LOOKED_THROUGH
from pipeline.index.graph_files import weigh
from pipeline.search import feedback
from pipeline.search.feedback import Marks
from pipeline.search.overlaps import suppress_overlaps
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
#: Marks that weigh as much as the order of the start alone; what they teach is half the walk from
#: them and half a logistic model.
HALF = 5
#: Standard deviation up to which values are alike.
ALIKE = 1e-6


@dataclass(frozen=True)
class Order:
    """By what chips are ranked: a cosine for all of them, and something more for some.

    Attributes:
        towards: What the cosine is taken to, the best of some views: float32 (m, c), any length.
        rows: Rows that have more, int64 (v,), ascending.
        more: What is added to their cosine, float32 (v,).
    """

    towards: np.ndarray
    rows: np.ndarray
    more: np.ndarray

    def values(self, graph: Graph, rows: np.ndarray) -> np.ndarray:
        """Float32 (r,), the higher the better."""
        values = graph.similarity(self.towards, rows)
        if len(self.rows):
            place = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
            values += np.where(self.rows[place] == rows, self.more[place], 0)
        return values

    def standardised(self, graph: Graph, rows: np.ndarray, weight: float) -> Order:
        """The same with this standard deviation over some rows; of equal values, no order."""
        spread = float(self.values(graph, rows).std())
        # Where all are alike, rounding errors would be an order.
        factor = np.float32(weight / spread if spread > ALIKE else 0)
        return Order(self.towards * factor, self.rows, self.more * factor)

    def __add__(self, other: Order) -> Order:
        rows = np.union1d(self.rows, other.rows)
        more = np.zeros(len(rows), np.float32)
        for each in (self, other):
            more[np.searchsorted(rows, each.rows)] += each.more
        return Order(self.towards + other.towards, rows, more)


@dataclass(frozen=True)
class Ranking:
    """How the chips of a collection rank for one query.

    Attributes:
        graph: The collection's graph.
        units: The query among the joined vectors, one for each view: float32 (m, c), unit vectors.
        order: By what chips are ranked.
        good: Rows marked good, which come first.
    """

    graph: Graph
    units: np.ndarray
    order: Order
    good: np.ndarray

    def best(self, k: int, eligible: Eligible | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rows int64 and similarities float32 of the k best chips, best first.

        The chips of a smaller k are the first of a larger one.
        """
        found = [self.graph.nearest(each, k, eligible)[0] for each in self.order.towards]
        near = np.concatenate([self.order.rows, self.good])
        near = near if eligible is None else near[eligible.mask[near]]
        rows = np.unique(np.concatenate([near, *found]))
        values = self.order.values(self.graph, rows).round(6)
        rows = rows[np.lexsort((rows, -values, ~np.isin(rows, self.good)))[:k]]
        return rows, self.similarity(rows)

    def similarity(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Cosine of some chips, or of all, to the query's best view: float32 (r,)."""
        return np.asarray(self.graph.similarity(self.units, rows).round(6), np.float32)

    def by_chance(self) -> tuple[np.ndarray, np.ndarray]:
        """As `Ranked.by_chance`."""
        sample = self.graph.sample
        return (sample @ self.units.T).max(axis=1), self.graph.random_scores(len(self.units))


def rank(graph: Graph, table: ChipTable, query: Query) -> Ranking:
    """The ranking of a query, and of its marks.

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
    orders = []
    share = HALF / (HALF + len(good) + len(bad)) if len(starts) else 0.0
    if share:
        at_start = _order_of_start(graph, table, query, starts, candidates, entries, weights)
        orders.append(at_start if share == 1 else at_start.standardised(graph, candidates, share))
    if share < 1:
        learned = _order_of_marks(graph, starts, candidates, entries, weights, good, bad)
        orders.append(learned.standardised(graph, candidates, 1 - share))
    return Ranking(graph, units, reduce(add, orders), good)


def _order_of_start(
    graph: Graph,
    table: ChipTable,
    query: Query,
    starts: np.ndarray,
    candidates: np.ndarray,
    entries: np.ndarray,
    weights: np.ndarray,
) -> Order:
    """The order of a search without marks.

    Args:
        graph: The collection's graph.
        table: The collection's chips.
        query: What to look for.
        starts: Its unit vectors (m, c).
        candidates: Rows that the walk may visit, ascending.
        entries: Rows where it enters.
        weights: Of the entries.
    """
    start = np.zeros(len(candidates), np.float32)
    np.add.at(start, np.searchsorted(candidates, entries), weights)
    visits = walk(graph, candidates, start)
    visits[np.isin(candidates, query.rows_in(table))] = 0
    magnitude = 1 + np.log10(np.maximum(visits / max(visits.max(), 1e-12), 1e-9)) / MAGNITUDES
    counted = magnitude > 0
    more = (VISITS * magnitude[counted]).astype(np.float32)
    # Chips of one place count once, and those of the query's own ground not at all.
    most = np.argsort(-visits, kind="stable")[:LOOKED_THROUGH]
    corners = table.corners[candidates[most]]
    apart = most[suppress_overlaps(corners, query.corners, EXPANDED)]
    moved = _expand(graph, starts, candidates[apart], visits[apart])
    return Order(moved, candidates[counted], more)


def _order_of_marks(
    graph: Graph,
    starts: np.ndarray,
    candidates: np.ndarray,
    entries: np.ndarray,
    weights: np.ndarray,
    good: np.ndarray,
    bad: np.ndarray,
) -> Order:
    """What marks teach: where a walk from them leads, and what separates good from bad.

    A good mark is one more place to start the walk from, a bad one repels.
    """
    start = np.zeros(len(candidates), np.float32)
    shown = len(good) + (len(entries) > 0)
    np.add.at(start, np.searchsorted(candidates, entries), weights / max(shown, 1))
    start[np.searchsorted(candidates, good)] += np.float32(1 / max(shown, 1))
    start[np.searchsorted(candidates, bad)] -= np.float32(1 / max(len(bad), 1))
    nothing = np.zeros((1, graph.joined.shape[1]), np.float32)
    walked = Order(nothing, candidates, walk(graph, candidates, start))
    rng = np.random.default_rng(0)
    random = graph.joined[rng.choice(len(graph), min(feedback.WEAK, len(graph)), replace=False)]
    direction = feedback.logistic_direction(
        np.concatenate([starts, graph.joined[good]]), graph.joined[bad], random
    )
    learned = Order(direction[None], np.empty(0, np.int64), np.empty(0, np.float32))
    return walked.standardised(graph, candidates, 0.5) + learned.standardised(
        graph, candidates, 0.5
    )


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

    def apart(rows: np.ndarray, most: int) -> np.ndarray:
        return rows[suppress_overlaps(table.corners[rows], query.corners, most)]

    units = graph.place(np.atleast_2d(query.descriptor), apart)
    if len(rows):
        units[0] = normalise(graph.joined[rows].mean(axis=0)[None])[0]
        return units, rows, np.full(len(rows), 1 / len(rows), np.float32)
    near = [apart(graph.nearest(unit, LOOKED_THROUGH)[0], ENTRIES) for unit in units]
    cosines = [graph.joined[found] @ unit for found, unit in zip(near, units, strict=True)]
    weights = weigh(np.concatenate(cosines))
    return units, np.concatenate(near), weights / max(float(weights.sum()), 1e-12)


def _candidates(graph: Graph, units: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Rows that the walk may visit, ascending."""
    each = max(CANDIDATES // len(units), ENTRIES)
    near = [graph.nearest(unit, each)[0] for unit in units]
    return np.unique(np.concatenate([entries, *near]))


def _expand(graph: Graph, units: np.ndarray, rows: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """The query's unit vectors, moved towards the most visited chips."""
    weights = np.clip(visits, 0, None)
    if not weights.any():
        return units
    towards = normalise((weights @ graph.joined[rows])[None])
    return normalise(units + np.float32(EXPANSION) * towards)
