"""Request bodies: JSON objects, limited in size as they arrive and validated before use."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from pipeline.errors import LookalikeError, QueryError
from pipeline.search.recipe import Recipe

MAX_JSON_BYTES = 4_000_000
_SEND_JSON = 'Send one JSON object in UTF-8, such as {"at": [-122, 37.5]}'


class Body(BaseModel):
    """Base of request bodies; undeclared fields are ignored."""

    # Strict: text is no number and a number no flag.
    model_config = ConfigDict(strict=True, frozen=True)


def _with_recipe(schema: dict[str, Any]) -> None:
    recipe = Recipe.json_schema()
    schema["properties"] = {**recipe["properties"], **schema.get("properties", {})}
    schema["additionalProperties"] = False


class RecipeBody(Body):
    """A search, plus the route's own fields."""

    # The parameters of a search are declared and checked by `Recipe`.
    model_config = ConfigDict(extra="allow", json_schema_extra=_with_recipe)

    def recipe(self, *, start: bool = True) -> Recipe:
        """The search.

        Args:
            start: Whether a start is required; without one, the recipe only filters.

        Raises:
            QueryError: If a parameter is unknown, of the wrong kind or out of range.
        """
        return Recipe.from_fields(self.model_extra or {}, start=start)


B = TypeVar("B", bound=Body)


def read(model: type[B]) -> Callable[[Request], Awaitable[B]]:
    """A dependency that reads and checks the JSON object of a request.

    FastAPI's own would hold a body of any size in memory, and refuse JSON that does not come
    under JSON's media type.
    """

    async def body(request: Request) -> B:
        content = await json_object(request, MAX_JSON_BYTES, remedy="Simplify the area")
        try:
            return model.model_validate(content)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error

    return body


def request_body(model: type[Body]) -> dict[str, Any]:
    """The part of an OpenAPI operation that says what `read` reads."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


async def body_up_to(request: Request, max_bytes: int, too_large: LookalikeError) -> bytes:
    """The body of a request; reading stops, and `too_large` is raised, where it is larger."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


async def json_object(request: Request, max_bytes: int, *, remedy: str) -> dict[str, Any]:
    """The JSON object in the body of a request, whatever its media type.

    Args:
        request: The request.
        max_bytes: Maximum size; reading stops there.
        remedy: What to do about a larger one.

    Raises:
        QueryError: If it is larger, or no JSON object.
    """
    too_large = QueryError(
        "The request is too large",
        where=f"more than {max_bytes // 1_000_000} MB",
        remedy=remedy,
    )
    try:
        body = await body_up_to(request, max_bytes, too_large)
        content = json.loads(body, object_pairs_hook=_once)
        # JSON can spell unpaired surrogates, which neither a file nor a response can hold.
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise QueryError(
            "The request is not JSON", where=str(error)[:80], remedy=_SEND_JSON
        ) from error
    if not isinstance(content, dict):
        raise QueryError("The request is not a JSON object", remedy=_SEND_JSON)
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a field that it has twice nobody knows which is meant.

    Raises:
        QueryError: If it has one.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        (twice, _), *_ = counts.most_common(1)
        raise QueryError(
            "The request has a field twice", where=repr(twice[:40]), remedy="Keep one of the two"
        )
    return content
