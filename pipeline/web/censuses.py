"""Censuses over REST: begun, followed, listed, changed and deleted."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from pipeline.census.censuses import Censuses, Kept, Unreadable
from pipeline.census.design import FLOOR
from pipeline.census.districts import districts_of_bytes, districts_of_geojson
from pipeline.census.report import change_since
from pipeline.census.start import ERROR, Plan, Sought, add_round, start
from pipeline.census.units import UNIT
from pipeline.errors import AreaError, NotFoundError, QueryError
from pipeline.geo.area import Area
from pipeline.geo.area_files.features import MAX_FILE_BYTES
from pipeline.objects import under_way
from pipeline.objects.recipe import ObjectRecipe
from pipeline.progress import OnProgress, silent
from pipeline.web.bodies import Body, body_up_to, read, request_body
from pipeline.web.dependencies import CensusId, OpenedCensus, Served, Services
from pipeline.web.following import KEY, ProgressAnswer, ProgressId
from pipeline.web.responses import Answer

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

router = APIRouter(prefix="/api/censuses", tags=["Censuses"])

#: A number, which may be a whole one, but neither text nor true.
Plain = Annotated[float, Field(strict=True)]


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
        default=FLOOR,
        description="Minimum weight of a unit in the draw relative to the mean, 0.01 to 1.",
    )
    progress: str | None = Field(
        default=None,
        pattern=KEY,
        description="Id made by the client, to follow what is begun and to cancel it.",
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

    @contextmanager
    def followed(self) -> Iterator[OnProgress]:
        """The callback that tells whoever follows how far it is."""
        if not self.progress:
            yield silent
            return
        with under_way.following(self.progress) as report:
            yield report


class StartBody(SoughtBody):
    """A census to begin."""

    collection: str = Field(max_length=200, description="Name of the collection.")
    title: str = Field(default="", max_length=200, description="By default what is looked for.")
    within: dict[str, Any] | None = Field(
        default=None, description="Area to count in, GeoJSON, EPSG:4326; null for all imagery."
    )
    scenes: list[str] = Field(default=[], max_length=10_000, description="Ids; all if left out.")
    date: datetime.date | None = Field(
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


class PolygonsAnswer(Answer):
    """Polygons of a file, a GeoJSON FeatureCollection."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[dict[str, Any]] = Field(description="Each with its `name`, EPSG:4326.")

    @classmethod
    def of(cls, polygons: Sequence[tuple[str, BaseGeometry]]) -> PolygonsAnswer:
        """Those of named polygons."""
        from shapely.geometry import mapping

        return cls(
            features=[
                {"type": "Feature", "properties": {"name": name}, "geometry": mapping(shape)}
                for name, shape in polygons
            ]
        )


class DeletedCensus(Answer):
    """A census in the trash."""

    token: str = Field(description="Restores it.")


def _censuses(served: Services) -> Censuses:
    return Censuses(served.open_collections.library)


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
    with body.followed() as report:
        return CensusAnswer.of(start(served.open_collections, plan, report))


@router.get("/progress/{progress}", summary="Get the progress of a census that is begun")
def get_begin_progress(progress: ProgressId) -> ProgressAnswer:
    """How far a census, or a round, is that was sent with this id."""
    return ProgressAnswer.of(progress)


@router.delete(
    "/progress/{progress}",
    status_code=204,
    response_class=Response,
    summary="Cancel a census that is begun",
)
def cancel_begin(progress: ProgressId) -> None:
    """It ends with status 409, and nothing is kept."""
    under_way.cancel(progress)


@router.post("/polygons", summary="Read polygons for a census from a file")
async def read_polygons(
    request: Request,
    name: Annotated[str, Query(max_length=200, description="Name of the file.")] = "file",
) -> PolygonsAnswer:
    """Of GeoJSON, KML, KMZ, a GeoPackage or a zipped Shapefile, for the area or its districts."""
    large = AreaError(
        f"The file is larger than {MAX_FILE_BYTES >> 20} MB", where=name, remedy="Simplify it"
    )
    content = await body_up_to(request, MAX_FILE_BYTES, large)
    polygons = await run_in_threadpool(districts_of_bytes, content, name)
    return PolygonsAnswer.of(polygons)


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
def get_census(kept: OpenedCensus) -> CensusAnswer:
    """What it counts and how it draws."""
    return CensusAnswer.of(kept)


@router.patch("/{census}", summary="Change a census", openapi_extra=request_body(ChangeBody))
def change_census(
    served: Served, kept: OpenedCensus, body: Annotated[ChangeBody, Depends(read(ChangeBody))]
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
    with body.followed() as report:
        return CensusAnswer.of(add_round(served.open_collections, census, body.sought(), report))
