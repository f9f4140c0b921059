"""Every error that a user can see, as one tree.

    LookalikeError                 exit 1   anything of ours
    ├── InputError                 exit 2   what the user gave cannot be used
    │   ├── AreaError                       an area of interest
    │   ├── SceneError                      a raster
    │   ├── PictureError                    a query picture
    │   └── QueryError                      search parameters, names, other arguments
    ├── NotFoundError              exit 3   no such collection, chip, scene, job
    ├── DamagedError               exit 4   a file of ours is unreadable or altered
    │   ├── ModelMismatchError              an index or collection of another model
    │   └── NewerError                      a file that a newer version wrote
    ├── UnavailableError           exit 5   something that must be installed or fetched is missing
    │   ├── WeightsError                    the ImageNet weights
    │   └── ServiceError           exit 7   an outside service refused or failed
    │       └── AddressError       exit 2   a web address that may not be requested
    ├── StorageError               exit 6   the disk is full or not writable
    └── Cancelled                  exit 130 the user stopped it; finished work is kept

A message says what is wrong, where, and what to do next, in that order.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LookalikeError(Exception):
    """Base of every error that Lookalike raises on purpose.

    Args:
        what: What is wrong, a sentence without its full stop.
        where: The file, name or value it concerns.
        remedy: What the user can do next, a sentence without its full stop.
    """

    exit_code = 1
    http_status = 500

    def __init__(self, what: str, *, where: object = "", remedy: str = "") -> None:
        # File names and requests may hold lone surrogates, which neither terminals nor JSON accept.
        self.what, self.remedy = what, remedy
        self.where = str(where).encode("utf-8", "backslashreplace").decode()
        super().__init__(what, self.where, remedy)

    def __str__(self) -> str:
        where = f": {self.where}" if self.where else ""
        return f"{self.what}{where}." + (f" {self.remedy}." if self.remedy else "")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling; workers send these back.
        return _rebuild, (type(self), self.what, self.where, self.remedy), vars(self)


def _rebuild(kind: type[LookalikeError], what: str, where: str, remedy: str) -> LookalikeError:
    return kind(what, where=where, remedy=remedy)


class InputError(LookalikeError):
    """What the user gave cannot be used."""

    exit_code = 2
    http_status = 400


class AreaError(InputError):
    """An area of interest that cannot be used."""


class SceneError(InputError):
    """A raster that cannot be used."""


class PictureError(InputError):
    """A query picture that cannot be used."""


class QueryError(InputError):
    """A search parameter, name or other argument that cannot be used."""


class NotFoundError(LookalikeError):
    """No such collection, chip, scene or job."""

    exit_code = 3
    http_status = 404


class DamagedError(LookalikeError):
    """A file of ours is unreadable or was altered."""

    exit_code = 4


class ModelMismatchError(DamagedError):
    """An index or collection was made by another model."""

    http_status = 409


class NewerError(DamagedError):
    """A newer version wrote this file: it is whole, and must neither be guessed at nor replaced."""

    http_status = 409


class UnavailableError(LookalikeError):
    """Something that must be installed or fetched is missing."""

    exit_code = 5
    http_status = 503


class WeightsError(UnavailableError):
    """The ImageNet weights are missing or not the right ones."""


class ServiceError(UnavailableError):
    """An outside service refused or failed.

    Args:
        what: As `LookalikeError`.
        where: As `LookalikeError`.
        remedy: As `LookalikeError`.
        status: HTTP status that the service answered, or None.
        reason: Code that the service gave for its refusal, such as Google's
            "storageQuotaExceeded", or "".
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = "",
        remedy: str = "",
        status: int | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.status, self.reason = status, reason

    exit_code = 7


class AddressError(ServiceError):
    """A web address that is malformed, or that this server must not request."""

    exit_code = 2
    http_status = 400


class StorageError(LookalikeError):
    """The disk is full or not writable."""

    exit_code = 6
    http_status = 507


class Cancelled(LookalikeError):
    """The user stopped it; finished work is kept."""

    exit_code = 130
    http_status = 409


@contextmanager
def storage_errors(path: Path | str) -> Iterator[None]:
    """Turn the system's errors of writing below `path` into `StorageError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                "The disk is full",
                where=path,
                remedy="Free some space and run the same command again; finished work is kept",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise StorageError(
                "Cannot write here",
                where=path,
                remedy="Check the folder's permissions, or point LOOKALIKE_HOME at another folder",
            ) from error
        raise
