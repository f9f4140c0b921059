"""Saved searches and their review.

    collections/<name>/searches/<id>.json    recipe, hits, marks, notes, check
    collections/<name>/searches/<id>.png     picture of the query

The hits are kept, not only the recipe, so that a saved search reopens unchanged even after the
collection grew.  Marks sort the hits and train; only the judgements of a check estimate how many
are right.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.collection.marks import (
    Judgement,
    author_of,
    history_of,
    marks_of,
    standing,
)
from pipeline.dates import now
from pipeline.errors import DamagedError, NotFoundError, QueryError
from pipeline.files import exclusive, read_versioned, replacing, write_versioned
from pipeline.search.chance import Chance
from pipeline.search.check import Check, Checked, CheckItem
from pipeline.search.recipe import PLAIN, Recipe
from pipeline.search.review import GOOD, MARKS, SKIP
from pipeline.search.search import Hit, Result

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

#: Version of a saved search's file; 1 had no check.
SCHEMA = 2
LONGEST_NAME, LONGEST_NOTE = 120, 10_000
#: Stands for the mark of a hit that has none.
UNMARKED = "none"
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Saved:
    """A saved search.

    Attributes:
        id: Twelve hex digits.
        name: Given by the user.
        recipe: How to repeat it.
        query: The query, in words.
        hits: Chip id and score of each hit when it was saved, best first.
        eligible: Number of chips that passed the filters then.
        total: Number of chips in the collection then.
        version: The collection's version then.
        chance: What scores meant then, or None where that is unknown.
        created: ISO 8601 UTC.
        updated: ISO 8601 UTC.
        note: Note on the search.
        marks: "good", "bad" or "skip" by chip id, in the order of marking.
        notes: Notes on hits, by chip id.
        judgements: Every mark that was given, in order, with its author and time; of `marks`, which
            are the last of them, an earlier version kept no more.
        check: Random sample of the hits with its judgements, or None.
    """

    id: str
    name: str
    recipe: Recipe
    query: str
    hits: tuple[tuple[str, float], ...]
    eligible: int
    total: int
    version: str
    created: str
    updated: str = ""
    note: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    judgements: tuple[Judgement, ...] = ()
    check: Check | None = None
    chance: Chance | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Marks by chip id; of hits without one, the judgement of the check."""
        return {**(self.check.marks if self.check else {}), **self.marks}

    @property
    def reviewed(self) -> int:
        """Number of hits marked or judged good or bad."""
        return sum(mark != SKIP for mark in self.labels.values())

    @property
    def standing(self) -> tuple[Judgement, ...]:
        """The last judgement of each author on each hit, in order: of the check, then marks."""
        checked = self.check.standing if self.check else ()
        return (*checked, *standing(history_of(self.judgements, self.marks)))


@dataclass(frozen=True)
class Reopened:
    """A saved search in the present collection.

    Attributes:
        saved: The search.
        result: The saved hits whose chips still exist.
        missing: Ids of hits whose chips no longer exist.
        changed: Whether the collection changed since, so that a new search may find more.
    """

    saved: Saved
    result: Result
    missing: tuple[str, ...]
    changed: bool

    def chosen(
        self, least: float | None = None, marks: Sequence[str] | None = None
    ) -> tuple[Hit, ...]:
        """The hits at or above a score, or judged good, that have one of some marks.

        Each keeps its rank. What the check judged counts as marked.

        Args:
            least: Minimum score, or None for all.
            marks: Of `MARKS`, and "none" for hits without one; None for all.

        Raises:
            QueryError: If there is no such mark.
        """
        known = (*MARKS, UNMARKED)
        if unknown := set(marks or ()) - set(known):
            raise QueryError(
                "No such mark", where=min(unknown)[:40], remedy=f"Use {', '.join(known)}"
            )
        given = self.saved.labels
        return tuple(
            hit
            for hit in self.result.hits
            if (least is None or hit.score >= least or given.get(hit.id) == GOOD)
            and (marks is None or given.get(hit.id, UNMARKED) in marks)
        )


class Searches:
    """The saved searches of one collection."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    @property
    def folder(self) -> Path:
        """Folder of the saved searches."""
        return self.collection.path / "searches"

    def save(
        self,
        name: str,
        recipe: Recipe,
        result: Result,
        picture: bytes | None = None,
        judgements: Sequence[Judgement] = (),
    ) -> Saved:
        """Save a search.

        Args:
            name: Its name; if empty, the query in words.
            recipe: How to repeat it.
            result: The hits.
            picture: Picture of the query, PNG.
            judgements: Marks, in order; those of chips that are not hits are dropped.

        Raises:
            QueryError: If the name is too long or a mark is unknown.
            NotFoundError: If the collection was deleted meanwhile.
            StorageError: If it cannot be written.
        """
        words = recipe.words(self.collection.chips)
        hits = {hit.id for hit in result.hits}
        for each in judgements:
            _check_mark(each.label)
        history = tuple(each for each in judgements if each.id in hits)
        saved = Saved(
            id=secrets.token_hex(6),
            name=_name(name) or words,
            recipe=recipe,
            query=words,
            hits=tuple((hit.id, round(hit.score, 6)) for hit in result.hits),
            eligible=result.eligible,
            total=result.total,
            version=self.collection.version,
            created=now(),
            updated=now(),
            marks=marks_of(history),
            judgements=history,
            chance=result.chance,
        )
        with self._changing():
            if picture is not None:
                with replacing(self.folder / f"{saved.id}.png") as temporary:
                    temporary.write_bytes(picture)
            self._write(saved)
        return saved

    def all(self) -> list[Saved]:
        """All saved searches, the latest first; damaged ones are left out."""
        searches = []
        for path in self.folder.glob("*.json"):
            if _ID.fullmatch(path.stem):
                try:
                    searches.append(self.get(path.stem))
                except (DamagedError, NotFoundError):
                    continue
        return sorted(searches, key=lambda saved: (saved.created, saved.id), reverse=True)

    def get(self, search_id: str) -> Saved:
        """One saved search.

        Raises:
            NotFoundError: If no saved search has this id.
            NewerError: If a newer version wrote it.
            DamagedError: If its file cannot be read.
        """
        path = self._path(search_id)
        content = read_versioned(
            path, newest=SCHEMA, what="A saved search", remedy="Delete it and save it again"
        )
        try:
            # What an earlier version saved has its ranking.
            recipe = Recipe.from_fields({"ranking": PLAIN, **content["recipe"]})
            saved = Saved(
                **{
                    "query": recipe.label,  # files of early versions lack it
                    **content,
                    "recipe": recipe,
                    "hits": tuple((str(chip), float(score)) for chip, score in content["hits"]),
                    "judgements": tuple(
                        Judgement(**each) for each in content.get("judgements", ())
                    ),
                    "chance": Chance.from_dict(content.get("chance")),
                    "check": Check.from_dict(content.get("check"), len(content["hits"])),
                }
            )
            _check_kinds(saved)
            return saved
        except (AttributeError, KeyError, TypeError, ValueError, QueryError) as error:
            raise DamagedError(
                "A saved search is damaged", where=path, remedy="Delete it and save it again"
            ) from error

    def picture(self, search_id: str) -> Path | None:
        """File of the query's picture, if there is one."""
        path = self._path(search_id).with_suffix(".png")
        return path if path.is_file() else None

    def reopen(self, search_id: str) -> Reopened:
        """A saved search with its hits as they were saved.

        Raises:
            NotFoundError: If no saved search has this id.
        """
        saved = self.get(search_id)
        table = self.collection.chips
        hits: list[Hit] = []
        missing: list[str] = []
        for chip, score in saved.hits:
            row = table.find(chip)
            if row is None:
                missing.append(chip)
            else:
                hits.append(Hit.of(table, row, score, len(hits) + 1, saved.chance))
        result = Result(tuple(hits), saved.eligible, saved.total, 0.0, saved.chance)
        changed = saved.version != self.collection.version
        return Reopened(saved, result, tuple(missing), changed)

    def rename(self, search_id: str, name: str) -> Saved:
        """Rename a saved search.

        Raises:
            QueryError: If the name is empty or too long.
        """
        if not _name(name):
            raise QueryError("A saved search needs a name", remedy="Give one")
        return self._change(search_id, lambda saved: replace(saved, name=_name(name)))

    def describe(self, search_id: str, note: str) -> Saved:
        """Set the note on a saved search."""
        return self._change(search_id, lambda saved: replace(saved, note=_note(note)))

    def mark(self, search_id: str, chip: str, mark: str | None, author: str = "") -> Saved:
        """Mark a hit good, bad or skipped; None takes back the author's mark.

        Nobody replaces the mark of another: the last of each author stands, the later is shown.

        Args:
            search_id: The saved search.
            chip: Id of the hit's chip.
            mark: Of `MARKS`, or None.
            author: Who judges.

        Raises:
            QueryError: If the mark is unknown or the chip is not a hit.
        """
        if mark is not None:
            _check_mark(mark)

        def change(saved: Saved) -> Saved:
            _check_hit(saved, chip)
            given = Judgement(chip, mark or "", author_of(author), now())
            history = (*history_of(saved.judgements, saved.marks), given)
            return replace(saved, judgements=history, marks=marks_of(history))

        return self._change(search_id, change)

    def note(self, search_id: str, chip: str, text: str) -> Saved:
        """Set the note on a hit; an empty one removes it.

        Raises:
            QueryError: If the chip is not a hit or the note is too long.
        """

        def change(saved: Saved) -> Saved:
            _check_hit(saved, chip)
            notes = {other: was for other, was in saved.notes.items() if other != chip}
            return replace(saved, notes={**notes, chip: _note(text)} if text.strip() else notes)

        return self._change(search_id, change)

    def checked(self, search_id: str) -> Checked:
        """The check of a saved search as it stands.

        Raises:
            NotFoundError: If no saved search has this id.
        """
        return self._checked(self.get(search_id))

    def change_check(self, search_id: str, change: Callable[[Checked], Check | None]) -> Checked:
        """Change the check of a saved search, or remove it, while nobody else does."""
        return self._checked(
            self._change(
                search_id, lambda saved: replace(saved, check=change(self._checked(saved)))
            )
        )

    def check_items(self, search_id: str, ids: Sequence[str]) -> list[CheckItem]:
        """Hits of a saved search to judge."""
        table, side = self.collection.chips, self.collection.manifest.chip_size
        items = []
        for chip in ids:
            row = table.find(chip)
            if row is None:
                continue
            hit, (left, top) = Hit.of(table, row, 0.0, 0), table.corner_of(row)
            centre = (left + side / 2, top + side / 2)
            where = (self.collection.name, hit.scene_id, hit.geometry)
            items.append(CheckItem(chip, *where, *centre, side, side))
        return items

    def _checked(self, saved: Saved) -> Checked:
        find = self.collection.chips.find
        return Checked.of(
            saved.check, saved.hits, (chip for chip, _ in saved.hits if find(chip) is None)
        )

    def delete(self, search_id: str) -> None:
        """Delete a saved search.

        Raises:
            NotFoundError: If no saved search has this id.
        """
        with self._changing():
            path = self._path(search_id)
            path.unlink()
            path.with_suffix(".png").unlink(missing_ok=True)

    def _path(self, search_id: str) -> Path:
        path = self.folder / f"{search_id}.json"
        if not (_ID.fullmatch(search_id) and path.is_file()):
            raise NotFoundError(
                "No saved search has this id",
                where=search_id[:40],
                remedy="It may have been deleted; the Results page lists all saved searches",
            )
        return path

    def _change(self, search_id: str, change: Callable[[Saved], Saved]) -> Saved:
        with self._changing():
            saved = replace(change(self.get(search_id)), updated=now())
            self._write(saved)
        return saved

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Lock for writing and deleting, so that no write restores what was deleted."""
        if not self.collection.path.is_dir():
            raise NotFoundError("The collection was deleted meanwhile", where=self.collection.name)
        with exclusive(self.folder / ".mutex"):
            yield

    def _write(self, saved: Saved) -> None:
        plain = {**asdict(replace(saved, recipe=Recipe())), "recipe": _fields(saved.recipe)}
        write_versioned(self.folder / f"{saved.id}.json", json.loads(json.dumps(plain)), SCHEMA)


def _fields(recipe: Recipe) -> dict[str, object]:
    """A recipe as it is kept: with its ranking, even if that is the default of this version."""
    return {**recipe.to_dict(), "ranking": recipe.ranking}


def _check_kinds(saved: Saved) -> None:
    """Raise `TypeError` if a value is not of its field's type."""
    texts = (saved.id, saved.name, saved.query, saved.version, saved.created, saved.updated)
    reviewed = (*saved.marks.items(), *saved.notes.items())
    if not all(isinstance(text, str) for text in (*texts, saved.note, *sum(reviewed, ()))):
        raise TypeError("a text is not a string")
    if not all(type(number) is int for number in (saved.eligible, saved.total)):
        raise TypeError("a count is not an integer")


def _check_mark(mark: str) -> None:
    if mark not in MARKS:
        raise QueryError("No such mark", where=str(mark)[:40], remedy=f"Use {', '.join(MARKS)}")


def _check_hit(saved: Saved, chip: str) -> None:
    if not any(chip == hit for hit, _ in saved.hits):
        raise QueryError(
            "This chip is not a hit of the saved search", where=chip[:40], remedy="Reload the page"
        )


def _name(text: str) -> str:
    if len(text.strip()) > LONGEST_NAME:
        raise QueryError(f"The name is longer than {LONGEST_NAME} characters", remedy="Shorten it")
    return text.strip()


def _note(text: str) -> str:
    if len(text) > LONGEST_NOTE:
        raise QueryError(
            f"The note is longer than {LONGEST_NOTE:,} characters", remedy="Shorten it"
        )
    return text.strip()
