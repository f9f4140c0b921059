"""What marks promise: a hit marked good stays, and marks on chips that are gone spoil nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection as Ids

    from pipeline.collection.chip_table import ChipTable
    from pipeline.index.index import Index
    from pipeline.index.rows import Eligible
    from pipeline.search.queries import Query
    from pipeline.search.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Kept:
    """Hits that stay whatever suppression, threshold and number say; filters apply to them.

    Attributes:
        rows: Int (m,), their rows, best first.
        scores: Float32 (m,), their scores.
    """

    rows: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(
        cls, query: Query, index: Index, keep: Ids[int], own: Ids[int], among: Eligible | None
    ) -> Kept:
        """The hits marked good, in the query or beside it.

        Args:
            query: What is searched for.
            index: The index that is searched.
            keep: Rows marked good that are no part of the query.
            own: Rows that are never hits.
            among: Which chips the filters admit, or None for all.
        """
        wanted = {*keep, *(query.marks.good if query.marks else ())} - set(own)
        rows = np.array(sorted(wanted), np.int64)
        if among is not None:
            rows = rows[among.mask[rows]]
        scores = (
            index.cosines(query.vector, rows.tolist()) if len(rows) else np.empty(0, np.float32)
        )
        order = np.argsort(-scores, kind="stable")
        return cls(rows[order], scores[order])

    def among(
        self, rows: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ranked rows and scores with those that stay, and which these are, bool.

        Those that are not among the ranked ones come last.
        """
        absent = ~np.isin(self.rows, rows)
        rows = np.concatenate([rows, self.rows[absent]])
        return rows, np.concatenate([scores, self.scores[absent]]), np.isin(rows, self.rows)


def rows_to_keep(table: ChipTable, recipe: Recipe) -> frozenset[int]:
    """Rows of the chips that a recipe marks good, as examples or beside the query."""
    rows = (table.find(chip) for chip in (*recipe.good, *recipe.keep))
    return frozenset(row for row in rows if row is not None)


def gone(table: ChipTable, recipe: Recipe) -> tuple[str, ...]:
    """Ids that a recipe marks of chips that are no longer in the collection."""
    marked = (*recipe.good, *recipe.bad, *recipe.keep)
    return tuple(chip for chip in marked if table.find(chip) is None)


def without_gone(table: ChipTable, recipe: Recipe) -> Recipe:
    """A recipe without the marks on chips that are gone.

    Raises:
        NotFoundError: If it starts from good examples and none is left.
    """
    lost = set(gone(table, recipe))
    if not lost:
        return recipe
    good, bad, keep = (
        tuple(chip for chip in chips if chip not in lost)
        for chips in (recipe.good, recipe.bad, recipe.keep)
    )
    if recipe.from_examples and not good:
        raise NotFoundError(
            "No good example is in this collection",
            where=recipe.good[0][:40] if recipe.good else "",
            remedy="The collection was rebuilt meanwhile, or the ids are of another one; choose "
            "a chip to search from",
        )
    return replace(recipe, good=good, bad=bad, keep=keep)
