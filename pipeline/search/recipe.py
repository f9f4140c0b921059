"""Recipe: everything needed to repeat a search, as one value.

Each search parameter is declared here, once: its name, kind, bounds, default and help.  The REST
interface and its OpenAPI document, the command line's options, saved searches and exports are read
by these declarations or made from them.  Links have names of their own (`assets/shared/link.js`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from pipeline.errors import NotFoundError, QueryError
from pipeline.geo.area import Area
from pipeline.search.filters import Filters
from pipeline.search.parameters import (
    START,
    Day,
    Degrees,
    Flag,
    Ids,
    Number,
    Parameter,
    Polygon,
    Text,
    Whole,
)

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable

MAX_K = 1_000
POINT = Degrees(("longitude", "latitude"), (-122, 37.5))
COUNT = Whole(1, MAX_K)
BOX = Degrees(("west", "south", "east", "north"), (-122.2, 37.4, -122, 37.6))
#: The Earth's circumference in metres: no two places are farther apart.
FARTHEST = 40_100_000


@dataclass(frozen=True)
class Recipe:
    """What to look for, where, and how many; `PARAMETERS` says what each attribute is."""

    chip: Annotated[str | None, Parameter(Text(), "Id of the chip to search from.", START)] = None
    at: Annotated[
        tuple[float, float] | None,
        Parameter(POINT, "Search from the chip nearest to this longitude and latitude.", START),
    ] = None
    box: Annotated[
        tuple[float, float, float, float] | None,
        Parameter(BOX, "Search from the imagery in this box: west, south, east, north.", START),
    ] = None
    picture: Annotated[
        str | None, Parameter(Text(), "Id of an uploaded picture to search from.", START)
    ] = None
    good: Annotated[
        tuple[str, ...],
        Parameter(
            Ids(),
            "Good examples: ranked first; enough to search from without another start.",
            START,
        ),
    ] = ()
    bad: Annotated[tuple[str, ...], Parameter(Ids(), "Bad examples: never hits.")] = ()
    keep: Annotated[
        tuple[str, ...],
        Parameter(
            Ids(),
            "Hits that stay, whatever number, threshold, suppression and sites say; good examples "
            "stay, too.",
        ),
    ] = ()
    k: Annotated[int, Parameter(COUNT, f"Number of hits, 1 to {MAX_K}.")] = 10
    suppress: Annotated[
        bool,
        Parameter(
            Flag(off="Keep hits that overlap better ones."), "Drop hits that overlap better ones."
        ),
    ] = True
    threshold: Annotated[float | None, Parameter(Number(-1, 1), "Minimum score, -1 to 1.")] = None
    within: Annotated[
        dict[str, Any] | None,
        Parameter(Polygon(), "Polygon that must contain the centre of a hit, EPSG:4326."),
    ] = None
    scenes: Annotated[tuple[str, ...], Parameter(Ids(), "Search only these scenes, by id.")] = ()
    since: Annotated[str | None, Parameter(Day(), "First acquisition day, such as 2016-08-16.")] = (
        None
    )
    until: Annotated[str | None, Parameter(Day(), "Last acquisition day.")] = None
    max_nodata: Annotated[
        float | None,
        Parameter(Number(0, 100), "Maximum share of a chip without data, in percent."),
    ] = None
    min_sharpness: Annotated[float | None, Parameter(Number(0), "Minimum sharpness of a chip.")] = (
        None
    )
    away: Annotated[
        float | None, Parameter(Number(0, FARTHEST), "Minimum distance from the query, in metres.")
    ] = None
    any_orientation: Annotated[
        bool, Parameter(Flag(), "Also match rotated and mirrored views.")
    ] = False
    any_scale: Annotated[bool, Parameter(Flag(), "Also search at half and double scale.")] = False

    @classmethod
    def from_fields(
        cls, fields: Mapping[str, Any], *, image: bool = False, start: bool = True
    ) -> Recipe:
        """The recipe in a JSON body, a form, options or a saved search.

        Args:
            fields: Values by name; lists and points may also be text with commas.
            image: Whether an uploaded picture is the start.
            start: Whether a start is required; without one a recipe only filters.

        Raises:
            QueryError: If a parameter is unknown, of the wrong kind or out of range, or if there is
                not exactly one start.
        """
        given = {name: value for name, value in fields.items() if value not in (None, "")}
        unknown = sorted(set(given) - set(PARAMETERS))
        if unknown:
            raise QueryError("Unknown search parameter", where=str(unknown[0])[:40], remedy=HOW)
        recipe = cls(
            **{name: p.read(given[name]) for name, p in PARAMETERS.items() if name in given}
        )
        recipe._check_start(image or not start)
        return recipe

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema of a body that `from_fields` reads."""
        properties = {name: parameter.schema() for name, parameter in PARAMETERS.items()}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def to_dict(self) -> dict[str, Any]:
        """JSON form without default values; `from_fields` reads it back."""
        default = Recipe()
        kept = {k: v for k, v in asdict(self).items() if v != getattr(default, k)}
        return dict(json.loads(json.dumps(kept)))

    @property
    def has_views(self) -> bool:
        """Whether the query has more than one view."""
        return self.any_orientation or self.any_scale

    @property
    def from_examples(self) -> bool:
        """Whether good examples are the only start."""
        return not (self.chip or self.at or self.box or self.picture)

    @property
    def start(self) -> Recipe:
        """The start and its views alone; hashable."""
        return Recipe(
            chip=self.chip,
            at=self.at,
            box=self.box,
            picture=self.picture,
            good=self.good if self.from_examples else (),
            any_orientation=self.any_orientation,
            any_scale=self.any_scale,
        )

    @property
    def label(self) -> str:
        """The start in words, a chip by its id."""
        return self._label(f"chip {self.chip}")

    def words(self, table: ChipTable) -> str:
        """The start in words, a chip by its place and date while it exists.

        Args:
            table: Chips of the collection that is searched.
        """
        try:
            row = table.row_of(self.chip or "")
        except NotFoundError:
            return self.label
        lon, lat = table.centres[row].tolist()
        acquired = table.datetime_of(row)
        place = f"{abs(lat):.4f}° {'SN'[lat >= 0]} {abs(lon):.4f}° {'WE'[lon >= 0]}"
        return self._label(f"the chip at {place}" + (f", {acquired[:10]}" if acquired else ""))

    def _label(self, chip: str) -> str:
        marks = [
            f"{len(ids)} {name}" for name, ids in (("good", self.good), ("bad", self.bad)) if ids
        ]
        examples = " and ".join(marks) + " example" + "s" * (len(self.good) + len(self.bad) > 1)
        if self.chip:
            start = chip
        elif self.at:
            start = f"point {self.at[1]:.5f}, {self.at[0]:.5f}"
        elif self.box:
            start = "a drawn box"
        elif self.picture:
            start = "a picture"
        else:
            return examples
        return f"{start} with {examples}" if marks else start

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but the start and the examples, as an export records it."""
        return {
            name: value
            for name, value in {"k": self.k, "suppress": self.suppress, **self.to_dict()}.items()
            if name not in (*STARTS, "bad", "keep")
        }

    def filters(self) -> Filters | None:
        """The filters, or None if there are none.

        Raises:
            AreaError: If the polygon cannot be used.
        """
        filters = Filters(
            within=None if self.within is None else Area.from_geojson(self.within).geometry,
            scenes=self.scenes,
            since=date.fromisoformat(self.since) if self.since else None,
            until=date.fromisoformat(self.until) if self.until else None,
            max_nodata=self.max_nodata,
            min_sharpness=self.min_sharpness,
            away=self.away,
        )
        return None if filters == Filters() else filters

    def _check_start(self, image: bool) -> None:
        starts = [name for name in STARTS if getattr(self, name)] + (["image"] if image else [])
        alone = [name for name in starts if name != "good"]
        if len(alone) > 1:
            raise QueryError("A search needs exactly one start", where=", ".join(alone), remedy=HOW)
        if not starts:
            raise QueryError(
                "A search needs exactly one start", where="nothing was given", remedy=HOW
            )
        if both := set(self.good) & set(self.bad):
            raise QueryError(
                "An example cannot be both good and bad", where=min(both), remedy="Choose one"
            )


#: Every search parameter by name, in the order of declaration.
PARAMETERS: dict[str, Parameter] = {
    name: replace(hint.__metadata__[0], name=name, default=getattr(Recipe, name))
    for name, hint in get_type_hints(Recipe, include_extras=True).items()
}
STARTS = tuple(name for name, parameter in PARAMETERS.items() if parameter.start)
HOW = (
    "Give one of chip (an id), at ([longitude, latitude]), box ([west, south, east, north]), "
    "picture (an id), image (a file) or good (a list of ids). Optional: "
    + ", ".join(name for name in PARAMETERS if name not in STARTS)
)
