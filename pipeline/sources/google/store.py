"""What Drive and Cloud Storage share: the file in a store, the client, the checked download.

The bytes of both come through our resumable download, checked against the size and MD5 that the
service states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
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


class ExportStore(Protocol):
    """Where Earth Engine writes exports."""

    title: str

    def export(self, image: Any, name: str, **grid: Any) -> Any:
        """The unstarted `ee.batch.Task` that writes an image here."""
        ...

    def find(self, name: str) -> StoredFile | None:
        """The file of this name, or None."""
        ...

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
        ...

    def remove(self, stored: StoredFile) -> None:
        """Delete a file; one that is gone already is no error."""
        ...


def client(url: str, base: float) -> Http:
    """A client for an address of the operator, which may lie inside the network."""
    host = urlsplit(url).netloc
    return Http(
        (*settings().private_hosts, host),
        session=identity.session(),
        translate=identity.sign_in_error,
        base=base,
    )


def fetch(
    http: Http,
    url: str,
    stored: StoredFile,
    path: Path,
    progress: OnProgress,
    check: FileCheck | None,
) -> Path:
    """Download a file of a store.

    Args:
        http: The store's client.
        url: Address of the bytes.
        stored: The file.
        path: Where to.
        progress: Called with the bytes; may cancel.
        check: As `http.download.download`.

    Raises:
        NotFoundError: If it is gone.
    """
    try:
        return download(
            http, url, path, size=stored.size, md5=stored.md5 or None,
            check=check, stage=f"Downloading {stored.name}", progress=progress,
        )  # fmt: skip
    except ServiceError as error:
        if error.status == 404:
            raise NotFoundError(
                "The file is gone", where=stored.name, remedy="Export it again, or restore it"
            ) from error
        raise
