"""Sets of marks: what users judged good or bad, in order, never lost.

    collections/<name>/marks/<set>.jsonl

One line for each mark, appended and flushed to the disk before the request is answered.  A mark has
the key that its client gave it, so that one that is sent again counts once.  Undoing appends a mark
with an empty label: the file is also the history.

Several people may mark one set.  Nobody replaces or takes back what another one judged: the last
mark of each author stands, and where authors disagree the later one is shown.  Marks without an
author are of versions that asked for none; anyone takes those back.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pipeline import dates
from pipeline.errors import DamagedError, NotFoundError, QueryError, storage_errors
from pipeline.files import check_schema, exclusive

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

#: Version of a file of marks.
SCHEMA = 1
LABELS = ("good", "bad", "skip", "")
#: Maximum length of an author's name.
LONGEST_AUTHOR = 80
#: Maximum number of marks of a set, its history included.
MOST_MARKS = 100_000
#: Metres in a degree of latitude.
_DEGREE = 111_320
#: Least and largest size of a thing in metres.
_SIZES = (1e-3, 1e6)
#: What a mark is about: a chip, or a scene with longitude and latitude.
Place = tuple[str, float, float]
_SET = re.compile(r"[a-z0-9]{8,32}")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Judged(Protocol):
    """What somebody judged, such as a mark."""

    @property
    def label(self) -> str:
        """The judgement, or "" to take back one's own."""

    @property
    def author(self) -> str:
        """Who judged, or "" if nobody knows."""

    @property
    def place(self) -> object:
        """What was judged: a later judgement of the same replaces it."""


J = TypeVar("J", bound=Judged)


@dataclass(frozen=True)
class Mark:
    """One judgement of a chip or of an object.

    Attributes:
        key: Made by the client, unique in the set.
        lon: Longitude of the centre, EPSG:4326; 0 of a chip that was gone when it was marked.
        lat: Latitude of the centre, likewise.
        width_m: Size in metres; 0 of a chip.
        height_m: Size in metres; 0 of a chip.
        label: "good", "bad", "skip", or "" to undo.
        scene_id: Scene that was looked at, or "".
        time: When it was given, ISO 8601.
        chip: Id of the chip that was judged, or "" for an object.
        author: Who gave it, or "" if nobody knows.
    """

    key: str
    lon: float
    lat: float
    width_m: float
    height_m: float
    label: str
    scene_id: str = ""
    time: str = ""
    chip: str = ""
    author: str = ""

    def __post_init__(self) -> None:
        """Refuse what could not be read again.

        Raises:
            QueryError: If a value is out of range.
        """
        sizes = (self.width_m, self.height_m)
        texts = (self.key, self.label, self.scene_id, self.time, self.chip, self.author)
        valid = abs(self.lat) <= 90 and abs(self.lon) <= 540  # false for what is not a number
        valid &= all(size == 0 or _SIZES[0] <= size <= _SIZES[1] for size in sizes)
        valid &= all(isinstance(text, str) and len(text) <= 200 for text in texts)
        if not valid or self.label not in LABELS or not _KEY.fullmatch(self.key):
            raise _malformed(asdict(self))

    @property
    def place(self) -> Place:
        """What it is about: later marks of the same place replace it."""
        if self.chip:
            return self.chip, 0.0, 0.0
        return self.scene_id, round(self.lon, 6), round(self.lat, 6)

    @classmethod
    def from_dict(cls, data: Any) -> Mark:
        """The mark of a JSON object.

        Raises:
            QueryError: If it is none.
        """
        try:
            return cls(
                key=data["key"],
                lon=float(data["lon"]),
                lat=float(data["lat"]),
                width_m=float(data.get("width_m") or 0),
                height_m=float(data.get("height_m") or 0),
                label=data["label"],
                scene_id=data.get("scene_id") or "",
                time=data.get("time") or dates.now(),
                chip=data.get("chip") or "",
                author=author_of(data.get("author") or ""),
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise _malformed(data) from error


@dataclass(frozen=True)
class Judgement:
    """A reviewer's mark on a result of a saved search.

    Attributes:
        id: Id of the chip or object.
        label: "good", "bad", "skip", or "" to take it back.
        author: Who gave it, or "" if nobody knows.
        time: When it was given, ISO 8601, or "" if nobody knows.
    """

    id: str
    label: str
    author: str = ""
    time: str = ""

    def __post_init__(self) -> None:
        """Refuse what could not be read again."""
        if not all(isinstance(text, str) for text in (self.id, self.label, self.author, self.time)):
            raise TypeError("a text is not a string")

    @property
    def place(self) -> str:
        """What it is about."""
        return self.id


def author_of(name: str) -> str:
    """A name as it is kept: one line, no longer than `LONGEST_AUTHOR`."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:LONGEST_AUTHOR]


def history_of(history: Sequence[Judgement], marks: Mapping[str, str]) -> tuple[Judgement, ...]:
    """The judgements of a saved search, also of one from before there were any.

    Args:
        history: Its judgements in order.
        marks: Its marks by id, which are all that an earlier version kept.
    """
    return tuple(history) or tuple(Judgement(found, mark) for found, mark in marks.items())


def marks_of(history: Iterable[Judgement]) -> dict[str, str]:
    """The mark that is shown of each result, by id, in the order of marking."""
    return {each.id: each.label for each in latest(standing(history))}


def append(collection: Collection, set_id: str, marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Add marks to a set, which is made if need be; returns all of its marks.

    Marks whose key the set has are not added again.

    Raises:
        QueryError: If the id is no id of a set, or it would have too many marks.
        StorageError: If they cannot be written; then none is.
        DamagedError: If the file is damaged.
    """
    path = _path(collection, set_id)
    with exclusive(path.with_suffix(".lock")), storage_errors(path):
        present = _read(path)
        known = {mark.key for mark in present}
        new = []
        for mark in marks:
            if mark.key not in known:
                known.add(mark.key)
                new.append(mark)
        if len(present) + len(new) > MOST_MARKS:
            raise QueryError(
                f"A set holds at most {MOST_MARKS} marks",
                where=set_id,
                remedy="Save the search or a detector, then start another set",
            )
        if new:
            _append(path, new)
        return (*present, *new)


def read(collection: Collection, set_id: str) -> tuple[Mark, ...]:
    """All marks of a set, in the order they were given.

    Raises:
        NotFoundError: If there is no such set.
        DamagedError: If the file is damaged.
        NewerError: If a newer version wrote it.
    """
    path = _path(collection, set_id)
    if not path.is_file():
        raise NotFoundError(
            "There is no such set of marks",
            where=set_id[:40],
            remedy="Mark a result as good or bad first",
        )
    return _read(path)


def present(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """The marks that are shown: the last on each thing, of those that stand."""
    return _latest_of_thing(standing_marks(marks))


def standing_marks(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """The marks that stand, of every author."""
    return standing(marks, _latest_of_thing)


def missing(collection: Collection, marks: Iterable[Mark]) -> list[str]:
    """Ids of marked chips, and of scenes of marked objects, that a collection no longer has."""
    gone = [
        mark.chip or mark.scene_id
        for mark in marks
        if (
            collection.chips.find(mark.chip) is None
            if mark.chip
            else mark.scene_id and mark.scene_id not in collection.scenes
        )
    ]
    return list(dict.fromkeys(gone))


def latest(judged: Iterable[J]) -> tuple[J, ...]:
    """The last judgement of each place, undone ones left out."""
    last: dict[object, J] = {}
    for each in judged:
        last.pop(each.place, None)
        if each.label:
            last[each.place] = each
    return tuple(last.values())


def standing(
    judged: Iterable[J], latest: Callable[[Iterable[J]], Sequence[J]] = latest
) -> tuple[J, ...]:
    """What each author judged last, in the order given; undone judgements are left out.

    Args:
        judged: The history, in order.
        latest: The last judgements of one author's.
    """
    number: dict[int, int] = {}
    of_author: defaultdict[str, list[J]] = defaultdict(list)
    every = tuple(judged)
    for place, each in enumerate(every):
        number[id(each)] = place
        for author in {each.author, "" if not each.label else each.author}:
            of_author[author].append(each)
    held = [each for own in of_author.values() for each in latest(own)]
    return tuple(sorted(held, key=lambda each: number[id(each)]))


def _latest_of_thing(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """The last mark of each thing, undone ones left out.

    A search that ranks anew may find a thing a little aside.  A later mark within half its size, in
    the same scene, is of the same thing and replaces the earlier one.
    """
    last: dict[Place, Mark] = {}
    squares: defaultdict[tuple[object, ...], dict[Place, Mark]]
    squares = defaultdict(dict)
    for mark in marks:
        last.pop(mark.place, None)
        for square in _squares(mark, around=True):
            here = squares.get(square, {})
            for other in [each for each in here.values() if _on_one_thing(mark, each)]:
                last.pop(other.place, None)
                del here[other.place]
        if mark.label:
            last[mark.place] = mark
            for square in _squares(mark):
                squares[square][mark.place] = mark
    return tuple(last.values())


def _on_one_thing(one: Mark, other: Mark) -> bool:
    reach = min(max(one.width_m, one.height_m), max(other.width_m, other.height_m)) / 2
    across = abs(one.lon - other.lon) * _DEGREE * math.cos(math.radians(one.lat))
    return max(across, abs(one.lat - other.lat) * _DEGREE) < reach


def _squares(mark: Mark, *, around: bool = False) -> Iterator[tuple[object, ...]]:
    """The square of a grid that a mark lies in, or those where marks of its thing may lie.

    The edge of a grid is a power of two of metres, at least half the thing's size.  Marks without a
    size or a scene, such as those of label files, lie in none.
    """
    size = max(mark.width_m, mark.height_m)
    if not (size > 0 and mark.scene_id):
        return
    level, steps = math.ceil(math.log2(size / 2)), (-1, 0, 1) if around else (0,)
    # Of a whole degree, so that neighbours lie in one grid.
    east = mark.lon * _DEGREE * math.cos(math.radians(round(mark.lat)))
    for power in (level + step for step in steps):
        col, row = east // 2.0**power, mark.lat * _DEGREE // 2.0**power
        for i, j in product(steps, steps):
            yield mark.scene_id, power, col + i, row + j


def _path(collection: Collection, set_id: str) -> Path:
    if not _SET.fullmatch(set_id):
        raise QueryError(
            "This is no id of a set of marks",
            where=set_id[:40],
            remedy="Use 8 to 32 lower-case letters and digits",
        )
    return collection.path / "marks" / f"{set_id}.jsonl"


def _append(path: Path, marks: Sequence[Mark]) -> None:
    # Half a line, which a power cut left, is overwritten.
    size = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
    lines = [] if size else [json.dumps({"schema": SCHEMA})]
    # Escaped as ASCII: a text may hold separators of lines, and half a character cannot be cut off.
    lines += [json.dumps(asdict(mark)) for mark in marks]
    left = memoryview(("\n".join(lines) + "\n").encode())
    # Without a buffer, which would write its rest when the file is closed.
    with path.open("ab", buffering=0) as file:
        file.truncate(size)
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)  # no half of a line stays
            raise


def _read(path: Path) -> tuple[Mark, ...]:
    if not path.exists():
        return ()
    try:
        text = path.read_text("utf-8")
        whole = text[: text.rfind("\n") + 1]  # half a line, which a power cut left, is no mark
        if not whole:
            return ()
        first, *lines = whole.splitlines()
        check_schema(json.loads(first)["schema"], SCHEMA, what="A set of marks", where=path)
        return tuple(Mark.from_dict(json.loads(line)) for line in lines)
    except (KeyError, TypeError, ValueError, RecursionError, QueryError) as error:
        raise DamagedError(
            "A set of marks is damaged",
            where=path,
            remedy="Restore it from a backup, or remove it and mark the results again",
        ) from error


def _malformed(data: Any) -> QueryError:
    return QueryError(
        "This is no mark",
        where=str(data)[:80],
        remedy='For instance {"key": "a1", "lon": 2.36, "lat": 48.73, "width_m": 30, '
        '"height_m": 30, "label": "good"}',
    )
