"""Files in Google Cloud Storage, through its JSON interface: export, find, download, remove."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pipeline.errors import ServiceError
from pipeline.settings import settings
from pipeline.sources.google.store import ExportStore, StoredFile
from pipeline.sources.http.retry import FIRST_WAIT


@dataclass
class Bucket(ExportStore):
    """A bucket of Google Cloud Storage.

    Attributes:
        name: Its name.
        base: Seconds before the second attempt; later waits are longer.
    """

    name: str
    base: float = FIRST_WAIT
    title: str = "Cloud Storage"

    @property
    def url(self) -> str:
        """See `ExportStore.url`."""
        return settings().storage_url

    def export(self, image: Any, name: str, **grid: Any) -> Any:
        """See `ExportStore.export`."""
        import ee

        return ee.batch.Export.image.toCloudStorage(
            image=image, description=name, bucket=self.name, fileNamePrefix=name, **grid
        )

    def find(self, name: str) -> StoredFile | None:
        """See `ExportStore.find`."""
        try:
            file = self.http.json(self._address(name))
        except ServiceError as error:
            if error.status != 404:
                raise
            self._check_bucket()
            return None
        md5 = base64.b64decode(file["md5Hash"]).hex() if "md5Hash" in file else ""
        return StoredFile(name, name, int(file["size"]), md5)

    def address(self, stored: StoredFile) -> str:
        """See `ExportStore.address`."""
        return f"{self._address(stored.id)}?alt=media"

    def remove(self, stored: StoredFile) -> None:
        """See `ExportStore.remove`."""
        try:
            self.http.request("DELETE", self._address(stored.id)).close()
        except ServiceError as error:
            if error.status != 404:
                raise

    def _check_bucket(self) -> None:
        """Raise if the bucket itself is missing, which has the same status as a missing object."""
        try:
            self.http.json(f"{self._bucket}?maxResults=1")
        except ServiceError as error:
            if error.status == 404:
                raise

    @property
    def _bucket(self) -> str:
        return f"{self.url}/storage/v1/b/{self.name}/o"

    def _address(self, name: str) -> str:
        return f"{self._bucket}/{quote(name, safe='')}"
