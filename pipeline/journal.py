"""Journals: files of JSON lines that are only ever appended to.

The first line states the version of the format.  Lines are flushed to the disk before they count as
written; half a line, which a power cut left, is no line and is overwritten by the next.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedError, NewerError
from pipeline.files import check_schema


def append(path: Path, lines: Sequence[Mapping[str, Any]], schema: int) -> None:
    """Append lines, all or none.  The caller holds the journal's lock.

    Raises:
        OSError: If they cannot be written; then none is.
    """
    size = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
    head = [] if size else [json.dumps({"schema": schema})]
    # Escaped as ASCII: a text may hold separators of lines.
    text = "\n".join([*head, *map(json.dumps, lines)]) + "\n"
    left = memoryview(text.encode())
    # Without a buffer, which would write its rest when the file is closed.
    with path.open("ab", buffering=0) as file:
        file.truncate(size)
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)
            raise


def read(path: Path, newest: int, *, what: str, remedy: str) -> list[dict[str, Any]]:
    """The lines of a journal, oldest first; none if there is no such file.

    Raises:
        NewerError: If a newer version wrote it.
        DamagedError: If a line is no JSON object.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DamagedError(f"{what} is damaged", where=path, remedy=remedy) from error
    whole = text[: text.rfind("\n") + 1]
    if not whole:
        return []
    try:
        first, *lines = map(json.loads, whole.splitlines())
        check_schema(first["schema"], newest, what=what, where=path)
        if not all(isinstance(line, dict) for line in lines):
            raise TypeError("a line is no object")
    except NewerError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"{what} is damaged", where=path, remedy=remedy) from error
    return list(lines)
