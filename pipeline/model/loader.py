"""The embedders of this process, each loaded once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import cast

from pipeline.errors import QueryError
from pipeline.model import resnet, runtime
from pipeline.model.cells import CellEmbedder, CellIdentity
from pipeline.model.cells import identity_of as cell_identity_of
from pipeline.model.dense import DenseEmbedder
from pipeline.model.embedder import ChipEmbedder, Embedder
from pipeline.model.identity import Mode, ModelIdentity, identity_of
from pipeline.model.weights import cache
from pipeline.progress import OnProgress
from pipeline.settings import settings

_LOADING = Lock()


def resnet50(mode: str = "chip", *, threads: int | None = None) -> Embedder:
    """The ResNet-50 embedder of this process; the first call takes seconds.

    Args:
        mode: "chip", or "dense" for one that also has `embed_region`.
        threads: Processor threads, default `LOOKALIKE_THREADS`.  TensorFlow keeps the first
            value of a process; OpenVINO loads the network again for another.

    Raises:
        WeightsError: If there are no weights.
        QueryError: If there is no such mode.
    """
    checked = _check_mode(mode)
    path = cache.find()
    with _LOADING:  # otherwise two threads could each load one
        return _resnet50(path, checked, threads or settings().threads)


def identity(mode: str = "chip", progress: OnProgress | None = None) -> ModelIdentity:
    """The identity of `resnet50(mode)`, without loading the network.

    Raises:
        WeightsError: If there are no weights.
        QueryError: If there is no such mode.
    """
    checked = _check_mode(mode)
    return identity_of(cache.load(cache.find(progress=progress)), checked)


def cells(*, threads: int | None = None) -> CellEmbedder:
    """The maker of object cells of this process, which shares the network of `resnet50`.

    Args:
        threads: Processor threads, as of `resnet50`.

    Raises:
        WeightsError: If there are no weights.
    """
    path = cache.find()
    with _LOADING:
        return CellEmbedder(*_network(path, threads or settings().threads))


def cell_identity(progress: OnProgress | None = None) -> CellIdentity:
    """The identity of `cells()`, without loading the network.

    Raises:
        WeightsError: If there are no weights.
    """
    return cell_identity_of(cache.load(cache.find(progress=progress)).sha256)


def _check_mode(mode: str) -> Mode:
    if mode not in ("chip", "dense"):
        raise QueryError("Unknown embedding mode", where=mode, remedy="Use chip or dense")
    return cast("Mode", mode)


def this_network(progress: OnProgress | None = None) -> resnet.Network:
    """The ResNet-50 of this process, for callers that pool its feature maps themselves.

    Raises:
        WeightsError: If there are no weights.
    """
    path = cache.find(progress=progress)
    with _LOADING:
        return _network(path, settings().threads)[1]


@lru_cache(maxsize=2)
def _resnet50(path: Path, mode: Mode, threads: int) -> Embedder:
    loaded, network = _network(path, threads)
    return (DenseEmbedder if mode == "dense" else ChipEmbedder)(loaded, network)


@lru_cache(maxsize=1)
def _network(path: Path, threads: int) -> tuple[cache.Weights, resnet.Network]:
    loaded = cache.load(path)
    return loaded, runtime.network(loaded, threads)
