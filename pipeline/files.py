"""Files and locks: every file is written completely or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pipeline.errors import DamagedError, LookalikeError, NewerError, StorageError, storage_errors

log = logging.getLogger(__name__)

TEMPORARY = ".tmp-"
#: Age from which a temporary folder was left by a killed process.
DAY_SECONDS = 86_400.0
_RETRY_SECONDS = 0.01
#: A process that tests a lock for longer than this has been stopped.
_TEST_SECONDS = 60


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that is renamed to it when the block succeeds.

    The content is flushed to the disk before the rename, so that after a power cut the file is
    either the old one, the new one or absent.  On any error the temporary is removed.

    Raises:
        StorageError: If the disk is full or the folder cannot be written.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(6)}-{path.name}")
        try:
            yield temporary
            publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Give a whole file its name, its content flushed to the disk before and the name after."""
    _flush(temporary)
    temporary.replace(path)
    _flush(path.parent)


def check_writable(path: Path) -> None:
    """Refuse, before the work whose result it is to hold, a file that cannot be written.

    Raises:
        StorageError: If it is a folder, or its folder cannot be written.
    """
    try:
        whole = path.is_dir()
        folder = next(each for each in path.absolute().parents if each.exists())
        # Only trying tells: some file systems refuse what the permissions allow.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _not_writable(path) from error
    if whole:
        raise _not_writable(path)


def _not_writable(path: Path) -> StorageError:
    return StorageError(
        "Cannot write here",
        where=path,
        remedy="Give the name of a file, in a folder that you may write to",
    )


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON to `path`, completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: Path, *, what: str, remedy: str) -> Any:
    """The JSON in `path`.

    Raises:
        DamagedError: If the file is missing or does not hold JSON; `what` names it, `remedy`
            says what to do.
    """
    try:
        text = path.read_text("utf-8")
        content = json.loads(text)
        if "\\u" in text:
            # JSON can spell unpaired surrogates, which neither a file nor a response can hold.
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except (ValueError, OSError, RecursionError) as error:
        raise DamagedError(f"{what} is damaged", where=path, remedy=remedy) from error


def write_versioned(path: Path, content: Mapping[str, Any], schema: int) -> None:
    """As `write_json`, with the version of the format as the field `schema`: docs/formats.md."""
    write_json(path, {"schema": schema, **content})


def read_versioned(path: Path, *, newest: int, what: str, remedy: str) -> dict[str, Any]:
    """The content that `write_versioned` wrote; a file that names no version is of the first.

    Args:
        path: The file.
        newest: The newest version of the format that the caller reads.
        what: Names the file in a message.
        remedy: What to do about a damaged one.

    Raises:
        NewerError: If the file is of a newer version.
        DamagedError: If it is missing or holds something else.
    """
    content: dict[str, Any] = read_json(path, what=what, remedy=remedy)
    try:
        check_schema(content.pop("schema", 1), newest, what=what, where=path)
    except (AttributeError, TypeError) as error:
        raise DamagedError(f"{what} is damaged", where=path, remedy=remedy) from error
    return content


def check_schema(schema: object, newest: int, *, what: str, where: Path | str) -> None:
    """Refuse a file of a newer version than this program reads.

    Raises:
        NewerError: If it is one.
        TypeError: If `schema` is no version at all.
    """
    if type(schema) is not int or schema < 1:
        raise TypeError(f"{schema!r} is no version of a format")
    if schema > newest:
        raise NewerError(
            f"{what} was written by a newer Lookalike",
            where=where,
            remedy="Update Lookalike to open it",
        )


def remove_temporaries(folder: Path) -> None:
    """Remove incomplete files that killed processes left anywhere below `folder`."""
    for path in folder.rglob(f"{TEMPORARY}*"):
        if path.is_file():
            path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, busy: LookalikeError) -> Iterator[None]:
    """Hold the lock file `path`; the system releases it even if the process is killed.

    Raises:
        LookalikeError: `busy`, if another process holds the lock.  A process that only tests it
            is waited for.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    end = time.monotonic() + _TEST_SECONDS
    with handle:
        while not _taken(handle, fcntl.LOCK_EX):
            # A holder has an exclusive lock; a process that only tests it has a shared one.
            if not _taken(handle, fcntl.LOCK_SH) or time.monotonic() > end:
                raise busy
            fcntl.flock(handle, fcntl.LOCK_UN)
            time.sleep(_RETRY_SECONDS)
        yield


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting until it is free; for short changes."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_locked(path: Path) -> bool:
    """Whether a running process holds the lock file `path`."""
    try:
        with path.open("a+") as handle:
            # Shared, so that two processes that test it do not see each other as its holder.
            return not _taken(handle, fcntl.LOCK_SH)
    except OSError:
        return False


def _taken(handle: IO[str], lock: int) -> bool:
    """Try to lock without waiting; whether that succeeded."""
    try:
        fcntl.flock(handle, lock | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on some network file systems
        return False
    return True


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`; files that are removed meanwhile count as 0."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(base) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def digest_of(path: Path, algorithm: str) -> Any:
    """The `hashlib` object of a file's content, read in pieces.

    MD5 works even where system policy forbids it, because it guards against damage only.
    """
    with path.open("rb") as file:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        while piece := file.read(1 << 20):
            digest.update(piece)
        return digest


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_version(temporary: Path, folder: Path, last: str) -> None:
    """Put a new version of something derived in place; remove the others beside it.

    If another process has made the same version meanwhile, that one stays.  Leftovers of killed
    processes are removed a day later.

    Args:
        temporary: The complete new version.
        folder: Where it belongs, named after the version.
        last: Name of the file in it that is written last.
    """
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / last).exists():
            raise
        log.info("another process made %s first", folder)
    for other in folder.parent.iterdir():
        with suppress(FileNotFoundError):  # another process may be removing it, too
            abandoned = other.stat().st_mtime < time.time() - DAY_SECONDS
            if other != folder and other.is_dir() and (TEMPORARY not in other.name or abandoned):
                shutil.rmtree(other, ignore_errors=True)
