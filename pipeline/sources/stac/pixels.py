"""Pixels of STAC items: read block by block and composited."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import SceneError
from pipeline.imagery import geotiff
from pipeline.imagery.ingest import SceneInput
from pipeline.progress import OnProgress
from pipeline.sources.candidates import Candidate
from pipeline.sources.http.range_file import RangeFile
from pipeline.sources.mosaic import Workers, make, missing_tiles
from pipeline.sources.pixel_grid import PixelGrid, Tile, project
from pipeline.sources.plan import Plan, group_images, span_of
from pipeline.sources.remote_raster import describe, open_remote

if TYPE_CHECKING:
    from rasterio import DatasetReader
    from shapely.geometry.base import BaseGeometry

    from pipeline.sources.http.client import Http
    from pipeline.sources.stac.signing import Signer

SIDE = 1024


class ItemAssets:
    """Remote files of items, each opened once and shared by the threads.

    Args:
        http: Client.
        signer: Signs their addresses, or None where they are open.
    """

    def __init__(self, http: Http, signer: Signer | None) -> None:
        self._http, self._signer = http, signer
        self._open: dict[str, RangeFile] = {}

    def pausing(self, pause: Callable[[float], None]) -> ItemAssets:
        """The same files, with another wait between two attempts."""
        return ItemAssets(replace(self._http, pause=pause), self._signer)

    def file(self, href: str) -> RangeFile:
        """The file at an address."""
        if href not in self._open:
            signer = self._signer
            address = partial(signer.sign, href) if signer else href
            self._open[href] = RangeFile(
                self._http, address, renew=signer.renew if signer else None
            )
        return self._open[href]

    def dtype(self, item: Candidate) -> str:
        """Data type of an item's pixels."""
        with open_remote(self.file(item.facts["assets"][0])) as dataset:
            return str(dataset.dtypes[0])

    def scale(self, item: Candidate) -> float:
        """Metres per pixel of an item, from its first file."""
        with open_remote(self.file(item.facts["assets"][0])) as dataset:
            facts = describe(dataset, item.id)
        return abs(facts.transform[0]) if _is_metric(facts.crs) else facts.gsd or 10.0


@dataclass(frozen=True)
class StacPlan(Plan):
    """One scene to be made of items."""

    @property
    def content(self) -> tuple[Any, ...]:
        """See `Plan.content`."""
        return (
            [item.id for item in self.images],
            [list(item.facts["assets"]) for item in self.images],
        )


def plans(
    candidates: Sequence[Candidate],
    outline: BaseGeometry,
    assets: ItemAssets,
    *,
    title: str,
    composite: str,
    scale: float | None,
) -> list[StacPlan]:
    """The scenes made of these candidates, oldest first, all on one grid.

    The grid is that of the item that covers most of the area, so that its pixels stay as they are.

    Args:
        candidates: Items.
        outline: The area, EPSG:4326.
        assets: Their files; read where an item does not state its pixel size.
        title: Title of the scenes, before their date.
        composite: Key of `source.COMPOSITES`.
        scale: Metres per pixel, or None for that item's own.
    """
    if not candidates:
        return []
    best = max(candidates, key=lambda item: item.share)
    crs = best.facts["epsg"] if _is_metric(best.facts["epsg"]) else None
    grid = PixelGrid.over(outline, scale or best.gsd or assets.scale(best), crs)
    scenes = []
    for group in group_images(candidates, composite):
        # What covers most of the area goes on top, so that one scene shows few seams.
        items = group if composite == "clearest" else sorted(group, key=lambda item: item.share)
        scenes.append(StacPlan(tuple(items), grid, outline, f"{title} {span_of(items)}"))
    return scenes


def _is_metric(crs: str | None) -> bool:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if crs is None:
        return False
    try:
        system = CRS.from_user_input(crs)
    except CRSError:
        return False
    return bool(system.is_projected and system.axis_info[0].unit_conversion_factor == 1)


def fetch_scene(
    plan: StacPlan, destination: Path, assets: ItemAssets, workers: int, progress: OnProgress
) -> SceneInput:
    """Read the blocks that are not on disk yet, and put them together.

    Raises:
        SceneError: If an asset is not a GeoTIFF, or lies elsewhere than its item states.
    """
    path, folder = destination / f"{plan.stem}.tif", destination / f"{plan.stem}.blocks"
    top = plan.images[-1]
    if not path.exists():
        pool = Workers(workers)
        files = assets.pausing(pool.pause)
        dtype = files.dtype(top)

        def fetch(tile: Tile) -> None:
            _store(folder / f"{tile.name}.tif", plan.grid, tile, block(plan, tile, files, dtype))

        def fetch_all(tiles: Sequence[Tile]) -> None:
            pool.run(
                missing_tiles(folder, tiles), fetch, progress,
                stage=f"Reading {plan.title}", total=len(tiles), unit="blocks",
            )  # fmt: skip

        make(
            plan, path, folder, SIDE, fetch_all, dtype=dtype, bands=("red", "green", "blue"),
            progress=progress,
        )  # fmt: skip
    return SceneInput(
        path,
        title=plan.title,
        source="stac",
        datetime=plan.datetime,
        source_url=top.url or None,
        license=top.license,
        bands=(1, 2, 3),
    )


def block(plan: StacPlan, tile: Tile, files: ItemAssets, dtype: str) -> np.ndarray:
    """Pixels (3, height, width) of one block, of the last item that has data there.

    Raises:
        SceneError: If an asset lies elsewhere than its item states.
    """
    from shapely import box

    out = np.zeros((3, tile.height, tile.width), dtype)
    uncovered = np.ones((tile.height, tile.width), bool)
    _, _, left, _, _, top = plan.grid.transform_of(tile)
    scale = plan.grid.scale
    outline = box(left, top - tile.height * scale, left + tile.width * scale, top)
    for item in reversed(plan.images):
        if not uncovered.any():
            break
        if not project(item.footprint, plan.grid.crs).buffer(scale).intersects(outline):
            continue
        pixels, valid = _warp(item, plan.grid, tile, files)
        take = uncovered & valid
        out[:, take] = pixels[:, take]
        uncovered &= ~valid
    return out


def _warp(
    item: Candidate, grid: PixelGrid, tile: Tile, files: ItemAssets
) -> tuple[np.ndarray, np.ndarray]:
    """An item's red, green and blue on a tile of the grid, and where it has data."""
    from rasterio.enums import Resampling
    from rasterio.transform import Affine
    from rasterio.vrt import WarpedVRT

    bands: list[np.ndarray] = []
    valid = np.zeros((tile.height, tile.width), bool)
    with ExitStack() as stack:
        for href in item.facts["assets"]:
            dataset = stack.enter_context(open_remote(files.file(href)))
            _check_place(dataset, item)
            same_crs = dataset.crs.to_epsg() == int(grid.crs.removeprefix("EPSG:"))
            vrt = stack.enter_context(
                WarpedVRT(
                    dataset,
                    crs=grid.crs,
                    transform=Affine(*grid.transform_of(tile)),
                    width=tile.width,
                    height=tile.height,
                    # Nearest keeps the values of a scene that is on this grid already.
                    resampling=Resampling.nearest if same_crs else Resampling.bilinear,
                    nodata=dataset.nodata,
                    add_alpha=dataset.nodata is None and not _has_alpha(dataset),
                )
            )
            indexes = [1, 2, 3] if len(item.facts["assets"]) == 1 else [1]
            indexes = [min(band, dataset.count) for band in indexes]
            bands += list(vrt.read(indexes))
            valid |= vrt.dataset_mask() > 0
    return np.stack(bands), valid


def _has_alpha(dataset: DatasetReader) -> bool:
    from rasterio.enums import ColorInterp

    return ColorInterp.alpha in dataset.colorinterp


def _check_place(dataset: DatasetReader, item: Candidate) -> None:
    facts = describe(dataset, item.id)
    if not facts.footprint.buffer(1e-3).intersects(item.footprint) or not math.isfinite(
        facts.footprint.area
    ):
        raise SceneError(
            "The image of this item lies elsewhere than the catalogue states",
            where=item.id,
            remedy="Choose another item; its projection is recorded wrongly",
        )


def _store(path: Path, grid: PixelGrid, tile: Tile, data: np.ndarray) -> None:
    with geotiff.write(
        path,
        width=tile.width,
        height=tile.height,
        count=len(data),
        dtype=data.dtype,
        crs=grid.crs,
        transform=grid.transform_of(tile),
        zlevel=1,
    ) as dataset:
        dataset.write(data)
