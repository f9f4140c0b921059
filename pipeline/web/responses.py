"""Response models that several routes share; OpenAPI is generated from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel
from starlette.responses import Response

from pipeline.collection.collection import Collection
from pipeline.errors import NotFoundError
from pipeline.search.recipe import Recipe
from pipeline.search.search import Hit

IMMUTABLE = "private, max-age=31536000, immutable"
BRIEF = "private, max-age=60"


class Answer(BaseModel):
    """Base of JSON responses; an undeclared field is an error of ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)


GeoJson = Annotated[dict[str, Any], Field(description="GeoJSON geometry, EPSG:4326.")]
Longitude = Annotated[float, Field(description="Longitude of the centre, EPSG:4326.")]
Latitude = Annotated[float, Field(description="Latitude of the centre, EPSG:4326.")]
Row = Annotated[int, Field(description="Row of the chip in `footprints.f64`.")]
Acquired = Annotated[str | None, Field(description="Acquisition time, ISO 8601, or null.")]


ByChance = Annotated[
    float | None,
    Field(
        description="How many chips (of objects: windows) would score this high by chance; well "
        "below 1 is no coincidence. Null where that is unknown."
    ),
]


class ChipAnswer(Answer):
    """A chip and where it is."""

    id: str
    row: Row
    lon: Longitude
    lat: Latitude
    datetime: Acquired

    @classmethod
    def of(cls, collection: Collection, row: int) -> ChipAnswer:
        """The chip in a row of a collection's table."""
        table = collection.chips
        lon, lat = table.centres[row].tolist()
        return cls(
            id=table.id_of(row),
            row=row,
            lon=lon,
            lat=lat,
            datetime=table.datetime_of(row),
        )


class PlainHit(Answer):
    """A chip that matches."""

    rank: int = Field(
        description="1 for the best. With good or bad examples, hits are not in order of score."
    )
    id: str = Field(description="Id of the chip.")
    score: float = Field(
        description="Cosine similarity to the query, which examples move to 2·good − bad."
    )
    by_chance: ByChance = None
    scene_id: str
    datetime: Acquired
    geometry: GeoJson


class HitAnswer(PlainHit):
    """A chip that matches, and where it is."""

    row: Row
    lon: Longitude
    lat: Latitude

    @classmethod
    def of(cls, hit: Hit) -> HitAnswer:
        """A hit."""
        lon, lat = hit.centre
        return cls(**hit.to_dict(), row=hit.row, lon=lon, lat=lat)


class SiteAnswer(Answer):
    """Hits that overlap, as one place."""

    rank: int
    id: str = Field(description="Id of its best chip.")
    score: float = Field(description="Highest score of its hits.")
    by_chance: ByChance = None
    count: int = Field(description="Number of hits.")
    chips: list[str]
    scenes: list[str]
    geometry: GeoJson


def _as_recipe(schema: dict[str, Any]) -> None:
    schema.update(Recipe.json_schema())


class RecipeAnswer(RootModel[dict[str, Any]]):
    """The parameters of a search, without those at their defaults."""

    model_config = ConfigDict(json_schema_extra=_as_recipe)


def file(*media_types: str) -> dict[str, Any]:
    """The arguments of a route whose response is a file."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = dict.fromkeys(media_types, binary)
    return {"response_class": Response, "responses": {200: {"content": content}}}


def read_or_raise(path: Path | None, missing: NotFoundError) -> bytes:
    """The content of a file that may be replaced or deleted meanwhile.

    It is read at once: a file that changes while it is sent would arrive torn.

    Args:
        path: Where it is, or None if there is none.
        missing: Raised if there is none.
    """
    try:
        if path is not None:
            return path.read_bytes()
    except FileNotFoundError:
        pass
    raise missing
