"""Saved searches of places.

    collections/<name>/searches/<id>.json    recipe, hits, marks, notes, check
    collections/<name>/searches/<id>.png     picture of the query

The hits are kept, not only the recipe, so that a saved search reopens unchanged even after the
collection grew.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.collection.marks import marks_of
from pipeline.dates import now
from pipeline.files import replacing
from pipeline.search.chance import Chance
from pipeline.search.check import Checked, CheckItem
from pipeline.search.recipe import PLAIN, Recipe
from pipeline.search.review import check_mark, choose
from pipeline.search.saved_search import (
    SavedSearch,
    SavedSearches,
    check_texts,
    checked_name,
    reviewed_fields,
)
from pipeline.search.search import Hit, Result

if TYPE_CHECKING:
    from pipeline.collection.marks import Judgement


@dataclass(frozen=True, kw_only=True)
class Saved(SavedSearch):
    """A saved search; its hits are chips.

    Attributes:
        recipe: How to repeat it.
        hits: Chip id and score of each hit when it was saved, best first.
        eligible: Number of chips that passed the filters then.
        total: Number of chips in the collection then.
        version: The collection's version then.
        chance: What scores meant then, or None where that is unknown.
    """

    recipe: Recipe
    hits: tuple[tuple[str, float], ...]
    eligible: int
    total: int
    version: str
    chance: Chance | None = None


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
        given = self.saved.labels
        return choose(self.result.hits, lambda hit: given.get(hit.id), least, marks)


class Searches(SavedSearches[Saved]):
    """The saved searches of one collection."""

    folder_name = "searches"
    what = "saved search"
    hit = "chip"

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
            check_mark(each.label)
        history = tuple(each for each in judgements if each.id in hits)
        saved = Saved(
            id=secrets.token_hex(6),
            name=checked_name(name) or words,
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

    def _ids(self, saved: Saved) -> Iterable[str]:
        return (chip for chip, _ in saved.hits)

    def _checked(self, saved: Saved) -> Checked:
        find = self.collection.chips.find
        return Checked.of(
            saved.check, saved.hits, (chip for chip, _ in saved.hits if find(chip) is None)
        )

    def _parse(self, content: Mapping[str, Any]) -> Saved:
        # What an earlier version saved has its ranking.
        recipe = Recipe.from_fields({"ranking": PLAIN, **content["recipe"]})
        known = {
            "query": recipe.label,  # files of early versions lack it
            **content,
            "recipe": recipe,
            "hits": tuple((str(chip), float(score)) for chip, score in content["hits"]),
            "chance": Chance.from_dict(content.get("chance")),
            **reviewed_fields(content, len(content["hits"])),
        }
        saved = Saved(**known)
        check_texts(saved, saved.version)
        if not all(type(number) is int for number in (saved.eligible, saved.total)):
            raise TypeError("a count is not an integer")
        return saved

    def _plain(self, saved: Saved) -> dict[str, Any]:
        # With its ranking, even if that is the default of this version.
        recipe = {**saved.recipe.to_dict(), "ranking": saved.recipe.ranking}
        chance = saved.chance.to_dict() if saved.chance else None
        return {**super()._plain(saved), "recipe": recipe, "chance": chance}
