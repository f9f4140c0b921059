"""The embedder of this process, loaded once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import cast

from pipeline.errors import QueryError
from pipeline.model import resnet, runtime
from pipeline.model.dense import DenseEmbedder
from pipeline.model.embedder import ChipEmbedder, Embedder
from pipeline.model.identity import Mode, ModelIdentity, identity_of
from pipeline.model.weights import cache
from pipeline.progress import OnProgress
from pipeline.settings import settings

_LOADING = Lock()


def resnet50(mode: str = "chip", *, threads: int | None = None) -> Embedder:
    """The ResNet-50 embedder of this process; made at the first call, which takes seconds.

    Args:
        mode: "chip", or "dense" for one that also has `embed_region`.
        threads: Processor threads, default `LOOKALIKE_THREADS`.  Only the first call in a process
            decides: TensorFlow fixes its threads when it starts.

    Raises:
        WeightsError: If there are no weights.
        QueryError: If there is no such mode.
    """
    checked = _checked(mode)
    path = cache.find()
    with _LOADING:  # else two threads that ask at once would each load one
        return _resnet50(path, checked, threads or settings().threads)


def identity(mode: str = "chip", progress: OnProgress | None = None) -> ModelIdentity:
    """What `resnet50(mode)` makes vectors by, known without the seconds its runtime takes to load.

    Raises:
        WeightsError: If there are no weights.
        QueryError: If there is no such mode.
    """
    checked = _checked(mode)
    return identity_of(cache.load(cache.find(progress=progress)), checked)


def _checked(mode: str) -> Mode:
    if mode not in ("chip", "dense"):
        raise QueryError("No such embedding mode", where=mode, remedy="Use chip or dense")
    return cast("Mode", mode)


def this_network(progress: OnProgress | None = None) -> resnet.Network:
    """The process's ResNet-50 itself, for those who pool its feature maps in their own way.

    Raises:
        WeightsError: If there are no weights.
    """
    return _network(cache.find(progress=progress), settings().threads)[1]


@lru_cache(maxsize=2)
def _resnet50(path: Path, mode: Mode, threads: int) -> Embedder:
    loaded, network = _network(path, threads)
    return (DenseEmbedder if mode == "dense" else ChipEmbedder)(loaded, network)


@lru_cache(maxsize=1)
def _network(path: Path, threads: int) -> tuple[cache.Weights, resnet.Network]:
    loaded = cache.load(path)
    return loaded, runtime.network(loaded, threads)
