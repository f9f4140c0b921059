"""Clusters: the forms in which a Dask cluster may be named.

    tcp://host:8786, tls://host:8786    a scheduler; tls as Dask's own settings say
    gateway://NAME                      a running cluster of the dask-gateway that Dask's settings
                                        name (`DASK_GATEWAY__ADDRESS`)
    coiled://NAME                       a running cluster of Coiled

The last two hand out certificates with their clusters, so their own packages make the connection.
"""

from __future__ import annotations

from typing import Any

from pipeline.errors import UnavailableError


def found(address: str) -> Any:
    """What `distributed.Client` takes: the address itself, or the cluster it names.

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
        package = {"gateway": "dask-gateway", "coiled": "coiled"}[kind]
        raise UnavailableError(
            f"The package {package} is not installed",
            where=address,
            remedy=f"Install it: python -m pip install {package}",
        ) from error
    return address
