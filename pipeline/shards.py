"""A search by several workers: each holds some segments of one index, answers are merged.

The segments are those that a single process would search in turn, each gives the same answer
wherever it is searched, and the merge is the same function: so the answer equals a single index's.
A segment belongs to one worker, whose memory keeps it open; if that worker is lost, whichever takes
its task over opens the segment from the shared storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.index import Index, merge, normalised
from pipeline.segment import Segment

if TYPE_CHECKING:
    from distributed import Client

    from pipeline.collection import Collection

Answer = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Shards:
    """An index whose segments lie on a cluster's workers.

    Attributes:
        index: The index, which also gives vectors and places.
        client: Connection to the Dask scheduler.
        owners: Address of the worker of each segment.
    """

    index: Index
    client: Client
    owners: tuple[str, ...]

    @classmethod
    def open(cls, collection: Collection, client: Client) -> Shards:
        """Spread a collection's index over the workers, largest segments first.

        An index that has yet to be made gets one segment a worker.

        Args:
            collection: On storage that the workers see under the same path.
            client: Connection to a scheduler with at least one worker.
        """
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        index = Index.open(collection, pieces=len(workers))
        load = dict.fromkeys(workers, 0)
        owners = []
        for segment in index.segments:
            owner = min(workers, key=lambda worker: load[worker])
            load[owner] += len(segment)
            owners.append(owner)
        return cls(index, client, tuple(owners))

    def search(self, query: np.ndarray, k: int, eligible: np.ndarray | None = None) -> Answer:
        """As `Index.search`, by the workers at once."""
        found = self._everywhere(_search, normalised(query[None])[0], k, eligible)
        located = zip(self.index.places, found, strict=True)
        return merge([(place.rows_of(rows), scores) for place, (rows, scores) in located], k)

    def search_many(self, queries: np.ndarray, k: int) -> list[Answer]:
        """Many searches in one round to the workers: for each query its rows and cosines."""
        found = self._everywhere(_search_many, normalised(queries), k, None)
        return [
            merge(
                [
                    (place.rows_of(answers[i][0]), answers[i][1])
                    for place, answers in zip(self.index.places, found, strict=True)
                ],
                k,
            )
            for i in range(len(queries))
        ]

    def _everywhere(
        self, task: Any, queries: np.ndarray, k: int, eligible: np.ndarray | None
    ) -> list[Any]:
        """The task's result for each segment, from the worker that owns it."""
        if k < 1 or not self.owners:
            nothing = np.empty(0, np.int64), np.empty(0, np.float32)
            return [nothing if queries.ndim == 1 else [nothing] * len(queries)] * len(self.owners)
        parts = zip(self.index.segments, self.index.places, self.owners, strict=True)
        futures = [
            self.client.submit(
                task,
                str(segment.folder),
                queries,
                k,
                _packed(place.mask(eligible)),
                workers=[owner],
                allow_other_workers=True,
                pure=False,
            )
            for segment, place, owner in parts
        ]
        return list(self.client.gather(futures))


def _search(folder: str, query: np.ndarray, k: int, eligible: np.ndarray | None) -> Answer:
    segment = _opened(folder)
    return segment.search(query, k, _unpacked(eligible, len(segment)))


def _search_many(
    folder: str, queries: np.ndarray, k: int, eligible: np.ndarray | None
) -> list[Answer]:
    segment = _opened(folder)
    mask = _unpacked(eligible, len(segment))
    return [segment.search(query, k, mask) for query in queries]


@lru_cache(maxsize=16)
def _opened(folder: str) -> Segment:
    """A segment, kept open by the process; its files never change under this path."""
    return Segment.open(Path(folder))


def _packed(mask: np.ndarray | None) -> np.ndarray | None:
    """Eight rows a byte: a filter over a million chips travels as 125 KB."""
    return None if mask is None else np.packbits(mask)


def _unpacked(bits: np.ndarray | None, rows: int) -> np.ndarray | None:
    return None if bits is None else np.unpackbits(bits, count=rows).astype(bool)
