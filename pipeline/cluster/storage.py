"""Storage: a place on any fsspec URL that a cluster's workers and its head both reach.

    storage = Storage.at("s3://bucket/lookalike")
    storage.send(part, "collections/bay/chips/bay-1a2b3c4d/block-r0000-c0000-all.parquet")
    storage.fetch("collections/bay/chips/bay-1a2b3c4d/block-r0000-c0000-all.parquet", part)

A file appears under its name only when whole.  Stores whose objects appear at the end of an upload
(S3, Cloud Storage, Azure: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html,
"Amazon S3 never adds partial objects") are written under the name itself; elsewhere a temporary
file is renamed.  Credentials come from where the platform's own tools take them; an address that
carries some is refused, as addresses are written to logs.
"""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import (
    LookalikeError,
    QueryError,
    ServiceError,
    StorageError,
    UnavailableError,
    storage_errors,
)
from pipeline.files import TEMPORARY, replacing
from pipeline.imagery.formats import Stored

#: Protocols whose stores show an object only once it is whole; a rename there is a second copy.
_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"})


@dataclass(frozen=True)
class Storage:
    """Files under one fsspec URL; small and picklable, a worker opens its own connection.

    Attributes:
        url: Address without a slash at its end, for instance `s3://bucket/lookalike`.
    """

    url: str

    @classmethod
    def at(cls, url: str) -> Storage:
        """The storage at an address, which is not yet looked at.

        Raises:
            QueryError: If it is no plain address, or carries a password or key.
            UnavailableError: If the package that speaks its protocol is not installed.
        """
        check_url(url)
        found = cls((url if "://" in url else f"file://{Path(url).absolute()}").rstrip("/"))
        found._files()
        return found

    @property
    def private(self) -> bool:
        """Whether only this process sees it, as with `memory://`."""
        return self.url.startswith("memory:")

    def address(self, key: str) -> str:
        """What a scene's reader opens: a local file's path, else an address read window by window.

        Args:
            key: The file's path under the storage, with slashes.
        """
        files, root = self._files()
        path = posixpath.join(root, key)
        return path if _protocol(files) == "file" else Stored(f"{self.url}/{key}")

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of the files of a folder, by name; none if there is no such folder."""
        files, root = self._files()
        with self._told(folder):
            files.invalidate_cache()
            try:
                found = files.ls(posixpath.join(root, folder), detail=True)
            except FileNotFoundError:
                return {}
        return {
            posixpath.basename(entry["name"]): int(entry["size"] or 0)
            for entry in found
            if entry["type"] == "file"
        }

    def size(self, key: str) -> int | None:
        """Bytes of a file, or None where there is none."""
        files, root = self._files()
        with self._told(key):
            files.invalidate_cache()
            try:
                return int(files.info(posixpath.join(root, key))["size"] or 0)
            except FileNotFoundError:
                return None

    def send(self, path: Path, key: str) -> None:
        """Copy a local file to `key`, whole or not at all."""
        files, root = self._files()
        target = posixpath.join(root, key)
        folder, name = posixpath.split(target)
        with self._told(key):
            if _protocol(files) in _WHOLE:
                # These have no folders; making one would make a bucket of a misspelt name.
                try:
                    files.put_file(str(path), target)
                except FileNotFoundError as error:
                    if not path.exists():
                        raise
                    raise StorageError(
                        "There is no such bucket", where=self.url, remedy="Check LOOKALIKE_STORAGE"
                    ) from error
                return
            files.makedirs(folder, exist_ok=True)
            temporary = posixpath.join(folder, f"{TEMPORARY}{secrets.token_hex(6)}-{name}")
            try:
                files.put_file(str(path), temporary)
                files.mv(temporary, target)
            except BaseException:
                if files.exists(temporary):
                    files.rm_file(temporary)
                raise

    def fetch(self, key: str, path: Path) -> None:
        """Copy `key` to a local file, whole or not at all.

        Raises:
            FileNotFoundError: If there is no such file.
        """
        files, root = self._files()
        with replacing(path) as temporary, self._told(key):
            files.get_file(posixpath.join(root, key), str(temporary))

    def text(self, key: str) -> str | None:
        """A small file's text, or None where there is none."""
        files, root = self._files()
        with self._told(key):
            try:
                return str(files.cat_file(posixpath.join(root, key)).decode("utf-8"))
            except FileNotFoundError:
                return None

    def remove(self, key: str) -> None:
        """Remove a file, if it is there."""
        files, root = self._files()
        with self._told(key):
            try:
                files.rm_file(posixpath.join(root, key))
            except FileNotFoundError:
                return

    def _files(self) -> tuple[Any, str]:
        """fsspec's file system, one a process, and the path of our root in it."""
        from fsspec.core import url_to_fs

        try:
            files, root = url_to_fs(self.url)
        except ImportError as error:
            raise UnavailableError(
                "The package that reaches this storage is not installed",
                where=self.url,
                remedy=f"{error}, here and on every worker".replace("\n", " "),
            ) from error
        except ValueError as error:
            raise QueryError(
                "This is not an address that fsspec knows",
                where=self.url,
                remedy="For instance s3://bucket/folder, or the path of a shared folder",
            ) from error
        return files, root

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Turn whatever a store's own client raises into an error of ours.

        Each client has its own kinds, from boto's to paramiko's; what they say may hold more than
        a log should, so only the kind is passed on.
        """
        where = f"{self.url}/{key}"
        try:
            with storage_errors(where):
                yield
        except (LookalikeError, FileNotFoundError):
            raise
        except PermissionError as error:
            raise StorageError(
                "The shared storage refuses", where=where, remedy=_CREDENTIALS
            ) from error
        except Exception as error:
            raise ServiceError(
                f"The shared storage does not do as asked ({type(error).__name__})",
                where=where,
                remedy=f"{_CREDENTIALS}, and resume the job",
            ) from error


_CREDENTIALS = "Check that it is reached with the credentials of this machine and of every worker"


def check_url(url: str) -> None:
    """Raise `QueryError` where `url` is a chain of addresses or carries a secret.

    The message does not repeat the address.
    """
    parts = urlsplit(url)
    if parts.password or parts.query or parts.fragment:
        raise QueryError(
            "A storage's address must not carry a password, key or query",
            remedy="Give credentials as the store's own tools take them, for instance "
            "AWS_PROFILE or a role",
        )
    if "::" in url or parts.scheme in ("http", "https"):
        raise QueryError(
            "A storage's address is one that can be written to, without `::`",
            remedy="For instance s3://bucket/folder, or the path of a shared folder",
        )


def _protocol(files: Any) -> str:
    """A file system's first protocol name."""
    names = files.protocol
    return str(names if isinstance(names, str) else names[0])
