"""Signed addresses of Microsoft's Planetary Computer, renewed before and when they expire."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from pipeline.errors import ServiceError
from pipeline.sources.http.client import Http

EARLY = timedelta(minutes=5)  # a token is renewed this long before it expires
LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class Signer:
    """Signs the addresses of one collection's assets.

    Attributes:
        http: Client.
        address: Of the token service.
        collection: Whose assets.
        hosts: Suffixes of the host names that need a signature.
    """

    http: Http
    address: str
    collection: str
    hosts: tuple[str, ...] = (".blob.core.windows.net",)
    _token: str = field(default="", repr=False)
    _until: datetime = LONG_AGO
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sign(self, href: str) -> str:
        """The address with a signature that is valid for some minutes."""
        if not urlsplit(href).netloc.endswith(self.hosts):
            return href
        with self._lock:
            if datetime.now(timezone.utc) > self._until - EARLY:
                self._fetch()
            return f"{href}{'&' if '?' in href else '?'}{self._token}"

    def renew(self) -> None:
        """Discard the signature: the service refused it, whatever our clock says."""
        with self._lock:
            self._until = LONG_AGO

    def _fetch(self) -> None:
        answer = self.http.json(f"{self.address}/token/{self.collection}")
        try:
            self._token = str(answer["token"])
            until = datetime.fromisoformat(str(answer["msft:expiry"]).replace("Z", "+00:00"))
        except (KeyError, TypeError, ValueError) as error:
            raise ServiceError(
                "The Planetary Computer gave no signature",
                where=self.collection,
                remedy="Run the same command again later",
            ) from error
        # A clock that is ahead must not make every request fetch a token.
        self._until = max(until, datetime.now(timezone.utc) + 2 * EARLY)
