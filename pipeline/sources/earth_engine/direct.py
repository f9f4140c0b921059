"""Direct download: pixels from Earth Engine, one request per tile."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.progress import OnProgress
from pipeline.sources.earth_engine.client import ask
from pipeline.sources.earth_engine.plan import EarthEnginePlan
from pipeline.sources.http.retry import CONNECTIONS, FIRST_WAIT, TransientError
from pipeline.sources.mosaic import Workers, WrongTileError, check_tile, missing_tiles, store_tile
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
    """Fetch the tiles of a plan that are not on disk yet.

    Raises:
        ServiceError: If Earth Engine refuses, or keeps failing; what was fetched is kept.
    """
    import ee

    pool = Workers(min(workers, CONNECTIONS))
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

        store_tile(folder, tile, ask(call, pause=pool.pause, base=base))
        log.debug("fetched tile %s of %s", tile.name, plan.title)

    pool.run(
        missing_tiles(folder, tiles),
        fetch,
        progress,
        stage=f"Fetching {plan.title}",
        total=len(tiles),
    )
