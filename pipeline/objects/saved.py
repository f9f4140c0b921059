"""Saved object searches.

    collections/<name>/object-searches/<id>.json    recipe, objects, marks, notes, check

The objects are kept, not only the recipe, so that a saved search reopens as it was, even after the
collection grew or its cells were dropped.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.dates import now
from pipeline.errors import NotFoundError, QueryError
from pipeline.model.cells import CellIdentity
from pipeline.objects.marks import judgements_of
from pipeline.objects.objects import FoundObject
from pipeline.objects.recipe import ObjectRecipe
from pipeline.search.check import Checked, CheckItem
from pipeline.search.review import SKIP, choose
from pipeline.search.saved_search import (
    SavedSearch,
    SavedSearches,
    check_texts,
    checked_name,
    reviewed_fields,
)

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.objects.service import ObjectOutcome
    from pipeline.search.open_collections import OpenCollections

#: Maximum number of objects that are kept.
MOST_KEPT = 10_000
_TEXTS = ("id", "collection", "scene_id", "mark")
_PIXELS = ("col", "row", "width", "height")
_NUMBERS = ("score", "lon", "lat", "width_m", "height_m", *_PIXELS)


@dataclass(frozen=True, kw_only=True)
class SavedObjects(SavedSearch):
    """A saved object search; its hits are objects.

    Attributes:
        recipe: How to repeat it.
        object_size: Size of the thing in metres.
        trained: Whether marks trained the ranking.
        found: Number of objects that the search had; more than `objects` if k was smaller.
        model: What made the cells.
        objects: The objects, best first.
        taught: Ids of the objects whose marks the search learned from: they are not its review.
    """

    recipe: ObjectRecipe
    object_size: float
    trained: bool
    found: int
    model: CellIdentity
    objects: tuple[FoundObject, ...]
    taught: tuple[str, ...] = ()

    @property
    def reviewed(self) -> int:
        """Number of objects marked or judged good or bad since the search was saved."""
        known = set(self.taught)
        return sum(mark != SKIP for found, mark in self.labels.items() if found not in known)

    def marked(self) -> tuple[FoundObject, ...]:
        """The objects with their marks."""
        labels = self.labels
        return tuple(replace(each, mark=labels.get(each.id, "")) for each in self.objects)


class ObjectSearches(SavedSearches[SavedObjects]):
    """The saved object searches of one collection."""

    folder_name = "object-searches"
    what = "saved object search"
    hit = "object"

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
            name=checked_name(name) or outcome.label,
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
            judgements=judgements_of(self.collection, outcome.recipe.marks or "", objects)
            if judged
            else (),
        )
        with self._changing():
            self._write(saved)
        return saved

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

    def _ids(self, saved: SavedObjects) -> Iterable[str]:
        return (each.id for each in saved.objects)

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

    def _parse(self, content: Mapping[str, Any]) -> SavedObjects:
        known = {
            **content,
            "recipe": ObjectRecipe.from_fields(content["recipe"], start=False),
            "model": CellIdentity.from_dict(content["model"]),
            "objects": tuple(self._here(_object(each)) for each in content["objects"]),
            "taught": tuple(content.get("taught", ())),
            **reviewed_fields(content, len(content["objects"])),
        }
        saved = SavedObjects(**known)
        check_texts(saved, *saved.taught)
        if not math.isfinite(saved.object_size) or type(saved.found) is not int:
            raise ValueError("a number")
        return saved

    def _here(self, found: FoundObject) -> FoundObject:
        """The object under the collection's present name, if that was renamed since."""
        home = self.collection
        if found.collection in home.manifest.former and found.scene_id in home.scenes:
            return replace(found, collection=home.name)
        return found

    def _plain(self, saved: SavedObjects) -> dict[str, Any]:
        return {
            **super()._plain(saved),
            "recipe": saved.recipe.to_dict(),
            "model": saved.model.to_dict(),
            "objects": [_plain(each) for each in saved.objects],
        }


def chosen(
    objects: Sequence[FoundObject], least: float | None = None, marks: Sequence[str] | None = None
) -> tuple[FoundObject, ...]:
    """Objects with their marks, as `search.review.choose`; each keeps its rank."""
    return choose(objects, lambda found: found.mark, least, marks)


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


def _plain(found: FoundObject) -> dict[str, Any]:
    pixels = {key: round(getattr(found, key), 2) for key in _PIXELS}
    return {**found.to_dict(), **pixels}


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
