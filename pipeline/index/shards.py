"""A search by several workers: each holds some segments of one index, answers are merged.

The segments are those that a single process would search in turn, each gives the same answer
wherever it is searched, and the merge is the same function: so the answer equals a single index's.
A segment belongs to one worker, whose memory keeps it open; if that worker is lost, whichever takes
its task over opens the segment.  Workers that do not see our disk copy their segments from shared
storage to their own (`pipeline.cluster.storage`), as vectors are memory-mapped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.index.index import Index, merge, normalised
from pipeline.index.rows import Eligible
from pipeline.index.segment import Segment
from pipeline.settings import settings

if TYPE_CHECKING:
    from distributed import Client

    from pipeline.cluster.storage import Storage
    from pipeline.collection.collection import Collection

Answer = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Shards:
    """An index whose segments lie on a cluster's workers.

    Attributes:
        index: The index, which also gives vectors and places.
        client: Connection to the Dask scheduler.
        owners: Address of the worker of each segment.
        storage: Where the workers find the segments, or None where they see our disk.
    """

    index: Index
    client: Client
    owners: tuple[str, ...]
    storage: Storage | None = None

    @classmethod
    def open(cls, collection: Collection, client: Client, storage: Storage | None = None) -> Shards:
        """Spread a collection's index over the workers, largest segments first.

        An index that has yet to be made gets one segment a worker.

        Args:
            collection: On a disk that the workers see under the same path, or any with `storage`.
            client: Connection to a scheduler with at least one worker.
            storage: Where the segments are sent to, for workers that do not see that disk.
        """
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        index = Index.open(collection, pieces=len(workers))
        load = dict.fromkeys(workers, 0)
        owners = []
        for segment in index.segments:
            owner = min(workers, key=lambda worker: load[worker])
            load[owner] += len(segment)
            owners.append(owner)
            if storage is not None:
                _send(storage, segment)
        return cls(index, client, tuple(owners), storage)

    def search(
        self, query: np.ndarray, k: int, eligible: np.ndarray | Eligible | None = None
    ) -> Answer:
        """As `Index.search`, by the workers at once."""
        found = self._everywhere(_search, normalised(query[None])[0], k, Eligible.of(eligible))
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
        self, task: Any, queries: np.ndarray, k: int, eligible: Eligible | None
    ) -> list[Any]:
        """The task's result for each segment, from the worker that owns it."""
        if k < 1 or not self.owners:
            nothing = np.empty(0, np.int64), np.empty(0, np.float32)
            return [nothing if queries.ndim == 1 else [nothing] * len(queries)] * len(self.owners)
        # One task a worker, however many segments it holds: sending a task takes milliseconds.
        held: dict[str, list[int]] = {}
        for number, owner in enumerate(self.owners):
            held.setdefault(owner, []).append(number)
        futures = [
            self.client.submit(
                task,
                [
                    (self._place(i), _packed(self.index.places[i].eligible(eligible)))
                    for i in numbers
                ],
                self.storage,
                queries,
                k,
                workers=[owner],
                allow_other_workers=True,
                pure=False,
            )
            for owner, numbers in held.items()
        ]
        answers: list[Any] = [None] * len(self.owners)
        for numbers, found in zip(held.values(), self.client.gather(futures), strict=True):
            for number, answer in zip(numbers, found, strict=True):
                answers[number] = answer
        return answers

    def _place(self, number: int) -> str:
        """Where a worker finds a segment: its folder, or its place under the storage."""
        folder = self.index.segments[number].folder
        return str(folder) if self.storage is None else _key(folder)


#: A segment's place, and which of its rows are eligible, eight a byte.
Held = tuple[str, "np.ndarray | None"]


def _search(held: list[Held], storage: Storage | None, query: np.ndarray, k: int) -> list[Answer]:
    found = []
    for place, bits in held:
        segment = _opened(place, storage)
        found.append(segment.search(query, k, _unpacked(bits, len(segment))))
    return found


def _search_many(
    held: list[Held], storage: Storage | None, queries: np.ndarray, k: int
) -> list[list[Answer]]:
    found = []
    for place, bits in held:
        segment = _opened(place, storage)
        eligible = _unpacked(bits, len(segment))
        found.append([segment.search(query, k, eligible) for query in queries])
    return found


@lru_cache(maxsize=256)
def _opened(place: str, storage: Storage | None) -> Segment:
    """A segment, kept open by the process; its files never change under this path."""
    return Segment.open(Path(place) if storage is None else _fetched(place, storage))


def _key(folder: Path) -> str:
    """A segment's place under the storage: index/<collection's version>/<number>."""
    return "/".join(("index", *folder.parts[-2:]))


def _send(storage: Storage, segment: Segment) -> None:
    """Send what the storage lacks of a segment; its description goes last."""
    key = _key(segment.folder)
    if "segment.json" in storage.sizes(key):
        return
    for name in (*segment.content.files, "segment.json"):
        storage.send(segment.folder / name, f"{key}/{name}")


def _fetched(key: str, storage: Storage) -> Path:
    """This machine's copy of a segment, made unless it is there."""
    folder = settings().home / "shards" / key
    if not (folder / "segment.json").exists():
        about = json.loads(storage.text(f"{key}/segment.json") or '{"files": {}}')
        for name in (*about["files"], "segment.json"):
            storage.fetch(f"{key}/{name}", folder / name)
    return folder


def _packed(eligible: Eligible | None) -> np.ndarray | None:
    """Eight rows a byte: a filter over a million chips travels as 125 KB."""
    return None if eligible is None else np.packbits(eligible.mask)


def _unpacked(bits: np.ndarray | None, rows: int) -> Eligible | None:
    return None if bits is None else Eligible(np.unpackbits(bits, count=rows).astype(bool))
