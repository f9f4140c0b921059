"""Detectors over REST: train, list, rename, remove, download and upload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from pipeline.errors import DamagedError, NewerError, NotFoundError, QueryError
from pipeline.objects import detector_file as files
from pipeline.objects.detector import Detector
from pipeline.objects.detector_training import check_labels, train_detector
from pipeline.objects.detectors import Detectors, warnings_for
from pipeline.objects.service import examples_of, origins_of
from pipeline.web.bodies import Body, body_up_to, read, request_body
from pipeline.web.dependencies import Served, Services
from pipeline.web.objects import ObjectsBody
from pipeline.web.responses import Answer, file, read_or_raise

router = APIRouter(prefix="/api/detectors", tags=["Detectors"])

DetectorName = Annotated[str, Path(description="Name of the detector.")]


class DetectorAnswer(Answer):
    """A detector's card."""

    name: str
    title: str
    created: str
    object_size: float = Field(description="Size of the thing in metres.")
    trained: bool = Field(description="Whether marks trained it.")
    good: int
    bad: int
    cells: dict[str, Any] = Field(description="What made the cells that it ranks.")
    origin: dict[str, Any] = Field(description="Collection, GSD, sensors and dates.")
    calibration: dict[str, Any] | None = Field(description="Probabilities; null if too few marks.")
    marks: list[dict[str, Any]]
    pictures: list[str] = Field(description="Good examples, PNG as base64.")
    warnings: list[str] = Field(
        default=[], description="What to know before it is applied to the collection asked for."
    )

    @classmethod
    def of(cls, name: str, detector: Detector, warnings: Sequence[str] = ()) -> DetectorAnswer:
        """A detector's."""
        card = detector.card()
        values = {key: card[key] for key in cls.model_fields if key in card}
        return cls(name=name, warnings=list(warnings), **values)


class RemovedDetector(Answer):
    """A detector in the trash."""

    token: str = Field(description="Restores it.")


class RestoreBody(Body):
    """A removed detector to restore."""

    token: str = Field(max_length=200, description="The token that its removal answered.")


class UnreadableDetector(Answer):
    """A detector whose file cannot be read."""

    name: str
    error: str


class TrainBody(ObjectsBody):
    """An object search whose marks train a detector."""

    title: str = Field(max_length=200, description="What the detector finds.")
    collection: str = Field(max_length=200, description="Collection that the marks lie in.")


class TitleBody(Body):
    """A new title."""

    title: str = Field(max_length=200)


def _detectors(served: Services) -> Detectors:
    return Detectors(served.open_collections.library.home)


@router.get("", summary="List detectors")
def list_detectors(served: Served) -> list[DetectorAnswer | UnreadableDetector]:
    """Every detector; of one that cannot be read, why."""
    return [
        DetectorAnswer.of(kept.name, kept.detector)
        if kept.detector
        else UnreadableDetector(name=kept.name, error=str(kept.error))
        for kept in _detectors(served).all()
    ]


@router.post("", status_code=201, summary="Train a detector", openapi_extra=request_body(TrainBody))
def train(served: Served, body: Annotated[TrainBody, Depends(read(TrainBody))]) -> DetectorAnswer:
    """The examples and marks of a search train a detector, which is kept under its title."""
    recipe = body.recipe()
    collection = served.open_collections.collection(body.collection)
    examples = examples_of(collection, recipe)
    kept = _detectors(served)
    before = kept.open(recipe.detector) if recipe.detector else None
    if before is None:
        check_labels(examples)
    made = train_detector(
        collection,
        examples,
        body.title,
        origins=origins_of(served.open_collections, examples),
        size_m=recipe.object_size,
        before=before,
    ).detector
    return DetectorAnswer.of(kept.keep(made), made)


@router.post("/file", status_code=201, summary="Upload a detector")
async def upload(served: Served, request: Request) -> DetectorAnswer:
    """A detector's file from elsewhere, kept under its title."""
    large = QueryError(
        f"A detector's file has at most {files.MAX_BYTES >> 20} MB",
        remedy="Train the detector again from fewer marks",
    )
    content = await body_up_to(request, files.MAX_BYTES, large)
    # Ten megabytes of JSON are read and checked, while other requests are answered.
    return await run_in_threadpool(_keep, served, content)


def _keep(served: Services, content: bytes) -> DetectorAnswer:
    try:
        made = files.read(content, name="the file")
    except NewerError:
        raise
    except DamagedError as error:  # it is the request's, not ours
        raise QueryError(error.what, where=error.where, remedy=error.remedy) from error
    return DetectorAnswer.of(_detectors(served).keep(made), made)


@router.get("/{name}", summary="Get a detector")
def get_detector(
    served: Served,
    name: DetectorName,
    collection: Annotated[
        str, Query(description="Collection to apply it to, for warnings; none if left out.")
    ] = "",
) -> DetectorAnswer:
    """Its card."""
    detector = _detectors(served).open(name)
    if not collection:
        return DetectorAnswer.of(name, detector)
    warned = warnings_for(detector, served.open_collections.collection(collection))
    return DetectorAnswer.of(name, detector, warned)


@router.get("/{name}/file.json", summary="Download a detector", **file("application/json"))
def download(served: Served, name: DetectorName) -> Response:
    """Its file, which holds everything to apply it elsewhere and nothing executable."""
    path = _detectors(served).path(name)
    content = read_or_raise(path, NotFoundError("There is no detector of this name", where=name))
    headers = {"Content-Disposition": f'attachment; filename="{name}.json"'}
    return Response(content, media_type="application/json", headers=headers)


@router.patch("/{name}", summary="Rename a detector", openapi_extra=request_body(TitleBody))
def rename(
    served: Served, name: DetectorName, body: Annotated[TitleBody, Depends(read(TitleBody))]
) -> DetectorAnswer:
    """Change its title."""
    return DetectorAnswer.of(name, _detectors(served).rename(name, body.title))


@router.delete("/{name}", summary="Remove a detector")
def remove(served: Served, name: DetectorName) -> RemovedDetector:
    """Move it to the trash; the token restores it for seven days."""
    return RemovedDetector(token=_detectors(served).remove(name))


@router.post(
    "/restore", summary="Restore a removed detector", openapi_extra=request_body(RestoreBody)
)
def restore(
    served: Served, body: Annotated[RestoreBody, Depends(read(RestoreBody))]
) -> DetectorAnswer:
    """Take it out of the trash; if its name was taken meanwhile, it has another."""
    kept = _detectors(served)
    name = kept.restore(body.token)
    return DetectorAnswer.of(name, kept.open(name))
