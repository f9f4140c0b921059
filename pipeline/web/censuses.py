"""Censuses over REST: begun, judged, reported and exported."""

from __future__ import annotations

import json
from datetime import date as Day  # noqa: N812
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pipeline.census import certificate, judgements, review
from pipeline.census.censuses import Censuses, Kept, Unreadable
from pipeline.census.design import FLOOR
from pipeline.census.districts import districts_of_geojson
from pipeline.census.judgements import ANSWERED, state_of
from pipeline.census.recalibration import uncalibrated
from pipeline.census.report import change_since, report
from pipeline.census.start import ERROR, Plan, Sought, add_round, start
from pipeline.census.units import UNIT, Unit
from pipeline.errors import NotFoundError, QueryError
from pipeline.geo.area import Area
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.render import encode_image
from pipeline.objects.recipe import ObjectRecipe
from pipeline.web.bodies import Body, read, request_body
from pipeline.web.dependencies import Served, Services
from pipeline.web.exports import download
from pipeline.web.responses import BRIEF, IMMUTABLE, Answer, file

router = APIRouter(prefix="/api/censuses", tags=["Censuses"])

CensusId = Annotated[str, Path(alias="census", description="Id of the census.")]
UnitId = Annotated[str, Path(alias="unit", description="Id of the unit.")]
#: A number, which may be a whole one, but neither text nor true.
Plain = Annotated[float, Field(strict=True)]
_KINDS = {
    "certificate.html": "text/html",
    "certificate.json": "application/json",
    "points.geojson": "application/geo+json",
    "certificate.zip": "application/zip",
}


class SoughtBody(Body):
    """What a census or a round looks for: exactly one of detector, saved and recipe."""

    model_config = ConfigDict(strict=False, extra="forbid")

    detector: str = Field(default="", max_length=200, description="Name of a detector.")
    saved: str = Field(
        default="", max_length=40, description="Id of a saved search of places or objects."
    )
    recipe: dict[str, Any] | None = Field(
        default=None, description="An object search, as the body of `objects`."
    )
    threshold: Plain | None = Field(
        default=None, description="Minimum score of the list; by default that of the search."
    )
    floor: Plain = Field(
        default=FLOOR, description="Share of the draw that scores do not steer, 0.01 to 1."
    )

    def sought(self) -> Sought:
        """What is looked for.

        Raises:
            QueryError: If it is not exactly one thing.
        """
        if "/" in self.detector or self.detector.endswith(".json"):
            # A file of the server is nobody's to name.
            raise NotFoundError("There is no detector of this name", where=self.detector[:80])
        recipe = None if self.recipe is None else ObjectRecipe.from_fields(self.recipe)
        return Sought(
            detector=self.detector,
            saved=self.saved,
            recipe=recipe,
            threshold=self.threshold,
            floor=self.floor,
        )


class StartBody(SoughtBody):
    """A census to begin."""

    collection: str = Field(max_length=200, description="Name of the collection.")
    title: str = Field(default="", max_length=200, description="By default what is looked for.")
    within: dict[str, Any] | None = Field(
        default=None, description="Area to count in, GeoJSON, EPSG:4326; null for all imagery."
    )
    scenes: list[str] = Field(default=[], max_length=10_000, description="Ids; all if left out.")
    date: Day | None = Field(
        default=None, description="Day of the imagery; by default the latest of the area."
    )
    unit: int = Field(default=UNIT, strict=True, description="Side of a unit in pixels.")
    error: Plain = Field(
        default=ERROR, description="Wanted half-width of the interval, as a share of the total."
    )
    double: Plain = Field(
        default=0.0, description="Share of units that a second reviewer judges, blind."
    )
    seed: int | None = Field(
        default=None, strict=True, description="Seed of the draw; drawn if left out."
    )
    districts: dict[str, Any] | None = Field(
        default=None, description="Polygons that get a count each, a GeoJSON FeatureCollection."
    )


class ChangeBody(Body):
    """What is to change of a census."""

    title: str | None = Field(default=None, max_length=200)
    error: Plain | None = Field(default=None, ge=0.001, le=1)


class NextBody(Body):
    """Who asks for units."""

    reviewer: str = Field(default=review.SOMEBODY, max_length=200)
    n: int = Field(default=10, description="How many.")


class AnswersBody(Body):
    """Answers of a reviewer."""

    reviewer: str = Field(default=review.SOMEBODY, max_length=200)
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

    reviewer: str = Field(default=review.SOMEBODY, max_length=200)
    unit: str = Field(default="", max_length=40)


class RestoreCensusBody(Body):
    """A deleted census to restore."""

    token: str = Field(max_length=200, description="The token that its deletion answered.")


class RoundAnswer(Answer):
    """One round of a census."""

    number: int
    created: str
    query: str = Field(description="What was looked for, in words.")
    floor: float
    threshold: float | None
    listed: int = Field(description="Things of its list.")
    notes: list[str]


class CensusAnswer(Answer):
    """A census: what it counts and how it draws."""

    id: str
    title: str
    collection: str = Field(description="Present name of the collection.")
    collection_title: str
    created: str
    date: str = Field(description="Day of the imagery; empty if unknown.")
    query: str = Field(description="What the latest round looks for, in words.")
    units: int
    unit: int = Field(description="Side of a unit in pixels.")
    unit_m: float = Field(description="Side of a unit in metres.")
    area_km2: float
    error: float
    double: float
    floor: float
    threshold: float | None
    seed: int
    scenes: list[str]
    districts: list[str]
    bounds: list[float] = Field(description="West, south, east, north of its scenes.")
    rounds: list[RoundAnswer]
    judged: int
    reviewers: list[str]
    changed: str = Field(description="Why the collection is not that of the start, or empty.")
    notes: list[str]

    @classmethod
    def of(cls, kept: Kept) -> CensusAnswer:
        """A census's."""
        census, state = kept.census, kept.judgements.state()
        latest, scenes = census.latest, kept.collection.scenes
        prints = [scenes[each.id].bounds4326 for each in census.scenes if each.id in scenes]
        ends = list(zip(*prints, strict=True)) if prints else [(0.0,)] * 4
        return cls(
            id=census.id,
            title=census.title,
            collection=kept.collection.name,
            collection_title=kept.collection.manifest.title,
            created=census.created,
            date=census.date,
            query=latest.query,
            units=len(census.units),
            unit=census.side,
            unit_m=round(census.side * census.scenes[0].gsd, 2),
            area_km2=census.area_km2,
            error=census.error,
            double=census.double,
            floor=latest.floor,
            threshold=latest.threshold,
            seed=census.seed,
            scenes=[each.id for each in census.scenes],
            districts=[each.name for each in census.districts],
            bounds=[min(ends[0]), min(ends[1]), max(ends[2]), max(ends[3])],
            rounds=[
                RoundAnswer(
                    number=each.number,
                    created=each.created,
                    query=each.query,
                    floor=each.floor,
                    threshold=each.threshold,
                    listed=len(each.expectation.items),
                    notes=list(each.notes),
                )
                for each in census.rounds
            ],
            judged=len(state.answers),
            reviewers=list(dict.fromkeys(each.reviewer for each in state.order)),
            changed=change_since(kept),
            notes=[*census.notes, *latest.notes],
        )


class UnreadableCensus(Answer):
    """A census that cannot be read."""

    id: str
    collection: str
    error: str


class UnitAnswer(Answer):
    """A unit to judge."""

    id: str
    scene_id: str
    geometry: dict[str, Any] = Field(description="Its outline, GeoJSON, EPSG:4326.")
    outline: list[list[list[float]]] = Field(
        description="Rings of its outline, each point as column and row in pixels of the scene."
    )
    pixels: list[int] = Field(description="Left, top, width and height in pixels of the scene.")
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
        whole: list[list[float]] = [[left, top], [right, top], [right, bottom], [left, bottom]]
        return cls(
            id=unit.id,
            scene_id=unit.scene_id,
            geometry=mapping(unit.geometry(scene)),
            outline=[[list(at) for at in ring] for ring in unit.cut] or [whole],
            pixels=[left, top, unit.width, unit.height],
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


class DistrictTotal(Answer):
    """The total of a district."""

    name: str
    estimate: float | None
    low: int | None
    high: int | None
    units: int
    judged: int
    wide: bool = Field(description="Whether the interval is more than half the total either way.")
    geometry: dict[str, Any] | None = None


class RoundTotal(Answer):
    """The total of one round alone."""

    number: int
    query: str
    judged: int
    drawn: int = Field(description="Units of its sample.")
    share: float = Field(description="Its weight in the average of the rounds.")
    estimate: float | None
    low: int | None
    high: int | None


class AgreementAnswer(Answer):
    """How far two reviewers agree."""

    double: int = Field(description="Units that two judged.")
    same: float
    kappa: float | None = Field(description="Cohen's kappa; null if chance alone would agree.")
    lean: float = Field(description="Half the difference of their totals, as a share of the mean.")


class StopAnswer(Answer):
    """The stop rule: 95% of the units with things are seen, with 95% confidence."""

    reached: bool
    recall: float
    confidence: float
    p: float
    seen: int = Field(description="Units with things that were judged.")
    random: int = Field(description="Units of its random sample.")


class ReportAnswer(Answer):
    """What a census says now."""

    id: str
    title: str
    collection: str = Field(description="Name of the collection when the census began.")
    date: str
    estimate: float | None = Field(description="Null while nothing is judged.")
    low: int | None
    high: int | None
    confidence: float
    text: str = Field(description="The total in words, such as 1 240 ± 90.")
    exact: bool
    at_most: bool = Field(description="Whether nothing was seen, so that only `high` is known.")
    half_width: float | None = Field(description="Of the interval, as a share of the total.")
    error: float
    judged: int
    units: int
    cannot_tell: int
    waiting: int = Field(description="Judged units that count once earlier ones are judged.")
    things_seen: float
    left: int | None = Field(description="Units to judge until the wanted error; null: unknown.")
    seconds_left: int | None
    recall: float | None = Field(description="Share of all things that the list has.")
    recall_low: float | None
    recall_high: float | None
    precision: float | None = Field(description="Share of the list that is right.")
    precision_low: float | None
    precision_high: float | None
    listed: int
    threshold: float | None
    agreement: AgreementAnswer | None
    stop: StopAnswer
    rounds: list[RoundTotal]
    districts: list[DistrictTotal]
    changed: str
    notes: list[str]

    @classmethod
    def now(cls, kept: Kept, *, geometry: bool = False) -> ReportAnswer:
        """A census's."""
        return cls(**report(kept).to_dict(geometry=geometry))


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


class DeletedCensus(Answer):
    """A census in the trash."""

    token: str = Field(description="Restores it.")


def _censuses(served: Services) -> Censuses:
    return Censuses(served.open_collections.library)


def opened(served: Served, census: CensusId) -> Kept:
    """The census of this id."""
    return _censuses(served).open(census)


Opened = Annotated[Kept, Depends(opened)]


@router.post("", status_code=201, summary="Begin a census", openapi_extra=request_body(StartBody))
def begin(served: Served, body: Annotated[StartBody, Depends(read(StartBody))]) -> CensusAnswer:
    """Freeze the units of an area and how they are drawn."""
    plan = Plan(
        collection=body.collection,
        sought=body.sought(),
        title=body.title,
        within=Area.from_geojson(body.within) if body.within is not None else None,
        scenes=tuple(body.scenes),
        date=body.date.isoformat() if body.date else "",
        unit=body.unit,
        error=body.error,
        double=body.double,
        seed=body.seed,
        districts=districts_of_geojson(body.districts) if body.districts is not None else (),
    )
    return CensusAnswer.of(start(served.open_collections, plan))


@router.get("", summary="List censuses")
def list_censuses(
    served: Served,
    collection: Annotated[str, Query(description="Name; all collections if left out.")] = "",
) -> list[CensusAnswer | UnreadableCensus]:
    """Every census, the latest first; of one that cannot be read, why."""
    if collection:
        served.open_collections.collection(collection)
    return [
        UnreadableCensus(id=kept.id, collection=kept.collection, error=str(kept.error))
        if isinstance(kept, Unreadable)
        else CensusAnswer.of(kept)
        for kept in _censuses(served).all(collection)
    ]


@router.post(
    "/restore", summary="Restore a deleted census", openapi_extra=request_body(RestoreCensusBody)
)
def restore_census(
    served: Served, body: Annotated[RestoreCensusBody, Depends(read(RestoreCensusBody))]
) -> CensusAnswer:
    """Take it out of the trash."""
    return CensusAnswer.of(_censuses(served).restore(body.token))


@router.get("/{census}", summary="Get a census")
def get_census(kept: Opened) -> CensusAnswer:
    """What it counts and how it draws."""
    return CensusAnswer.of(kept)


@router.patch("/{census}", summary="Change a census", openapi_extra=request_body(ChangeBody))
def change_census(
    served: Served, kept: Opened, body: Annotated[ChangeBody, Depends(read(ChangeBody))]
) -> CensusAnswer:
    """Change its title or the wanted error; the population and the draw stay."""
    changes = {key: value for key, value in body.model_dump().items() if value is not None}
    if not str(changes.get("title", "-")).strip():
        raise QueryError("A census needs a title", remedy="Give one")
    return CensusAnswer.of(_censuses(served).change(kept, **changes))


@router.delete("/{census}", summary="Delete a census")
def delete_census(served: Served, census: CensusId) -> DeletedCensus:
    """Move it to the trash of its collection."""
    return DeletedCensus(token=_censuses(served).delete(census))


@router.post(
    "/{census}/rounds",
    status_code=201,
    summary="Begin a round with a better detector",
    openapi_extra=request_body(SoughtBody),
)
def begin_round(
    served: Served, census: CensusId, body: Annotated[SoughtBody, Depends(read(SoughtBody))]
) -> CensusAnswer:
    """It draws from the units that nobody judged; the rounds before stay valid."""
    return CensusAnswer.of(add_round(served.open_collections, census, body.sought()))


@router.post(
    "/{census}/next", summary="Get the next units to judge", openapi_extra=request_body(NextBody)
)
def next_units(kept: Opened, body: Annotated[NextBody, Depends(read(NextBody))]) -> NextAnswer:
    """They are kept for this reviewer for half an hour; those in hand come again first."""
    handed = review.hand_out(kept, body.n, body.reviewer)
    units = [UnitAnswer.of(kept, unit) for unit in handed.units]
    return NextAnswer(units=units, left=handed.left, done=not units)


@router.get("/{census}/units/{unit}.jpg", summary="Get the picture of a unit", **file("image/jpeg"))
def get_unit_picture(
    kept: Opened,
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


@router.post("/{census}/answers", summary="Answer units", openapi_extra=request_body(AnswersBody))
def answer_units(
    kept: Opened, body: Annotated[AnswersBody, Depends(read(AnswersBody))]
) -> ReportAnswer:
    """All are kept or none; status 409 if somebody answered one of them already."""
    review.answer(kept, body.answers, body.reviewer, seconds=body.seconds, key=body.key)
    return ReportAnswer.now(kept)


@router.get("/{census}/answers", summary="Get all answers")
def get_answers(kept: Opened) -> list[JudgementAnswer]:
    """The history, oldest first, with those that were taken back."""
    lines = kept.judgements.lines()
    state = state_of(lines, kept.folder)
    made = []
    for each in (judgements.Answer.from_line(line) for line in lines if line["event"] == ANSWERED):
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


@router.post("/{census}/undo", summary="Take back an answer", openapi_extra=request_body(UnitBody))
def undo_answer(kept: Opened, body: Annotated[UnitBody, Depends(read(UnitBody))]) -> UndoneAnswer:
    """This reviewer's last, or that of the unit, which is in hand again."""
    taken = review.undo(kept, body.reviewer, body.unit)
    unit = kept.census.units[kept.census.rows[taken.unit]]
    given: int | list[list[float]] | None = taken.count
    if taken.points is not None:
        given = [list(at) for at in taken.points]
    return UndoneAnswer(unit=UnitAnswer.of(kept, unit), answer=given)


@router.post(
    "/{census}/skip",
    status_code=204,
    response_class=Response,
    summary="Put a unit off",
    openapi_extra=request_body(UnitBody),
)
def skip_unit(kept: Opened, body: Annotated[UnitBody, Depends(read(UnitBody))]) -> None:
    """It comes again after the others that this reviewer has in hand."""
    review.skip(kept, body.unit, body.reviewer)


@router.get("/{census}/report", summary="Get what a census says now")
def get_report(
    kept: Opened,
    geometry: Annotated[bool, Query(description="Whether districts have outlines.")] = False,
) -> ReportAnswer:
    """The total with its interval, the list's recall and precision, and what is left to judge."""
    return ReportAnswer.now(kept, geometry=geometry)


@router.get(
    "/{census}/units.geojson", summary="Get all units of a census", **file("application/geo+json")
)
def get_units(
    kept: Opened,
    judged: Annotated[bool, Query(description="Only those that somebody judged.")] = False,
) -> Response:
    """Their outlines, what the latest round expects in them, and what was counted."""
    from shapely.geometry import mapping

    census, state = kept.census, kept.judgements.state()
    expected = uncalibrated(census.latest.expectation.mass)
    features = []
    for row, unit in enumerate(census.units):
        given = state.answers.get(unit.id)
        scene = kept.collection.scenes.get(unit.scene_id)
        if scene is None or (judged and not given):
            continue
        about = {
            "id": unit.id,
            "scene_id": unit.scene_id,
            "score": round(float(expected[row]), 3),
            "judged": bool(given),
            "count": given[0].count if given else None,
        }
        shape = mapping(unit.geometry(scene))
        features.append({"type": "Feature", "id": unit.id, "properties": about, "geometry": shape})
    content = json.dumps({"type": "FeatureCollection", "features": features})
    return Response(content, media_type="application/geo+json")


@router.get(
    "/{census}/export/{kind}",
    summary="Get the certificate of a census, or its points",
    **file(*_KINDS.values()),
)
def export_census(
    request: Request,
    kept: Opened,
    kind: Annotated[
        Literal["certificate.html", "certificate.json", "points.geojson", "certificate.zip"],
        Path(description="What to get."),
    ],
) -> FileResponse:
    """A printable page, the same with all data as JSON, the points, or all three as a zip."""
    stem = f"census-{kept.census.id}"

    def write(folder: FilePath) -> FilePath:
        return certificate.export(kept, folder / f"{stem}{FilePath(kind).suffix}")

    answer = download(write, _KINDS[kind])
    if kind == "certificate.html":
        # A page to look at and print, not to save.
        answer.headers["Content-Disposition"] = f'inline; filename="{stem}.html"'
    return answer
