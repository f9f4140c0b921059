"""Judging a census over REST: units with their pictures, answers, undo and skip."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from starlette.responses import Response

from pipeline.census import review
from pipeline.census.censuses import Kept
from pipeline.census.judgements import ANSWERED, state_of
from pipeline.census.judgements import Answer as Judgement
from pipeline.census.units import Unit
from pipeline.errors import NotFoundError
from pipeline.geo import antimeridian
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.render import encode_image
from pipeline.web.bodies import Body, read, request_body
from pipeline.web.census_reports import ReportAnswer
from pipeline.web.dependencies import OpenedCensus, Person
from pipeline.web.responses import BRIEF, IMMUTABLE, Answer, file

router = APIRouter(prefix="/api/censuses/{census}", tags=["Censuses"])

UnitId = Annotated[str, Path(alias="unit", description="Id of the unit.")]
Reviewer = Annotated[
    str,
    Field(max_length=200, description="Who judges; the signed-in person where there is one."),
]


class NextBody(Body):
    """Who asks for units."""

    reviewer: Reviewer = review.SOMEBODY
    n: int = Field(default=10, description="How many.")


class AnswersBody(Body):
    """Answers of a reviewer."""

    reviewer: Reviewer = review.SOMEBODY
    answers: dict[str, int | float | list[list[float]] | None] = Field(
        description="By unit: a count, null for cannot tell, or [longitude, latitude] of each "
        "thing.",
        max_length=1_000,
    )
    seconds: dict[str, float] | None = Field(default=None, description="How long each unit took.")
    key: str = Field(
        default="",
        max_length=64,
        description="Made by the client: answers sent again under it count once.",
    )


class UnitBody(Body):
    """A reviewer and a unit."""

    reviewer: Reviewer = review.SOMEBODY
    unit: str = Field(default="", max_length=40)


class UnitAnswer(Answer):
    """A unit to judge."""

    id: str
    scene_id: str
    geometry: dict[str, Any] = Field(description="Its outline, GeoJSON, EPSG:4326.")
    outline: list[list[list[float]]] = Field(
        description="Rings of its outline, each point as column and row in pixels of the scene."
    )
    pixels: list[int] = Field(description="Left, top, width and height in pixels of the scene.")
    corners: list[list[float]] = Field(
        description="Longitude and latitude of the corners of `pixels`: upper left, upper right, "
        "lower right, lower left."
    )
    lon: float
    lat: float
    width_m: float
    height_m: float
    picture: str = Field(description="Address of its picture, below the base path.")

    @classmethod
    def of(cls, kept: Kept, unit: Unit) -> UnitAnswer:
        """A unit's."""
        from shapely.geometry import mapping

        scene = kept.collection.scenes[unit.scene_id]
        lon, lat = scene.georeference.lonlat(unit.left + unit.width / 2, unit.top + unit.height / 2)
        left, top, right, bottom = (
            unit.left,
            unit.top,
            unit.left + unit.width,
            unit.top + unit.height,
        )
        lons, lats = scene.georeference.lonlat(
            np.array([left, right, right, left]), np.array([top, top, bottom, bottom])
        )
        corners = np.column_stack([antimeridian.wrap_longitude(lons, lon), lats]).round(8)
        whole: list[list[float]] = [[left, top], [right, top], [right, bottom], [left, bottom]]
        return cls(
            id=unit.id,
            scene_id=unit.scene_id,
            geometry=mapping(unit.geometry(scene)),
            outline=[[list(at) for at in ring] for ring in unit.cut] or [whole],
            pixels=[left, top, unit.width, unit.height],
            corners=corners.tolist(),
            lon=round(float(lon), 7),
            lat=round(float(lat), 7),
            width_m=round(unit.width * scene.gsd, 2),
            height_m=round(unit.height * scene.gsd, 2),
            picture=f"/api/censuses/{kept.census.id}/units/{unit.id}.jpg",
        )


class NextAnswer(Answer):
    """Units to judge."""

    units: list[UnitAnswer]
    left: int = Field(description="Units that nobody judged yet, these included.")
    done: bool = Field(description="Whether there is nothing to judge for this reviewer.")


class UndoneAnswer(Answer):
    """An answer that was taken back."""

    unit: UnitAnswer
    answer: int | list[list[float]] | None


class JudgementAnswer(Answer):
    """One answer of the history."""

    unit: str
    reviewer: str
    count: int | None = Field(description="Null for cannot tell.")
    points: list[list[float]] | None
    time: str
    round: int
    scene_id: str
    holds: bool = Field(description="False if it was taken back or replaced.")


@router.post("/next", summary="Get the next units to judge", openapi_extra=request_body(NextBody))
def next_units(
    kept: OpenedCensus, person: Person, body: Annotated[NextBody, Depends(read(NextBody))]
) -> NextAnswer:
    """They are kept for this reviewer for half an hour; those in hand come again first."""
    handed = review.hand_out(kept, body.n, person or body.reviewer)
    units = [UnitAnswer.of(kept, unit) for unit in handed.units]
    return NextAnswer(units=units, left=handed.left, done=not units)


@router.get("/units/{unit}.jpg", summary="Get the picture of a unit", **file("image/jpeg"))
def get_unit_picture(
    kept: OpenedCensus,
    unit: UnitId,
    size: Annotated[int, Query(ge=128, le=2048, description="Width in pixels.")] = 1024,
    around: Annotated[
        float,
        Query(ge=0, le=2, description="Surroundings on each side, as a share of the unit's side."),
    ] = 0.5,
    v: Annotated[str, Query(description="Anything; the response may then be kept.")] = "",
) -> Response:
    """A square with the unit in the middle; the border is not drawn, and beyond the scene is black.

    The unit's longer side takes 1 / (1 + 2 · around) of the picture.
    """
    row = kept.census.rows.get(unit)
    if row is None:
        raise NotFoundError("This census has no such unit", where=unit[:40])
    shown = kept.census.units[row]
    scene = kept.collection.scenes.get(shown.scene_id)
    if scene is None:
        raise NotFoundError(
            "The collection lost the scene of this unit",
            where=shown.scene_id,
            remedy="Add the scene again, or answer that you cannot tell",
        )
    extent = round(max(shown.width, shown.height) * (1 + 2 * around))
    corner = (
        round(shown.left + shown.width / 2 - extent / 2),
        round(shown.top + shown.height / 2 - extent / 2),
    )
    with SceneReader(scene) as reader:
        pixels = reader.thumbnail(*corner, extent, extent, size)
    cache = IMMUTABLE if v else BRIEF
    content = encode_image(pixels, "JPEG", quality=92)
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": cache})


@router.post("/answers", summary="Answer units", openapi_extra=request_body(AnswersBody))
def answer_units(
    kept: OpenedCensus, person: Person, body: Annotated[AnswersBody, Depends(read(AnswersBody))]
) -> ReportAnswer:
    """All are kept or none; status 409 if somebody answered one of them already."""
    review.answer(kept, body.answers, person or body.reviewer, seconds=body.seconds, key=body.key)
    return ReportAnswer.now(kept)


@router.get("/answers", summary="Get all answers")
def get_answers(kept: OpenedCensus) -> list[JudgementAnswer]:
    """The history, oldest first, with those that were taken back."""
    lines = kept.judgements.lines()
    state = state_of(lines, kept.folder)
    made = []
    for each in (Judgement.from_line(line) for line in lines if line["event"] == ANSWERED):
        row = kept.census.rows[each.unit]
        made.append(
            JudgementAnswer(
                unit=each.unit,
                reviewer=each.reviewer,
                count=each.count,
                points=None if each.points is None else [list(at) for at in each.points],
                time=each.time,
                round=each.round,
                scene_id=kept.census.units[row].scene_id,
                holds=each in state.answers.get(each.unit, ()),
            )
        )
    return made


@router.post("/undo", summary="Take back an answer", openapi_extra=request_body(UnitBody))
def undo_answer(
    kept: OpenedCensus, person: Person, body: Annotated[UnitBody, Depends(read(UnitBody))]
) -> UndoneAnswer:
    """This reviewer's last, or that of the unit, which is in hand again."""
    taken = review.undo(kept, person or body.reviewer, body.unit)
    unit = kept.census.units[kept.census.rows[taken.unit]]
    given: int | list[list[float]] | None = taken.count
    if taken.points is not None:
        given = [list(at) for at in taken.points]
    return UndoneAnswer(unit=UnitAnswer.of(kept, unit), answer=given)


@router.post(
    "/skip",
    status_code=204,
    response_class=Response,
    summary="Put a unit off",
    openapi_extra=request_body(UnitBody),
)
def skip_unit(
    kept: OpenedCensus, person: Person, body: Annotated[UnitBody, Depends(read(UnitBody))]
) -> None:
    """It comes again after the others that this reviewer has in hand."""
    review.skip(kept, body.unit, person or body.reviewer)
