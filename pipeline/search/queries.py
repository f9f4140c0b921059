"""Queries: vectors to search with, made from a chip, a point, a box, a picture or examples.

A query has one vector, or one for each of its views (`pipeline.search.views`); then the score of a
chip is that of its best view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection.chip_pictures import read_chip
from pipeline.errors import DamagedError, QueryError
from pipeline.index.exact import best
from pipeline.search import boxes, uploads, views
from pipeline.search.feedback import Marks
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index
    from pipeline.index.rows import Eligible
    from pipeline.model.embedder import ChipModel
    from pipeline.model.identity import ModelIdentity
    from pipeline.search.recipe import Recipe

#: Maximum number of examples in several views: each is read and embedded in up to 24.
MOST_VIEWED = 8


@dataclass(frozen=True)
class Query:
    """The vectors that chips are compared with, and where they come from.

    Attributes:
        vector: Float32 (2048,), not normalised, or (m, 2048) of m views, the unchanged one first.
        model: Model that embedded it.
        chips: Ids of chips that are never hits: those it starts from, and bad examples.
        corners: Float64 (m, 4, 2) lon/lat footprints of the starting chips or of the drawn box.
        label: What the user would call it.
        marks: Marks that order the hits, or None to order them by score.
        examples: Ids of chips of the searched collection that the query starts from.
        descriptor: Of what is no chip of it, or of its views: float32 (d,) or (m, d), or None.
    """

    vector: np.ndarray
    model: ModelIdentity
    chips: tuple[str, ...] = ()
    corners: np.ndarray = field(default_factory=lambda: np.empty((0, 4, 2)))
    label: str = ""
    marks: Marks | None = field(default=None, repr=False)
    examples: tuple[str, ...] = ()
    descriptor: np.ndarray | None = field(default=None, repr=False)

    def rows_in(self, table: ChipTable) -> list[int]:
        """Rows of `chips`; those that the table does not have are left out."""
        return sorted({row for chip in self.chips if (row := table.find(chip)) is not None})

    def best(
        self, index: Index, k: int, eligible: Eligible | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows and cosines of the k best chips by their best view; see `Index.search`."""
        if self.vector.ndim == 1:
            return index.search(self.vector, k, eligible)
        views = [index.search(view, k, eligible) for view in self.vector]
        rows, scores = (np.concatenate(each) for each in zip(*views, strict=True))
        order = np.lexsort((-scores, rows))
        rows, first = np.unique(rows[order], return_index=True)
        # A chip among the k best overall is among the k best of its best view: none is missed.
        return best(rows, scores[order][first], k)


def by_chip(collection: Collection, index: Index, chip: str) -> Query:
    """The query for one chip of a collection.

    Raises:
        NotFoundError: If there is no such chip.
    """
    return by_examples(collection, index, [chip])


def by_point(collection: Collection, index: Index, lon: float, lat: float) -> Query:
    """The query for the chip whose centre is nearest to a point on the imagery, EPSG:4326.

    Raises:
        QueryError: If the numbers are not a longitude and a latitude.
        NotFoundError: If no chip covers the point.
    """
    if not (-360 <= lon <= 360 and -90 <= lat <= 90):
        raise QueryError(
            "This is not a longitude and a latitude",
            where=f"{lon}, {lat}",
            remedy="Give longitude first, for instance -122.05,37.5",
        )
    chips = collection.chips
    return by_chip(collection, index, chips.ids[chips.row_at(lon, lat)].decode())


def by_examples(collection: Collection, index: Index, chips: Sequence[str]) -> Query:
    """The query for the mean of several chips' unit vectors.

    Raises:
        NotFoundError: If one of them does not exist.
        QueryError: If there is none.
    """
    if not chips:
        raise QueryError("There is nothing to search from", remedy="Choose a chip first")
    table = collection.chips
    rows = [table.row_of(chip) for chip in chips]
    vector = normalise(index.vectors[rows]).mean(axis=0)
    label = chips[0] if len(chips) == 1 else f"{len(chips)} examples"
    return Query(
        vector,
        collection.manifest.model,
        tuple(chips),
        table.corners[rows],
        label,
        examples=tuple(chips),
    )


def by_picture(pixels: np.ndarray, model: ChipModel, *, label: str = "picture") -> Query:
    """The query for a picture: uint8 (256, 256, 3), as `picture.load` returns it."""
    vectors, descriptors = model.describe(pixels[None])
    return Query(vectors[0], model.identity, label=label, descriptor=descriptors[0])


def query_of(
    recipe: Recipe,
    collection: Collection,
    index: Index,
    start_from: Callable[[Recipe], Query],
) -> Query:
    """The query of a recipe.

    Args:
        recipe: What to look for.
        collection: Where its chips are.
        index: The collection's index.
        start_from: Makes the query of a box, a picture, or anything in several views, which needs
            imagery and the model (see `start_query`).
    """
    start: Query | None = None
    if recipe.has_views or recipe.box or recipe.picture:
        start = start_from(recipe)
    elif recipe.chip:
        start = by_chip(collection, index, recipe.chip)
    elif recipe.at:
        start = by_point(collection, index, *recipe.at)
    elif not recipe.good:
        start = start_from(recipe)
    if not (recipe.good or recipe.bad) and start is not None:
        return start
    return refine(collection, index, start, recipe.good, recipe.bad)


def refine(
    collection: Collection,
    index: Index,
    start: Query | None,
    good: tuple[str, ...],
    bad: tuple[str, ...],
) -> Query:
    """The query moved towards good and away from bad examples: 2·mean(good) − mean(bad).

    After Rocchio, as Earth Index and GeoVibes do it.  The start counts as one more good example.
    Bad examples are never hits; good ones can be.  Scores are cosines to the moved query, while the
    marks order the hits (see `pipeline.search.feedback`).  Of several views each one is moved.

    Raises:
        NotFoundError: If one of the chips does not exist.
        QueryError: If there is neither a start nor a good example.
    """
    if start is None and not good:
        raise QueryError("There is no good example", remedy="Mark at least one result as good")
    table = collection.chips
    liked, disliked = ([table.row_of(chip) for chip in chips] for chips in (good, bad))
    towards = normalise(index.vectors[liked])
    views = towards[:0] if start is None else normalise(np.atleast_2d(start.vector))
    if start is None:
        vector = towards.mean(axis=0)
    else:
        vector = (views + towards.sum(axis=0)) / (1 + len(liked))
        vector = vector.reshape(start.vector.shape)
    if bad:
        vector = 2 * vector - normalise(index.vectors[disliked]).mean(axis=0)
    base = start or Query(vector, collection.manifest.model, label=f"{len(good)} examples")
    marks = Marks(views, tuple(liked), tuple(disliked))
    return replace(base, vector=vector, chips=(*base.chips, *bad), marks=marks)


def start_query(collection: Collection, index: Index, recipe: Recipe, model: ChipModel) -> Query:
    """The query of a recipe's start, in the views that the recipe asks for.

    Args:
        collection: Where the chips and the imagery are.
        index: The collection's index.
        recipe: Only its start is used; examples are one only if there is no other.
        model: The searched collection's model.

    Raises:
        NotFoundError: If the chip, the place or the kept picture does not exist.
        DamagedError: If the imagery cannot be read.
        QueryError: If the start cannot be used.
    """
    if recipe.picture:
        return picture_query(uploads.pixels(collection, recipe.picture), recipe, model)
    if recipe.box:
        cut = boxes.cut_out(collection, recipe.box)
        start = by_picture(cut.pixels, model, label="a drawn box")
        start = replace(start, corners=cut.corners[None])
        scene = collection.scenes[cut.scene_id]
        return _with_views(
            start, [views.of_window(scene, cut.col, cut.row, cut.side)], recipe, model
        )
    if recipe.at:
        start = by_point(collection, index, *recipe.at)
    else:
        start = by_examples(collection, index, (recipe.chip,) if recipe.chip else recipe.good)
    if recipe.has_views and len(start.chips) > MOST_VIEWED:
        raise QueryError(
            f"Any orientation and any scale take at most {MOST_VIEWED} examples",
            where=f"{len(start.chips)} examples",
            remedy="Start from one chip and mark the others good",
        )
    reads = [views.of_chip(collection, chip) for chip in start.chips]
    start = _with_views(start, reads, recipe, model)
    # Examples can be hits; a chip that is searched from cannot.
    return (
        start if recipe.chip or recipe.at else replace(start, chips=(), corners=start.corners[:0])
    )


def picture_query(
    pixels: np.ndarray, recipe: Recipe, model: ChipModel, *, label: str = "picture"
) -> Query:
    """The query of a picture, uint8 (256, 256, 3), in the views that a recipe asks for."""
    start = by_picture(pixels, model, label=label)
    return _with_views(start, [views.of_picture(pixels)], recipe, model)


def _with_views(
    start: Query, reads: Sequence[views.Read], recipe: Recipe, model: ChipModel
) -> Query:
    """A query with a vector for each further view; of several examples each view's mean."""
    if not recipe.has_views:
        return start
    try:
        rendered = [
            views.render(read, any_orientation=recipe.any_orientation, any_scale=recipe.any_scale)
            for read in reads
        ]
    except DamagedError as error:
        raise DamagedError(
            "The imagery of the query cannot be read, so it cannot be rotated or rescaled",
            where=error.where,
            remedy="Restore the file, or search without any orientation and any scale",
        ) from error
    described = [model.describe(each) for each in rendered]
    others = np.mean([normalise(vectors[1:]) for vectors, _ in described], axis=0)
    return replace(
        start,
        vector=np.concatenate([normalise(start.vector[None]), others]),
        descriptor=np.mean([descriptors for _, descriptors in described], axis=0),
    )


def for_other_collection(
    query: Query, source: Collection, target: Collection, model: Callable[[], ChipModel]
) -> Query:
    """The query of chips of one collection, to search another.

    Args:
        query: Made from chips of `source`.
        source: Where the chips are.
        target: The collection that is searched.
        model: The target's, called only if the chips must be embedded again.

    Raises:
        DamagedError: If the chips must be embedded again and their imagery cannot be read.
    """
    if all(target.chips.find(chip) is not None for chip in query.examples):
        return query  # the same imagery
    if query.descriptor is not None:
        return replace(query, examples=())
    rows = [source.chips.row_of(chip) for chip in query.examples]
    quality = target.manifest.quality
    if quality is None:
        vectors = query.vector[None]
    elif quality == source.manifest.quality:
        vectors = source.descriptors(rows)
    else:
        vectors = model().describe(np.stack([read_chip(source, row) for row in rows]))[1]
    return replace(query, examples=(), descriptor=normalise(vectors).mean(axis=0))
