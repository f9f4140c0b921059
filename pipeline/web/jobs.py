"""REST: jobs.  What the terminal's `jobs` commands do, over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.build.build import BuildRequest
from pipeline.collection.names import check_name
from pipeline.errors import LookalikeError, NotFoundError, QueryError
from pipeline.geo.area import Area
from pipeline.imagery.chips import STRIDES
from pipeline.jobs.queue import JobRequest
from pipeline.sources.files import RasterSource
from pipeline.web.collections import guarded, json_object, problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.jobs.queue import Jobs
    from pipeline.settings import Settings

MOST_JSON = 4_000_000
MOST_SCENES = 100
_FIELDS = ("name", "scenes", "stride", "area", "mode", "title")
_HOW = (
    "Give name and, for a new collection, scenes (paths in an allowed folder or https addresses); "
    "and, if you like, stride, area (GeoJSON), mode and title"
)

Posted = Callable[["Request", dict[str, Any]], Response]


def routes(jobs: Jobs, settings: Settings) -> list[Route]:
    """The routes over the jobs of one home."""

    def collection(request: Request) -> Response:
        return JSONResponse([job.to_dict() for job in jobs.all()])

    def submit(request: Request, body: dict[str, Any]) -> Response:
        job = jobs.submit(asked(body, settings))
        place = f"{request.url.path}/{job.id}"
        return JSONResponse(job.to_dict(), 202, headers={"Location": place})

    def show(request: Request) -> Response:
        return JSONResponse(jobs.get(_id(request)).to_dict())

    def log(request: Request) -> Response:
        return JSONResponse({"lines": jobs.log(_id(request))})

    def preview(request: Request) -> Response:
        path = jobs.preview(_id(request))
        try:
            # Whole at once: the job may put a new one in its place meanwhile.
            pixels = path.read_bytes() if path else None
        except FileNotFoundError:
            pixels = None
        if pixels is None:
            raise NotFoundError("This job has made no chip yet", where=_id(request))
        headers = {"Cache-Control": "no-store"}
        return Response(pixels, media_type="image/jpeg", headers=headers)

    def cancel(request: Request) -> Response:
        return JSONResponse(jobs.cancel(_id(request)).to_dict())

    def resume(request: Request) -> Response:
        return JSONResponse(jobs.resume(_id(request)).to_dict())

    def remove(request: Request) -> Response:
        jobs.remove(_id(request))
        return Response(status_code=204)

    root = "/api/jobs"
    return [
        Route(root, guarded(collection)),
        Route(root, posted(submit), methods=["POST"]),
        Route(f"{root}/{{job}}", guarded(show)),
        Route(f"{root}/{{job}}", guarded(remove), methods=["DELETE"]),
        Route(f"{root}/{{job}}/log", guarded(log)),
        Route(f"{root}/{{job}}/preview.jpg", guarded(preview)),
        Route(f"{root}/{{job}}/cancel", guarded(cancel), methods=["POST"]),
        Route(f"{root}/{{job}}/resume", guarded(resume), methods=["POST"]),
    ]


def posted(handler: Posted) -> Callable[[Request], Awaitable[Response]]:
    """A handler of a JSON object; reads the body, runs the handler in a thread."""

    async def answer(request: Request) -> Response:
        try:
            body = await json_object(request, most=MOST_JSON, remedy="Simplify the area")
            return await run_in_threadpool(handler, request, body)
        except LookalikeError as error:
            return problem(error)

    return answer


def asked(body: Mapping[str, Any], settings: Settings) -> JobRequest:
    """The job that a body asks for.

    Raises:
        QueryError: If a field is unknown or of the wrong kind.
        AreaError: If the area cannot be used.
        SceneError: If a raster cannot be used or lies outside the allowed folders.
        ServiceError: If an address cannot be read or is private.
    """
    unknown = sorted(set(body) - set(_FIELDS))
    if unknown:
        raise QueryError("Unknown field", where=str(unknown[0])[:40], remedy=_HOW)
    name = check_name(_text(body, "name") or "")
    area = Area.from_geojson(body["area"]) if body.get("area") is not None else None
    places = body.get("scenes") or []
    if not isinstance(places, list) or not all(isinstance(place, str) for place in places):
        raise QueryError("scenes must be a list of paths and addresses", remedy=_HOW)
    if len(places) > MOST_SCENES:
        raise QueryError(f"There are more than {MOST_SCENES} scenes", remedy="Give fewer at a time")
    build = BuildRequest(
        name=name,
        stride=_stride(body.get("stride")),
        area=area.to_geojson() if area else None,
        mode=_mode(body.get("mode")),
        title=_text(body, "title"),
    )
    if not places:
        return JobRequest(build)
    found = RasterSource(places, folders=settings.folders).search(area)
    if not found:
        raise QueryError(
            "None of the scenes touches the area", where=name, remedy="Choose other scenes"
        )
    # The folders go along: a link may lead elsewhere by the time the job opens the file.
    options = {"locations": places, "folders": [str(folder) for folder in settings.folders]}
    return JobRequest(build, "raster", options, tuple(one.to_dict() for one in found))


def _id(request: Request) -> str:
    return str(request.path_params["job"])


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > 200):
        raise QueryError(f"{name} must be a short text", where=str(value)[:40], remedy=_HOW)
    return value


def _stride(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or value not in STRIDES:
        raise QueryError(
            "stride must be a multiple of 32 from 32 to 256",
            where=str(value)[:40],
            remedy="Leave it out for 128",
        )
    return int(value)


def _mode(value: Any) -> str | None:
    if value not in (None, "chip", "dense"):
        raise QueryError("mode must be chip or dense", where=str(value)[:40], remedy="Leave it out")
    return value
