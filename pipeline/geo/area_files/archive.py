"""Untrusted zip archives: no path leads outside, nothing is inflated without a limit."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from pipeline.errors import AreaError
from pipeline.geo.area_files import features

_MAX_MEMBERS = 1000
#: What `zipfile` raises for damaged, encrypted and unknown kinds of archives.
_UNREADABLE = (
    EOFError, NotImplementedError, OSError, RuntimeError, ValueError, lzma.LZMAError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextmanager
def open_zip(data: bytes, filename: str) -> Iterator[zipfile.ZipFile]:
    """The archive in some bytes.

    Raises:
        AreaError: If it cannot be opened, or something in it cannot be read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except _UNREADABLE as error:
        raise AreaError(
            "This zip cannot be opened", where=filename, remedy="Zip it again, without a password"
        ) from error


def safe_members(archive: zipfile.ZipFile, filename: str) -> list[str]:
    """Names of the files in an archive.

    Raises:
        AreaError: If there are too many, they are too large, or a path leads outside.
    """
    entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    if len(entries) > _MAX_MEMBERS:
        raise AreaError(f"This zip holds more than {_MAX_MEMBERS} files", where=filename)
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if not parts or ".." in parts or entry.filename.startswith(("/", "\\")) or ":" in parts[0]:
            raise AreaError(
                "This zip has a path that leads outside it",
                where=f"{filename}: {entry.filename[:80]}",
                remedy="Zip the files again from the folder that holds them",
            )
    limit = 4 * features.MAX_FILE_BYTES
    if (total := sum(entry.file_size for entry in entries)) > limit:
        raise AreaError(
            f"This zip unpacks to {total / 2**20:,.0f} MB; the limit is {limit // 2**20} MB",
            where=filename,
            remedy="Zip only the outline of the area",
        )
    return [entry.filename for entry in entries]


def inflate(archive: zipfile.ZipFile, member: str, filename: str) -> bytes:
    """Content of one file of an archive.

    Raises:
        AreaError: If it is larger than `MAX_FILE_BYTES`.
    """
    # A zip's directory can lie about sizes; only a read with a limit is safe.
    with archive.open(member) as file:
        data = file.read(features.MAX_FILE_BYTES + 1)
    if len(data) > features.MAX_FILE_BYTES:
        raise AreaError(
            f"A file in this zip is larger than {features.MAX_FILE_BYTES // 2**20} MB",
            where=f"{filename}: {member}",
            remedy="Zip only the outline of the area",
        )
    return data
