"""The REST application and the routes that mount it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline import __version__
from pipeline.web import (
    census_judging,
    census_reports,
    censuses,
    checks,
    chip_marks,
    collections,
    detectors,
    exports,
    jobs,
    object_marks,
    object_searches,
    objects,
    problems,
    saved_searches,
    score_maps,
    search,
    tiles,
)
from pipeline.web.dependencies import Services
from pipeline.web.reference import reference_page

_PROBLEM = {
    "description": "Refused or failed",
    "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class Rest(FastAPI):
    """The REST interface.

    Args:
        services: What it serves.
        base_path: The prefix under which the app is served ("" or "/lookalike").
    """

    def __init__(self, services: Services, base_path: str = "") -> None:
        super().__init__(
            title="Lookalike",
            version=__version__,
            description="Reverse visual search over satellite imagery. Longitude comes first; "
            "times are UTC. An error is application/problem+json with what to do about it.",
            servers=[{"url": base_path or "/"}],
            openapi_url="/api/openapi.json",
            # FastAPI's own pages load their scripts from elsewhere.
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            responses={"default": _PROBLEM},
            generate_unique_id_function=_operation_id,
        )
        self.base_path = base_path
        self.state.services = services
        problems.add_handlers(self)
        for module in (
            collections, search, chip_marks, objects, object_marks, object_searches, detectors,
            saved_searches, checks, score_maps, exports, tiles, jobs, censuses,
            census_judging, census_reports,
        ):  # fmt: skip
            self.include_router(module.router)
        self.add_route("/api/docs", self._docs, include_in_schema=False)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once from the routes."""
        if self.openapi_schema is None:
            document = super().openapi()
            components = document["components"]
            components["schemas"]["Problem"] = problems.Problem.model_json_schema()
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{}, {"token": []}]
        return super().openapi()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope = {**scope, "root_path": self.base_path}
        if scope.get("method") == "HEAD":
            # FastAPI's GET routes do not take HEAD; the server leaves the body out.
            scope["method"] = "GET"
        await super().__call__(scope, receive, send)

    def _docs(self, request: Request) -> HTMLResponse:
        return HTMLResponse(reference_page(self.openapi()))


def routes(rest: ASGIApp, base_path: str = "") -> list[Route | Mount]:
    """Routes of the REST interface and of the front end's files, for a server with other routes.

    Args:
        rest: The REST interface.
        base_path: The prefix under which the app is served.
    """
    return [
        Route(f"{base_path}/api", rest),
        Route(f"{base_path}/api/{{below:path}}", rest),
        Mount(f"{base_path}/lookalike/assets/{{version}}", tiles.FrontEndFiles()),
    ]


def _operation_id(route: APIRoute) -> str:
    return route.name
