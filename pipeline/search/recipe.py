"""Recipe: everything needed to repeat a search, as one value.

The REST interface receives it, a saved search keeps it, a link carries it, an export records it;
all of them read and check it here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import NotFoundError, QueryError
from pipeline.geo.area import Area
from pipeline.search.feedback import Marks
from pipeline.search.filters import Filters
from pipeline.search.search import Query, by_chip, by_point
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index

MOST_EXAMPLES = 1_000
STARTS = ("chip", "at", "box", "picture", "good")
HOW = (
    "Give one of chip (an id), at ([longitude, latitude]), box ([west, south, east, north]), "
    "picture (an id), image (a file) or good (a list of ids); and, if you like, bad, k, suppress, "
    "threshold, within, scenes, since, until, max_nodata, min_sharpness, away, any_orientation and "
    "any_scale"
)


@dataclass(frozen=True)
class Recipe:
    """What to look for, where, and how many.

    Attributes:
        chip: Id of the chip to start from.
        at: Longitude and latitude of a point to start from.
        box: West, south, east, north of a drawn box to start from.
        picture: Id of a picture kept with the collection to start from.
        good: Ids of good examples; with another start they refine it.
        bad: Ids of bad examples; they are never hits.
        k: Hits wanted.
        suppress: Whether hits under better ones are dropped.
        threshold: Least score, or None.
        within: GeoJSON geometry in EPSG:4326 that a hit's centre must lie in, or None.
        scenes: Scene ids, empty for all.
        since: First day, ISO 8601, or None.
        until: Last day, ISO 8601, or None.
        max_nodata: Largest share without data, percent, or None.
        min_sharpness: Least sharpness, or None.
        away: Metres to keep from the query, or None.
        any_orientation: Whether the start's rotations and reflections are searched too.
        any_scale: Whether half and twice the start's ground are searched too.
    """

    chip: str | None = None
    at: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None
    picture: str | None = None
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    k: int = 10
    suppress: bool = True
    threshold: float | None = None
    within: dict[str, Any] | None = None
    scenes: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    max_nodata: float | None = None
    min_sharpness: float | None = None
    away: float | None = None
    any_orientation: bool = False
    any_scale: bool = False

    @classmethod
    def from_fields(
        cls, fields: Mapping[str, Any], *, image: bool = False, start: bool = True
    ) -> Recipe:
        """Check the fields of a JSON body, a form or a saved search.

        Args:
            fields: By name, as above; lists and points may also be text with commas.
            image: Whether the bytes of a picture come along, as the start.
            start: Whether there must be a start; without one a recipe only filters.

        Raises:
            QueryError: If one is unknown, of the wrong kind or out of range, or there is no start.
        """
        given = {name: value for name, value in fields.items() if value not in (None, "")}
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown:
            raise QueryError("Unknown search parameter", where=str(unknown[0])[:40], remedy=HOW)
        recipe = cls(
            chip=_text(given, "chip"),
            # As many as asked for: a tuple's length is no type that mypy could follow.
            at=_floats(given, "at", 2),  # type: ignore[arg-type]
            box=_floats(given, "box", 4),  # type: ignore[arg-type]
            picture=_text(given, "picture"),
            good=_texts(given, "good"),
            bad=_texts(given, "bad"),
            k=_whole(given.get("k", 10)),
            suppress=_flag(given, "suppress", True),
            threshold=_number(given, "threshold", -1, 1),
            within=_within(given.get("within")),
            scenes=_texts(given, "scenes"),
            since=_day(given, "since"),
            until=_day(given, "until"),
            max_nodata=_number(given, "max_nodata", 0, 100),
            min_sharpness=_number(given, "min_sharpness", 0),
            away=_number(given, "away", 0, 40_100_000),
            any_orientation=_flag(given, "any_orientation", False),
            any_scale=_flag(given, "any_scale", False),
        )
        recipe._check_start(image or not start)
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """JSON form without what is at its default; `from_fields` reads it back."""
        default = Recipe()
        kept = {k: v for k, v in asdict(self).items() if v != getattr(default, k)}
        return dict(json.loads(json.dumps(kept)))

    @property
    def has_views(self) -> bool:
        """Whether the start is searched in more than one view."""
        return self.any_orientation or self.any_scale

    @property
    def start(self) -> Recipe:
        """Only what the search starts from and in which views; can be hashed."""
        alone = not (self.chip or self.at or self.box or self.picture)
        return Recipe(
            chip=self.chip,
            at=self.at,
            box=self.box,
            picture=self.picture,
            good=self.good if alone else (),
            any_orientation=self.any_orientation,
            any_scale=self.any_scale,
        )

    @property
    def label(self) -> str:
        """What the start is called where a chip's id says which one it is."""
        return self._called(f"chip {self.chip}")

    def words(self, table: ChipTable) -> str:
        """What a person would call the start: of a chip its place and day, while it is there.

        Args:
            table: Chips of the collection that is searched.
        """
        try:
            row = table.row_of(self.chip or "")
        except NotFoundError:
            return self.label
        lon, lat = table.centres[row].tolist()
        taken = table.datetimes[int(table.scene[row])]
        place = f"{abs(lat):.4f}° {'SN'[lat >= 0]} {abs(lon):.4f}° {'WE'[lon >= 0]}"
        return self._called(f"the chip at {place}" + (f", {taken[:10]}" if taken else ""))

    def _called(self, chip: str) -> str:
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
        """The part that is not the start: what an export records beside it."""
        return {
            name: value
            for name, value in {"k": self.k, "suppress": self.suppress, **self.to_dict()}.items()
            if name not in STARTS and name != "bad"
        }

    def filters(self) -> Filters | None:
        """What may be a hit, or None for everything.

        Raises:
            AreaError: If the polygon cannot be used.
        """
        filters = Filters(
            within=Area.from_geojson(self.within).geometry if self.within else None,
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
            raise QueryError("A search starts from one thing", where=", ".join(alone), remedy=HOW)
        if not starts:
            raise QueryError(
                "A search starts from one thing", where="nothing was given", remedy=HOW
            )
        if both := set(self.good) & set(self.bad):
            raise QueryError(
                "An example cannot be both good and bad", where=min(both), remedy="Choose one"
            )


def refined(
    collection: Collection,
    index: Index,
    start: Query | None,
    good: tuple[str, ...],
    bad: tuple[str, ...],
) -> Query:
    """The query moved towards good and away from bad examples: 2·mean(good) − mean(bad).

    After Rocchio, as Earth Index and GeoVibes do it.  What the search started from counts as one
    more good example.  Bad examples are never hits; good ones stay, they are answers.  That is
    what scores are measured against; the hits' order is that of the marks (see
    `pipeline.search.feedback`).  Of a start with several views each one is moved.

    Raises:
        NotFoundError: If one of the chips does not exist.
        QueryError: If there is neither a start nor a good example.
    """
    if start is None and not good:
        raise QueryError("There is no good example", remedy="Mark at least one result as good")
    table = collection.chips
    liked, disliked = ([table.row_of(chip) for chip in chips] for chips in (good, bad))
    towards = normalise(index.vectors[liked])
    views = towards[:0] if start is None else normalise(np.atleast_2d(start.vector))
    if start is None:
        vector = towards.mean(axis=0)
    else:
        vector = (views + towards.sum(axis=0)) / (1 + len(liked))
        vector = vector.reshape(start.vector.shape)
    if bad:
        vector = 2 * vector - normalise(index.vectors[disliked]).mean(axis=0)
    base = start or Query(vector, collection.manifest.model, label=f"{len(good)} examples")
    marks = Marks(views, tuple(liked), tuple(disliked))
    return replace(base, vector=vector, chips=(*base.chips, *bad), marks=marks)


def query_of(
    recipe: Recipe,
    collection: Collection,
    index: Index,
    start_from: Callable[[Recipe], Query],
) -> Query:
    """The query of a recipe.

    Args:
        recipe: What to look for.
        collection: Where its chips are.
        index: The collection's index.
        start_from: Makes the query of a box, a picture, or anything in several views, which need
            imagery and the model (`pipeline.search.queries`).
    """
    start: Query | None = None
    if recipe.has_views or recipe.box or recipe.picture:
        start = start_from(recipe)
    elif recipe.chip:
        start = by_chip(collection, index, recipe.chip)
    elif recipe.at:
        start = by_point(collection, index, *recipe.at)
    elif not recipe.good:
        start = start_from(recipe)
    if not (recipe.good or recipe.bad) and start is not None:
        return start
    return refined(collection, index, start, recipe.good, recipe.bad)


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > 200):
        raise QueryError(f"{name} must be a short text", where=str(value)[:40], remedy=HOW)
    return value


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = fields.get(name, ())
    if isinstance(value, str):
        value = [item.strip() for item in value.split(",") if item.strip()]
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise QueryError(f"{name} must be a list of ids", where=str(value)[:40], remedy=HOW)
    if len(value) > MOST_EXAMPLES:
        raise QueryError(
            f"{name} has {len(value)} items, more than {MOST_EXAMPLES}", remedy="Give fewer"
        )
    return tuple(dict.fromkeys(value))


def _floats(fields: Mapping[str, Any], name: str, count: int) -> tuple[float, ...] | None:
    value = fields.get(name)
    if value is None:
        return None
    items = value.split(",") if isinstance(value, str) else value
    try:
        numbers = tuple(float(item) for item in items)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        example = "[-122, 37.5]" if count == 2 else "[-122.2, 37.4, -122, 37.6]"
        raise QueryError(
            f"{name} must be {count} numbers, longitude first",
            where=str(value)[:40],
            remedy=f"For instance {example}",
        )
    return numbers


def _whole(value: Any) -> int:
    try:
        if isinstance(value, bool) or float(value) != int(value):
            raise ValueError
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise QueryError(
            "k must be a whole number", where=str(value)[:40], remedy="Ask for 10"
        ) from error


def _number(
    fields: Mapping[str, Any], name: str, least: float, most: float = math.inf
) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not least <= number <= most or number == math.inf:
        span = (
            f"of at least {least:g}" if most == math.inf else f"between {least:g} and {most:,.9g}"
        )
        raise QueryError(
            f"{name} must be a number {span}", where=str(value)[:40], remedy="Leave it out"
        )
    return number


def _flag(fields: Mapping[str, Any], name: str, default: bool) -> bool:
    value = fields.get(name, default)
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "1", "false", "0"):
        return str(value).lower() in ("true", "1")
    raise QueryError(f"{name} must be true or false", where=str(value)[:40], remedy="Leave it out")


def _day(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError as error:
        raise QueryError(
            f"{name} must be a date", where=str(value)[:40], remedy="Write 2016-08-16"
        ) from error


def _within(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise QueryError("within must be GeoJSON", where=str(value)[:40], remedy="Send a Polygon")
    return value
