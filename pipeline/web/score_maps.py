"""Score maps over REST: tiles, files, and outlines at any threshold."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field, FiniteFloat
from starlette.responses import FileResponse, Response

from pipeline.export.findings import Provenance
from pipeline.export.score_map import ScoreMap, download_score_maps
from pipeline.model.cells import identity_of
from pipeline.objects import score_tiles
from pipeline.objects.open_cells import missing, scales_of
from pipeline.objects.ranking import to_scores
from pipeline.objects.scan import WINDOW
from pipeline.web.bodies import Body, read, request_body
from pipeline.web.dependencies import Opened
from pipeline.web.exports import download
from pipeline.web.responses import BRIEF, Answer, GeoJson, file
from pipeline.web.tiles import Column, TileRow, Zoom

router = APIRouter(prefix="/api/collections/{name}", tags=["Objects"])


class ObjectPlaceBody(Body):
    """Where an object lies."""

    # Numbers of a client may be integers.
    model_config = ConfigDict(strict=False, extra="forbid")

    scene_id: str = Field(max_length=200)
    col: FiniteFloat = Field(description="Centre in pixels of the scene.")
    row: FiniteFloat = Field(description="Centre in pixels of the scene.")


class OutlinesBody(Body):
    """Objects of a search to outline at another threshold."""

    model_config = ConfigDict(strict=False, extra="forbid")

    token: str = Field(max_length=64, description="The token of the search's score map.")
    threshold: float = Field(ge=0, le=1, description="Score at the outline.")
    objects: list[ObjectPlaceBody] = Field(max_length=10_000)


class OutlinesAnswer(Answer):
    """Outlines of objects."""

    outlines: list[GeoJson | None] = Field(
        description="In the order asked; null where the score is below the threshold."
    )


@router.post(
    "/objects/outlines",
    summary="Outline objects at another threshold",
    openapi_extra=request_body(OutlinesBody),
)
def outline_objects(
    collection: Opened, body: Annotated[OutlinesBody, Depends(read(OutlinesBody))]
) -> OutlinesAnswer:
    """The contour of the score map around each object, without searching again."""
    from shapely.geometry import mapping

    places = [(each.scene_id, each.col, each.row) for each in body.objects]
    found = score_tiles.outlines_at(collection, body.token, body.threshold, places)
    return OutlinesAnswer(outlines=[None if each is None else mapping(each) for each in found])


@router.get(
    "/score-map.tif",
    summary="Download a score map",
    **file("image/tiff", "application/zip"),
)
def get_score_map(
    collection: Opened,
    token: Annotated[str, Query(description="The token of a search.")],
    scene: Annotated[str, Query(description="Id of a scene; all if left out.")] = "",
    threshold: Annotated[
        float | None, Query(ge=0, le=1, description="Minimum score, kept in the file's tags.")
    ] = None,
) -> FileResponse:
    """The score of every window as GeoTIFF, of several scenes in a zip."""
    found = score_tiles.kept(token)
    scenes = [scene] if scene else list(collection.scenes)
    if not scene:
        scenes = [each for each in scenes if scales_of(collection, collection.scenes[each])]
    if not scenes:
        raise missing(collection, collection.manifest.title)
    maps = [score_tiles.cells_of(collection, each, token) for each in scenes]
    provenance = Provenance.of(
        [collection],
        [mapped.scene for mapped in maps],
        query=found.query,
        recipe=found.recipe,
        parameters={},
        model=identity_of(collection.manifest.model.weights_sha256),
    )
    # One map is in memory at a time, however many scenes there are.
    scored = (score_tiles.scene_logits(collection, mapped.scene.id, token) for mapped in maps)
    made = (
        ScoreMap(mapped.scene, to_scores(logits), mapped.scale, WINDOW) for mapped, logits in scored
    )
    media_type = "image/tiff" if len(maps) == 1 else "application/zip"
    return download(
        lambda folder: download_score_maps(folder, collection.name, made, provenance, threshold),
        media_type,
    )


@router.get(
    "/objects/score-map/{token}/{scene}/{z:tile}/{x:tile}/{y:tile}.png",
    summary="Get a tile of a score map",
    **file("image/png"),
)
def get_score_tile(
    collection: Opened, token: str, scene: str, z: Zoom, x: Column, y: TileRow
) -> Response:
    """Grey 1 to 255 over the range of scores that the search gave, 0 where there is none."""
    content = score_tiles.tile_png(collection, scene, token, z, x, y)
    return Response(content, media_type="image/png", headers={"Cache-Control": BRIEF})
