"""Storage at any fsspec URL that both the head and the workers of a cluster can reach.

    storage = Storage.at("s3://bucket/lookalike")
    storage.send(part, "collections/bay/chips/bay-1a2b3c4d/block-r0000-c0000-all.parquet")
    storage.fetch("collections/bay/chips/bay-1a2b3c4d/block-r0000-c0000-all.parquet", part)

A file appears under its name only when it is complete.  Object stores show an object only after its
upload (S3, Cloud Storage, Azure: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html,
"Amazon S3 never adds partial objects"); elsewhere a temporary file is renamed.  Credentials come
from where the platform's own tools take them.  An address that contains credentials is refused,
because addresses are logged.
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

#: Protocols of object stores, which never show partial objects and rename by copying.
_OBJECTS = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"}
)


@dataclass(frozen=True)
class Storage:
    """Files under one fsspec URL.  It is small and picklable; each worker opens its own connection.

    Attributes:
        url: Address without a trailing slash, such as `s3://bucket/lookalike`.
    """

    url: str

    @classmethod
    def at(cls, url: str) -> Storage:
        """The storage at an address, without connecting to it.

        Raises:
            QueryError: If the address is malformed, or contains a password or key.
            UnavailableError: If the package that speaks its protocol is not installed.
        """
        check_url(url)
        storage = cls((url if "://" in url else f"file://{Path(url).absolute()}").rstrip("/"))
        storage._files()
        return storage

    @property
    def private(self) -> bool:
        """Whether only this process can access it, as with `memory://`."""
        return self.url.startswith("memory:")

    def address(self, key: str) -> str:
        """The argument for a scene's reader: a local path, or an address that is read by windows.

        Args:
            key: The file's path under the storage, with slashes.
        """
        files, root = self._files()
        path = posixpath.join(root, key)
        return path if _protocol(files) == "file" else Stored(f"{self.url}/{key}")

    def sizes(self, folder: str) -> dict[str, int]:
        """Sizes of the files of a folder in bytes, by name; empty if there is no such folder."""
        files, root = self._files()
        with self._errors(folder):
            files.invalidate_cache()
            try:
                entries = files.ls(posixpath.join(root, folder), detail=True)
            except FileNotFoundError:
                return {}
        return {
            posixpath.basename(entry["name"]): int(entry["size"] or 0)
            for entry in entries
            if entry["type"] == "file"
        }

    def size(self, key: str) -> int | None:
        """Size of a file in bytes, or None if there is none."""
        files, root = self._files()
        with self._errors(key):
            files.invalidate_cache()
            try:
                return int(files.info(posixpath.join(root, key))["size"] or 0)
            except FileNotFoundError:
                return None

    def send(self, path: Path, key: str) -> None:
        """Copy a local file to `key`, completely or not at all."""
        files, root = self._files()
        target = posixpath.join(root, key)
        folder, name = posixpath.split(target)
        with self._errors(key):
            if _protocol(files) in _OBJECTS:
                # Object stores have no folders; makedirs would create a misspelt bucket.
                try:
                    files.put_file(str(path), target)
                except FileNotFoundError as error:
                    if not path.exists():
                        raise
                    raise StorageError(
                        "The bucket does not exist",
                        where=self.url,
                        remedy="Check LOOKALIKE_STORAGE",
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
        """Copy `key` to a local file, completely or not at all.

        Raises:
            FileNotFoundError: If there is no such file.
        """
        files, root = self._files()
        with replacing(path) as temporary, self._errors(key):
            files.get_file(posixpath.join(root, key), str(temporary))

    def text(self, key: str) -> str | None:
        """Text of a small file, or None if there is none."""
        files, root = self._files()
        with self._errors(key):
            try:
                return str(files.cat_file(posixpath.join(root, key)).decode("utf-8"))
            except FileNotFoundError:
                return None

    def remove(self, key: str) -> None:
        """Remove a file if it exists."""
        files, root = self._files()
        with self._errors(key):
            try:
                files.rm_file(posixpath.join(root, key))
            except FileNotFoundError:
                return

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all its files if it exists."""
        files, root = self._files()
        with self._errors(folder):
            files.invalidate_cache()
            try:
                files.rm(posixpath.join(root, folder), recursive=True)
            except FileNotFoundError:
                return

    def _files(self) -> tuple[Any, str]:
        """fsspec's file system, which it caches per process, and our root path in it."""
        from fsspec.core import url_to_fs

        try:
            files, root = url_to_fs(self.url)
        except ImportError as error:
            raise UnavailableError(
                "The package for this storage is not installed",
                where=self.url,
                remedy=f"{error}, here and on every worker".replace("\n", " "),
            ) from error
        except ValueError as error:
            raise QueryError(
                "fsspec does not know this kind of address",
                where=self.url,
                remedy="Write s3://bucket/folder, or the path of a shared folder",
            ) from error
        return files, root

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn the exceptions of a store's client into Lookalike's errors.

        Each client has its own exceptions, from boto's to paramiko's.  Their texts may contain
        secrets, so only the type is passed on.
        """
        where = f"{self.url}/{key}"
        try:
            with storage_errors(where):
                yield
        except (LookalikeError, FileNotFoundError):
            raise
        except PermissionError as error:
            raise StorageError(
                "The shared storage denied access", where=where, remedy=_CREDENTIALS
            ) from error
        except Exception as error:
            raise ServiceError(
                f"The storage request failed ({type(error).__name__})",
                where=where,
                remedy=f"{_CREDENTIALS}, and resume the job",
            ) from error


_CREDENTIALS = "Check the credentials of this machine and of every worker"


def check_url(url: str) -> None:
    """Raise `QueryError` if `url` is a chain of addresses or contains a secret.

    The message does not repeat the address.
    """
    parts = urlsplit(url)
    if parts.password or parts.query or parts.fragment:
        raise QueryError(
            "The address of a storage must not contain a password, key or query",
            remedy="Provide credentials as the store's own tools expect them, such as "
            "AWS_PROFILE or a role",
        )
    if "::" in url or parts.scheme in ("http", "https"):
        raise QueryError(
            "The address of a storage must be writable and must not contain `::`",
            remedy="Write s3://bucket/folder, or the path of a shared folder",
        )


def _protocol(files: Any) -> str:
    """A file system's first protocol name."""
    names = files.protocol
    return str(names if isinstance(names, str) else names[0])
