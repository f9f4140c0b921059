"""Search parameters: declared once, so that what reads them and what describes them agree."""

from __future__ import annotations

import pytest

from pipeline.errors import QueryError
from pipeline.search.recipe import PARAMETERS, Recipe

PROPERTIES = Recipe.json_schema()["properties"]
BOUNDS = [
    (name, schema[bound], step)
    for name, schema in PROPERTIES.items()
    for bound, step in (("minimum", -1), ("maximum", 1))
    if bound in schema and schema["type"] == "number"
]


def test_every_parameter_is_described() -> None:
    assert list(PROPERTIES) == list(PARAMETERS) == list(Recipe.__dataclass_fields__)
    assert all(schema["description"].endswith(".") for schema in PROPERTIES.values())
    assert Recipe.json_schema()["additionalProperties"] is False


@pytest.mark.parametrize(("name", "bound", "step"), BOUNDS)
def test_the_described_bounds_are_those_that_are_checked(name, bound, step) -> None:
    assert getattr(Recipe.from_fields({"chip": "a", name: bound}), name) == bound
    with pytest.raises(QueryError, match=f"{name} must be a number"):
        Recipe.from_fields({"chip": "a", name: bound + step})


def test_the_described_defaults_are_those_that_are_used() -> None:
    recipe = Recipe.from_fields({"chip": "a"})
    described = {
        name: schema["default"] for name, schema in PROPERTIES.items() if "default" in schema
    }
    assert described == {name: getattr(recipe, name) for name in described}
    assert described["k"] == 10
