"""Building and updating an index: which segments stay, and which are written.

A new segment absorbs every segment no larger than itself, so an index never has more than about
log₂ n of them.  A segment of which more than a quarter was removed is rewritten.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection import parquet
from pipeline.errors import DamagedError, storage_errors
from pipeline.files import TEMPORARY, replace_version, write_json
from pipeline.index.header import Header
from pipeline.index.segment import Content, Parameters, Segment
from pipeline.index.segment_writer import write
from pipeline.progress import OnProgress, Progress

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

log = logging.getLogger(__name__)

#: Chips of the largest segment, which bounds the memory of a build: about 1.2 KB per chip.
LARGEST = 4_000_000
#: A segment is kept while at least this share of its chips remains.
KEPT = 0.75


@dataclass(frozen=True)
class _Source:
    """Vectors of one part: in an older segment, or None for the part itself."""

    part: parquet.Part
    segment: Segment | None = None
    start: int = 0

    def vectors(self) -> np.ndarray:
        if self.segment is None:
            return parquet.read_embeddings(self.part)
        return self.segment.vectors[self.start : self.start + self.part.rows]


def make(folder: Path, collection: Collection, progress: OnProgress, largest: int) -> None:
    """Build the index in a temporary folder and rename it when it is complete.

    Raises:
        DamagedError: If a part is damaged.
        StorageError: If the disk is full or not writable.
    """
    n = sum(part.rows for part in collection.parts)
    progress(Progress("Indexing", 0, n, "chips"))
    with storage_errors(collection.index_folder):
        temporary = collection.index_folder / f"{TEMPORARY}{secrets.token_hex(6)}"
        temporary.mkdir(parents=True)
        try:
            kept, groups = _plan(collection, largest)
            for number, old in enumerate(kept):
                _link(old.folder, temporary / f"{number:03d}")
            done = n - sum(source.part.rows for group in groups for source in group)
            for number, group in enumerate(groups, len(kept)):
                rows = sum(source.part.rows for source in group)
                reporting = _from(done, n, progress)
                _write(temporary / f"{number:03d}", group, rows, reporting, kept)
                done += rows
            _write_header(temporary, collection, len(kept) + len(groups), n)
            replace_version(temporary, folder, "index.json")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    progress(Progress("Indexing", n, n, "chips"))


def _plan(collection: Collection, largest: int) -> tuple[list[Segment], list[list[_Source]]]:
    """The segments to keep, and the parts that make up each new segment."""
    wanted = {_key(part): part for part in collection.parts if part.rows}
    kept: list[Segment] = []
    older: dict[tuple[str, str, str], _Source] = {}
    for old in _previous_segments(collection):
        sources, start = [], 0
        for scene, name, stamp, rows in old.content.parts:
            if (scene, name, stamp) in wanted:
                sources.append(_Source(wanted[scene, name, stamp], old, start))
            start += rows
        if sum(source.part.rows for source in sources) >= KEPT * len(old):
            kept.append(old)
        older.update({_key(source.part): source for source in sources})
    held = {part[:3] for old in kept for part in old.content.parts}
    new = [key for key in wanted if key not in held]
    while kept and new and len(kept[-1]) <= sum(wanted[key].rows for key in new):
        added = {part[:3] for part in kept.pop().content.parts}.union(new)
        new = [key for key in wanted if key in added]
    sources = [older.get(key, _Source(wanted[key])) for key in new]
    return kept, _divide(sources, largest)


def _divide(sources: list[_Source], largest: int) -> list[list[_Source]]:
    """The sources, in order, in the fewest groups of about equal size that `largest` allows."""
    total = sum(source.part.rows for source in sources)
    pieces = max(1, -(-total // largest))
    groups: list[list[_Source]] = [[] for _ in range(pieces)]
    before = 0
    for source in sources:
        groups[min((before + source.part.rows // 2) * pieces // total, pieces - 1)].append(source)
        before += source.part.rows
    return sorted(filter(None, groups), key=lambda g: -sum(source.part.rows for source in g))


def _from(before: int, n: int, progress: OnProgress) -> Callable[[int], None]:
    return lambda done: progress(Progress("Indexing", before + done, n, "chips"))


def _write(
    folder: Path,
    group: list[_Source],
    rows: int,
    done: Callable[[int], None],
    kept: list[Segment],
) -> None:
    def pieces() -> Iterator[np.ndarray]:
        for source in group:
            vectors = source.vectors()
            for start in range(0, len(vectors), 8192):
                yield vectors[start : start + 8192]

    origins = [(*_key(source.part), source.part.rows) for source in group]
    projection = kept[0].projection if kept else None
    write(folder, rows, pieces(), origins, done, projection)


def _write_header(folder: Path, collection: Collection, count: int, n: int) -> None:
    """Write the header from the descriptions of the segments."""
    contents = [Content.read(folder / f"{number:03d}") for number in range(count)]
    sizes = [content.rows for content in contents]
    recall = float(np.average([c.recall_at_10 for c in contents], weights=sizes)) if n else 1.0
    header = Header(
        version=collection.version,
        model=collection.manifest.model,
        chips=n,
        parameters=contents[0].parameters if contents else Parameters("exact"),
        recall_at_10=round(recall, 4),
        segments=tuple(sizes),
        scann=installed("scann"),
    )
    write_json(folder / "index.json", asdict(header))


def _previous_segments(collection: Collection) -> tuple[Segment, ...]:
    """The segments of an earlier version of this index made by the same model, if any."""
    headers = collection.index_folder.glob("*/index.json")
    for file in sorted(headers, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            header = Header.read(file.parent)
            if header.model != collection.manifest.model:
                continue
            numbers = range(len(header.segments))
            return tuple(
                Segment.open(file.parent / f"{number:03d}", searchable=False) for number in numbers
            )
        except DamagedError as error:
            log.warning("cannot reuse an earlier index: %s", error)
    return ()


def _link(old: Path, new: Path) -> None:
    """Hard-link a folder's files into a new folder; copy them where links are not possible."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    shutil.copytree(old, new, copy_function=link)


def _key(part: parquet.Part) -> tuple[str, str, str]:
    return part.scene_id, part.path.name, part.stamp
