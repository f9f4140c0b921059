"""The index: what finds the nearest of a collection's embeddings.

Everything here is derived from the parts.  It is made when missing, of another model or damaged,
and brought up to date when chips were added or removed: an index is a few immutable segments
(`pipeline.index.segment`), so new chips become a new segment, and removed ones are passed over at
once.

    index/<version>/index.json         what it is of
    index/<version>/000/ 001/ …        segments, largest first; links to the last version's files

A new segment swallows every segment no larger than itself, so there are never more than about
log₂ n of them, and one of which over a quarter was removed is written anew without it.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from pipeline.collection import parquet
from pipeline.errors import DamagedError, ModelMismatchError, storage_errors
from pipeline.files import TEMPORARY, read_json, write_json
from pipeline.index.exact import NEIGHBOURS, PROBES, Truth, best, nearest, probes
from pipeline.index.rows import Eligible, Place, places
from pipeline.index.segment import REBUILD, Content, Parameters, Segment
from pipeline.index.segment_writer import write
from pipeline.index.vectors import Rows
from pipeline.model.identity import ModelIdentity
from pipeline.progress import OnProgress, Progress, silent
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

log = logging.getLogger(__name__)

SCHEMA = 2
#: Largest segment, which bounds the memory a build takes: about 1.2 KB a chip of it.
LARGEST = 4_000_000
#: Share of a segment's chips that must remain for it to be kept.
KEPT = 0.75
DAY = 86_400.0


@dataclass(frozen=True)
class Header:
    """`index.json`: what an index is of.

    Attributes:
        version: The collection's version.
        model: Model that made the embeddings.
        chips: Rows in the collection.
        parameters: How the largest segment is searched.
        recall_at_10: Share of the ten nearest chips that searches found when it was made.
        segments: Chips in each segment, removed ones among them.
        scann: Version of ScaNN.
    """

    version: str
    model: ModelIdentity
    chips: int
    parameters: Parameters
    recall_at_10: float
    segments: tuple[int, ...]
    scann: str
    schema: int = SCHEMA


@dataclass
class Index:
    """An open index.

    Attributes:
        header: What it is of.
        vectors: Float16 (n, 2048), L2-normalised, in the collection's row order; memory-mapped.
    """

    header: Header
    vectors: np.ndarray
    segments: tuple[Segment, ...] = field(repr=False, default=())
    places: tuple[Place, ...] = field(repr=False, default=())

    @classmethod
    def open(
        cls, collection: Collection, progress: OnProgress = silent, *, largest: int = LARGEST
    ) -> Index:
        """Load a collection's index, making it or bringing it up to date when that is needed.

        Args:
            collection: Whose index.
            progress: Told about the making.
            largest: About the most chips of a segment; a larger collection is cut into several.

        Raises:
            DamagedError: If the parts themselves are damaged.
            StorageError: If it must be made and the disk is full or not writable.
        """
        folder = collection.index_folder / collection.version
        if folder.is_dir():
            try:
                return cls._load(folder, collection)
            except DamagedError as error:
                log.warning("rebuilding the index of %s: %s", collection.name, error)
                shutil.rmtree(folder, ignore_errors=True)
        try:
            _make(folder, collection, progress, largest)
        except OSError:
            # Another process that has made the same index removes the older one it was made of.
            if not (folder / "index.json").exists():
                raise
        return cls._load(folder, collection)

    @classmethod
    def _load(cls, folder: Path, collection: Collection) -> Index:
        header = _header(folder)
        if header.model != collection.manifest.model:
            raise ModelMismatchError(
                "The index was made by another model", where=folder, remedy=REBUILD
            )
        segments = tuple(
            Segment.open(folder / f"{number:03d}") for number in range(len(header.segments))
        )
        located = places(collection.parts, [segment.content.parts for segment in segments])
        if sum(place.live for place in located) != header.chips:
            raise DamagedError("The index is damaged", where=folder, remedy=REBUILD)
        vectors = Rows.of(segments, located, header.chips)
        return cls(header, cast("np.ndarray", vectors), segments, located)

    def __len__(self) -> int:
        return self.header.chips

    def search(
        self, query: np.ndarray, k: int, eligible: np.ndarray | Eligible | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k chips nearest to a query vector by cosine.

        Args:
            query: Float array (2048,), of any length.
            k: How many are wanted; fewer come back only when fewer are eligible.
            eligible: Bool (n,) of the rows that may be returned, or None for all.  The filter is
                applied before the search: k rows come back whenever k are eligible.  An `Eligible`
                kept from search to search is quicker.

        Returns:
            Row numbers int64 (m,) and cosines float32 (m,), best first, m = min(k, eligible).
        """
        if k < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        unit, among = normalise(query[None])[0], Eligible.of(eligible)
        found = []
        for segment, place in zip(self.segments, self.places, strict=True):
            rows, scores = segment.search(unit, k, place.eligible(among))
            found.append((place.rows_of(rows), scores))
        return merge(found, k)

    def search_many(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest chips of many queries, on all processors.

        Args:
            queries: Float array (q, 2048), of any length.
            k: How many each.

        Returns:
            Row numbers int64 and cosines float32, (q, min(k, n)), best first.
        """
        if len(self.segments) == 1 and self.places[0].whole and k >= 1:
            return self.segments[0].search_many(normalise(queries), min(k, len(self)))
        found = [self.search(query, k) for query in queries]
        width = min(max(k, 0), len(self))
        rows = np.array([rows for rows, _ in found], np.int64).reshape(-1, width)
        return rows, np.array([scores for _, scores in found], np.float32).reshape(-1, width)

    def cosines(self, query: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Exact cosine of the query to the given rows, or to all: float32 (m,).

        Of several vectors (q, 2048), as a query's views are, the best cosine counts.
        """
        unit = normalise(np.atleast_2d(query)).reshape(query.shape)
        chosen = None if rows is None else np.asarray(rows, np.int64)
        if len(self.segments) == 1 and self.places[0].whole:
            return self.segments[0].cosines(unit, chosen)
        scores = np.empty(len(self), np.float32)
        wanted = None
        if chosen is not None:
            mask = np.zeros(len(self), bool)
            mask[chosen] = True
            wanted = Eligible(mask)
        for segment, place in zip(self.segments, self.places, strict=True):
            among = place.eligible(wanted)
            own = np.arange(len(segment)) if among is None else among.rows
            scores[place.rows_of(own)] = segment.cosines(unit, own)
        return scores if chosen is None else scores[chosen]

    def recall(self, sample: int = PROBES, k: int = NEIGHBOURS) -> float:
        """Measure anew which share of the k nearest chips a search finds, against an exact scan.

        Half the queries are chips, half lie between two chips as a picture's do.  The scan reads
        every vector once: about 10 s a million chips.

        Args:
            sample: Queries.
            k: Neighbours of each.
        """
        if not len(self):
            return 1.0
        queries = probes(self.vectors, sample)
        return Truth(queries, nearest(self.vectors, queries, k)[1]).recall(self.search)


def merge(found: list[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of several answers (rows, cosines), best first; ties go to the lower row."""
    rows = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in found)])
    scores = np.concatenate([np.empty(0, np.float32), *(scores for _, scores in found)])
    return best(rows, scores, k)


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


def _make(folder: Path, collection: Collection, progress: OnProgress, largest: int) -> None:
    """Make the index in a temporary folder and rename it when whole."""
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
            _conclude(temporary, collection, len(kept) + len(groups), n)
            _swap(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    progress(Progress("Indexing", n, n, "chips"))


def _plan(collection: Collection, largest: int) -> tuple[list[Segment], list[list[_Source]]]:
    """Which older segments stay, and which parts become which new ones."""
    wanted = {_key(part): part for part in collection.parts if part.rows}
    kept: list[Segment] = []
    older: dict[tuple[str, str, str], _Source] = {}
    for old in _previous(collection):
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
    return kept, _divided(sources, largest)


def _divided(sources: list[_Source], largest: int) -> list[list[_Source]]:
    """The sources in as few groups of about equal rows as `largest` allows, in order."""
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

    made_of = [(*_key(source.part), source.part.rows) for source in group]
    projection = kept[0].projection if kept else None
    write(folder, rows, pieces(), made_of, done, projection)


def _conclude(folder: Path, collection: Collection, count: int, n: int) -> None:
    """Write the header, from what the segments say of themselves."""
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


def _header(folder: Path) -> Header:
    content = read_json(folder / "index.json", what="The index", remedy=REBUILD)
    try:
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}")
        known = {
            "model": ModelIdentity.from_dict(content["model"]),
            "parameters": Parameters(**content["parameters"]),
        }
        return Header(**{**content, **known, "segments": tuple(content["segments"])})
    except (TypeError, KeyError, ValueError) as error:
        raise DamagedError("The index is damaged", where=folder, remedy=REBUILD) from error


def _previous(collection: Collection) -> tuple[Segment, ...]:
    """The segments of an earlier version of this index, if one is there and of this model."""
    headers = collection.index_folder.glob("*/index.json")
    for file in sorted(headers, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            header = _header(file.parent)
            if header.model != collection.manifest.model:
                continue
            numbers = range(len(header.segments))
            return tuple(
                Segment.open(file.parent / f"{number:03d}", searchable=False) for number in numbers
            )
        except DamagedError as error:
            log.warning("an earlier index cannot be built upon: %s", error)
    return ()


def _link(old: Path, new: Path) -> None:
    """The same files under a new folder, without copying where the file system allows it."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    shutil.copytree(old, new, copy_function=link)


def _key(part: parquet.Part) -> tuple[str, str, str]:
    return part.scene_id, part.path.name, part.stamp


def _swap(temporary: Path, folder: Path) -> None:
    """Put the new index in place and drop earlier versions and what killed builds left behind.

    Another process may have built the same index meanwhile: then its one stays.
    """
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / "index.json").exists():
            raise
        log.info("another process built %s first", folder)
    for other in folder.parent.iterdir():
        with suppress(FileNotFoundError):  # that process does the same
            abandoned = other.stat().st_mtime < time.time() - DAY
            if other != folder and other.is_dir() and (TEMPORARY not in other.name or abandoned):
                shutil.rmtree(other, ignore_errors=True)
