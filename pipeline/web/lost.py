"""REST: requests below `/api` that no route takes, told so instead of shown the app's page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route

from pipeline.errors import InputError, LookalikeError, NotFoundError
from pipeline.web.collections import problem
from pipeline.web.openapi import STYLE

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class MethodNotAllowed(InputError):
    """There is something at this address, but it is not asked for in this way."""

    http_status = 405


def routes(others: Sequence[BaseRoute] = (), base: str = "") -> list[Route]:
    """What answers when no other route does; these come last.

    Args:
        others: The routes that come before, as they are without the prefix.
        base: The prefix under which the app is served.
    """

    def lost(request: Request) -> Response:
        path = request.url.path.removeprefix(base)
        scope = {**request.scope, "path": path, "root_path": ""}
        near = [route for route in others if route.matches(scope)[0] is Match.PARTIAL]
        taken = {method for route in near for method in getattr(route, "methods", None) or ()}
        return answer(request, base, sorted(taken - {"HEAD"}))

    return [Route(path, lost, methods=METHODS) for path in ("/api", "/api/{rest:path}")]


def answer(request: Request, base: str = "", taken: Sequence[str] = ()) -> Response:
    """That nothing is here: a page for a browser, problem details for a program.

    Args:
        request: What was asked.
        base: The prefix under which the app is served.
        taken: The methods that this address takes, if there is something there after all.
    """
    error: LookalikeError = NotFoundError(
        "There is nothing at this address",
        where=request.url.path[:200],
        remedy=f"{base}/api/docs lists the addresses there are, and what each takes",
    )
    if taken:
        what = f"This address takes {' and '.join(taken)}, not {request.method}"
        error = MethodNotAllowed(what, where=error.where, remedy=error.remedy)
    headers = {"Allow": ", ".join(taken)} if taken else {}
    html = "text/html" in request.headers.get("accept", "")
    response = HTMLResponse(page(error, base), error.http_status) if html else problem(error)
    response.headers.update(headers)
    return response


def page(error: LookalikeError, base: str) -> str:
    """The same for a person who came with a browser."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Lookalike: {'not found' if error.http_status == 404 else 'for programs'}</title>"
        f"<style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(error.what)}</h1><p><code>{escape(error.where)}</code></p>"
        f'<p><a href="{escape(base)}/">Open Lookalike</a>, or see '
        f'<a href="{escape(base)}/api/docs">the addresses of the REST interface</a>.</p>'
        "</main></body></html>"
    )
