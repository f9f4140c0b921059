"""Search as one use case: the pages, REST, the command line and exports all ask here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from pipeline.search import queries, uploads
from pipeline.search.recipe import Recipe, query_of
from pipeline.search.search import MAX_K, refined, search
from pipeline.search.sites import MOST_HITS, gather

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index
    from pipeline.search.open_collections import OpenCollections
    from pipeline.search.search import Query, Result
    from pipeline.search.sites import Site


@dataclass(frozen=True)
class Upload:
    """An uploaded picture: its bytes and what the file was called."""

    content: bytes
    name: str


@dataclass(frozen=True)
class Found:
    """A search that was run: where, how to repeat it, and what came of it."""

    collection: Collection
    recipe: Recipe
    query: Query
    result: Result
    sites: tuple[Site, ...] = ()


def find(
    open_collections: OpenCollections,
    name: str,
    recipe: Recipe,
    upload: Upload | None = None,
    *,
    sites: bool = False,
) -> Found:
    """Run a search; an uploaded picture is kept and becomes part of the recipe.

    Args:
        open_collections: Where the collections are.
        name: The collection to search.
        recipe: What to look for.
        upload: The picture to start from.
        sites: Whether the recipe's k counts places; the hits are then those that make them up.

    Raises:
        NotFoundError: If there is no such collection, chip or picture.
        InputError: If the search cannot be run as it is.
    """
    collection, index = open_collections.collection(name), open_collections.index(name)
    if upload:
        recipe = replace(recipe, picture=uploads.keep(collection, upload.content, upload.name))
    query = query_for(open_collections, collection, index, recipe)
    filters = recipe.filters()
    first = cache(lambda: refined(collection, index, query, filters))  # the same for every k

    def look(k: int) -> Result:
        return search(
            collection,
            index,
            query,
            k=k,
            suppress=recipe.suppress,
            threshold=recipe.threshold,
            filters=filters,
            most=MAX_K if k == recipe.k else MOST_HITS,  # more hits than sites are wanted
            first=first,
        )

    if not sites:
        return Found(collection, recipe, query, look(recipe.k))
    result, places = gather(look, recipe.k)
    return Found(collection, recipe, query, result, places)


def query_for(
    open_collections: OpenCollections, collection: Collection, index: Index, recipe: Recipe
) -> Query:
    """The query of a recipe; imagery is read and embedded once and remembered."""

    def start(recipe: Recipe) -> Query:
        return _start(open_collections, collection.name, collection.version, recipe.start)

    return query_of(recipe, collection, index, start)


@lru_cache(maxsize=64)
def _start(open_collections: OpenCollections, name: str, version: str, start: Recipe) -> Query:
    """The query that imagery and the model make; `version` is part of the key alone."""
    return queries.query(
        open_collections.collection(name),
        open_collections.index(name),
        start,
        open_collections.embedder(name),
    )
