"""REST: addresses below `/api` that lead nowhere, told so instead of shown the app's page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pipeline.api import problem
from pipeline.errors import NotFoundError
from pipeline.openapi import STYLE

if TYPE_CHECKING:
    from starlette.requests import Request


def routes(base: str = "") -> list[Route]:
    """What answers when no other route does; these come last.

    Args:
        base: The prefix under which the app is served.
    """

    def lost(request: Request) -> Response:
        return answer(request, base)

    return [Route("/api", lost), Route("/api/{rest:path}", lost)]


def answer(request: Request, base: str = "") -> Response:
    """That nothing is here: a page for a browser, problem details for a program."""
    error = NotFoundError(
        "There is nothing at this address",
        where=request.url.path[:200],
        remedy=f"{base}/api/docs lists the addresses there are, and what each takes",
    )
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(page(error, base), error.http_status)
    return problem(error)


def page(error: NotFoundError, base: str) -> str:
    """The same for a person who came with a browser."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Lookalike: not found</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(error.what)}</h1><p><code>{escape(error.where)}</code></p>"
        f'<p><a href="{escape(base)}/">Open Lookalike</a>, or see '
        f'<a href="{escape(base)}/api/docs">the addresses of the REST interface</a>.</p>'
        "</main></body></html>"
    )
