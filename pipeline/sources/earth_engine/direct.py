"""Road A: pixels straight from Earth Engine, one request a tile."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.progress import OnProgress
from pipeline.sources.earth_engine.client import ask
from pipeline.sources.earth_engine.plan import EarthEnginePlan
from pipeline.sources.http.retry import CONNECTIONS, FIRST_WAIT, TransientError
from pipeline.sources.mosaic import Crew, WrongTileError, check_tile, keep_tile, missing
from pipeline.sources.pixel_grid import Tile

log = logging.getLogger(__name__)


def fetch_tiles(
    plan: EarthEnginePlan,
    folder: Path,
    tiles: Sequence[Tile],
    *,
    workers: int,
    progress: OnProgress,
    base: float = FIRST_WAIT,
) -> None:
    """Fetch the tiles of a plan that are not there yet.

    Raises:
        ServiceError: If Earth Engine refuses, or keeps failing; what was fetched is kept.
    """
    import ee

    crew = Crew(min(workers, CONNECTIONS))
    expression = plan.image()
    product = plan.product

    def request(tile: Tile) -> dict[str, Any]:
        a, b, c, d, e, f = plan.grid.transform_of(tile)
        return {
            "expression": expression,
            "fileFormat": "GEO_TIFF",
            "grid": {
                "dimensions": {"width": tile.width, "height": tile.height},
                "crsCode": plan.grid.crs,
                "affineTransform": {
                    "scaleX": a, "shearX": b, "translateX": c,
                    "shearY": d, "scaleY": e, "translateY": f,
                },
            },
        }  # fmt: skip

    def fetch(tile: Tile) -> None:
        def call() -> bytes:
            data: bytes = ee.data.computePixels(request(tile))
            try:
                check_tile(data, plan.grid, tile, len(product.bands), product.dtype, tile.name)
            except WrongTileError as error:
                raise TransientError(error) from error
            return data

        keep_tile(folder, tile, ask(call, pause=crew.pause, base=base))
        log.debug("tile %s of %s is there", tile.name, plan.title)

    crew.run(
        missing(folder, tiles),
        fetch,
        progress,
        stage=f"Fetching {plan.title}",
        total=len(tiles),
    )
