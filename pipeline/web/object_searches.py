"""Saved object searches over REST: kept, reviewed, compared and exported."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from starlette.responses import FileResponse, Response

from pipeline.collection.collection import Collection
from pipeline.collection.names import proposed_name
from pipeline.errors import LookalikeError
from pipeline.export.formats import OBJECT_FORMATS, export, format_named
from pipeline.export.object_findings import saved_findings
from pipeline.objects.comparison import compare
from pipeline.objects.saved import ObjectSearches, SavedObjects, chosen, present
from pipeline.objects.service import find_objects
from pipeline.search.open_collections import OpenCollections
from pipeline.web.bodies import Body, read, request_body
from pipeline.web.checks import CheckAnswer
from pipeline.web.dependencies import Opened, Person, Served
from pipeline.web.exports import Minimum, download
from pipeline.web.object_marks import Author, JudgementAnswer
from pipeline.web.objects import ObjectAnswer, ObjectsBody
from pipeline.web.responses import Answer, file

router = APIRouter(tags=["Saved object searches"])

ROOT = "/api/collections/{name}/object-searches"
ONE = ROOT + "/{search}"
SearchId = Annotated[str, Path(description="Id of the saved object search.")]
_EXPORTED = file(*(made.media_type for made in OBJECT_FORMATS.values()))
ObjectFormat = Annotated[
    str, Query(description="File format.", json_schema_extra={"enum": list(OBJECT_FORMATS)})
]


class ObjectPlace(Answer):
    """Where an object lies, to show its picture."""

    collection: str
    scene_id: str
    col: float = Field(description="Centre in pixels of the scene.")
    row: float = Field(description="Centre in pixels of the scene.")
    width: float = Field(description="Size in pixels of the scene.")
    height: float = Field(description="Size in pixels of the scene.")


class BriefObjects(Answer):
    """A saved object search in a list."""

    id: str
    collection: str
    collection_title: str
    name: str
    note: str
    created: str = Field(description="ISO 8601.")
    updated: str = Field(description="ISO 8601.")
    query: str = Field(description="What was looked for, in words.")
    recipe: dict[str, Any] = Field(description="Repeats the search.")
    object_size: float = Field(description="Size of the thing in metres.")
    trained: bool = Field(description="Whether marks trained the ranking.")
    objects: int = Field(description="Number of objects that are kept.")
    found: int = Field(description="Number of objects that the search had.")
    reviewed: int = Field(
        description="Of those kept, marked or judged since; marks learned from do not count."
    )
    best: ObjectPlace | None = Field(description="The best object; null if there is none.")


class ObjectReview(Answer):
    """Marks and notes on objects. They estimate nothing: a check does."""

    marks: dict[str, str] = Field(
        description="good, bad or skip, by object id; where authors disagree, the later; where "
        "there is no mark, the check's judgement."
    )
    judgements: list[JudgementAnswer] = Field(
        description="The last of each author on each object, in order: of the check, then marks."
    )
    notes: dict[str, str] = Field(description="By object id.")


class ReopenedObjects(ObjectReview):
    """A saved object search with its objects as they were."""

    search: BriefObjects
    check: CheckAnswer = Field(description="Its check, and what that estimates.")
    objects: list[ObjectAnswer]
    missing: list[str] = Field(description="Ids of objects whose scenes are gone.")


class ObjectComparisonAnswer(Answer):
    """Two object searches side by side."""

    agreement: float = Field(description="Share of things that both found, 0 to 1.")
    both: list[tuple[ObjectAnswer, ObjectAnswer]] = Field(description="The same thing in both.")
    first: list[ObjectAnswer] = Field(description="Found by this search alone.")
    second: list[ObjectAnswer] = Field(description="Found by the other search alone.")


class SaveObjectsBody(ObjectsBody):
    """An object search to run and keep."""

    name: str = Field(default="", description="Name; what is looked for if left out.")


class ChangeObjectsBody(Body):
    """What to change about a saved object search."""

    name: str | None = Field(default=None, description="New name; unchanged if left out.")
    note: str | None = Field(default=None, description="New note; unchanged if left out.")


class ReviewBody(Body):
    """A mark on an object, a note about it, or both."""

    object: str = Field(description="Id of the object.")
    mark: Literal["good", "bad", "skip", ""] | None = Field(
        default=None, description="Empty to remove it; unchanged if left out."
    )
    note: str | None = Field(default=None, description="Empty to remove it; unchanged if left out.")
    author: Author = ""


def searches_of(collection: Opened) -> ObjectSearches:
    """The saved object searches of a collection."""
    return ObjectSearches(collection)


OpenedSearches = Annotated[ObjectSearches, Depends(searches_of)]


@router.get("/api/object-searches", summary="List the saved object searches of every collection")
def list_every_object_search(served: Served) -> list[BriefObjects]:
    """The latest first; collections that cannot be opened are left out."""
    briefs: list[BriefObjects] = []
    for name in served.open_collections.library.names():
        try:
            collection = served.open_collections.collection(name)
            briefs += [_brief(collection, saved) for saved in ObjectSearches(collection).all()]
        except LookalikeError:
            continue
    return sorted(briefs, key=lambda brief: (brief.created, brief.id), reverse=True)


@router.get(ROOT, summary="List the saved object searches of a collection")
def list_object_searches(searches: OpenedSearches) -> list[BriefObjects]:
    """The latest first."""
    return [_brief(searches.collection, saved) for saved in searches.all()]


@router.post(
    ROOT,
    status_code=201,
    summary="Find objects and save the search",
    openapi_extra=request_body(SaveObjectsBody),
)
def save_object_search(
    served: Served,
    searches: OpenedSearches,
    body: Annotated[SaveObjectsBody, Depends(read(SaveObjectsBody))],
) -> ReopenedObjects:
    """Run an object search and keep its objects, with the marks of its set."""
    outcome = find_objects(served.open_collections, [searches.collection.name], body.recipe())
    return _reopened(served.open_collections, searches, searches.save(body.name, outcome))


@router.get(ONE, summary="Reopen a saved object search")
def reopen_object_search(
    served: Served, searches: OpenedSearches, search: SearchId
) -> ReopenedObjects:
    """Its objects as they were, its marks and notes."""
    return _reopened(served.open_collections, searches, searches.get(search))


@router.patch(
    ONE,
    summary="Rename or annotate a saved object search",
    openapi_extra=request_body(ChangeObjectsBody),
)
def change_object_search(
    searches: OpenedSearches,
    search: SearchId,
    body: Annotated[ChangeObjectsBody, Depends(read(ChangeObjectsBody))],
) -> BriefObjects:
    """Change its name, its note, or both."""
    saved = searches.change(search, name=body.name, note=body.note)
    return _brief(searches.collection, saved)


@router.delete(
    ONE, status_code=204, response_class=Response, summary="Delete a saved object search"
)
def delete_object_search(searches: OpenedSearches, search: SearchId) -> None:
    """Delete it permanently, with its marks and notes."""
    searches.delete(search)


@router.post(
    ONE + "/marks", summary="Mark or annotate an object", openapi_extra=request_body(ReviewBody)
)
def review_object(
    searches: OpenedSearches,
    search: SearchId,
    person: Person,
    body: Annotated[ReviewBody, Depends(read(ReviewBody))],
) -> ObjectReview:
    """Mark an object good, bad or skipped, or keep a note about it.

    Nobody replaces the marks of another: the last of each author stands, and the later is shown.
    """
    author = person or body.author
    saved = searches.review(search, body.object, mark=body.mark, note=body.note, author=author)
    return ObjectReview(**_review(saved))


@router.get(ONE + "/compare", summary="Compare two saved object searches")
def compare_object_searches(
    served: Served,
    searches: OpenedSearches,
    search: SearchId,
    other: Annotated[str, Query(alias="with", description="Id of the other search.")] = "",
    other_collection: Annotated[
        str, Query(alias="in", description="Collection of the other; the same if left out.")
    ] = "",
) -> ObjectComparisonAnswer:
    """Which things both found, and which only one did."""
    name = other_collection or searches.collection.name
    second = ObjectSearches(served.open_collections.collection(name)).get(other)
    compared = compare(searches.get(search).marked(), second.marked())
    return ObjectComparisonAnswer(
        agreement=compared.agreement,
        both=[(ObjectAnswer.of(a), ObjectAnswer.of(b)) for a, b in compared.both],
        first=[ObjectAnswer.of(found) for found in compared.first],
        second=[ObjectAnswer.of(found) for found in compared.second],
    )


@router.get(ONE + "/export", summary="Export a saved object search", **_EXPORTED)
def export_object_search(
    served: Served,
    searches: OpenedSearches,
    search: SearchId,
    format: ObjectFormat = "geojson",
    geometry: Annotated[str, Query(description="outline, box or point.")] = "outline",
    least: Minimum = None,
    marks: Annotated[
        str, Query(description="good, bad, skip and none, separated by commas; all if left out.")
    ] = "",
) -> FileResponse:
    """The objects at or above a score or marked good, with certain marks, as a file."""
    saved = searches.get(search)
    collections, objects, _ = present(served.open_collections, searches.collection, saved)
    kept = chosen(objects, least, marks.split(",") if marks else None)
    estimate = searches.checked(search).record(least)
    findings = saved_findings(collections, kept, saved, geometry, estimate)
    media_type = format_named(format, OBJECT_FORMATS).media_type
    stem = f"{proposed_name(saved.name) or searches.collection.name}-objects"
    return download(lambda folder: export(findings, format, folder / stem), media_type)


def _brief(collection: Collection, saved: SavedObjects) -> BriefObjects:
    best = None
    if saved.objects:
        first = saved.objects[0]
        pixels = {key: round(getattr(first, key), 2) for key in ("col", "row", "width", "height")}
        best = ObjectPlace(collection=first.collection, scene_id=first.scene_id, **pixels)
    return BriefObjects(
        id=saved.id,
        collection=collection.name,
        collection_title=collection.manifest.title,
        name=saved.name,
        note=saved.note,
        created=saved.created,
        updated=saved.updated,
        query=saved.query,
        recipe=saved.recipe.to_dict(),
        object_size=saved.object_size,
        trained=saved.trained,
        objects=len(saved.objects),
        found=saved.found,
        reviewed=saved.reviewed,
        best=best,
    )


def _reopened(
    open_collections: OpenCollections, searches: ObjectSearches, saved: SavedObjects
) -> ReopenedObjects:
    _, objects, missing = present(open_collections, searches.collection, saved)
    return ReopenedObjects(
        **_review(saved),
        search=_brief(searches.collection, saved),
        check=CheckAnswer.of(searches.checked(saved.id)),
        objects=[ObjectAnswer.of(found) for found in objects],
        missing=missing,
    )


def _review(saved: SavedObjects) -> dict[str, Any]:
    return {
        "marks": saved.labels,
        "judgements": JudgementAnswer.all(saved.standing),
        "notes": dict(saved.notes),
    }
