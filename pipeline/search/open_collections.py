"""Open collections: each index is loaded once and kept while it is current."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.index.index import Index
from pipeline.model import loader

if TYPE_CHECKING:
    from pipeline.model.embedder import Embedder
    from pipeline.model.resnet import Network

#: Indexes kept open.
KEPT = 8


class OpenCollections:
    """Open collections and their indexes, for concurrent requests.

    The library returns the same `Collection` while nothing on disk changed; this adds its index.
    Concurrent requests for one index wait for a single load.

    Args:
        library: Where the collections are.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self._indexes: OrderedDict[tuple[str, str], Index] = OrderedDict()
        self._loading: dict[str, threading.Lock] = {}
        self._mutex = threading.Lock()

    def collection(self, name: str) -> Collection:
        """The collection as it now is.

        Raises:
            NotFoundError: If there is none of this name.
        """
        return self.library.open(name)

    def index(self, name: str) -> Index:
        """The open index of a collection; loads it, or waits for the request that loads it.

        Raises:
            NotFoundError: If there is no collection of this name.
            DamagedError: If the collection itself is damaged.
        """
        collection = self.collection(name)
        key = (name, collection.version)
        with self._mutex:
            loading = self._loading.setdefault(name, threading.Lock())
        with loading:
            index = self._indexes.get(key)
            if index is None:
                index = _open(collection)
            self._keep(key, index)
            return index

    def _keep(self, key: tuple[str, str], index: Index) -> None:
        """Keep an index as the most recently used; drop the collection's earlier ones."""
        with self._mutex:
            outdated = [other for other in self._indexes if other[0] == key[0]]
            for other in outdated:
                del self._indexes[other]
            self._indexes[key] = index
            while len(self._indexes) > KEPT:
                self._indexes.popitem(last=False)

    def embedder(self, name: str) -> Embedder:
        """The model of a collection, to embed a query picture in the same way.

        Raises:
            WeightsError: If the weights are missing.
        """
        return loader.resnet50(self.collection(name).manifest.model.mode)

    def network(self) -> Network:
        """ResNet-50 itself, for the match inside a chip.

        Raises:
            WeightsError: If the weights are missing.
        """
        return loader.this_network()


def _open(collection: Collection) -> Index:
    index = Index.open(collection)
    _ = collection.chips.centres  # the first search needs the table: read it with the index
    return index
