"""The index: finds the nearest embeddings of a collection.

Everything here is derived from the parts.  The index is built when it is missing, damaged or of
another model, and updated when chips were added or removed.  It consists of a few immutable
segments (`pipeline.index.segment`): new chips become a new segment, removed ones are skipped.

    index/<version>/index.json         header
    index/<version>/000/ 001/ …        segments, largest first; links to the last version's files
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from pipeline.errors import DamagedError, ModelMismatchError
from pipeline.index.exact import NEIGHBOURS, PROBES, Truth, best, make_probes, scan
from pipeline.index.header import Header
from pipeline.index.index_writer import LARGEST, make
from pipeline.index.rows import Eligible, RowMap, row_maps
from pipeline.index.segment import REBUILD, Segment
from pipeline.index.vectors import SegmentedVectors
from pipeline.progress import OnProgress, silent
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

log = logging.getLogger(__name__)


@dataclass
class Index:
    """An open index.

    Attributes:
        header: Collection and model it belongs to.
        vectors: Unit vectors, float16 (n, 2048), in the collection's row order; memory-mapped.
        segments: Largest first.
        row_maps: Where each segment's rows are in the collection.
    """

    header: Header
    vectors: np.ndarray
    segments: tuple[Segment, ...] = field(repr=False, default=())
    row_maps: tuple[RowMap, ...] = field(repr=False, default=())

    @classmethod
    def open(
        cls, collection: Collection, progress: OnProgress = silent, *, largest: int = LARGEST
    ) -> Index:
        """Open a collection's index, building or updating it first if necessary.

        Args:
            collection: The collection.
            progress: Called while the index is built.
            largest: Approximate maximum number of chips per segment.

        Raises:
            DamagedError: If the parts themselves are damaged.
            StorageError: If it must be built and the disk is full or not writable.
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
            # Another process that built the same index removes the older version it started from.
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
        maps = row_maps(collection.parts, [segment.content.parts for segment in segments])
        if sum(row_map.live for row_map in maps) != header.chips:
            raise DamagedError("The index is damaged", where=folder, remedy=REBUILD)
        vectors = SegmentedVectors.of(segments, maps, header.chips)
        return cls(header, cast("np.ndarray", vectors), segments, maps)

    def __len__(self) -> int:
        return self.header.chips

    def search(
        self, query: np.ndarray, k: int, eligible: np.ndarray | Eligible | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k chips nearest to a query vector by cosine.

        Args:
            query: Float array (2048,); need not be normalised.
            k: Number of chips; fewer are returned only when fewer are eligible.
            eligible: Bool (n,) of the rows that may be returned, or None for all.  The filter is
                applied before the search.  An `Eligible` kept from search to search is faster.

        Returns:
            Row numbers int64 (m,) and cosines float32 (m,), best first, m = min(k, eligible).
        """
        if k < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        unit, allowed = normalise(query[None])[0], Eligible.of(eligible)
        found = []
        for segment, row_map in zip(self.segments, self.row_maps, strict=True):
            rows, scores = segment.search(unit, k, row_map.eligible(allowed))
            found.append((row_map.collection_rows(rows), scores))
        return merge(found, k)

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest chips of many queries, on all processors.

        Args:
            queries: Float array (q, 2048); need not be normalised.
            k: Chips per query.

        Returns:
            Row numbers int64 and cosines float32, (q, min(k, n)), best first.
        """
        if len(self.segments) == 1 and self.row_maps[0].whole and k >= 1:
            return self.segments[0].search_many(normalise(queries), min(k, len(self)))
        found = [self.search(query, k) for query in queries]
        width = min(max(k, 0), len(self))
        rows = np.array([rows for rows, _ in found], np.int64).reshape(-1, width)
        return rows, np.array([scores for _, scores in found], np.float32).reshape(-1, width)

    def cosines(self, query: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Exact cosine of the query to the given rows, or to all: float32 (m,).

        A query of several vectors (q, 2048), its views, scores the best of their cosines.
        """
        unit = normalise(np.atleast_2d(query)).reshape(query.shape)
        chosen = None if rows is None else np.asarray(rows, np.int64)
        if len(self.segments) == 1 and self.row_maps[0].whole:
            return self.segments[0].cosines(unit, chosen)
        scores = np.empty(len(self), np.float32)
        wanted = None
        if chosen is not None:
            mask = np.zeros(len(self), bool)
            mask[chosen] = True
            wanted = Eligible(mask)
        for segment, row_map in zip(self.segments, self.row_maps, strict=True):
            allowed = row_map.eligible(wanted)
            own = np.arange(len(segment)) if allowed is None else allowed.rows
            scores[row_map.collection_rows(own)] = segment.cosines(unit, own)
        return scores if chosen is None else scores[chosen]

    def recall(self, sample: int = PROBES, k: int = NEIGHBOURS) -> float:
        """Measure the share of the k nearest chips that a search finds, against an exact scan.

        The scan reads every vector once: about 10 s per million chips.

        Args:
            sample: Number of queries, chosen by `make_probes`.
            k: Neighbours per query.
        """
        if not len(self):
            return 1.0
        queries = make_probes(self.vectors, sample)
        return Truth(queries, scan(self.vectors, queries, k)[1]).recall(self.search)


def merge(found: list[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of several answers (rows, cosines), best first; ties go to the lower row."""
    rows = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in found)])
    scores = np.concatenate([np.empty(0, np.float32), *(scores for _, scores in found)])
    return best(rows, scores, k)
