"""Connections to Dask clusters, and the forms of a cluster's address.

    tcp://host:8786, tls://host:8786    a scheduler; Dask's own settings configure tls
    gateway://NAME                      a running cluster of the dask-gateway at
                                        `DASK_GATEWAY__ADDRESS`
    coiled://NAME                       a running cluster of Coiled

The last two issue certificates for their clusters, so their own packages connect to them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.errors import QueryError, ServiceError, UnavailableError

#: Workers that a task may lose before Dask reports it as failed.
LOSSES = 3
#: Threads of a worker process: one block is embedded while the next is read.
THREADS = 2
_PACKAGES = {"gateway": "dask-gateway", "coiled": "coiled"}


def check_address(address: str | None) -> None:
    """Check the form of an address.

    Raises:
        QueryError: If it has none of the forms above.
    """
    forms = r"((tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d+|(gateway|coiled)://\S+"
    if address is not None and not re.fullmatch(forms, address):
        raise QueryError(
            "This is not the address of a Dask scheduler",
            where=address,
            remedy="Write tcp://host:8786, or omit it to use worker processes on this machine",
        )


@contextmanager
def connect(address: str | None, workers: int, seconds: float) -> Iterator[Any]:
    """A `distributed.Client` for the duration of the block.

    Args:
        address: A cluster, or None for worker processes on this machine.
        workers: Number of worker processes on this machine.
        seconds: Time limit for an answer.

    Raises:
        ServiceError: If the cluster does not answer.
        UnavailableError: If the package of that kind of cluster is not installed.
    """
    import dask
    from distributed import Client, LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": LOSSES,
        "distributed.comm.timeouts.connect": f"{seconds}s",
        "distributed.logging.distributed": "error",
    }
    with dask.config.set(settings):
        if address is not None:
            try:
                cluster = _resolve(address)
                client = Client(cluster, timeout=seconds, set_as_default=False, name="lookalike")
            except (OSError, TimeoutError, ValueError) as error:
                raise ServiceError(
                    "The Dask scheduler does not answer",
                    where=address,
                    remedy="Check its address and that it runs, or unset LOOKALIKE_SCHEDULER "
                    "to use worker processes on this machine",
                ) from error
            try:
                yield client
            finally:
                client.close(timeout=5)
                if not isinstance(cluster, str):
                    cluster.close()  # closes our connection; the cluster continues
            return
        with LocalCluster(
            n_workers=max(workers, 1),
            threads_per_worker=THREADS,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
            memory_limit=0,
            preload_nanny=[],
            silence_logs=logging.ERROR,
        ) as own:
            client = Client(own, set_as_default=False)
            try:
                yield client
            finally:
                client.close(timeout=5)


def _resolve(address: str) -> Any:
    """The argument for `distributed.Client`: the address itself, or the cluster that it names.

    Raises:
        UnavailableError: If the package of that kind of cluster is not installed.
    """
    kind, _, name = address.partition("://")
    try:
        if kind == "gateway":
            from dask_gateway import Gateway

            return Gateway().connect(name.rpartition("/")[2], shutdown_on_close=False)
        if kind == "coiled":
            from coiled import Cluster

            return Cluster(name=name, shutdown_on_close=False)
    except ImportError as error:
        raise UnavailableError(
            f"The package {_PACKAGES[kind]} is not installed",
            where=address,
            remedy=f"Install it: python -m pip install {_PACKAGES[kind]}",
        ) from error
    return address


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Dask's tracebacks of lost connections; the engine reports them in its own words."""
    names = ("distributed", "distributed.client", "tornado.application")
    logs = [logging.getLogger(name) for name in names]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)
