"""Saved object searches and their review.

    collections/<name>/object-searches/<id>.json    recipe, objects, marks, notes, check

The objects are kept, not only the recipe, so that a saved search reopens as it was, even after the
collection grew or its cells were dropped.  Marks sort the objects and train; only the judgements
of a check estimate how many are right.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.collection.marks import (
    Judgement,
    author_of,
    history_of,
    marks_of,
    read,
    standing,
)
from pipeline.collection.marks import present as present_marks
from pipeline.dates import now
from pipeline.errors import DamagedError, NotFoundError, QueryError
from pipeline.files import exclusive, read_versioned, write_versioned
from pipeline.model.cells import CellIdentity
from pipeline.objects.objects import FoundObject
from pipeline.objects.recipe import ObjectRecipe
from pipeline.search.check import Check, Checked, CheckItem
from pipeline.search.review import GOOD, MARKS, SKIP
from pipeline.search.saved import LONGEST_NAME, LONGEST_NOTE, UNMARKED

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.objects.service import ObjectOutcome
    from pipeline.search.open_collections import OpenCollections

#: Version of a saved object search's file; 1 had no check.
SCHEMA = 2
#: Maximum number of objects that are kept.
MOST_KEPT = 10_000
#: Metres in a degree of latitude.
_DEGREE = 111_320
_ID = re.compile(r"[0-9a-f]{12}")
_REMEDY = "Delete it and save the search again"
_TEXTS = ("id", "collection", "scene_id", "mark")
_PIXELS = ("col", "row", "width", "height")
_NUMBERS = ("score", "lon", "lat", "width_m", "height_m", *_PIXELS)


@dataclass(frozen=True)
class SavedObjects:
    """A saved object search.

    Attributes:
        id: Twelve hex digits.
        name: Given by the user.
        recipe: How to repeat it.
        query: What was looked for, in words.
        object_size: Size of the thing in metres.
        trained: Whether marks trained the ranking.
        found: Number of objects that the search had; more than `objects` if k was smaller.
        model: What made the cells.
        objects: The objects, best first.
        created: ISO 8601 UTC.
        updated: ISO 8601 UTC.
        note: Note on the search.
        marks: "good", "bad" or "skip" by object id, in the order of marking.
        notes: Notes on objects, by object id.
        taught: Ids of the objects whose marks the search learned from: they are not its review.
        judgements: Every mark that was given, in order, with its author and time; `marks` are the
            last of them.
        check: Random sample of the objects with its judgements, or None.
    """

    id: str
    name: str
    recipe: ObjectRecipe
    query: str
    object_size: float
    trained: bool
    found: int
    model: CellIdentity
    objects: tuple[FoundObject, ...]
    created: str
    updated: str = ""
    note: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    taught: tuple[str, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    check: Check | None = None

    @property
    def standing(self) -> tuple[Judgement, ...]:
        """The last judgement of each author on each object, in order: of the check, then marks."""
        checked = self.check.standing if self.check else ()
        return (*checked, *standing(history_of(self.judgements, self.marks)))

    @property
    def labels(self) -> dict[str, str]:
        """Marks by object id; of objects without one, the judgement of the check."""
        return {**(self.check.marks if self.check else {}), **self.marks}

    @property
    def reviewed(self) -> int:
        """Number of objects marked or judged good or bad since the search was saved."""
        known = set(self.taught)
        return sum(mark != SKIP for found, mark in self.labels.items() if found not in known)

    def marked(self) -> tuple[FoundObject, ...]:
        """The objects with their marks."""
        labels = self.labels
        return tuple(replace(each, mark=labels.get(each.id, "")) for each in self.objects)


class ObjectSearches:
    """The saved object searches of one collection."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    @property
    def folder(self) -> Path:
        """Folder of the saved searches."""
        return self.collection.path / "object-searches"

    def save(self, name: str, outcome: ObjectOutcome) -> SavedObjects:
        """Save a search with its set of marks.

        Args:
            name: Its name; if empty, what was looked for.
            outcome: The search that was run.

        Raises:
            QueryError: If the name is too long, or the objects are too many.
            StorageError: If it cannot be written.
        """
        objects = outcome.result.objects
        if sum(each.mark != "good" for each in objects) > MOST_KEPT:
            raise QueryError(
                f"A saved search keeps at most {MOST_KEPT:,} objects besides those marked good",
                where=f"{len(objects):,}",
                remedy="Ask for a minimum score or a smaller number, or export them instead",
            )
        # An example that was drawn is the question, not a judgement of the answer.
        judged = outcome.recipe.marks is not None
        marks = {each.id: each.mark for each in objects if each.mark and judged}
        saved = SavedObjects(
            id=secrets.token_hex(6),
            name=_text(name, LONGEST_NAME) or outcome.label,
            recipe=outcome.recipe,
            query=outcome.label,
            object_size=outcome.result.ranking.size_m,
            trained=outcome.result.ranking.trained,
            found=outcome.result.found,
            model=outcome.model,
            objects=tuple(replace(each, mark="") for each in objects),
            created=now(),
            updated=now(),
            marks=marks,
            taught=tuple(marks),
            judgements=_given(self.collection, outcome) if judged else (),
        )
        with self._changing():
            self._write(saved)
        return saved

    def all(self) -> list[SavedObjects]:
        """All saved searches, the latest first; damaged ones are left out."""
        searches = []
        for path in self.folder.glob("*.json"):
            if _ID.fullmatch(path.stem):
                try:
                    searches.append(self.get(path.stem))
                except (DamagedError, NotFoundError):
                    continue
        return sorted(searches, key=lambda saved: (saved.created, saved.id), reverse=True)

    def get(self, search_id: str) -> SavedObjects:
        """One saved search, its objects as they were.

        Raises:
            NotFoundError: If no saved search has this id.
            NewerError: If a newer version wrote it.
            DamagedError: If its file cannot be read.
        """
        path = self._path(search_id)
        content = read_versioned(path, newest=SCHEMA, what="A saved object search", remedy=_REMEDY)
        try:
            return _saved(content)
        except (
            AttributeError,
            KeyError,
            OverflowError,
            TypeError,
            ValueError,
            QueryError,
        ) as error:
            raise DamagedError(
                "A saved object search is damaged", where=path, remedy=_REMEDY
            ) from error

    def change(
        self, search_id: str, *, name: str | None = None, note: str | None = None
    ) -> SavedObjects:
        """Change the name or the note of a saved search.

        Raises:
            NotFoundError: If no saved search has this id.
            QueryError: If the name is empty, or either is too long.
        """
        if name is not None and not _text(name, LONGEST_NAME):
            raise QueryError("A saved search needs a name", remedy="Give one")

        def changed(saved: SavedObjects) -> SavedObjects:
            return replace(
                saved,
                name=saved.name if name is None else _text(name, LONGEST_NAME),
                note=saved.note if note is None else _text(note, LONGEST_NOTE),
            )

        return self._change(search_id, changed)

    def review(
        self,
        search_id: str,
        found: str,
        *,
        mark: str | None = None,
        note: str | None = None,
        author: str = "",
    ) -> SavedObjects:
        """Mark an object, or keep a note on it.

        Nobody replaces the mark of another: the last of each author stands, the later is shown.

        Args:
            search_id: The saved search.
            found: Id of the object.
            mark: "good", "bad" or "skip"; "" takes back the author's mark, None leaves it.
            note: "" removes the note, None leaves it.
            author: Who judges.

        Raises:
            NotFoundError: If no saved search has this id.
            QueryError: If there is no such mark or object, or the note is too long.
        """
        if mark and mark not in MARKS:
            raise QueryError("No such mark", where=mark[:40], remedy=f"Use {', '.join(MARKS)}")

        def changed(saved: SavedObjects) -> SavedObjects:
            if not any(found == each.id for each in saved.objects):
                raise QueryError(
                    "This object is not in the saved search",
                    where=found[:40],
                    remedy="Reload the page",
                )
            if mark is not None:
                given = Judgement(found, mark, author_of(author), now())
                history = (*history_of(saved.judgements, saved.marks), given)
                saved = replace(saved, judgements=history, marks=marks_of(history))
            text = None if note is None else _text(note, LONGEST_NOTE)
            notes = saved.notes if text is None else _with(saved.notes, found, text)
            return replace(saved, notes=notes)

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

    def check_items(self, search_id: str, ids: Sequence[str]) -> list[CheckItem]:
        """Objects of a saved search to judge."""
        by_id = {each.id: each for each in self.get(search_id).objects}
        return [
            CheckItem(
                found.id,
                found.collection,
                found.scene_id,
                found.geometry.__geo_interface__,
                *(round(getattr(found, key), 2) for key in _PIXELS),
            )
            for found in (by_id[each] for each in ids if each in by_id)
        ]

    def _checked(self, saved: SavedObjects) -> Checked:
        home = self.collection
        return Checked.of(
            saved.check,
            ((each.id, each.score) for each in saved.objects),
            (
                each.id
                for each in saved.objects
                if each.collection == home.name and each.scene_id not in home.scenes
            ),
        )

    def holds(self, search_id: str) -> bool:
        """Whether a saved object search has this id."""
        return bool(_ID.fullmatch(search_id)) and (self.folder / f"{search_id}.json").is_file()

    def delete(self, search_id: str) -> None:
        """Delete a saved search permanently.

        Raises:
            NotFoundError: If no saved search has this id.
        """
        with self._changing():
            self._path(search_id).unlink()

    def _path(self, search_id: str) -> Path:
        if not self.holds(search_id):
            raise NotFoundError(
                "No saved object search has this id",
                where=search_id[:40],
                remedy="It may have been deleted; list those that are left",
            )
        return self.folder / f"{search_id}.json"

    def _change(
        self, search_id: str, change: Callable[[SavedObjects], SavedObjects]
    ) -> SavedObjects:
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

    def _write(self, saved: SavedObjects) -> None:
        plain = {each.name: getattr(saved, each.name) for each in fields(saved)}
        plain |= {
            "recipe": saved.recipe.to_dict(),
            "model": saved.model.to_dict(),
            "objects": [_plain(each) for each in saved.objects],
            "judgements": [asdict(each) for each in saved.judgements],
            "check": asdict(saved.check) if saved.check else None,
        }
        write_versioned(self.folder / f"{saved.id}.json", json.loads(json.dumps(plain)), SCHEMA)


def chosen(
    objects: Sequence[FoundObject], least: float | None = None, marks: Sequence[str] | None = None
) -> tuple[FoundObject, ...]:
    """The objects at or above a score that have one of some marks; each keeps its rank.

    Those marked good stay whatever their score.

    Args:
        objects: Objects with their marks, best first.
        least: Minimum score, or None for all.
        marks: Of `MARKS`, and "none" for objects without one; None for all.

    Raises:
        QueryError: If there is no such mark.
    """
    known = (*MARKS, UNMARKED)
    if unknown := set(marks or ()) - set(known):
        raise QueryError("No such mark", where=min(unknown)[:40], remedy=f"Use {', '.join(known)}")
    return tuple(
        found
        for found in objects
        if (least is None or found.score >= least or found.mark == GOOD)
        and (marks is None or (found.mark or UNMARKED) in marks)
    )


def present(
    open_collections: OpenCollections, home: Collection, saved: SavedObjects
) -> tuple[dict[str, Collection], list[FoundObject], list[str]]:
    """What is left of a saved search's objects.

    Returns:
        The collections of the objects by name, the objects whose scenes exist with their marks,
        and the ids of the others.
    """
    collections = {home.name: home}
    for name in sorted({found.collection for found in saved.objects} - set(collections)):
        try:
            collections[name] = open_collections.collection(name)
        except NotFoundError:
            continue
    objects = [
        found
        for found in saved.marked()
        if found.collection in collections
        and found.scene_id in collections[found.collection].scenes
    ]
    kept = {found.id for found in objects}
    return collections, objects, [each.id for each in saved.objects if each.id not in kept]


def _given(home: Collection, outcome: ObjectOutcome) -> tuple[Judgement, ...]:
    """The marks that a search learned from, with their authors: of each object the nearest one."""
    kept = [mark for mark in present_marks(read(home, outcome.recipe.marks or "")) if mark.label]
    lon, lat = (np.array([getattr(mark, axis) for mark in kept], float) for axis in ("lon", "lat"))
    labels, scenes = (
        np.array([getattr(mark, name) for mark in kept], str) for name in ("label", "scene_id")
    )
    given = []
    for found in outcome.result.objects:
        if not found.mark:
            continue
        across = (lon - found.lon) * math.cos(math.radians(found.lat))
        apart = np.hypot(across, lat - found.lat) * _DEGREE
        same = (labels == found.mark) & ((scenes == found.scene_id) | (scenes == ""))
        near = np.where(same & (apart <= max(found.width_m, found.height_m)), apart, np.inf)
        mark = kept[int(np.argmin(near))] if np.isfinite(near).any() else None
        # An example that was drawn has no author.
        who = (mark.author, mark.time) if mark else ("", "")
        given.append(Judgement(found.id, found.mark, *who))
    return tuple(given)


def _plain(found: FoundObject) -> dict[str, Any]:
    pixels = {key: round(getattr(found, key), 2) for key in _PIXELS}
    return {**found.to_dict(), **pixels}


def _saved(content: Mapping[str, Any]) -> SavedObjects:
    """The saved search of a file's content; raises what wrong content makes."""
    saved = SavedObjects(
        **{
            **content,
            "recipe": ObjectRecipe.from_fields(content["recipe"], start=False),
            "model": CellIdentity.from_dict(content["model"]),
            "objects": tuple(map(_object, content["objects"])),
            "taught": tuple(content.get("taught", ())),
            "judgements": tuple(Judgement(**each) for each in content.get("judgements", ())),
            "check": Check.from_dict(content.get("check"), len(content["objects"])),
        }
    )
    texts = (saved.id, saved.name, saved.query, saved.created, saved.updated, saved.note)
    reviewed = [
        text for each in (saved.marks, saved.notes) for item in each.items() for text in item
    ]
    if not all(isinstance(text, str) for text in (*texts, *reviewed, *saved.taught)):
        raise TypeError("a text is not a string")
    if not math.isfinite(saved.object_size) or type(saved.found) is not int:
        raise ValueError("a number")
    return saved


def _object(values: Mapping[str, Any]) -> FoundObject:
    from shapely.geometry import shape

    plain: dict[str, Any] = {key: float(values[key]) for key in _NUMBERS}
    if not all(map(math.isfinite, plain.values())):
        raise ValueError("a number is not finite")
    plain |= {key: values[key] for key in _TEXTS}
    if not all(isinstance(plain[key], str) for key in _TEXTS):
        raise TypeError("a text is not a string")
    probability, taken = values["probability"], values["datetime"]
    by_chance = values.get("by_chance")
    return FoundObject(
        rank=int(values["rank"]),
        probability=None if probability is None else float(probability),
        by_chance=None if by_chance is None else float(by_chance),
        geometry=shape(values["geometry"]),
        datetime=None if taken is None else str(taken),
        **plain,
    )


def _with(known: Mapping[str, str], key: str, value: str) -> dict[str, str]:
    """The texts with one set last, or removed where it is empty."""
    others = {other: text for other, text in known.items() if other != key}
    return {**others, key: value} if value else others


def _text(text: str, longest: int) -> str:
    if len(text.strip()) > longest:
        raise QueryError(
            f"The text is longer than {longest:,} characters",
            where=text[:40],
            remedy="Shorten it",
        )
    return text.strip()
