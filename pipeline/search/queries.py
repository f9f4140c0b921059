"""Starts: the queries that need imagery and the model, and the views they are searched in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import DamagedError, QueryError
from pipeline.search import boxes, uploads, views
from pipeline.search.search import by_examples, by_picture, by_point
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index
    from pipeline.model.embedder import Embedder
    from pipeline.search.recipe import Recipe
    from pipeline.search.search import Query

#: Each is read and embedded in up to 24 views.
MOST_EXAMPLES = 8


def query(collection: Collection, index: Index, recipe: Recipe, embedder: Embedder) -> Query:
    """The query of a recipe's start, in the views that it asks for.

    Args:
        collection: Where its chips and imagery are.
        index: The collection's index.
        recipe: Of which only the start counts; examples are one only where nothing else is.
        embedder: The model that made the collection.

    Raises:
        NotFoundError: If the chip, the place or the kept picture is gone.
        DamagedError: If the imagery is.
        QueryError: If the start cannot be used.
    """
    if recipe.picture:
        return picture_query(uploads.pixels(collection, recipe.picture), recipe, embedder)
    if recipe.box:
        cut = boxes.cut_out(collection, recipe.box)
        start = by_picture(cut.pixels, embedder, label="a drawn box")
        start = replace(start, corners=cut.corners[None])
        scene = collection.scenes[cut.scene_id]
        return _viewed(
            start, [views.of_window(scene, cut.col, cut.row, cut.side)], recipe, embedder
        )
    if recipe.at:
        start = by_point(collection, index, *recipe.at)
    else:
        start = by_examples(collection, index, (recipe.chip,) if recipe.chip else recipe.good)
    if recipe.has_views and len(start.chips) > MOST_EXAMPLES:
        raise QueryError(
            f"Any orientation and any scale take at most {MOST_EXAMPLES} examples",
            where=f"{len(start.chips)} examples",
            remedy="Start from one chip and mark the others good",
        )
    reads = [views.of_chip(collection, chip) for chip in start.chips]
    start = _viewed(start, reads, recipe, embedder)
    # Examples are answers too; a chip that is searched from is none.
    return (
        start if recipe.chip or recipe.at else replace(start, chips=(), corners=start.corners[:0])
    )


def picture_query(
    pixels: np.ndarray, recipe: Recipe, embedder: Embedder, *, label: str = "picture"
) -> Query:
    """The query of a picture, uint8 (256, 256, 3), in the views that a recipe asks for."""
    start = by_picture(pixels, embedder, label=label)
    return _viewed(start, [views.of_picture(pixels)], recipe, embedder)


def _viewed(start: Query, reads: Sequence[views.Read], recipe: Recipe, embedder: Embedder) -> Query:
    """A query with the vectors of its other views after its own; means, if it is of several."""
    if not recipe.has_views:
        return start
    try:
        seen = [
            views.seen(read, any_orientation=recipe.any_orientation, any_scale=recipe.any_scale)
            for read in reads
        ]
    except DamagedError as error:
        raise DamagedError(
            "The imagery of the query cannot be read, so it cannot be turned or rescaled",
            where=error.where,
            remedy="Put the file back, or search without any orientation and any scale",
        ) from error
    others = np.stack([normalise(embedder.embed(each[1:])) for each in seen]).mean(axis=0)
    return replace(start, vector=np.concatenate([normalise(start.vector[None]), others]))
