"""What Drive and Cloud Storage share: the file in a store, the client, the checked download.

The bytes of both come through our resumable download, checked against the size and MD5 that the
service states.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import NotFoundError, ServiceError
from pipeline.progress import OnProgress, silent
from pipeline.settings import settings
from pipeline.sources.google import identity
from pipeline.sources.http.client import Http
from pipeline.sources.http.download import download

FileCheck = Callable[[Path], None]


@dataclass(frozen=True)
class StoredFile:
    """A file in a store.

    Attributes:
        id: Its id in the store.
        name: Its name.
        size: Bytes.
        md5: Checksum in hex, or empty.
    """

    id: str
    name: str
    size: int
    md5: str = ""


class ExportStore(ABC):
    """Where Earth Engine writes exports.

    Attributes:
        title: What users call it.
        base: Seconds before the second attempt; later waits are longer.
    """

    title: str
    base: float

    @property
    @abstractmethod
    def url(self) -> str:
        """Address of the service."""

    @abstractmethod
    def export(self, image: Any, name: str, **grid: Any) -> Any:
        """The unstarted `ee.batch.Task` that writes an image here."""

    @abstractmethod
    def find(self, name: str) -> StoredFile | None:
        """The file of this name, or None."""

    @abstractmethod
    def address(self, stored: StoredFile) -> str:
        """Where the bytes are; needs the account's token."""

    @abstractmethod
    def remove(self, stored: StoredFile) -> None:
        """Delete a file; one that is gone already is no error."""

    @cached_property
    def http(self) -> Http:
        """The client that `address` can be read with."""
        host = urlsplit(self.url).netloc  # the operator's, which may lie inside the network
        return Http(
            (*settings().private_hosts, host),
            session=identity.session(),
            translate=identity.sign_in_error,
            base=self.base,
        )

    def fetch(
        self,
        stored: StoredFile,
        path: Path,
        progress: OnProgress = silent,
        check: FileCheck | None = None,
    ) -> Path:
        """Download a whole file, continuing where an earlier attempt stopped.

        Args:
            stored: The file.
            path: Where to.
            progress: Called with the bytes; may cancel.
            check: As `http.download.download`.

        Raises:
            NotFoundError: If it is gone.
        """
        try:
            return download(
                self.http, self.address(stored), path, size=stored.size, md5=stored.md5 or None,
                check=check, stage=f"Downloading {stored.name}", progress=progress,
            )  # fmt: skip
        except ServiceError as error:
            if error.status == 404:
                raise NotFoundError(
                    "The file is gone", where=stored.name, remedy="Export it again, or restore it"
                ) from error
            raise
