"""Saved searches and their review.

    collections/<name>/searches/<id>.json    recipe, hits as they were, marks, notes
    collections/<name>/searches/<id>.png     what was looked for

The hits are kept, not only the recipe: a saved search reopens exactly, also after the collection
grew.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import DamagedError, NotFoundError, QueryError
from pipeline.files import exclusive, read_json, replacing, write_json
from pipeline.moments import now
from pipeline.recipe import Recipe
from pipeline.search import Hit, Result

if TYPE_CHECKING:
    from pipeline.collection import Collection
    from pipeline.table import ChipTable

GOOD, BAD, SKIP = "good", "bad", "skip"
MARKS = (GOOD, BAD, SKIP)
LONGEST_NAME, LONGEST_NOTE = 120, 10_000
#: 97.5th percentile of the normal distribution: intervals hold 95 %.
Z = 1.959964
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Saved:
    """A saved search.

    Attributes:
        id: Twelve hex digits.
        name: What the user called it.
        recipe: How to repeat it.
        hits: Chip id and score of each hit, best first, as they were.
        eligible: Chips the filters admitted then.
        total: Chips in the collection then.
        version: The collection's version then.
        created: ISO 8601 UTC.
        updated: ISO 8601 UTC.
        note: About the search.
        marks: "good", "bad" or "skip" by chip id, in the order of marking.
        notes: By chip id.
    """

    id: str
    name: str
    recipe: Recipe
    hits: tuple[tuple[str, float], ...]
    eligible: int
    total: int
    version: str
    created: str
    updated: str = ""
    note: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def reviewed(self) -> int:
        """How many hits were marked good or bad."""
        return sum(mark != SKIP for mark in self.marks.values())


@dataclass(frozen=True)
class Reopened:
    """A saved search against the collection as it now is.

    Attributes:
        saved: The search.
        result: Its hits as they were, those whose chip still exists.
        missing: Ids of hits whose chip is gone.
        changed: Whether the collection changed since, so that searching again may find more.
    """

    saved: Saved
    result: Result
    missing: tuple[str, ...]
    changed: bool


@dataclass(frozen=True)
class Precision:
    """How many of the hits above a threshold are right, as far as the review tells.

    Attributes:
        threshold: Least score.
        hits: Hits at or above it.
        reviewed: Of those, how many were marked good or bad.
        good: Of those, how many were marked good.
        estimate: Share of good ones, 0 to 1, or None without a review.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    threshold: float
    hits: int
    reviewed: int
    good: int
    estimate: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two searches side by side.

    Attributes:
        both: Pairs of hits, one of each search, that show the same place.
        first: Hits of the first alone.
        second: Hits of the second alone.
    """

    both: tuple[tuple[Hit, Hit], ...]
    first: tuple[Hit, ...]
    second: tuple[Hit, ...]

    @property
    def agreement(self) -> float:
        """Shared places among all, 0 to 1 (Jaccard)."""
        everything = len(self.both) + len(self.first) + len(self.second)
        return len(self.both) / everything if everything else 1.0


class Searches:
    """The saved searches of one collection."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self.collection.path / "searches"

    def save(
        self, name: str, recipe: Recipe, result: Result, picture: bytes | None = None
    ) -> Saved:
        """Keep a search.

        Args:
            name: What to call it; the recipe's own words if empty.
            recipe: How to repeat it.
            result: What it found.
            picture: What was looked for, as PNG.

        Raises:
            QueryError: If the name is too long.
            NotFoundError: If the collection was deleted meanwhile.
            StorageError: If it cannot be written.
        """
        saved = Saved(
            id=secrets.token_hex(6),
            name=_name(name) or recipe.label,
            recipe=recipe,
            hits=tuple((hit.id, round(hit.score, 6)) for hit in result.hits),
            eligible=result.eligible,
            total=result.total,
            version=self.collection.version,
            created=now(),
            updated=now(),
        )
        with self._changing():
            if picture is not None:
                with replacing(self.folder / f"{saved.id}.png") as temporary:
                    temporary.write_bytes(picture)
            self._write(saved)
        return saved

    def all(self) -> list[Saved]:
        """All saved searches, the latest first; damaged ones are left out."""
        found = []
        for path in self.folder.glob("*.json"):
            if _ID.fullmatch(path.stem):
                try:
                    found.append(self.get(path.stem))
                except (DamagedError, NotFoundError):
                    continue
        return sorted(found, key=lambda saved: (saved.created, saved.id), reverse=True)

    def get(self, search_id: str) -> Saved:
        """One saved search.

        Raises:
            NotFoundError: If there is none of this id.
            DamagedError: If its file cannot be read.
        """
        path = self._path(search_id)
        content = read_json(path, what="A saved search", remedy="Delete it and save it again")
        try:
            return Saved(
                **{
                    **content,
                    "recipe": Recipe.from_fields(content["recipe"]),
                    "hits": tuple((str(chip), float(score)) for chip, score in content["hits"]),
                }
            )
        except (KeyError, TypeError, ValueError, QueryError) as error:
            raise DamagedError(
                "A saved search is damaged", where=path, remedy="Delete it and save it again"
            ) from error

    def picture(self, search_id: str) -> Path | None:
        """The query's picture, if one was kept."""
        path = self._path(search_id).with_suffix(".png")
        return path if path.is_file() else None

    def reopen(self, search_id: str) -> Reopened:
        """A saved search with its hits exactly as they were.

        Raises:
            NotFoundError: If there is none of this id.
        """
        saved = self.get(search_id)
        table = self.collection.chips
        hits: list[Hit] = []
        missing: list[str] = []
        for chip, score in saved.hits:
            try:
                row = table.row_of(chip)
            except NotFoundError:
                missing.append(chip)
                continue
            hits.append(_hit(table, row, chip, score, len(hits) + 1))
        result = Result(tuple(hits), saved.eligible, saved.total, 0.0)
        changed = saved.version != self.collection.version
        return Reopened(saved, result, tuple(missing), changed)

    def rename(self, search_id: str, name: str) -> Saved:
        """Call it something else.

        Raises:
            QueryError: If the name is empty or too long.
        """
        if not _name(name):
            raise QueryError("A saved search needs a name", remedy="Write one")
        return self._change(search_id, lambda saved: replace(saved, name=_name(name)))

    def describe(self, search_id: str, note: str) -> Saved:
        """Keep a note about the search."""
        return self._change(search_id, lambda saved: replace(saved, note=_note(note)))

    def mark(self, search_id: str, chip: str, mark: str | None) -> Saved:
        """Mark a hit good, bad or skipped; None takes the mark away, as undo does.

        Raises:
            QueryError: If the mark is none of these or the chip is not a hit.
        """
        if mark is not None and mark not in MARKS:
            raise QueryError("No such mark", where=mark, remedy=f"Use {', '.join(MARKS)}")

        def change(saved: Saved) -> Saved:
            _check_hit(saved, chip)
            marks = {other: was for other, was in saved.marks.items() if other != chip}
            return replace(saved, marks={**marks, chip: mark} if mark else marks)

        return self._change(search_id, change)

    def undo(self, search_id: str) -> tuple[Saved, str | None]:
        """Take the last mark away; returns the search and the chip that was marked."""
        chips = list(self.get(search_id).marks)
        if not chips:
            return self.get(search_id), None
        return self.mark(search_id, chips[-1], None), chips[-1]

    def note(self, search_id: str, chip: str, text: str) -> Saved:
        """Keep a note about a hit; an empty one takes it away.

        Raises:
            QueryError: If the chip is not a hit or the note is too long.
        """

        def change(saved: Saved) -> Saved:
            _check_hit(saved, chip)
            notes = {other: was for other, was in saved.notes.items() if other != chip}
            return replace(saved, notes={**notes, chip: _note(text)} if text.strip() else notes)

        return self._change(search_id, change)

    def delete(self, search_id: str) -> None:
        """Delete it.

        Raises:
            NotFoundError: If there is none of this id.
        """
        with self._changing():
            path = self._path(search_id)
            path.unlink()
            path.with_suffix(".png").unlink(missing_ok=True)

    def _path(self, search_id: str) -> Path:
        path = self.folder / f"{search_id}.json"
        if not (_ID.fullmatch(search_id) and path.is_file()):
            raise NotFoundError(
                "There is no saved search of this id",
                where=search_id[:40],
                remedy="It may have been deleted; the Results page lists those there are",
            )
        return path

    def _change(self, search_id: str, change: Callable[[Saved], Saved]) -> Saved:
        with self._changing():
            saved = replace(change(self.get(search_id)), updated=now())
            self._write(saved)
        return saved

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Held while something is written or deleted, so that nothing deleted comes back."""
        if not self.collection.path.is_dir():
            raise NotFoundError("The collection was deleted meanwhile", where=self.collection.name)
        with exclusive(self.folder / ".mutex"):
            yield

    def _write(self, saved: Saved) -> None:
        plain = {**asdict(replace(saved, recipe=Recipe())), "recipe": saved.recipe.to_dict()}
        write_json(self.folder / f"{saved.id}.json", json.loads(json.dumps(plain)))


def wilson(good: int, n: int, population: int | None = None) -> tuple[float, float]:
    """95 % interval of a share, after Wilson (1927).

    Args:
        good: Successes.
        n: Trials.
        population: What the trials were drawn from without putting back; once everything was
            looked at nothing is left to guess and the interval closes.
    """
    if n == 0:
        return 0.0, 1.0
    share = good / n
    if population is not None and population <= n:
        return share, share
    effective = n * (population - 1) / (population - n) if population else float(n)
    middle = (share + Z**2 / (2 * effective)) / (1 + Z**2 / effective)
    half = (
        Z
        / (1 + Z**2 / effective)
        * math.sqrt(share * (1 - share) / effective + Z**2 / (4 * effective**2))
    )
    return max(middle - half, 0.0), min(middle + half, 1.0)


def precision_at(
    hits: Sequence[Hit], marks: Mapping[str, str], thresholds: Iterable[float] | None = None
) -> list[Precision]:
    """Estimated precision at each threshold, highest threshold first.

    Skipped hits count as not reviewed.  The estimate is fair if the reviewed hits are spread evenly
    over the ranks, as `review_order` proposes them.

    Args:
        hits: Best first.
        marks: By chip id.
        thresholds: Scores to cut at; by default twenty over the hits' range.
    """
    scores = np.array([hit.score for hit in hits])
    judged = np.array([marks.get(hit.id) in (GOOD, BAD) for hit in hits], bool)
    good = np.array([marks.get(hit.id) == GOOD for hit in hits], bool)
    if thresholds is None:
        thresholds = np.linspace(scores.max(), scores.min(), 20) if len(scores) else []
    found = []
    for threshold in sorted(map(float, thresholds), reverse=True):
        above = scores >= threshold
        count, n, right = int(above.sum()), int((above & judged).sum()), int((above & good).sum())
        low, high = wilson(right, n, count)
        found.append(Precision(threshold, count, n, right, right / n if n else None, low, high))
    return found


def review_order(count: int) -> list[int]:
    """Positions of `count` ranked hits in an order whose every beginning is spread over all ranks.

    The bits of the position reversed (van der Corput): stopping early still gives a fair sample.
    """
    if count < 1:
        return []
    bits = max((count - 1).bit_length(), 1)
    turned = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits))
    return [position for position in turned if position < count]


def compare(first: Sequence[Hit], second: Sequence[Hit], share: float = 0.25) -> Comparison:
    """Which places two searches share.

    Args:
        first: Hits of one, best first.
        second: Hits of the other.
        share: Part of a footprint that must coincide for two hits to show the same place.
    """
    import shapely

    taken: set[int] = set()
    both: list[tuple[Hit, Hit]] = []
    alone: list[Hit] = []
    others = shapely.polygons(np.stack([hit.corners for hit in second])) if second else []
    tree = shapely.STRtree(others) if len(others) else None
    for hit in first:
        shape = shapely.polygons(hit.corners)
        near = [int(i) for i in tree.query(shape) if int(i) not in taken] if tree else []
        shared = [shapely.intersection(shape, others[i]).area / shape.area for i in near]
        if shared and max(shared) >= share:
            match = near[int(np.argmax(shared))]
            taken.add(match)
            both.append((hit, second[match]))
        else:
            alone.append(hit)
    rest = tuple(hit for place, hit in enumerate(second) if place not in taken)
    return Comparison(tuple(both), tuple(alone), rest)


def _hit(table: ChipTable, row: int, chip: str, score: float, rank: int) -> Hit:
    scene = int(table.scene[row])
    return Hit(
        rank,
        chip,
        score,
        table.scene_ids[scene],
        table.datetimes[scene],
        row,
        table.corners[row],
    )


def _check_hit(saved: Saved, chip: str) -> None:
    if not any(chip == hit for hit, _ in saved.hits):
        raise QueryError(
            "This chip is not a hit of the saved search", where=chip[:40], remedy="Reload the page"
        )


def _name(text: str) -> str:
    if len(text.strip()) > LONGEST_NAME:
        raise QueryError(f"The name is longer than {LONGEST_NAME} letters", remedy="Shorten it")
    return text.strip()


def _note(text: str) -> str:
    if len(text) > LONGEST_NOTE:
        raise QueryError(f"The note is longer than {LONGEST_NOTE:,} letters", remedy="Shorten it")
    return text.strip()
