"""What a census says, over REST: its report, its units, and the certificate."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from pipeline.census import certificate
from pipeline.census.censuses import Kept
from pipeline.census.recalibration import uncalibrated
from pipeline.census.report import report
from pipeline.web.dependencies import OpenedCensus
from pipeline.web.exports import download
from pipeline.web.responses import Answer, file

router = APIRouter(prefix="/api/censuses/{census}", tags=["Censuses"])

_KINDS = {
    "certificate.html": "text/html",
    "certificate.json": "application/json",
    "points.geojson": "application/geo+json",
    "certificate.zip": "application/zip",
}


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


@router.get("/report", summary="Get what a census says now")
def get_report(
    kept: OpenedCensus,
    geometry: Annotated[bool, Query(description="Whether districts have outlines.")] = False,
) -> ReportAnswer:
    """The total with its interval, the list's recall and precision, and what is left to judge."""
    return ReportAnswer.now(kept, geometry=geometry)


@router.get("/units.geojson", summary="Get all units of a census", **file("application/geo+json"))
def get_units(
    kept: OpenedCensus,
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
    "/export/{kind}",
    summary="Get the certificate of a census, or its points",
    **file(*_KINDS.values()),
)
def export_census(
    request: Request,
    kept: OpenedCensus,
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
