"""Connections that refuse addresses inside private networks, whatever a name resolves to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection


class RefusedAddressError(Exception):
    """The name resolves to an address that must not be reached."""


def check_host(host: str, port: int, allowed: tuple[str, ...]) -> None:
    """Refuse a host any of whose addresses is private, unless it is listed."""
    if host in allowed or f"{host}:{port}" in allowed:
        return
    for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not _public(str(address[0])):
            raise RefusedAddressError(host)


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_global and not (mapped or ip).is_multicast


def _guard(kind: type[HTTPConnection], allowed: tuple[str, ...]) -> type[HTTPConnection]:
    """A connection that checks the address before and after it connects.

    Before, so that no packet goes to a private host; after, because the name may have resolved
    to something else in between.
    """

    # mypy wants a base class to be known before the program runs.
    class Guarded(kind):  # type: ignore[valid-type,misc]
        def _new_conn(self) -> socket.socket:
            host, port = str(self._dns_host), int(self.port)
            check_host(host, port, allowed)
            connection: socket.socket = super()._new_conn()
            peer = str(connection.getpeername()[0])
            if not _public(peer) and host not in allowed and f"{host}:{port}" not in allowed:
                connection.close()
                raise RefusedAddressError(host)
            return connection

    return Guarded


class GuardedAdapter(HTTPAdapter):
    """Makes connections that refuse private addresses.

    Args:
        allowed: Hosts, or `host:port`, that may be private.
        pool: Connections kept open.
    """

    def __init__(self, allowed: tuple[str, ...], pool: int) -> None:
        self._allowed = allowed
        super().__init__(pool_connections=pool, pool_maxsize=pool, pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As the adapter's own, with our connections in the pools."""
        super().init_poolmanager(*args, **kwargs)
        kinds = (
            ("http", urllib3.HTTPConnectionPool, HTTPConnection),
            ("https", urllib3.HTTPSConnectionPool, HTTPSConnection),
        )
        self.poolmanager.pool_classes_by_scheme = {
            scheme: type(
                f"Guarded{pool.__name__}",
                (pool,),
                {"ConnectionCls": _guard(connection, self._allowed)},
            )
            for scheme, pool, connection in kinds
        }


class GuardedSession(requests.Session):
    """Follows a redirect only to where a direct request might have gone."""

    check: Callable[[str], None]

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where the answer leads, once `check` has nothing against it."""
        target = super().get_redirect_target(resp)
        if target:
            self.check(requests.compat.urljoin(resp.url, target))
        return target
