"""Saved searches over REST: their review and comparison."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathParameter
from pydantic import Field
from starlette.responses import Response

from pipeline import dates
from pipeline.collection import marks as mark_sets
from pipeline.collection.collection import Collection
from pipeline.collection.marks import Judgement
from pipeline.errors import DamagedError, LookalikeError, NotFoundError, QueryError
from pipeline.search import uploads
from pipeline.search.boxes import square
from pipeline.search.comparison import compare
from pipeline.search.open_collections import OpenCollections
from pipeline.search.recipe import Recipe
from pipeline.search.saved import Reopened, Saved, Searches
from pipeline.search.service import find
from pipeline.web.bodies import Body, RecipeBody, read, request_body
from pipeline.web.checks import CheckAnswer
from pipeline.web.dependencies import Opened, Person, Served
from pipeline.web.object_marks import Author, JudgementAnswer
from pipeline.web.responses import (
    Answer,
    ChipAnswer,
    HitAnswer,
    RecipeAnswer,
    file,
    read_or_raise,
)
from pipeline.web.search import (
    BoxQuery,
    ChipQuery,
    ExamplesQuery,
    PictureQuery,
    QueryAnswer,
    Sites,
    chip_query,
)

log = logging.getLogger(__name__)

router = APIRouter(tags=["Saved searches"])

ROOT = "/api/collections/{name}"
ONE = ROOT + "/searches/{search}"
SearchId = Annotated[str, PathParameter(description="Id of the saved search.")]
Mark = Literal["good", "bad", "skip"]


class ReviewAnswer(Answer):
    """Marks and notes on hits. They estimate nothing: a check does."""

    marks: dict[str, str] = Field(
        description="good, bad or skip, by chip id; where authors disagree, the later; where there "
        "is no mark, the check's judgement."
    )
    judgements: list[JudgementAnswer] = Field(
        description="The last of each author on each hit, in order: of the check, then marks."
    )
    notes: dict[str, str] = Field(description="By chip id.")


class SavedAnswer(Answer):
    """A saved search."""

    id: str
    collection: str
    collection_title: str
    name: str
    note: str
    created: str = Field(description="ISO 8601.")
    updated: str = Field(description="ISO 8601.")
    reviewed: int = Field(description="Number of hits marked good or bad.")
    eligible: int = Field(description="Number of chips that the filters admitted.")
    total: int = Field(description="Number of chips that the collection had.")
    query: str = Field(description="What was searched for, in words.")
    recipe: RecipeAnswer = Field(description="Repeats the search.")
    parameters: dict[str, Any] = Field(description="The recipe without its start.")
    picture: bool = Field(description="Whether a picture of the query was kept.")


class BriefSearch(SavedAnswer):
    """A saved search in a list."""

    hits: int = Field(description="Number of hits.")


class ReopenedSearch(SavedAnswer, ReviewAnswer):
    """A saved search with its hits as they were."""

    version: str = Field(description="The collection's version.")
    check: CheckAnswer = Field(description="Its check, and what that estimates.")
    hits: list[HitAnswer]
    changed: bool = Field(description="Whether the collection changed since.")
    missing: list[str] = Field(description="Ids of hits whose chips are gone.")
    start: QueryAnswer = Field(description="What was searched for.")
    examples: list[ChipAnswer] = Field(description="The examples whose chips still exist.")


class RefusedCollection(Answer):
    """A collection whose saved searches cannot be listed."""

    collection: str
    title: str = Field(description="What is wrong.")
    remedy: str


class TrashedCollection(Answer):
    """A deleted collection that holds saved searches."""

    token: str
    name: str
    title: str
    deleted: str = Field(description="ISO 8601.")
    searches: int = Field(description="Number of saved searches in it.")


class EverySearch(Answer):
    """The saved searches of every collection."""

    searches: list[BriefSearch] = Field(description="The latest first.")
    refused: list[RefusedCollection]
    trashed: list[TrashedCollection]


class ComparisonAnswer(Answer):
    """Two searches side by side."""

    agreement: float = Field(description="Share of places that both found, 0 to 1.")
    both: list[tuple[HitAnswer, HitAnswer]] = Field(description="Hits that show the same place.")
    first: list[HitAnswer] = Field(description="Hits of this search alone.")
    second: list[HitAnswer] = Field(description="Hits of the other search alone.")


class SaveBody(RecipeBody):
    """A search to run and keep."""

    name: str = Field(default="", description="Name; what is searched for if left out.")
    marks: dict[str, Mark] = Field(
        default={}, description="By chip id. Marks on chips that are no hits are dropped."
    )
    marks_set: str = Field(
        default="",
        description="Set of marks on chips to take, too, with their authors and times.",
    )
    author: Author = ""


class ChangeBody(Body):
    """What to change about a saved search."""

    name: str = Field(default="", description="New name; unchanged if left out.")
    note: str = Field(default="", description="New note; unchanged if left out.")


class MarkBody(Body):
    """A mark on a hit, a note about it, or both."""

    chip: str = Field(description="Id of the hit's chip.")
    mark: Mark | None = Field(default=None, description="Null removes it; unchanged if left out.")
    note: str = Field(default="", description="Empty text removes it; unchanged if left out.")
    author: Author = ""


def searches_of(collection: Opened) -> Searches:
    """The saved searches of a collection."""
    return Searches(collection)


OpenedSearches = Annotated[Searches, Depends(searches_of)]


@router.get("/api/searches", summary="List the saved searches of every collection")
def list_every_search(served: Served) -> EverySearch:
    """Also the collections that cannot be opened, and deleted ones that hold saved searches."""
    return every_search(served.open_collections)


@router.get(ROOT + "/searches", summary="List the saved searches of a collection")
def list_searches(searches: OpenedSearches) -> list[BriefSearch]:
    """The latest first."""
    return [_brief(searches, saved) for saved in searches.all()]


@router.post(
    ROOT + "/searches",
    status_code=201,
    summary="Search and save",
    response_model_exclude_unset=True,
    openapi_extra=request_body(SaveBody),
)
def save_search(
    served: Served,
    searches: OpenedSearches,
    person: Person,
    body: Annotated[SaveBody, Depends(read(SaveBody))],
    sites: Sites = False,
) -> ReopenedSearch:
    """Run a search and keep its hits. With `sites=1` these are the hits that make up k sites."""
    name = searches.collection.name
    outcome = find(served.open_collections, name, body.recipe(), sites=sites)
    recipe = outcome.repeatable
    picture = _picture(outcome.collection, recipe)
    given = _judgements(searches.collection, body, person)
    saved = searches.save(body.name, recipe, outcome.result, picture, given)
    return _reopened(searches, searches.reopen(saved.id))


@router.get(ONE, summary="Reopen a saved search", response_model_exclude_unset=True)
def reopen_search(searches: OpenedSearches, search: SearchId) -> ReopenedSearch:
    """Its hits as they were, its marks and notes."""
    return _reopened(searches, searches.reopen(search))


@router.patch(
    ONE, summary="Rename or annotate a saved search", openapi_extra=request_body(ChangeBody)
)
def change_search(
    searches: OpenedSearches,
    search: SearchId,
    body: Annotated[ChangeBody, Depends(read(ChangeBody))],
) -> BriefSearch:
    """Change its name, its note, or both."""
    given = body.model_dump(include=body.model_fields_set)
    return _brief(searches, searches.change(search, **given))


@router.delete(ONE, status_code=204, response_class=Response, summary="Delete a saved search")
def delete_search(searches: OpenedSearches, search: SearchId) -> None:
    """Delete it permanently, with its marks and notes."""
    searches.delete(search)


@router.post(ONE + "/marks", summary="Mark or annotate a hit", openapi_extra=request_body(MarkBody))
def mark_hit(
    searches: OpenedSearches,
    search: SearchId,
    person: Person,
    body: Annotated[MarkBody, Depends(read(MarkBody))],
) -> ReviewAnswer:
    """Mark a hit good, bad or skipped, or keep a note about it.

    Nobody replaces the marks of another: the last of each author stands, and the later is shown.
    """
    given = body.model_dump(include=body.model_fields_set & {"mark", "note"})
    if "mark" in given:
        given["mark"] = given["mark"] or ""
    author = person or body.author
    return ReviewAnswer(**_review(searches.review(search, body.chip, **given, author=author)))


@router.get(ONE + "/compare", summary="Compare two saved searches")
def compare_searches(
    served: Served,
    searches: OpenedSearches,
    search: SearchId,
    other: Annotated[str, Query(alias="with", description="Id of the other search.")] = "",
    other_collection: Annotated[
        str, Query(alias="in", description="Collection of the other; the same if left out.")
    ] = "",
) -> ComparisonAnswer:
    """Which places both found, and which only one did."""
    name = other_collection or searches.collection.name
    second = Searches(served.open_collections.collection(name)).reopen(other)
    comparison = compare(searches.reopen(search).result.hits, second.result.hits)
    return ComparisonAnswer(
        agreement=comparison.agreement,
        both=[(HitAnswer.of(a), HitAnswer.of(b)) for a, b in comparison.both],
        first=[HitAnswer.of(hit) for hit in comparison.first],
        second=[HitAnswer.of(hit) for hit in comparison.second],
    )


@router.get(ONE + "/picture.png", summary="Get the picture of a saved search", **file("image/png"))
def get_search_picture(searches: OpenedSearches, search: SearchId) -> Response:
    """What was searched for."""
    missing = NotFoundError("This search keeps no picture", where=search)
    pixels = read_or_raise(searches.picture(search), missing)
    return Response(pixels, media_type="image/png")


def every_search(open_collections: OpenCollections) -> EverySearch:
    """Every saved search of every collection, the latest first, and what could not be shown."""
    briefs: list[BriefSearch] = []
    refused: list[RefusedCollection] = []
    for name in open_collections.library.names():
        try:
            searches = Searches(open_collections.collection(name))
            briefs += [_brief(searches, saved) for saved in searches.all()]
        except LookalikeError as error:
            refused.append(
                RefusedCollection(collection=name, title=error.what, remedy=error.remedy)
            )
    briefs.sort(key=lambda brief: (brief.created, brief.id), reverse=True)
    trashed = [
        TrashedCollection(**asdict(gone))
        for gone in open_collections.library.trashed()
        if gone.searches
    ]
    return EverySearch(searches=briefs, refused=refused, trashed=trashed)


def _judgements(collection: Collection, body: SaveBody, person: str) -> list[Judgement]:
    """The marks that a search is saved with, those of its set last."""
    who, now = mark_sets.author_of(person or body.author), dates.now()
    given = [Judgement(chip, mark, who, now) for chip, mark in body.marks.items()]
    kept = mark_sets.read(collection, body.marks_set) if body.marks_set else ()
    standing = mark_sets.standing_marks(kept)
    return given + [
        Judgement(mark.chip, mark.label, mark.author, mark.time) for mark in standing if mark.chip
    ]


def _facts(searches: Searches, saved: Saved) -> dict[str, Any]:
    return {
        "id": saved.id,
        "collection": searches.collection.name,
        "collection_title": searches.collection.manifest.title,
        "name": saved.name,
        "note": saved.note,
        "created": saved.created,
        "updated": saved.updated,
        "reviewed": saved.reviewed,
        "eligible": saved.eligible,
        "total": saved.total,
        "query": saved.query,
        "recipe": saved.recipe.to_dict(),
        "parameters": saved.recipe.parameters,
        "picture": searches.picture(saved.id) is not None,
    }


def _brief(searches: Searches, saved: Saved) -> BriefSearch:
    return BriefSearch(**_facts(searches, saved), hits=len(saved.hits))


def _reopened(searches: Searches, reopened: Reopened) -> ReopenedSearch:
    recipe = reopened.saved.recipe
    return ReopenedSearch(
        **_facts(searches, reopened.saved),
        **_review(reopened.saved),
        check=CheckAnswer.of(searches.checked(reopened.saved.id)),
        version=searches.collection.version,
        hits=[HitAnswer.of(hit) for hit in reopened.result.hits],
        changed=reopened.changed,
        missing=list(reopened.missing),
        start=_start(searches.collection, recipe),
        examples=_examples(searches.collection, recipe),
    )


def _review(saved: Saved) -> dict[str, Any]:
    return {
        "marks": saved.labels,
        "judgements": JudgementAnswer.all(saved.standing),
        "notes": dict(saved.notes),
    }


def _start(collection: Collection, recipe: Recipe) -> QueryAnswer:
    """What the search started from, as a search answers it, without running it again.

    Of a chip or imagery that is gone only the name is left.
    """
    if recipe.picture:
        return PictureQuery(kind="picture", picture=recipe.picture)
    if recipe.box:
        box = list(recipe.box)
        try:
            return BoxQuery(kind="box", box=box, corners=square(collection, recipe.box).tolist())
        except (DamagedError, NotFoundError, QueryError):
            return BoxQuery(kind="box", box=box)
    if recipe.chip:
        try:
            return chip_query(collection, recipe.chip)
        except NotFoundError:
            return ChipQuery(kind="chip", chip=recipe.chip)
    return ExamplesQuery(kind="examples", good=list(recipe.good), bad=list(recipe.bad))


def _examples(collection: Collection, recipe: Recipe) -> list[ChipAnswer]:
    """The examples that are still in the collection."""
    rows = (collection.chips.find(chip) for chip in (*recipe.good, *recipe.bad))
    return [ChipAnswer.of(collection, row) for row in rows if row is not None]


def _picture(collection: Collection, recipe: Recipe) -> bytes | None:
    """What was searched for; a search is kept without it where the imagery is gone."""
    try:
        return uploads.query_png(collection, recipe)
    except (DamagedError, NotFoundError) as error:
        log.warning("a search is saved without its picture: %s", error)
        return None
