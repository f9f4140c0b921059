"""Open collections: each index is loaded once and kept while it is current."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.errors import LookalikeError
from pipeline.index.graph import Graph
from pipeline.index.index import Index
from pipeline.model import loader
from pipeline.model.embedder import ChipModel

if TYPE_CHECKING:
    from threading import Lock

    from pipeline.model.resnet import Network

log = logging.getLogger(__name__)

#: Indexes, and graphs, kept open.
KEPT = 8
#: Above so many chips a missing graph is made in the background.
BACKGROUND_FROM = 100_000

Kept = TypeVar("Kept")


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
        self._graphs: OrderedDict[tuple[str, str], Graph] = OrderedDict()
        self._loading: dict[str, threading.Lock] = {}
        self._loading_graph: dict[str, threading.Lock] = {}
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
            _keep(self._indexes, key, index, self._mutex)
            return index

    def model(self, name: str) -> ChipModel:
        """The model of a collection's chips.

        Raises:
            WeightsError: If the weights are missing.
        """
        manifest = self.collection(name).manifest
        return ChipModel(loader.resnet50(manifest.model.mode), manifest.quality)

    def graph(self, name: str) -> Graph | None:
        """The open graph of a collection; makes it, or waits for the request that makes it.

        Returns:
            The graph; None if it is being made in the background, as above 100,000 chips.

        Raises:
            NotFoundError: If there is no collection of this name.
            DamagedError: If the collection itself is damaged.
        """
        collection = self.collection(name)
        key = (name, collection.version)
        with self._mutex:
            loading = self._loading_graph.setdefault(name, threading.Lock())
        large = collection.manifest.chips > BACKGROUND_FROM and not Graph.exists(collection)
        if not loading.acquire(blocking=not large):
            return None
        try:
            graph = self._graphs.get(key)
            if graph is None and large:
                threading.Thread(
                    target=self._make_graph, args=(name,), name=f"graph of {name}", daemon=True
                ).start()
                return None
            graph = graph or Graph.open(collection)
            _keep(self._graphs, key, graph, self._mutex)
            return graph
        finally:
            loading.release()

    def _make_graph(self, name: str) -> None:
        """Make a large graph; searches go on meanwhile."""
        try:
            with self._loading_graph[name]:
                collection = self.collection(name)
                if not Graph.exists(collection):
                    Graph.open(collection)
        except LookalikeError:
            log.exception("the graph of %s could not be made", name)

    def network(self) -> Network:
        """ResNet-50 itself, for the match inside a chip.

        Raises:
            WeightsError: If the weights are missing.
        """
        return loader.this_network()


def _keep(
    kept: OrderedDict[tuple[str, str], Kept], key: tuple[str, str], opened: Kept, mutex: Lock
) -> None:
    """Keep something as the most recently used; drop the collection's earlier ones."""
    with mutex:
        for other in [other for other in kept if other[0] == key[0]]:
            del kept[other]
        kept[key] = opened
        while len(kept) > KEPT:
            kept.popitem(last=False)


def _open(collection: Collection) -> Index:
    index = Index.open(collection)
    _ = collection.chips.centres  # the first search needs the table: read it with the index
    return index
