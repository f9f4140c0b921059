"""Jobs over REST: what the terminal's `jobs` commands do."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import ConfigDict, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from pipeline.build.brightness import how_to_restretch
from pipeline.build.layers import LARGEST, SMALLEST
from pipeline.build.request import BuildRequest
from pipeline.collection.names import check_name
from pipeline.errors import NotFoundError, QueryError
from pipeline.geo.area import Area
from pipeline.imagery.brightness import Brightness
from pipeline.jobs.job import JobRequest
from pipeline.model.descriptor import PASSES, Quality
from pipeline.settings import Settings
from pipeline.sources.files import RasterSource
from pipeline.web.bodies import Body, read, request_body
from pipeline.web.dependencies import Served
from pipeline.web.responses import Answer, file, read_or_raise

router = APIRouter(prefix="/api/jobs", tags=["Jobs"])

JobId = Annotated[str, Path(description="Id of the job.")]


class BuildBody(Body):
    """A collection to build."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=200, description="Collection to make, continue or enlarge.")
    scenes: list[str] | None = Field(
        default=None,
        max_length=100,
        description="Paths in an allowed folder, or https addresses. A new collection needs some.",
    )
    stride: int | None = Field(
        default=None,
        ge=32,
        le=256,
        multiple_of=32,
        description="Chip spacing in pixels; 128 if left out.",
    )
    area: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "null"}]})] = Field(
        default=None, description="GeoJSON; chips whose centre lies outside are left out."
    )
    mode: Literal["chip", "dense"] | None = Field(
        default=None, description="How chips are embedded."
    )
    quality: Quality | None = Field(
        default=None,
        description="What chips are ranked by: `standard`, the default, or `thorough`, which looks "
        "at each chip in four orientations and at two sizes and takes about "
        f"{PASSES['thorough']:.1f} times as long. A collection keeps its own.",
    )
    title: str | None = Field(default=None, max_length=200, description="Title of the collection.")
    object_size: float | None = Field(
        default=None,
        ge=SMALLEST,
        le=LARGEST,
        description="Size in metres of the smallest thing to look for.",
    )
    brightness: str | None = Field(
        default=None,
        max_length=80,
        description="`automatic` shows 8-bit RGB as stored, and clips the darkest and brightest 2% "
        "of other scenes of a sensor; `percentile` clips 8-bit RGB, too; `LOW,HIGH` sets the "
        "levels shown as black and white.",
    )
    restretch: bool = Field(
        default=False,
        description="Fix the brightness anew from all scenes, and embed again what changes.",
    )


class BuildOptions(Answer):
    """What a job's request says of its build; null of an object search."""

    stride: int | None
    object_size: float | None = None
    quality: Quality | None = None


class JobAnswer(Answer):
    """A build or an object search, and its state."""

    id: str
    kind: Literal["build", "objects"]
    collection: str
    title: str
    request: BuildOptions
    state: Literal["queued", "running", "cancelling", "cancelled", "failed", "done", "interrupted"]
    stage: str = Field(description="What is being done.")
    done: int = Field(description="Units of the stage that are finished.")
    total: int = Field(description="Units of the stage; 0 while unknown.")
    unit: str = Field(description="What is counted.")
    note: str
    rate: float | None = Field(description="Units per second, or null.")
    left: float | None = Field(description="Seconds left of the stage, or null.")
    created: str = Field(description="When it was queued, ISO 8601.")
    started: str = Field(description="When it was last started, or empty.")
    ended: str = Field(description="When it ended, or empty.")
    attempts: int = Field(description="How often it was started.")
    error: dict[str, str] | None = Field(description="Why it failed: what, where, remedy and kind.")
    failures: list[dict[str, Any]] = Field(description="Blocks that could not be made.")
    summary: dict[str, Any] | None = Field(
        description="What was made, once it is done; of an object search `search` is the id of "
        "the saved object search."
    )
    engine: str = Field(description="Where blocks are made.")


class JobLog(Answer):
    """What happened in a job."""

    lines: list[str] = Field(description="The last 200 lines, the oldest first.")


@router.get("", summary="List jobs")
def list_jobs(served: Served) -> list[JobAnswer]:
    """All jobs, the newest first."""
    return [JobAnswer(**job.to_dict()) for job in served.jobs.all()]


@router.post("", status_code=202, summary="Queue a build", openapi_extra=request_body(BuildBody))
def queue_build(
    request: Request,
    response: Response,
    served: Served,
    body: Annotated[BuildBody, Depends(read(BuildBody))],
) -> JobAnswer:
    """Make a collection, continue one or add scenes to it. `Location` is the job's address."""
    job = served.jobs.submit(job_request(body, served.settings))
    response.headers["Location"] = f"{request.url.path}/{job.id}"
    return JobAnswer(**job.to_dict())


@router.get("/{job}", summary="Get a job")
def get_job(served: Served, job: JobId) -> JobAnswer:
    """A job and its progress."""
    return JobAnswer(**served.jobs.get(job).to_dict())


@router.delete(
    "/{job}", status_code=204, response_class=Response, summary="Remove a job from the list"
)
def remove_job(served: Served, job: JobId) -> None:
    """A job that waits or runs must be cancelled first. The collection stays."""
    served.jobs.remove(job)


@router.get("/{job}/log", summary="Get the log of a job")
def get_job_log(served: Served, job: JobId) -> JobLog:
    """What happened in the job, a line each."""
    return JobLog(lines=served.jobs.log(job))


@router.get("/{job}/preview.jpg", summary="Get the latest chips of a job", **file("image/jpeg"))
def get_job_preview(served: Served, job: JobId) -> Response:
    """Chips of the block that was finished last."""
    missing = NotFoundError("This job has made no chip yet", where=job)
    pixels = read_or_raise(served.jobs.preview(job), missing)
    return Response(pixels, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.post("/{job}/cancel", summary="Cancel a job")
def cancel_job(served: Served, job: JobId) -> JobAnswer:
    """A running job stops within seconds and keeps the blocks it has finished."""
    return JobAnswer(**served.jobs.cancel(job).to_dict())


@router.post("/{job}/resume", summary="Resume a job")
def resume_job(served: Served, job: JobId) -> JobAnswer:
    """Queue a job again that was cancelled, failed or interrupted; finished blocks are kept."""
    return JobAnswer(**served.jobs.resume(job).to_dict())


def job_request(body: BuildBody, settings: Settings) -> JobRequest:
    """The job that a body asks for.

    Raises:
        QueryError: If the name cannot be used, or no scene touches the area.
        InputError: If the brightness is none.
        AreaError: If the area cannot be used.
        SceneError: If a raster cannot be used or lies outside the allowed folders.
        ServiceError: If an address cannot be read or is private.
    """
    name = check_name(body.name)
    area = Area.from_geojson(body.area) if body.area is not None else None
    build = BuildRequest(
        name=name,
        stride=body.stride,
        area=area,
        mode=body.mode,
        quality=body.quality,
        title=body.title,
        object_size=body.object_size,
        restretch=how_to_restretch(body.brightness) if body.restretch else None,
    )
    shown = Brightness.parse(body.brightness)
    if not body.scenes:
        return JobRequest(build)
    candidates = RasterSource(body.scenes, folders=settings.folders).search(area)
    if not candidates:
        raise QueryError(
            "None of the scenes touches the area", where=name, remedy="Choose other scenes"
        )
    # The job checks the folders again: by then, a symbolic link may lead elsewhere.
    options: dict[str, Any] = {
        "locations": body.scenes,
        "folders": [str(folder) for folder in settings.folders],
    }
    if shown.stretch:
        options["stretch"] = [list(shown.stretch.low), list(shown.stretch.high)]
    if shown.percentile:
        options["percentile"] = True
    return JobRequest(build, "raster", options, tuple(candidates))
