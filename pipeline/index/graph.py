"""The graph of a collection: its chips' descriptors, reduced, and the most similar chips of each.

Made with the index from the chips' descriptors, or from their plain vectors where an older
collection has none (`graph_writer`); `pipeline.search.ranking` ranks by it.
"""

from __future__ import annotations

import logging
import shutil
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import DamagedError, storage_errors
from pipeline.index.exact import best
from pipeline.index.graph_files import JOINED, GraphFiles, weigh
from pipeline.index.graph_writer import make
from pipeline.index.neighbours import EXACT_UP_TO
from pipeline.index.scann import scann
from pipeline.progress import OnProgress, silent
from pipeline.vectors import normalise, random_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.collection.collection import Collection
    from pipeline.index.rows import Eligible

#: Chips among which those of other ground are looked for.
LOOKED_THROUGH = 400
#: Chips by whose scores chance is judged.
SAMPLED = 10_000
log = logging.getLogger(__name__)


class Graph(GraphFiles):
    """An open graph."""

    @classmethod
    def exists(cls, collection: Collection) -> bool:
        """Whether the graph of the collection as it is was made."""
        return (collection.graph_folder / collection.version / "graph.json").exists()

    @classmethod
    def open(cls, collection: Collection, progress: OnProgress = silent) -> Graph:
        """Open a collection's graph, making or updating it first if necessary.

        Args:
            collection: The collection.
            progress: Called while it is made; may raise to cancel.

        Raises:
            DamagedError: If the parts themselves are damaged.
            StorageError: If it must be made and the disk is full or not writable.
        """
        folder = collection.graph_folder / collection.version
        if folder.is_dir():
            try:
                return cls.read(folder)
            except DamagedError as error:
                log.warning("making the graph of %s again: %s", collection.name, error)
                shutil.rmtree(folder, ignore_errors=True)
        with storage_errors(collection.graph_folder):
            make(folder, collection, progress)
        return cls.read(folder)

    @cached_property
    def _searcher(self) -> Any:
        return scann().load_searcher(str(self.folder / "scann"))

    @cached_property
    def sample(self) -> np.ndarray:
        """Joined vectors of at most 10,000 chips drawn at random, float32 (s, c)."""
        rows = np.random.default_rng(0).permutation(len(self))[:SAMPLED]
        return np.asarray(self.joined[np.sort(rows)])

    @cached_property
    def _random(self) -> dict[int, np.ndarray]:
        return {}

    def random_scores(self, views: int) -> np.ndarray:
        """Cosines of chips to random queries in so many views, the same for every search."""
        if views not in self._random:
            self._random[views] = random_scores(self.sample, views)
        return self._random[views]

    def place(
        self, vectors: np.ndarray, apart: Callable[[np.ndarray, int], np.ndarray]
    ) -> np.ndarray:
        """Where descriptors lie among the joined vectors: float32 (m, c), unit vectors.

        Args:
            vectors: Descriptors (m, d) of what is not in the collection.
            apart: The first of some rows, at most so many, that share ground neither with each
                other nor with what is placed.
        """
        own = self.components(vectors)
        places = np.empty_like(own)
        for i, unit in enumerate(own):
            rows, _ = self.nearest(unit, LOOKED_THROUGH)
            cosines = self.reduced[rows].astype(np.float32) @ unit
            rows = apart(rows[np.argsort(-cosines, kind="stable")], JOINED)
            around = self.reduced[rows].astype(np.float32)
            places[i] = unit + weigh(around @ unit) @ around
        return normalise(places)

    def similarity(self, units: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Cosine of chips to the best of some unit vectors (m, c): float32 (r,).

        Args:
            units: Unit vectors among the joined ones.
            rows: The chips, or None for all.
        """
        vectors = self.joined if rows is None else self.joined[rows]
        if len(units) == 1:
            return vectors @ units[0]
        return np.asarray((vectors @ units.T).max(axis=1))

    def nearest(
        self, unit: np.ndarray, k: int, eligible: Eligible | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows int64 and cosines float32 of the k chips nearest to a unit vector (c,).

        Of more than 20,000 chips ScaNN proposes them, unless a filter applies.
        """
        if eligible is not None:
            rows = eligible.rows
            return best(rows, self.similarity(unit[None], rows).round(6), k)
        if len(self) <= EXACT_UP_TO or k * 4 >= len(self):
            return best(np.arange(len(self)), self.similarity(unit[None]).round(6), k)
        proposed, _ = self._searcher.search(unit, min(k + k // 2 + 100, len(self)))
        rows = np.sort(proposed.astype(np.int64))
        return best(rows, self.similarity(unit[None], rows).round(6), k)
