"""The index: what finds the nearest of a collection's embeddings.

Everything here is derived from the parts.  It is made when missing, of another model or damaged,
and brought up to date when chips were added or removed: an index is a few immutable segments
(`pipeline.index.segment`), so new chips become a new segment, and removed ones are passed over at
once.

    index/<version>/index.json         what it is of
    index/<version>/000/ 001/ …        segments, largest first; links to the last version's files

A new segment swallows every segment no larger than itself, so there are never more than about
log₂ n of them, and one of which over a quarter was removed is written anew without it.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from pipeline.errors import DamagedError, ModelMismatchError
from pipeline.index.exact import NEIGHBOURS, PROBES, Truth, best, nearest, probes
from pipeline.index.header import Header
from pipeline.index.index_writer import LARGEST, make
from pipeline.index.rows import Eligible, Place, places
from pipeline.index.segment import REBUILD, Segment
from pipeline.index.vectors import Rows
from pipeline.progress import OnProgress, silent
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

log = logging.getLogger(__name__)


@dataclass
class Index:
    """An open index.

    Attributes:
        header: What it is of.
        vectors: Float16 (n, 2048), L2-normalised, in the collection's row order; memory-mapped.
    """

    header: Header
    vectors: np.ndarray
    segments: tuple[Segment, ...] = field(repr=False, default=())
    places: tuple[Place, ...] = field(repr=False, default=())

    @classmethod
    def open(
        cls, collection: Collection, progress: OnProgress = silent, *, largest: int = LARGEST
    ) -> Index:
        """Load a collection's index, making it or bringing it up to date when that is needed.

        Args:
            collection: Whose index.
            progress: Told about the making.
            largest: About the most chips of a segment; a larger collection is cut into several.

        Raises:
            DamagedError: If the parts themselves are damaged.
            StorageError: If it must be made and the disk is full or not writable.
        """
        folder = collection.index_folder / collection.version
        if folder.is_dir():
            try:
                return cls._load(folder, collection)
            except DamagedError as error:
                log.warning("rebuilding the index of %s: %s", collection.name, error)
                shutil.rmtree(folder, ignore_errors=True)
        try:
            make(folder, collection, progress, largest)
        except OSError:
            # Another process that has made the same index removes the older one it was made of.
            if not (folder / "index.json").exists():
                raise
        return cls._load(folder, collection)

    @classmethod
    def _load(cls, folder: Path, collection: Collection) -> Index:
        header = Header.read(folder)
        if header.model != collection.manifest.model:
            raise ModelMismatchError(
                "The index was made by another model", where=folder, remedy=REBUILD
            )
        segments = tuple(
            Segment.open(folder / f"{number:03d}") for number in range(len(header.segments))
        )
        located = places(collection.parts, [segment.content.parts for segment in segments])
        if sum(place.live for place in located) != header.chips:
            raise DamagedError("The index is damaged", where=folder, remedy=REBUILD)
        vectors = Rows.of(segments, located, header.chips)
        return cls(header, cast("np.ndarray", vectors), segments, located)

    def __len__(self) -> int:
        return self.header.chips

    def search(
        self, query: np.ndarray, k: int, eligible: np.ndarray | Eligible | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k chips nearest to a query vector by cosine.

        Args:
            query: Float array (2048,), of any length.
            k: How many are wanted; fewer come back only when fewer are eligible.
            eligible: Bool (n,) of the rows that may be returned, or None for all.  The filter is
                applied before the search: k rows come back whenever k are eligible.  An `Eligible`
                kept from search to search is quicker.

        Returns:
            Row numbers int64 (m,) and cosines float32 (m,), best first, m = min(k, eligible).
        """
        if k < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        unit, among = normalise(query[None])[0], Eligible.of(eligible)
        found = []
        for segment, place in zip(self.segments, self.places, strict=True):
            rows, scores = segment.search(unit, k, place.eligible(among))
            found.append((place.rows_of(rows), scores))
        return merge(found, k)

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest chips of many queries, on all processors.

        Args:
            queries: Float array (q, 2048), of any length.
            k: How many each.

        Returns:
            Row numbers int64 and cosines float32, (q, min(k, n)), best first.
        """
        if len(self.segments) == 1 and self.places[0].whole and k >= 1:
            return self.segments[0].search_many(normalise(queries), min(k, len(self)))
        found = [self.search(query, k) for query in queries]
        width = min(max(k, 0), len(self))
        rows = np.array([rows for rows, _ in found], np.int64).reshape(-1, width)
        return rows, np.array([scores for _, scores in found], np.float32).reshape(-1, width)

    def cosines(self, query: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Exact cosine of the query to the given rows, or to all: float32 (m,).

        Of several vectors (q, 2048), as a query's views are, the best cosine counts.
        """
        unit = normalise(np.atleast_2d(query)).reshape(query.shape)
        chosen = None if rows is None else np.asarray(rows, np.int64)
        if len(self.segments) == 1 and self.places[0].whole:
            return self.segments[0].cosines(unit, chosen)
        scores = np.empty(len(self), np.float32)
        wanted = None
        if chosen is not None:
            mask = np.zeros(len(self), bool)
            mask[chosen] = True
            wanted = Eligible(mask)
        for segment, place in zip(self.segments, self.places, strict=True):
            among = place.eligible(wanted)
            own = np.arange(len(segment)) if among is None else among.rows
            scores[place.rows_of(own)] = segment.cosines(unit, own)
        return scores if chosen is None else scores[chosen]

    def recall(self, sample: int = PROBES, k: int = NEIGHBOURS) -> float:
        """Measure anew which share of the k nearest chips a search finds, against an exact scan.

        Half the queries are chips, half lie between two chips as a picture's do.  The scan reads
        every vector once: about 10 s a million chips.

        Args:
            sample: Queries.
            k: Neighbours of each.
        """
        if not len(self):
            return 1.0
        queries = probes(self.vectors, sample)
        return Truth(queries, nearest(self.vectors, queries, k)[1]).recall(self.search)


def merge(found: list[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of several answers (rows, cosines), best first; ties go to the lower row."""
    rows = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in found)])
    scores = np.concatenate([np.empty(0, np.float32), *(scores for _, scores in found)])
    return best(rows, scores, k)
