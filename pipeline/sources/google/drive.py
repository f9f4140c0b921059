"""Files in Google Drive, through Google's own client: export, find, download, upload, remove."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import LookalikeError, NotFoundError, ServiceError
from pipeline.files import digest_of
from pipeline.settings import settings
from pipeline.sources.google import identity
from pipeline.sources.google.store import ExportStore, StoredFile
from pipeline.sources.http.client import google_reason
from pipeline.sources.http.retry import FIRST_WAIT, TRANSIENT, TransientError, retry

Result = TypeVar("Result")
FOLDER = "application/vnd.google-apps.folder"
#: Reasons that Drive gives with the status 403.
FULL = "storageQuotaExceeded"
RATE_LIMITS = ("rateLimitExceeded", "userRateLimitExceeded")


@dataclass
class Drive(ExportStore):
    """Google Drive.

    Attributes:
        folder: Name of the folder for exports, or the name, id or address of a folder to read.
        base: Seconds before the second attempt; later waits are longer.
    """

    folder: str = "lookalike"
    base: float = FIRST_WAIT
    title: str = "Google Drive"

    @cached_property
    def _files(self) -> Any:
        import google_auth_httplib2
        import httplib2
        from googleapiclient.discovery import build

        http = google_auth_httplib2.AuthorizedHttp(
            identity.credentials(), http=httplib2.Http(timeout=60)
        )
        options = {"api_endpoint": f"{self.url}/drive/v3/"}
        return build(
            "drive", "v3", http=http, client_options=options, cache_discovery=False
        ).files()

    @property
    def url(self) -> str:
        """See `ExportStore.url`."""
        return settings().drive_url

    def export(self, image: Any, name: str, **grid: Any) -> Any:
        """See `ExportStore.export`."""
        import ee

        return ee.batch.Export.image.toDrive(
            image=image, description=name, folder=self.folder, fileNamePrefix=name, **grid
        )

    def find(self, name: str) -> StoredFile | None:
        """See `ExportStore.find`; Drive allows several files of one name, this is one of them."""
        files = self._list(f"name = '{_quote(name)}' and trashed = false")
        return files[0] if files else None

    def rasters(self) -> list[StoredFile]:
        """The GeoTIFFs in the folder, by name.

        Raises:
            NotFoundError: If there is no such folder, or it holds none.
        """
        parent = self.folder_id()
        files = self._list(f"'{_quote(parent)}' in parents and trashed = false")
        rasters = [file for file in files if file.name.lower().endswith((".tif", ".tiff"))]
        if not rasters:
            raise NotFoundError(
                "There is no GeoTIFF in this Drive folder",
                where=self.folder,
                remedy="Put files in it that end in .tif",
            )
        return sorted(rasters, key=lambda file: file.name)

    def folder_id(self) -> str:
        """The id of the folder, whether its name, id or address was given.

        Raises:
            NotFoundError: If no folder of this name is shared with the account.
        """
        address = re.search(r"/folders/([\w-]+)", self.folder)
        if address:
            return address[1]
        query = f"name = '{_quote(self.folder)}' and mimeType = '{FOLDER}' and trashed = false"
        answer = self._ask(lambda: self._files.list(q=query, fields="files(id)").execute())
        if answer["files"]:
            return str(answer["files"][0]["id"])
        if re.fullmatch(r"[\w-]{20,}", self.folder):
            return self.folder
        who = identity.identity()
        raise NotFoundError(
            "There is no such Drive folder",
            where=self.folder,
            remedy=f"Check its name, and share it with {who.account or 'this account'}",
        )

    def address(self, stored: StoredFile) -> str:
        """See `ExportStore.address`."""
        return f"{self.url}/drive/v3/files/{stored.id}?alt=media"

    def remove(self, stored: StoredFile) -> None:
        """See `ExportStore.remove`."""
        try:
            self._ask(lambda: self._files.delete(fileId=stored.id).execute())
        except NotFoundError:
            return

    def make_folder(self) -> str:
        """The id of the folder, made at the root of the Drive where there is none."""
        try:
            return self.folder_id()
        except NotFoundError:
            body = {"name": self.folder, "mimeType": FOLDER}
            answer = self._ask(lambda: self._files.create(body=body, fields="id").execute())
            return str(answer["id"])

    def put(self, path: Path, parent: str, kind: str) -> None:
        """Upload a file, unless it is there; one of this name with other content is overwritten.

        Drive keeps the earlier content as a revision.

        Args:
            path: The file.
            parent: Id of the folder.
            kind: Media type.
        """
        query = f"name = '{_quote(path.name)}' and '{_quote(parent)}' in parents"
        existing = self._list(query + " and trashed = false")
        content, md5 = path.read_bytes(), digest_of(path, "md5").hexdigest()
        if any(file.md5 == md5 for file in existing):
            return
        if existing:
            self._send("PATCH", f"/{existing[0].id}?uploadType=media", content, kind, path.name)
            return
        metadata = json.dumps({"name": path.name, "parents": [parent]})
        boundary = uuid.uuid4().hex
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n"
            f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{boundary}--".encode()
        kind = f"multipart/related; boundary={boundary}"
        self._send("POST", "?uploadType=multipart", body, kind, path.name)

    def _send(self, method: str, rest: str, body: bytes, kind: str, name: str) -> None:
        url = f"{self.url}/upload/drive/v3/files{rest}"
        try:
            self.http.request(method, url, data=body, headers={"Content-Type": kind}).close()
        except ServiceError as error:
            raise ServiceError(
                error.what,
                where=name,
                remedy=_remedy(error.reason),
                status=error.status,
                reason=error.reason,
            ) from error

    def _list(self, query: str) -> list[StoredFile]:
        files: list[StoredFile] = []
        wanted = {
            "q": query,
            "pageSize": 100,
            "fields": "nextPageToken, files(id, name, size, md5Checksum, mimeType)",
        }
        while True:
            page = self._ask(self._files.list(**wanted).execute)
            files += [
                StoredFile(file["id"], file["name"], int(file["size"]), file.get("md5Checksum", ""))
                for file in page["files"]
                if "size" in file
            ]
            if "nextPageToken" not in page:
                return files
            wanted["pageToken"] = page["nextPageToken"]

    def _ask(self, call: Callable[[], Result]) -> Result:
        def once() -> Result:
            try:
                return call()
            except Exception as error:
                known = _drive_error(error, self.folder)
                if known is None:
                    raise
                raise known from error

        return retry(once, base=self.base)


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _drive_error(error: Exception, where: str) -> LookalikeError | TransientError | None:
    from googleapiclient.errors import HttpError
    from httplib2 import HttpLib2Error

    signing = identity.sign_in_error(error)
    if signing is not None:
        return signing
    if isinstance(error, (HttpLib2Error, OSError)):
        return TransientError(
            ServiceError(
                "Google Drive could not be reached",
                remedy="Check the network and run the same command again",
            )
        )
    if not isinstance(error, HttpError):
        return None
    status, said = int(error.resp.status), str(error.reason).rstrip(".")
    reason = google_reason(error.error_details)
    if status == 404:
        return NotFoundError(
            f"Google Drive says: {said}", where=where, remedy="Check the id and the sharing"
        )
    refusal = ServiceError(
        f"Google Drive says: {said}",
        where=where,
        remedy=_remedy(reason),
        status=status,
        reason=reason,
    )
    return TransientError(refusal) if status in TRANSIENT or reason in RATE_LIMITS else refusal


def _remedy(reason: str) -> str:
    if reason == FULL:
        return "Free some space in the account's Drive, or choose another download method"
    return f"Check the folder's sharing and that the Drive API is enabled; see {identity.GUIDE}"
