"""The search service: REST, the command line, exports and pages search through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.search import queries, uploads
from pipeline.search.changes import MARGIN, between, compare
from pipeline.search.chip_match import match_scores
from pipeline.search.filters import check_scenes, eligible_chips
from pipeline.search.marked import gone, rows_to_keep, without_gone
from pipeline.search.picture import load
from pipeline.search.plain_ranking import PlainRanking
from pipeline.search.ranking import Ranking, rank
from pipeline.search.recipe import COUNT, MAX_K, PLAIN
from pipeline.search.search import search
from pipeline.search.sites import MOST_HITS, gather

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.search.changes import Changes
    from pipeline.search.open_collections import OpenCollections
    from pipeline.search.plain_ranking import Ranked
    from pipeline.search.queries import Query
    from pipeline.search.recipe import Recipe
    from pipeline.search.search import Result
    from pipeline.search.sites import Site


@dataclass(frozen=True)
class Upload:
    """An image file to search from.

    Attributes:
        content: The file's bytes.
        name: The file's name.
        keep: Whether it is kept with the collection, so that the search can be repeated.
    """

    content: bytes
    name: str
    keep: bool = True


@dataclass(frozen=True)
class Outcome:
    """A search that was run.

    Attributes:
        collection: Where.
        recipe: How to repeat it.
        query: The query.
        ranking: How the chips rank.
        result: The hits.
        sites: The sites that the hits make up, if they were requested.
    """

    collection: Collection
    recipe: Recipe
    query: Query
    ranking: Ranked
    result: Result
    sites: tuple[Site, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of the ranking and the scores, sentences without their full stops."""
        if isinstance(self.ranking, Ranking) or self.recipe.ranking == PLAIN:
            return self.result.notes
        return (
            *self.result.notes,
            "These results are ranked by plain cosine, because the graph of this collection is "
            "still being made. Search again in a few minutes for better ones",
        )

    @property
    def gone(self) -> tuple[str, ...]:
        """Ids of marked chips that are no longer in the collection; the search went without."""
        return gone(self.collection.chips, self.recipe)

    @property
    def repeatable(self) -> Recipe:
        """The recipe that finds these hits again, even after the collection grew.

        A point is replaced by the chip nearest to it, and the number of sites by the number of hits
        that make them up.
        """
        recipe = self.recipe
        if self.sites:
            recipe = replace(recipe, k=min(len(self.result.hits), MAX_K))
        if not recipe.at:
            return recipe
        return replace(recipe, at=None, chip=self.query.chips[0])


@dataclass(frozen=True)
class ChangesOutcome:
    """A comparison of two dates that was run.

    Attributes:
        collection: Where.
        query: The query.
        changes: What changed.
    """

    collection: Collection
    query: Query
    changes: Changes


def find(
    open_collections: OpenCollections,
    name: str,
    recipe: Recipe,
    upload: Upload | None = None,
    *,
    sites: bool = False,
    origin: str | None = None,
    most: int = MAX_K,
) -> Outcome:
    """Run a search.

    Args:
        open_collections: Where the collections are.
        name: The collection to search.
        recipe: What to look for.
        upload: Image file to start from; if it is kept, the outcome's recipe contains its id.
        sites: Whether the recipe's k counts sites; the hits are then those that make them up.
        origin: Collection that the chip, point or box to start from lies in, if it is another.
        most: Maximum k; an evaluation ranks every chip.

    Raises:
        NotFoundError: If there is no such collection, scene, chip or picture.
        InputError: If the recipe or the upload cannot be used.
    """
    collection, index = open_collections.collection(name), open_collections.index(name)
    check_scenes(recipe.scenes, [collection])
    recipe, upload = _keep(collection, recipe, upload)
    query = query_for(open_collections, name, recipe, upload, origin)
    filters = recipe.filters()
    ranking = ranking_for(open_collections, name, recipe, query)
    keep = rows_to_keep(collection.chips, recipe)

    def look(k: int) -> Result:
        return search(
            collection,
            index,
            query,
            k=k,
            suppress=recipe.suppress,
            threshold=recipe.threshold,
            filters=filters,
            most=most if k == recipe.k else MOST_HITS,  # k sites take more than k hits
            ranking=ranking,
            keep=keep,
        )

    if not sites:
        return Outcome(collection, recipe, query, ranking, look(recipe.k))
    result, merged = gather(look, recipe.k, keep)
    return Outcome(collection, recipe, query, ranking, result, merged)


def find_changes(
    open_collections: OpenCollections,
    name: str,
    recipe: Recipe,
    upload: Upload | None = None,
    *,
    before: str | None = None,
    after: str | None = None,
    margin: float = MARGIN,
) -> ChangesOutcome:
    """Compare two dates: where the object of a recipe appeared, disappeared or persists.

    Args:
        open_collections: Where the collections are.
        name: The collection, with scenes of both dates.
        recipe: What to look for; its k is the maximum number of places of each kind.
        upload: Image file to start from.
        before: Earlier date, by default the collection's first.
        after: Later date, by default the last.
        margin: Minimum difference of scores that counts as a change.

    Raises:
        NotFoundError: If there is no such collection, chip or picture.
        QueryError: If the dates cannot be compared, or the recipe has filters.
    """
    if recipe.filters():
        raise QueryError(
            "Changes cannot be filtered: all chips of the two dates are compared",
            remedy="Leave the filters out",
        )
    COUNT.check("k", recipe.k)
    collection = open_collections.collection(name)
    recipe, upload = _keep(collection, recipe, upload)
    query = query_for(open_collections, name, recipe, upload)
    first, last = between(collection)
    changes = compare(
        collection,
        ranking_for(open_collections, name, recipe, query),
        query,
        before or first,
        after or last,
        threshold=recipe.threshold,
        margin=margin,
        k=recipe.k,
    )
    return ChangesOutcome(collection, query, changes)


def scores(open_collections: OpenCollections, name: str, recipe: Recipe) -> np.ndarray:
    """Float32 (n,): every chip's score, in row order; NaN for chips that the filters exclude.

    Raises:
        NotFoundError: If there is no such collection, chip or picture.
        InputError: If the search cannot be run as it is.
    """
    collection = open_collections.collection(name)
    check_scenes(recipe.scenes, [collection])
    query = query_for(open_collections, name, recipe)
    similarity = ranking_for(open_collections, name, recipe, query).similarity()
    filters = recipe.filters()
    if filters is None:
        return similarity
    mask = eligible_chips(collection.chips, filters, query.corners).mask
    return np.where(mask, similarity, np.float32(np.nan))


def ranking_for(
    open_collections: OpenCollections, name: str, recipe: Recipe, query: Query
) -> Ranked:
    """How the chips of a collection rank for a query: by its graph, once there is one."""
    collection = open_collections.collection(name)
    graph = None if recipe.ranking == PLAIN else open_collections.graph(name)
    if graph is not None and len(graph):
        return rank(graph, collection.chips, query)
    own = tuple(query.rows_in(collection.chips))
    return PlainRanking(open_collections.index(name), query, own)


def scores_inside(
    open_collections: OpenCollections, name: str, recipe: Recipe, chips: Sequence[str]
) -> np.ndarray:
    """Float32 (m, 8, 8): the scores of the squares of some chips, rows from the top.

    Raises:
        NotFoundError: If there is no such collection, chip or picture.
        InputError: If the search cannot be run as it is.
    """
    query = query_for(open_collections, name, recipe)
    network = open_collections.network()
    return match_scores(open_collections.collection(name), network, chips, query.vector)


def query_for(
    open_collections: OpenCollections,
    name: str,
    recipe: Recipe,
    upload: Upload | None = None,
    origin: str | None = None,
) -> Query:
    """The query of a recipe; the arguments are those of `find`.

    Queries that need imagery and the model are cached.
    """
    collection = open_collections.collection(name)
    recipe = without_gone(collection.chips, recipe)
    origin = name if origin is None or recipe.from_examples else origin
    source, source_index = open_collections.collection(origin), open_collections.index(origin)

    def start_from(recipe: Recipe) -> Query:
        return _start(open_collections, origin, source.version, recipe.start, name)

    if upload:
        pixels = load(upload.content, name=upload.name)
        model = open_collections.model(name)
        start = queries.picture_query(pixels, recipe, model, label=upload.name)
    elif origin == name:
        return queries.query_of(recipe, collection, source_index, start_from)
    else:
        alone = replace(recipe, good=(), bad=())
        start = queries.query_of(alone, source, source_index, start_from)
        start = queries.for_other_collection(
            start, source, collection, lambda: open_collections.model(name)
        )
    if not (recipe.good or recipe.bad):
        return start
    index = open_collections.index(name)
    return queries.refine(collection, index, start, recipe.good, recipe.bad)


def _keep(
    collection: Collection, recipe: Recipe, upload: Upload | None
) -> tuple[Recipe, Upload | None]:
    """Keep an upload that is to be kept: the recipe then has its id, and no upload is left."""
    if not (upload and upload.keep):
        return recipe, upload
    return replace(recipe, picture=uploads.keep(collection, upload.content, upload.name)), None


@lru_cache(maxsize=64)
def _start(
    open_collections: OpenCollections, name: str, version: str, start: Recipe, model_of: str
) -> Query:
    """The query of a start that needs imagery and the model; `version` is only part of the key."""
    return queries.start_query(
        open_collections.collection(name),
        open_collections.index(name),
        start,
        open_collections.model(model_of),
    )
