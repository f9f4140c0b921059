"""Errors as problem details (RFC 9457), with a remedy beside the standard members.

A browser that requests an unknown address gets a page instead.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Match

from pipeline.errors import InputError, LookalikeError, NotFoundError, QueryError
from pipeline.web.reference import html_page, in_words

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


class Problem(BaseModel):
    """Why a request was refused or failed (RFC 9457)."""

    type: str = Field(description="Kind of error, such as `lookalike:QueryError`.")
    status: int = Field(description="HTTP status code.")
    title: str = Field(description="What is wrong.")
    detail: str = Field(description="The value, name or file concerned; may be empty.")
    remedy: str = Field(description="What to do about it; may be empty.")


class MethodNotAllowed(InputError):
    """The address exists, but does not take this method."""

    http_status = 405


def problem(error: LookalikeError, headers: Mapping[str, str] | None = None) -> Response:
    """The response that reports an error."""
    if error.http_status >= 500:
        log.error("%s", error)
    body = Problem(
        type=f"lookalike:{type(error).__name__}",
        status=error.http_status,
        title=error.what,
        detail=error.where,
        remedy=error.remedy,
    )
    return JSONResponse(body.model_dump(), error.http_status, headers, MEDIA_TYPE)


def not_found(request: Request, base_path: str) -> Response:
    """The 404 response.

    Args:
        request: The request.
        base_path: The prefix under which the app is served.
    """
    error = NotFoundError(
        "There is nothing at this address",
        where=request.url.path[:200],
        remedy=f"{base_path}/api/docs lists every address and its parameters",
    )
    return _answer(request, error, base_path)


def add_handlers(api: FastAPI) -> None:
    """Answer every error of a REST application as a problem."""

    async def ours(request: Request, error: LookalikeError) -> Response:
        return problem(error)

    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return problem(_refusal(request, error.errors()))

    async def missing(request: Request, error: HTTPException) -> Response:
        return not_found(request, request.scope["root_path"])

    async def wrong_method(request: Request, error: HTTPException) -> Response:
        taken, base_path = _methods(api, request), request.scope["root_path"]
        refused = MethodNotAllowed(
            f"This address takes {' and '.join(taken)}, not {request.method}",
            where=request.url.path[:200],
            remedy=f"{base_path}/api/docs lists every address and its parameters",
        )
        return _answer(request, refused, base_path, {"Allow": ", ".join(taken)})

    api.exception_handler(LookalikeError)(ours)
    api.exception_handler(RequestValidationError)(invalid)
    api.exception_handler(404)(missing)
    api.exception_handler(405)(wrong_method)


def _refusal(request: Request, errors: Sequence[Any]) -> QueryError:
    """The first of pydantic's errors about a request, in the words of the OpenAPI document."""
    kind, value = errors[0]["type"], str(errors[0].get("input"))[:40]
    # FastAPI puts where a parameter stands before its name.
    first, *inside = [part for part in errors[0]["loc"] if part not in ("query", "path")]
    remedy = f"{request.scope['root_path']}/api/docs describes every field"
    if kind == "extra_forbidden":
        return QueryError("Unknown field", where=_spelled(first, inside)[:40], remedy=remedy)
    if kind == "missing":
        return QueryError(f"{_spelled(first, inside)} is missing", remedy=remedy)
    schema, depth = _schema_of(request, str(first), inside)
    what = f"{_spelled(first, inside[:depth])} must be {in_words(schema)}"
    return QueryError(what, where=value, remedy=remedy)


def _spelled(first: object, inside: Sequence[Any]) -> str:
    """A field within others as programs spell it, such as `marks[0].key`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in inside)
    return f"{first}{''.join(parts)}"


def _schema_of(
    request: Request, name: str, inside: Sequence[Any] = ()
) -> tuple[Mapping[str, Any], int]:
    """The JSON schema of a request's parameter or field, or of a field within it.

    Args:
        request: The request.
        name: The parameter or field.
        inside: The way from there: positions in lists and names of fields.

    Returns:
        The schema, and how much of the way leads to it: the values of an object are not described
        one by one.
    """
    document = request.app.openapi()
    operation = document["paths"][request.scope["route"].path_format][request.method.lower()]
    fields = {field["name"]: field["schema"] for field in operation.get("parameters", ())}
    named = dict(document.get("components", {}).get("schemas", {}))
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        fields |= body["properties"]
        named |= body.get("$defs", {})

    def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        known: Mapping[str, Any] = named.get(schema.get("$ref", "").rpartition("/")[2], schema)
        if "items" in known:
            return {**known, "items": resolved(known["items"])}
        return known

    schema = resolved(fields[name])
    for depth, part in enumerate(inside):
        children = schema.get("properties", {})
        child = schema.get("items") if isinstance(part, int) else children.get(part)
        if child is None:
            return schema, depth
        schema = resolved(child)
    return schema, len(inside)


def _methods(api: FastAPI, request: Request) -> list[str]:
    """The methods that an address takes; Starlette names only those of one route."""
    scope = {"type": "http", **{key: request.scope[key] for key in ("path", "root_path")}}
    return [
        method
        for method in METHODS
        if any(r.matches({**scope, "method": method})[0] is Match.FULL for r in api.routes)
    ]


def _answer(
    request: Request,
    error: LookalikeError,
    base_path: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Problem details for a program, a page for a browser."""
    if "text/html" not in request.headers.get("accept", ""):
        return problem(error, headers)
    page = html_page(
        f"Lookalike: {'not found' if error.http_status == 404 else 'for programs'}",
        f"<h1>{escape(error.what)}</h1><p><code>{escape(error.where)}</code></p>"
        f'<p><a href="{escape(base_path)}/">Open Lookalike</a>, or see '
        f'<a href="{escape(base_path)}/api/docs">the addresses of the REST interface</a>.</p>',
    )
    return HTMLResponse(page, error.http_status, headers)
