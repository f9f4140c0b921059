"""What saved searches of places and of objects have in common: names, notes, marks and a check.

Marks sort the hits and train; only the judgements of a check estimate how many are right.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pipeline.collection.marks import Judgement, author_of, history_of, marks_of, standing
from pipeline.dates import now
from pipeline.errors import DamagedError, NotFoundError, QueryError
from pipeline.files import exclusive, read_versioned, write_versioned
from pipeline.search.check import Check, Checked, CheckItem
from pipeline.search.review import SKIP, check_mark

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

#: Version of a saved search's file; 1 had no check.
SCHEMA = 2
LONGEST_NAME, LONGEST_NOTE = 120, 10_000
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class SavedSearch:
    """A saved search.

    Attributes:
        id: Twelve hex digits.
        name: Given by the user.
        query: What was looked for, in words.
        created: ISO 8601 UTC.
        updated: ISO 8601 UTC.
        note: Note on the search.
        marks: "good", "bad" or "skip" by id of a hit, in the order of marking.
        notes: Notes on hits, by id.
        judgements: Every mark that was given, in order, with its author and time; of `marks`, which
            are the last of them, an earlier version kept no more.
        check: Random sample of the hits with its judgements, or None.
    """

    id: str
    name: str
    query: str
    created: str
    updated: str = ""
    note: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    judgements: tuple[Judgement, ...] = ()
    check: Check | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Marks by id of a hit; of those without one, the judgement of the check."""
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


Kept = TypeVar("Kept", bound=SavedSearch)


class SavedSearches(ABC, Generic[Kept]):
    """The saved searches of one kind of one collection.

    Attributes:
        collection: The collection.
        folder_name: Folder of the files, in the collection's.
        what: What messages call one of them.
        hit: What messages call a hit.
    """

    folder_name: ClassVar[str]
    what: ClassVar[str]
    hit: ClassVar[str]

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    @property
    def folder(self) -> Path:
        """Folder of the saved searches."""
        return self.collection.path / self.folder_name

    def all(self) -> list[Kept]:
        """All saved searches, the latest first; damaged ones are left out."""
        searches = []
        for path in self.folder.glob("*.json"):
            if _ID.fullmatch(path.stem):
                try:
                    searches.append(self.get(path.stem))
                except (DamagedError, NotFoundError):
                    continue
        return sorted(searches, key=lambda saved: (saved.created, saved.id), reverse=True)

    def get(self, search_id: str) -> Kept:
        """One saved search, its hits as they were.

        Raises:
            NotFoundError: If no saved search has this id.
            NewerError: If a newer version wrote it.
            DamagedError: If its file cannot be read.
        """
        path, remedy = self._path(search_id), "Delete it and save the search again"
        content = read_versioned(path, newest=SCHEMA, what=f"A {self.what}", remedy=remedy)
        try:
            return self._parse(content)
        except (
            AttributeError,
            KeyError,
            OverflowError,
            TypeError,
            ValueError,
            QueryError,
        ) as error:
            raise DamagedError(f"A {self.what} is damaged", where=path, remedy=remedy) from error

    def holds(self, search_id: str) -> bool:
        """Whether a saved search has this id."""
        return bool(_ID.fullmatch(search_id)) and (self.folder / f"{search_id}.json").is_file()

    def change(self, search_id: str, *, name: str | None = None, note: str | None = None) -> Kept:
        """Change the name or the note of a saved search; None leaves it.

        Raises:
            NotFoundError: If no saved search has this id.
            QueryError: If the name is empty, or either is too long.
        """
        if name is not None:
            name = checked_name(name)
            if not name:
                raise QueryError("A saved search needs a name", remedy="Give one")
        if note is not None:
            note = _checked_text(note, "note", LONGEST_NOTE)

        def changed(saved: Kept) -> Kept:
            return replace(
                saved,
                name=saved.name if name is None else name,
                note=saved.note if note is None else note,
            )

        return self._change(search_id, changed)

    def review(
        self,
        search_id: str,
        hit: str,
        *,
        mark: str | None = None,
        note: str | None = None,
        author: str = "",
    ) -> Kept:
        """Mark a hit, or keep a note on it.

        Nobody replaces the mark of another: the last of each author stands, the later is shown.

        Args:
            search_id: The saved search.
            hit: Id of the hit.
            mark: "good", "bad" or "skip"; "" takes back the author's mark, None leaves it.
            note: "" removes the note, None leaves it.
            author: Who judges.

        Raises:
            NotFoundError: If no saved search has this id.
            QueryError: If there is no such mark or hit, or the note is too long.
        """
        if mark:
            check_mark(mark)
        text = None if note is None else _checked_text(note, "note", LONGEST_NOTE)

        def changed(saved: Kept) -> Kept:
            if hit not in self._ids(saved):
                raise QueryError(
                    f"This {self.hit} is not a hit of the saved search",
                    where=hit[:40],
                    remedy="Reload the page",
                )
            if mark is not None:
                given = Judgement(hit, mark, author_of(author), now())
                history = (*history_of(saved.judgements, saved.marks), given)
                saved = replace(saved, judgements=history, marks=marks_of(history))
            if text is not None:
                others = {other: was for other, was in saved.notes.items() if other != hit}
                saved = replace(saved, notes={**others, hit: text} if text else others)
            return saved

        return self._change(search_id, changed)

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

    @abstractmethod
    def check_items(self, search_id: str, ids: Sequence[str]) -> list[CheckItem]:
        """Hits of a saved search to judge."""

    def delete(self, search_id: str) -> None:
        """Delete a saved search permanently, and what is kept with it.

        Raises:
            NotFoundError: If no saved search has this id.
        """
        with self._changing():
            self._path(search_id).unlink()
            for path in self.folder.glob(f"{search_id}.*"):
                path.unlink(missing_ok=True)

    @abstractmethod
    def _ids(self, saved: Kept) -> Iterable[str]:
        """Ids of its hits."""

    @abstractmethod
    def _checked(self, saved: Kept) -> Checked:
        """Its check, with the scores of its hits and those that are gone."""

    @abstractmethod
    def _parse(self, content: Mapping[str, Any]) -> Kept:
        """The saved search of a file's content; raises what wrong content makes."""

    def _plain(self, saved: Kept) -> dict[str, Any]:
        """The content of its file."""
        return {
            **{each.name: getattr(saved, each.name) for each in fields(saved)},
            "judgements": [asdict(each) for each in saved.judgements],
            "check": asdict(saved.check) if saved.check else None,
        }

    def _path(self, search_id: str) -> Path:
        if not self.holds(search_id):
            raise NotFoundError(
                f"No {self.what} has this id",
                where=search_id[:40],
                remedy="It may have been deleted; the Results page lists all saved searches",
            )
        return self.folder / f"{search_id}.json"

    def _change(self, search_id: str, change: Callable[[Kept], Kept]) -> Kept:
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

    def _write(self, saved: Kept) -> None:
        content = json.loads(json.dumps(self._plain(saved)))
        write_versioned(self.folder / f"{saved.id}.json", content, SCHEMA)


def reviewed_fields(content: Mapping[str, Any], hits: int) -> dict[str, Any]:
    """Judgements and check in a file's content.

    Args:
        content: The content.
        hits: Number of hits in it.
    """
    return {
        "judgements": tuple(Judgement(**each) for each in content.get("judgements", ())),
        "check": Check.from_dict(content.get("check"), hits),
    }


def check_texts(saved: SavedSearch, *more: str) -> None:
    """Raise `TypeError` if a text that a file stated is none."""
    texts = (saved.id, saved.name, saved.query, saved.created, saved.updated, saved.note, *more)
    reviewed = (*saved.marks.items(), *saved.notes.items())
    if not all(isinstance(text, str) for text in (*texts, *sum(reviewed, ()))):
        raise TypeError("a text is not a string")


def checked_name(text: str) -> str:
    """A name without blanks around it.

    Raises:
        QueryError: If it is too long.
    """
    return _checked_text(text, "name", LONGEST_NAME)


def _checked_text(text: str, what: str, longest: int) -> str:
    if len(text.strip()) > longest:
        raise QueryError(
            f"The {what} is longer than {longest:,} characters",
            where=text[:40],
            remedy="Shorten it",
        )
    return text.strip()
