"""Search over REST: hits, every chip's score, matches inside chips, changes between two dates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi import Query as QueryParameter
from pydantic import BeforeValidator, Field, PlainValidator
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pipeline.collection.collection import Collection
from pipeline.errors import QueryError
from pipeline.search import service, uploads
from pipeline.search.changes import MARGIN
from pipeline.search.filters import check_scenes, eligible_chips
from pipeline.search.picture import MAX_BYTES, too_large
from pipeline.search.queries import Query
from pipeline.search.recipe import HOW, Recipe
from pipeline.search.service import Outcome, Upload
from pipeline.web.bodies import RecipeBody, body_up_to, json_object, read, request_body
from pipeline.web.dependencies import Name, Opened, Served
from pipeline.web.responses import (
    BRIEF,
    IMMUTABLE,
    Acquired,
    Answer,
    ChipAnswer,
    GeoJson,
    HitAnswer,
    Latitude,
    Longitude,
    PlainHit,
    Row,
    SiteAnswer,
    file,
)

router = APIRouter(prefix="/api/collections/{name}", tags=["Search"])

#: Maximum size of a search without a picture.
MAX_SEARCH_BYTES = 1_000_000
GEOJSON = "application/geo+json"

#: Any value other than "1" counts as 0, as in 0.1.0.
_one = PlainValidator(lambda text: text == "1", json_schema_input_type=Literal[0, 1])
Sites = Annotated[
    bool,
    _one,
    QueryParameter(description="1 to merge overlapping hits into sites; k then counts sites."),
]
AsGeoJson = Annotated[
    bool, _one, QueryParameter(description="1 for one GeoJSON FeatureCollection.")
]


#: A year may be a number.
Date = Annotated[str, BeforeValidator(lambda value: str(value or ""))]


class ChipQuery(Answer):
    """A search from a chip."""

    kind: Literal["chip"]
    chip: str = Field(description="Id of the chip.")
    # Left out of a saved search whose chip is gone.
    row: Row | None = None
    lon: Longitude | None = None
    lat: Latitude | None = None
    datetime: Acquired = None


class BoxQuery(Answer):
    """A search from the imagery in a box."""

    kind: Literal["box"]
    box: list[float] = Field(description="West, south, east, north.")
    corners: list[list[float]] | None = Field(
        default=None, description="Corners of the square that was embedded, longitude first."
    )


class PictureQuery(Answer):
    """A search from an uploaded picture."""

    kind: Literal["picture"]
    picture: str = Field(description="Id of the picture.")


class ExamplesQuery(Answer):
    """A search from examples alone."""

    kind: Literal["examples"]
    good: list[str] = Field(description="Ids of good examples.")
    bad: list[str] = Field(description="Ids of bad examples.")


QueryAnswer = Annotated[
    ChipQuery | BoxQuery | PictureQuery | ExamplesQuery, Field(discriminator="kind")
]


class SearchAnswer(Answer):
    """What a search found."""

    version: str = Field(description="The collection's version.")
    query: QueryAnswer = Field(description="What was searched for; it can be sent again.")
    examples: list[ChipAnswer] = Field(description="The good and bad examples.")
    hits: list[HitAnswer]
    eligible: int = Field(description="Number of chips that the filters admit.")
    total: int = Field(description="Number of chips in the collection.")
    seconds: float = Field(description="How long the search took.")
    gone: list[str] = Field(
        description="Marked chips that are no longer in the collection; the search went without."
    )
    notes: list[str] = Field(
        description="What is to be known of the ranking and the scores, in sentences."
    )
    by_chance: dict[str, float] | None = Field(
        default=None,
        description="Scores by the number of chips that would reach them by chance, for the "
        "numbers 10, 1, 0.1 and 0.01; null where that is unknown.",
    )
    sites: list[SiteAnswer] = Field(default=[], description="Only if `sites=1`.")


class EligibleAnswer(Answer):
    """How many chips pass filters."""

    eligible: int = Field(description="Number of chips that the filters admit.")
    total: int = Field(description="Number of chips in the collection.")


class ChangeAnswer(Answer):
    """One place on two dates."""

    kind: Literal["appeared", "disappeared", "persists"]
    rank: int = Field(description="1 for the clearest of its kind.")
    difference: float = Field(description="Later score minus earlier score.")
    before: PlainHit
    after: PlainHit
    geometry: GeoJson


class ChangesAnswer(Answer):
    """Where something appeared, disappeared or persists."""

    before: str = Field(description="Earlier date.")
    after: str = Field(description="Later date.")
    threshold: float = Field(description="Score from which a chip shows what was searched for.")
    matched: int = Field(description="Number of pairs of chips compared.")
    unmatched: int = Field(description="Number of chips that the other date does not cover.")
    appeared: list[ChangeAnswer]
    disappeared: list[ChangeAnswer]
    persists: list[ChangeAnswer]
    query: QueryAnswer


class MatchBody(RecipeBody):
    """A search, and the chips to look inside."""

    chips: list[str] = Field(min_length=1, max_length=16, description="Ids of chips.")


class ChangesBody(RecipeBody):
    """A search without filters, and two dates."""

    before: Date = Field(
        default="",
        description="Earlier date, such as 2009-08-18, 2009-08 or 2009; the first by default.",
    )
    after: Date = Field(default="", description="Later date; the last by default.")
    margin: float = Field(
        default=MARGIN,
        ge=0,
        le=2,
        description="By how much a score must change to count as a change.",
    )


def _search_body() -> dict[str, Any]:
    """The part of an OpenAPI operation that says what `read_search` reads."""
    operation = request_body(RecipeBody)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    picture = {"type": "string", "format": "binary", "description": "A picture to start from."}
    operation["requestBody"]["content"]["multipart/form-data"] = {
        "schema": {
            **schema,
            "properties": {"image": picture, **schema["properties"]},
            "required": ["image"],
        }
    }
    return operation


async def read_search(request: Request) -> tuple[Recipe, Upload | None]:
    """A search from JSON, or from a form with a picture.

    Raises:
        QueryError: If the search cannot be understood.
        PictureError: If the picture is too large.
    """
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _read_form(request)
    fields = await json_object(
        request, MAX_SEARCH_BYTES, remedy="Send pictures as multipart/form-data"
    )
    return Recipe.from_fields(fields), None


@router.post(
    "/search",
    summary="Search a collection",
    response_model_exclude_unset=True,
    openapi_extra=_search_body(),
)
def search_collection(
    served: Served,
    name: Name,
    given: Annotated[tuple[Recipe, Upload | None], Depends(read_search)],
    sites: Sites = False,
) -> SearchAnswer:
    """The chips most similar to a chip, a point, a box, a picture or examples."""
    recipe, upload = given
    outcome = service.find(served.open_collections, name, recipe, upload, sites=sites)
    return search_answer(outcome, sites)


@router.post(
    "/scores",
    summary="Score every chip",
    openapi_extra=request_body(RecipeBody),
    **file("application/octet-stream"),
)
def score_chips(
    served: Served, name: Name, body: Annotated[RecipeBody, Depends(read(RecipeBody))]
) -> Response:
    """Little-endian floats (n,), chips in row order: the score, NaN for filtered chips."""
    scores = service.scores(served.open_collections, name, body.recipe()).astype("<f4")
    return Response(scores.tobytes(), media_type="application/octet-stream")


@router.post(
    "/match",
    summary="Find the match inside chips",
    openapi_extra=request_body(MatchBody),
)
def match_inside(
    served: Served, name: Name, body: Annotated[MatchBody, Depends(read(MatchBody))]
) -> dict[str, list[list[float]]]:
    """By chip id, the cosine similarity of its 8 by 8 squares to the query, rows from the top."""
    scores = service.scores_inside(served.open_collections, name, body.recipe(), body.chips)
    return dict(zip(body.chips, scores.round(4).tolist(), strict=True))


@router.post(
    "/eligible",
    summary="Count the chips that filters admit",
    openapi_extra=request_body(RecipeBody),
)
def count_eligible(
    collection: Opened, body: Annotated[RecipeBody, Depends(read(RecipeBody))]
) -> EligibleAnswer:
    """Takes the filters of a search; `away` counts only together with a query."""
    chips = collection.chips
    recipe = body.recipe(start=False)
    check_scenes(recipe.scenes, [collection])
    filters = recipe.filters()
    eligible = eligible_chips(chips, filters).count if filters else len(chips)
    return EligibleAnswer(eligible=eligible, total=len(chips))


@router.post(
    "/changes",
    summary="Find changes between two dates",
    response_model=ChangesAnswer,
    response_model_exclude_unset=True,
    responses={200: {"content": {GEOJSON: {"schema": {"type": "object"}}}}},
    openapi_extra=request_body(ChangesBody),
)
def find_changes(
    served: Served,
    name: Name,
    body: Annotated[ChangesBody, Depends(read(ChangesBody))],
    geojson: AsGeoJson = False,
) -> ChangesAnswer | Response:
    """Where something appeared, disappeared or persists; k counts places of each kind."""
    recipe = body.recipe()
    outcome = service.find_changes(
        served.open_collections,
        name,
        recipe,
        before=body.before,
        after=body.after,
        margin=body.margin,
    )
    if geojson:
        return JSONResponse(outcome.changes.to_geojson(), media_type=GEOJSON)
    query = query_answer(outcome.collection, recipe, outcome.query)
    return ChangesAnswer(**outcome.changes.to_dict(), query=query)


@router.get("/box.png", summary="Get the picture that a box is searched by", **file("image/png"))
def get_box_picture(
    collection: Opened,
    box: Annotated[str, QueryParameter(description="West,south,east,north.")] = "",
) -> Response:
    """The imagery in the box as it is embedded."""
    recipe = Recipe.from_fields({"box": box})
    content = uploads.query_png(collection, recipe)
    return Response(content, media_type="image/png", headers={"Cache-Control": BRIEF})


class PictureAnswer(Answer):
    """A picture that is kept to search by."""

    picture: str = Field(description="Its id, the same for the same pixels.")


@router.post("/pictures", summary="Keep a picture to search by", status_code=201)
async def keep_picture(collection: Opened, request: Request) -> PictureAnswer:
    """The body is the file; chips and objects can be searched by the id."""
    content = await body_up_to(request, MAX_BYTES, too_large("the picture"))
    kept = await run_in_threadpool(uploads.keep, collection, content, "the picture")
    return PictureAnswer(picture=kept)


@router.get("/pictures/{picture}.png", summary="Get an uploaded query picture", **file("image/png"))
def get_query_picture(collection: Opened, picture: str) -> Response:
    """The picture as it is embedded."""
    content = uploads.png(collection, picture)
    return Response(content, media_type="image/png", headers={"Cache-Control": IMMUTABLE})


def search_answer(outcome: Outcome, sites: bool) -> SearchAnswer:
    """A search that was run, with its sites if they were requested."""
    collection, recipe, result = outcome.collection, outcome.recipe, outcome.result
    merged = {"sites": [SiteAnswer(**site.to_dict()) for site in outcome.sites]} if sites else {}
    return SearchAnswer(
        version=collection.version,
        query=query_answer(collection, recipe, outcome.query),
        examples=[
            ChipAnswer.of(collection, row)
            for chip in (*recipe.good, *recipe.bad)
            if (row := collection.chips.find(chip)) is not None
        ],
        hits=[HitAnswer.of(hit) for hit in result.hits],
        eligible=result.eligible,
        total=result.total,
        seconds=round(result.seconds, 4),
        gone=list(outcome.gone),
        notes=[f"{note}." for note in outcome.notes],
        by_chance=result.chance.levels if result.chance else None,
        **merged,
    )


def query_answer(collection: Collection, recipe: Recipe, query: Query) -> QueryAnswer:
    """The query as a client shows it, and repeats it."""
    if recipe.picture:
        return PictureQuery(kind="picture", picture=recipe.picture)
    if recipe.box:
        return BoxQuery(kind="box", box=list(recipe.box), corners=query.corners[0].tolist())
    if not (recipe.chip or recipe.at):
        return ExamplesQuery(kind="examples", good=list(recipe.good), bad=list(recipe.bad))
    return chip_query(collection, query.chips[0])


def chip_query(collection: Collection, chip: str) -> ChipQuery:
    """A search from a chip.

    Raises:
        NotFoundError: If the collection has no such chip.
    """
    facts = ChipAnswer.of(collection, collection.chips.row_of(chip)).model_dump(exclude={"id"})
    return ChipQuery(kind="chip", chip=chip, **facts)


async def _read_form(request: Request) -> tuple[Recipe, Upload]:
    if int(request.headers.get("content-length") or 0) > MAX_BYTES + MAX_SEARCH_BYTES:
        raise too_large("")
    try:
        async with request.form(max_files=1, max_fields=20) as form:
            upload = form.get("image")
            if not isinstance(upload, UploadFile):
                raise QueryError("The form has no picture", where="image", remedy=HOW)
            fields = {name: value for name, value in form.items() if name != "image"}
            recipe = Recipe.from_fields(fields, image=True)
            if (upload.size or 0) > MAX_BYTES:
                raise too_large(upload.filename or "")
            return recipe, Upload(await upload.read(), upload.filename or "picture")
    except HTTPException as error:
        raise QueryError("The form cannot be read", where=error.detail, remedy=HOW) from error
