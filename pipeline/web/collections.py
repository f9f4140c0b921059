"""Collections over REST: facts, index, chips and visual map."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from pipeline.analysis.space import space_of
from pipeline.build import brightness
from pipeline.collection.collection import Collection
from pipeline.errors import LookalikeError, NotFoundError
from pipeline.model.descriptor import Quality
from pipeline.search.changes import chip_on
from pipeline.search.open_collections import OpenCollections
from pipeline.web.dependencies import Name, Opened, Served
from pipeline.web.responses import BRIEF, Acquired, Answer, ChipAnswer, GeoJson, file

router = APIRouter(prefix="/api/collections", tags=["Collections"])

Bounds = Annotated[
    list[float],
    Field(min_length=4, max_length=4, description="West, south, east, north, EPSG:4326."),
]


class SceneAnswer(Answer):
    """A scene of a collection."""

    id: str
    title: str
    datetime: Acquired
    gsd: float = Field(description="Ground sampling distance in metres.")
    license: str
    bounds: Bounds


class CollectionAnswer(Answer):
    """A collection: its scenes, bounds and counts."""

    name: str
    title: str
    description: str
    version: str = Field(description="Changes whenever the collection's chips do.")
    created: str = Field(description="ISO 8601.")
    complete: bool = Field(description="Whether every chip of every scene has been made.")
    stride: int = Field(description="Chip spacing in pixels.")
    quality: Quality | None = Field(
        description="What chips are ranked by; null of a collection of an earlier version."
    )
    chips: int = Field(description="Number of chips.")
    brightness: str = Field(description="How scenes are shown and embedded, in words.")
    bounds: Bounds | None
    area: GeoJson | None
    sharpness: dict[str, float | None] = Field(
        description="Sharpness below which 5, 10, 25 and 50% of the chips lie."
    )
    scenes: list[SceneAnswer]


class UnreadableCollection(Answer):
    """A collection that cannot be opened."""

    name: str
    error: str = Field(description="What is wrong.")
    remedy: str


class IndexAnswer(Answer):
    """The index of a collection."""

    chips: int = Field(description="Number of chips in it.")
    kind: str = Field(description="Kind of index, such as `exact`.")


@router.get("", summary="List collections")
def list_collections(served: Served) -> list[CollectionAnswer | UnreadableCollection]:
    """Every collection; of one that cannot be read, its name and why."""
    return describe_all(served.open_collections)


@router.get("/{name}", summary="Get a collection")
def get_collection(collection: Opened) -> CollectionAnswer:
    """Its scenes, bounds and counts."""
    return describe(collection)


@router.get("/{name}/index", summary="Load the index of a collection")
def load_index(served: Served, name: Name) -> IndexAnswer:
    """Wait until index and graph are in memory, so that the searches that follow are fast."""
    index = served.open_collections.index(name)
    served.open_collections.graph(name)
    return IndexAnswer(chips=len(index), kind=index.header.parameters.kind)


@router.get("/{name}/chip", summary="Find the chip at a point")
def find_chip(
    collection: Opened,
    lon: Annotated[float, Query(description="Longitude, EPSG:4326.", allow_inf_nan=False)],
    lat: Annotated[float, Query(description="Latitude, EPSG:4326.", allow_inf_nan=False)],
    day: Annotated[str, Query(description="Acquisition date; any if left out.")] = "",
) -> ChipAnswer:
    """The chip whose centre is nearest to the point among those that cover it."""
    row = chip_on(collection, day, lon, lat) if day else collection.chips.row_at(lon, lat)
    return ChipAnswer.of(collection, row)


@router.get(
    "/{name}/space.f32",
    summary="Get the visual map",
    **file("application/octet-stream"),
)
def get_space(served: Served, name: Name) -> Response:
    """Chips as points, similar ones close together.

    Little-endian floats (n, 4): row, x and y from -1 to 1, and the number of the scene. Of a large
    collection it is an even sample.
    """
    space = space_of(served.open_collections.collection(name), served.open_collections.index(name))
    return Response(
        space.table().astype("<f4").tobytes(),
        media_type="application/octet-stream",
        headers={"Cache-Control": BRIEF},
    )


def describe_all(
    open_collections: OpenCollections,
) -> list[CollectionAnswer | UnreadableCollection]:
    """All collections; of one that cannot be read, its name and why."""
    answers: list[CollectionAnswer | UnreadableCollection] = []
    for name in open_collections.library.names():
        try:
            answers.append(describe(open_collections.collection(name)))
        except NotFoundError:  # it was deleted meanwhile
            continue
        except LookalikeError as error:
            answers.append(UnreadableCollection(name=name, error=error.what, remedy=error.remedy))
    return answers


def describe(collection: Collection) -> CollectionAnswer:
    """The facts that a client needs to show a collection."""
    manifest, chips = collection.manifest, collection.chips
    return CollectionAnswer(
        name=collection.name,
        title=manifest.title,
        description=manifest.description,
        version=collection.version,
        created=manifest.created,
        complete=manifest.complete,
        stride=manifest.stride,
        quality=manifest.quality,
        chips=len(chips),
        brightness=brightness.describe(collection),
        bounds=list(chips.bounds) if len(chips) else None,
        area=manifest.area.to_geojson()["geometry"] if manifest.area else None,
        sharpness=_quantiles(chips.sharpness) if len(chips) else {},
        scenes=[
            SceneAnswer(
                id=scene.id,
                title=scene.title,
                datetime=scene.datetime,
                gsd=scene.gsd,
                license=scene.license,
                bounds=list(scene.footprint.bounds),
            )
            for scene in collection.scenes.values()
        ],
    )


def _quantiles(values: np.ndarray) -> dict[str, float | None]:
    """The value below which 5, 10, 25 and 50% of the chips lie."""
    shares = (5, 10, 25, 50)
    values_at = np.nanpercentile(values, shares).round(3).tolist()
    return {str(share): value for share, value in zip(shares, values_at, strict=True)}
