"""Recipe of an object search: everything needed to repeat it, as one value.

The parameters are declared here, once, as those of a chip search are in `search.recipe`, which also
declares the filters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from pipeline.errors import AreaError, QueryError
from pipeline.geo.area import Area
from pipeline.objects.places import Example, of_box, of_geometry
from pipeline.search.filters import FILTERS
from pipeline.search.parameters import (
    START,
    Flag,
    Ids,
    Number,
    Parameter,
    ParameterKind,
    Text,
    Whole,
)
from pipeline.search.recipe import BOX, PARAMETERS, POINT, Recipe

if TYPE_CHECKING:
    from pipeline.search.filters import Filters

#: Maximum number of objects of one answer, and of examples of one search.
MAX_OBJECTS, MAX_EXAMPLES = 100_000, 1_000
COUNT = Whole(1, MAX_OBJECTS)
#: What neither a number of objects nor a minimum score cuts off, in words.
GOOD_STAY = "Examples and objects marked good are always listed."
#: Sizes of objects in metres.
SIZE = Number(0.1, 100_000)


class Examples(ParameterKind):
    """Examples: objects with a point, a box or a polygon, and the label good or bad."""

    def read(self, name: str, value: Any) -> tuple[dict[str, Any], ...]:
        """As `ParameterKind.read`; each example is checked."""
        if not isinstance(value, (list, tuple)) or len(value) > MAX_EXAMPLES:
            raise QueryError(
                f"{name} must be a list of at most {MAX_EXAMPLES} examples",
                where=str(value)[:40],
                remedy='For instance [{"box": [-122.2, 37.4, -122, 37.6], "label": "good"}]',
            )
        for item in value:
            example_of(item)
        return tuple(value)

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        example = {
            "type": "object",
            "properties": {
                "at": POINT.schema(),
                "box": BOX.schema(),
                "polygon": {"type": "object"},
                "object_size": SIZE.schema(),
                "label": {"enum": ["good", "bad"]},
                "collection": {"type": "string"},
                "scene_id": {"type": "string"},
            },
            "additionalProperties": False,
        }
        return {"type": "array", "items": example, "maxItems": MAX_EXAMPLES}


def example_of(item: Any) -> Example:
    """The example of a JSON object.

    Raises:
        QueryError: If it has not exactly one place, or an unknown key.
    """
    known = {"at", "box", "polygon", "object_size", "label", "collection", "scene_id"}
    if not isinstance(item, Mapping) or set(item) - known:
        raise _malformed(item)
    if sum(item.get(key) is not None for key in ("at", "box", "polygon")) != 1:
        raise _malformed(item)
    label = item.get("label") or "good"
    if label not in ("good", "bad"):
        raise _malformed(item)
    size = item.get("object_size")
    size = None if size is None else SIZE.read("object_size", size)
    example = _placed(item)
    return replace(
        example,
        good=label == "good",
        width_m=example.width_m or size,
        height_m=example.height_m or size,
        collection=_text(item, "collection"),
        scene_id=_text(item, "scene_id"),
    )


def _placed(item: Mapping[str, Any]) -> Example:
    if item.get("at") is not None:
        lon, lat = POINT.read("at", item["at"])
        return Example(lon, lat)
    if item.get("box") is not None:
        west, south, east, north = BOX.read("box", item["box"])
        return of_box((west, south, east, north))
    try:
        return of_geometry(Area.from_geojson(item["polygon"]).geometry)
    except AreaError as error:
        raise QueryError(error.what, where=error.where, remedy=error.remedy) from error


def _text(item: Mapping[str, Any], key: str) -> str | None:
    value = item.get(key)
    return None if value is None else str(Text().read(key, value))


def _malformed(item: Any) -> QueryError:
    return QueryError(
        "An example has exactly one of at, box and polygon",
        where=str(item)[:80],
        remedy='For instance {"at": [-122, 37.5], "object_size": 12, "label": "bad"}',
    )


@dataclass(frozen=True)
class ObjectRecipe:
    """What to look for, where, and how many; `OBJECT_PARAMETERS` says what each attribute is."""

    at: Annotated[
        tuple[float, float] | None,
        Parameter(POINT, "Search from the object at this longitude and latitude.", START),
    ] = None
    box: Annotated[
        tuple[float, float, float, float] | None,
        Parameter(BOX, "Search from the object in this box: west, south, east, north.", START),
    ] = None
    examples: Annotated[
        tuple[dict[str, Any], ...],
        Parameter(Examples(), "Examples, good and bad.", START),
    ] = ()
    picture: Annotated[
        str | None, Parameter(Text(), "Id of an uploaded picture of the object.", START)
    ] = None
    detector: Annotated[str | None, Parameter(Text(), "Name of a detector to apply.", START)] = None
    marks: Annotated[
        str | None, Parameter(Text(), "Id of a set of marks, which count as examples.", START)
    ] = None
    also: Annotated[
        tuple[str, ...],
        Parameter(Ids(), "Further collections to search, ranked together with this one."),
    ] = ()
    object_size: Annotated[
        float | None,
        Parameter(SIZE, "Size in metres of an object that is given by a point."),
    ] = None
    k: Annotated[
        int, Parameter(COUNT, f"Maximum number of objects, 1 to {MAX_OBJECTS}. {GOOD_STAY}")
    ] = 1_000
    threshold: Annotated[
        float | None, Parameter(Number(0, 1), f"Minimum score, 0 to 1. {GOOD_STAY}")
    ] = None
    min_probability: Annotated[
        float | None, Parameter(Number(0, 1), "Minimum probability, 0 to 1.")
    ] = None
    outlines: Annotated[bool, Parameter(Flag(), "Outline the objects at the threshold.")] = False
    within: Annotated[dict[str, Any] | None, PARAMETERS["within"]] = None
    scenes: Annotated[tuple[str, ...], PARAMETERS["scenes"]] = ()
    since: Annotated[str | None, PARAMETERS["since"]] = None
    until: Annotated[str | None, PARAMETERS["until"]] = None
    max_nodata: Annotated[float | None, PARAMETERS["max_nodata"]] = None
    min_sharpness: Annotated[float | None, PARAMETERS["min_sharpness"]] = None
    away: Annotated[float | None, PARAMETERS["away"]] = None

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], *, start: bool = True) -> ObjectRecipe:
        """The recipe in a JSON body, options or a saved search.

        Args:
            fields: Values by name.
            start: Whether they must say what to look for; otherwise labels or a file do.

        Raises:
            QueryError: If a parameter is unknown, of the wrong kind or out of range, or nothing
                says what to look for.
        """
        given = {name: value for name, value in fields.items() if value not in (None, "")}
        if unknown := sorted(set(given) - set(OBJECT_PARAMETERS)):
            raise QueryError("Unknown search parameter", where=str(unknown[0])[:40], remedy=HOW)
        recipe = cls(
            **{name: p.read(given[name]) for name, p in OBJECT_PARAMETERS.items() if name in given}
        )
        COUNT.check("k", recipe.k)
        if start and not any(getattr(recipe, name) for name in OBJECT_STARTS):
            raise QueryError("Nothing says what to look for", remedy=HOW)
        return recipe

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema of a body that `from_fields` reads."""
        properties = {name: parameter.schema() for name, parameter in OBJECT_PARAMETERS.items()}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def to_dict(self) -> dict[str, Any]:
        """JSON form without default values; `from_fields` reads it back."""
        default = ObjectRecipe()
        kept = {k: v for k, v in asdict(self).items() if v != getattr(default, k)}
        return dict(json.loads(json.dumps(kept)))

    def all_examples(self) -> tuple[Example, ...]:
        """The examples that the recipe itself holds."""
        items: list[Example] = []
        if self.at:
            items.append(Example(*self.at, self.object_size, self.object_size))
        if self.box:
            items.append(of_box(self.box))
        return (*items, *map(example_of, self.examples))

    def filters(self) -> Filters | None:
        """The filters, or None if there are none.

        Raises:
            AreaError: If the polygon cannot be used.
        """
        kept = {name: getattr(self, name) for name in FILTERS}
        kept = {name: value for name, value in kept.items() if value not in (None, ())}
        return Recipe.from_fields(kept, start=False).filters()

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but what is looked for, as an export records it."""
        return {
            name: value
            for name, value in {"k": self.k, **self.to_dict()}.items()
            if name not in OBJECT_STARTS
        }

    @property
    def label(self) -> str:
        """What is looked for, in words."""
        if self.detector:
            return f"detector {self.detector}"
        if self.marks:
            return "marked examples"
        if self.picture:
            return "a picture"
        examples: Sequence[Example] = self.all_examples()
        if len(examples) == 1:
            return f"the object at {examples[0].lat:.5f}, {examples[0].lon:.5f}"
        return f"{len(examples)} examples"


#: Every parameter by name, in the order of declaration.
OBJECT_PARAMETERS: dict[str, Parameter] = {
    name: replace(hint.__metadata__[0], name=name, default=getattr(ObjectRecipe, name))
    for name, hint in get_type_hints(ObjectRecipe, include_extras=True).items()
}
OBJECT_STARTS = tuple(name for name, p in OBJECT_PARAMETERS.items() if p.start)
HOW = (
    "Give at ([longitude, latitude]), box ([west, south, east, north]), examples, picture (an id), "
    "marks (an id) or detector (a name). Optional: "
    + ", ".join(name for name in OBJECT_PARAMETERS if name not in OBJECT_STARTS)
)
