"""Object search over REST: objects, what to judge next, score maps, pictures and marks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from pipeline.errors import NotFoundError
from pipeline.export.formats import OBJECT_FORMATS, export, format_named
from pipeline.export.object_findings import outcome_findings
from pipeline.imagery.render import age_of, window_png
from pipeline.jobs.object_search import LARGE, ObjectSearchRequest
from pipeline.objects import score_tiles, under_way
from pipeline.objects.objects import FoundObject, window_polygon
from pipeline.objects.recipe import ObjectRecipe
from pipeline.objects.saved import chosen
from pipeline.objects.service import (
    MOST_ASKED,
    ObjectOutcome,
    ask_objects,
    find_objects,
    scan_size,
)
from pipeline.web.bodies import Body, read, request_body
from pipeline.web.dependencies import Name, Opened, Served
from pipeline.web.exports import download
from pipeline.web.following import KEY, ProgressAnswer, ProgressId
from pipeline.web.jobs import JobAnswer
from pipeline.web.responses import IMMUTABLE, Acquired, Answer, ByChance, GeoJson, file

router = APIRouter(prefix="/api/collections/{name}", tags=["Objects"])

_EXPORTED = file(*(made.media_type for made in OBJECT_FORMATS.values()))
#: Bins of the histogram of scores.
BINS = 50


class ObjectAnswer(Answer):
    """An object that was found."""

    rank: int = Field(description="1 for the best.")
    id: str = Field(description="Content-addressed: scene, centre and size.")
    score: float = Field(
        description="0 to 1; above 0.5 it is more like the examples than like anything else."
    )
    probability: float | None = Field(description="Calibrated, or null while marks are too few.")
    by_chance: ByChance = None
    lon: float = Field(description="Longitude of the centre, EPSG:4326.")
    lat: float = Field(description="Latitude of the centre, EPSG:4326.")
    width_m: float
    height_m: float
    geometry: GeoJson
    collection: str
    scene_id: str
    datetime: Acquired
    mark: str = Field(description="`good`, `bad`, `skip` or empty.")
    col: float = Field(description="Centre in pixels of the scene.")
    row: float = Field(description="Centre in pixels of the scene.")
    width: float = Field(description="Size in pixels of the scene.")
    height: float = Field(description="Size in pixels of the scene.")

    @classmethod
    def of(cls, found: FoundObject) -> ObjectAnswer:
        """An object."""
        pixels = {key: round(getattr(found, key), 2) for key in ("col", "row", "width", "height")}
        return cls(**{**found.to_dict(), **pixels})


class ObjectQuery(Answer):
    """What was looked for."""

    label: str = Field(description="In words.")
    windows: list[GeoJson] = Field(description="The windows of the good examples.")
    object_size: float = Field(description="Size of the thing in metres.")


class SceneWithoutCells(Answer):
    """A scene that was not searched."""

    scene_id: str
    title: str


class ObjectsAnswer(Answer):
    """The objects of a search."""

    objects: list[ObjectAnswer]
    found: int = Field(
        description="Number of objects, at least: those beyond k of a scene are not counted."
    )
    query: ObjectQuery
    trained: bool = Field(description="Whether marks trained the ranking.")
    calibrated: bool = Field(description="Whether objects have a probability.")
    threshold: float = Field(description="Score above which objects are likely right.")
    score_range: list[float] = Field(description="Scores at grey 1 and 255 of the score map.")
    histogram: list[int] = Field(description="Listed objects by score over that range.")
    score_map: str = Field(description="Token of the score map.")
    notes: list[str]
    missing: list[SceneWithoutCells] = Field(description="Scenes without object cells.")
    milliseconds: float


def _as_recipe(schema: dict[str, Any]) -> None:
    recipe = ObjectRecipe.json_schema()
    schema["properties"] = {**recipe["properties"], **schema.get("properties", {})}
    schema["additionalProperties"] = False


class ObjectsBody(Body):
    """An object search."""

    # The parameters are declared and checked by `ObjectRecipe`.
    model_config = ConfigDict(extra="allow", json_schema_extra=_as_recipe)

    def recipe(self) -> ObjectRecipe:
        """The search.

        Raises:
            QueryError: If a parameter is unknown, of the wrong kind or out of range.
        """
        return ObjectRecipe.from_fields(self.model_extra or {})


class AskBody(ObjectsBody):
    """An object search, and how many windows to judge."""

    n: int = Field(default=10, ge=1, le=MOST_ASKED, description="Windows wanted.")


class FindBody(ObjectsBody):
    """An object search that can be followed and cancelled."""

    progress: str | None = Field(
        default=None,
        pattern=KEY,
        description="Id made by the client, to follow the search and cancel it.",
    )
    background: bool | None = Field(
        default=None,
        description="Whether to run as a job, whose result is a saved object search; by default "
        f"from {LARGE:,} windows on. The answer is then a job, with status 202.",
    )


class ObjectExportBody(ObjectsBody):
    """An object search to run and export."""

    format: Annotated[
        str, Field(description="File format.", json_schema_extra={"enum": list(OBJECT_FORMATS)})
    ] = "geojson"
    geometry: Literal["outline", "box", "point"] = Field(
        default="outline", description="What the file shows of an object."
    )
    only_marks: list[Literal["good", "bad", "skip", "none"]] | None = Field(
        default=None, description="Marks of the objects in the file; all if left out."
    )


@router.post(
    "/objects",
    summary="Find objects",
    openapi_extra=request_body(FindBody),
    response_model=ObjectsAnswer,
    responses={202: {"model": JobAnswer, "description": "The search runs as a job."}},
)
def find(
    request: Request,
    served: Served,
    name: Name,
    body: Annotated[FindBody, Depends(read(FindBody))],
) -> Response:
    """Everything that looks like the examples, each object once, best first.

    A long search runs as a job; `Location` is then the job's address.
    """
    started = time.perf_counter()
    recipe = body.recipe()
    size = scan_size(served.open_collections, [name], recipe)  # refuses collections that are gone
    if body.background or (body.background is None and size > LARGE):
        job = served.jobs.search(ObjectSearchRequest((name,), recipe))
        address = f"{request.scope['root_path']}/api/jobs/{job.id}"
        content = JobAnswer(**job.to_dict()).model_dump()
        return JSONResponse(content, 202, {"Location": address})
    if not body.progress:
        return _as_json(_answer(find_objects(served.open_collections, [name], recipe), started))
    with under_way.following(body.progress) as report:
        outcome = find_objects(served.open_collections, [name], recipe, progress=report)
    return _as_json(_answer(outcome, started))


def _as_json(answer: ObjectsAnswer) -> Response:
    """An answer as JSON, which FastAPI would check a second time: thousands of objects."""
    return Response(answer.model_dump_json(), media_type="application/json")


@router.get("/objects/progress/{progress}", summary="Get the progress of an object search")
def get_progress(collection: Opened, progress: ProgressId) -> ProgressAnswer:
    """How far a search is that was sent with this id."""
    return ProgressAnswer.of(progress)


@router.delete(
    "/objects/progress/{progress}",
    status_code=204,
    response_class=Response,
    summary="Cancel an object search",
)
def cancel_search(collection: Opened, progress: ProgressId) -> None:
    """It ends with status 409 within a fraction of a second, even if it arrives later."""
    under_way.cancel(progress)


@router.post(
    "/objects/export",
    summary="Find objects and export them",
    openapi_extra=request_body(ObjectExportBody),
    **_EXPORTED,
)
def export_objects(
    served: Served, name: Name, body: Annotated[ObjectExportBody, Depends(read(ObjectExportBody))]
) -> FileResponse:
    """The objects of a search as a file, as outlines at the threshold, boxes or points.

    Each has its mark. Those marked good are in it whatever the threshold.
    """
    outcome = find_objects(served.open_collections, [name], body.recipe())
    kept = chosen(outcome.result.objects, marks=body.only_marks)
    outcome = replace(outcome, result=replace(outcome.result, objects=kept))
    findings = outcome_findings(outcome, body.geometry)
    media_type = format_named(body.format, OBJECT_FORMATS).media_type
    return download(
        lambda folder: export(findings, body.format, folder / f"{name}-objects"), media_type
    )


@router.post("/objects/ask", summary="Ask what to judge next", openapi_extra=request_body(AskBody))
def ask(
    served: Served, name: Name, body: Annotated[AskBody, Depends(read(AskBody))]
) -> ObjectsAnswer:
    """The windows whose marks teach most: half the best, half the most doubtful."""
    started = time.perf_counter()
    outcome = ask_objects(served.open_collections, [name], body.recipe(), body.n)
    return _answer(outcome, started)


@router.get("/objects/picture", summary="Get the picture of an object", **file("image/png"))
def get_object_picture(
    collection: Opened,
    scene: Annotated[str, Query(description="Id of the scene.")],
    col: Annotated[float, Query(description="Centre in pixels of the scene.", allow_inf_nan=False)],
    row: Annotated[float, Query(description="Centre in pixels of the scene.", allow_inf_nan=False)],
    side: Annotated[
        float, Query(ge=1, le=4096, description="Width and height in pixels of the scene.")
    ],
    size: Annotated[int, Query(ge=16, le=512, description="Width in pixels.")] = 128,
) -> Response:
    """A square of the imagery around a pixel; black beyond the scene."""
    found = collection.scenes.get(scene)
    if found is None or abs(col) > 1e7 or abs(row) > 1e7:
        raise NotFoundError("No such scene in this collection", where=scene[:80])
    extent = max(round(side), 1)
    corner = (round(col - extent / 2), round(row - extent / 2))
    content = window_png(found, age_of(found), corner, extent, size)
    return Response(content, media_type="image/png", headers={"Cache-Control": IMMUTABLE})


def _answer(outcome: ObjectOutcome, started: float) -> ObjectsAnswer:
    result = outcome.result
    scores = np.array([found.score for found in result.objects])
    low, high = _range(scores)
    counts, _ = np.histogram(scores, BINS, (low, high))
    from shapely.geometry import mapping

    windows = [
        mapping(window_polygon(spot.scene, spot.col, spot.row, spot.width, spot.height))
        for spot in result.spots
        if spot.good
    ]
    return ObjectsAnswer(
        objects=[ObjectAnswer.of(found) for found in result.objects],
        found=result.found,
        query=ObjectQuery(
            label=outcome.label,
            windows=windows,
            object_size=round(result.ranking.size_m, 3),
        ),
        trained=result.ranking.trained,
        calibrated=any(found.probability is not None for found in result.objects),
        threshold=0.5,
        score_range=[low, high],
        histogram=counts.tolist(),
        score_map=score_tiles.keep(
            result.ranking, low, high, outcome.label, outcome.recipe.to_dict(), result.maps
        ),
        notes=list(result.notes),
        missing=[SceneWithoutCells(scene_id=s.id, title=s.title) for s in result.missing],
        milliseconds=round(1e3 * (time.perf_counter() - started), 1),
    )


def _range(scores: np.ndarray) -> tuple[float, float]:
    """The scores that the map draws as darkest and brightest."""
    if not len(scores):
        return 0.0, 1.0
    high = float(scores.max())
    low = min(float(np.median(scores)), high - 0.05)
    return round(low, 4), round(high, 4)
