"""The pixels of STAC items: read block by block, laid over one another, kept as they come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.errors import SceneError
from pipeline.files import remove_temporaries, replacing
from pipeline.imagery.cog import disk_errors
from pipeline.progress import OnProgress
from pipeline.sources.candidates import Candidate, Fetched
from pipeline.sources.files import safe_name
from pipeline.sources.http.range_file import RangeFile
from pipeline.sources.mosaic import Crew, assemble, discard, missing
from pipeline.sources.remote_raster import PixelGrid, Tile, describe, open_remote, projected
from pipeline.sources.source import fingerprint

if TYPE_CHECKING:
    import numpy as np
    from shapely.geometry.base import BaseGeometry

    from pipeline.sources.http.client import Http
    from pipeline.sources.stac.signing import Signer

SIDE = 1024


class Items(Protocol):
    """A source of STAC items, as far as reading their pixels needs it; see `StacSource`."""

    @property
    def chosen(self) -> str:
        """The collection that is read."""
        ...

    @property
    def composite(self) -> str:
        """Key of `source.COMPOSITES`."""
        ...

    @property
    def scale(self) -> float | None:
        """Metres a pixel, or None for the scenes' own."""
        ...

    @property
    def workers(self) -> int:
        """Blocks read at once."""
        ...

    def http(self) -> Http:
        """What asks the catalogue."""
        ...

    def signer(self, http: Http) -> Signer | None:
        """What signs the assets' addresses, or None."""
        ...


@dataclass(frozen=True)
class Plan:
    """One scene to be made of items.

    Attributes:
        items: The one that goes on top last.
        grid: Pixels of the scene.
        outline: The area, EPSG:4326.
        title: What it shall be called.
    """

    items: tuple[Candidate, ...]
    grid: PixelGrid
    outline: BaseGeometry
    title: str

    @property
    def stem(self) -> str:
        """File name without suffix."""
        mark = fingerprint(
            [one.id for one in self.items], [list(one.facts["assets"]) for one in self.items],
            self.grid, self.outline.wkb_hex,
        )  # fmt: skip
        return f"{safe_name(self.title)}-{mark}"

    def tiles(self) -> list[Tile]:
        """The blocks near the area."""
        return self.grid.tiles(SIDE, self.outline)


def plans(source: Items, geometry: BaseGeometry, candidates: Sequence[Candidate]) -> list[Plan]:
    """The scenes that come of these candidates, oldest first, all on one grid.

    The grid is that of the item that covers most of the area, so that its pixels stay as they are.
    """
    best = max(candidates, key=lambda one: one.share)
    scale = source.scale or best.gsd or _own_scale(source, best)
    crs = best.facts["epsg"] if _is_metric(best.facts["epsg"]) else None
    grid = PixelGrid.over(geometry, scale, crs)
    length = {"day": 10, "clearest": 0}.get(source.composite)
    groups: dict[str, list[Candidate]] = {}
    for one in sorted(candidates, key=lambda one: (one.datetime or "", one.id)):
        groups.setdefault(one.id if length is None else one.day[:length], []).append(one)
    made = []
    for members in groups.values():
        if source.composite == "clearest":
            members = sorted(members, key=lambda one: -(one.cloud or 0.0))
        else:
            members = sorted(members, key=lambda one: one.share)
        days = sorted({one.day for one in members})
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        made.append(Plan(tuple(members), grid, geometry, f"{source.chosen} {span}"))
    return sorted(made, key=lambda plan: plan.title)


def _own_scale(source: Items, item: Candidate) -> float:
    """Metres a pixel of an item that does not tell, from its picture."""
    with open_remote(_Files(source, source.http(), Crew(1))(item.facts["assets"][0])) as dataset:
        facts = describe(dataset, item.id)
    return abs(facts.transform[0]) if _is_metric(facts.crs) else facts.gsd or 10.0


def _is_metric(crs: str | None) -> bool:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if crs is None:
        return False
    try:
        found = CRS.from_user_input(crs)
    except CRSError:
        return False
    return bool(found.is_projected and found.axis_info[0].unit_conversion_factor == 1)


def make(source: Items, plan: Plan, destination: Path, http: Http, progress: OnProgress) -> Fetched:
    """Read the blocks that are not there yet, and put them together."""
    path = destination / f"{plan.stem}.tif"
    if not path.exists():
        folder = destination / f"{plan.stem}.blocks"
        folder.mkdir(parents=True, exist_ok=True)
        remove_temporaries(folder)
        crew = Crew(source.workers)
        files = _Files(source, http, crew)
        dtype = files.dtype(plan.items[-1])
        tiles = plan.tiles()

        def fetch(tile: Tile) -> None:
            data = block(plan, tile, files, dtype)
            _keep(folder / f"{tile.name}.tif", plan.grid, tile, data)

        crew.run(
            missing(folder, tiles), fetch, progress,
            stage=f"Reading {plan.title}", total=len(tiles), unit="blocks",
        )  # fmt: skip
        assemble(
            folder, plan.grid, tiles, path, outline=plan.outline, count=3, dtype=dtype,
            names=("red", "green", "blue"), progress=progress,
        )  # fmt: skip
        discard(folder)
    top = plan.items[-1]
    return Fetched(
        path,
        plan.title,
        source="stac",
        datetime=max((one.datetime for one in plan.items if one.datetime), default=None),
        source_url=top.url or None,
        license=top.license,
        bands=(1, 2, 3),
    )


class _Files:
    """Remote files of items, opened once and shared by the threads."""

    def __init__(self, source: Items, http: Http, crew: Crew) -> None:
        # The signer outlives the crew.
        self._http, self._signer = replace(http, pause=crew.pause), source.signer(http)
        self._open: dict[str, RangeFile] = {}

    def __call__(self, href: str) -> RangeFile:
        if href not in self._open:
            signer = self._signer
            address = partial(signer.sign, href) if signer else href
            self._open[href] = RangeFile(
                self._http, address, renew=signer.renew if signer else None
            )
        return self._open[href]

    def dtype(self, item: Candidate) -> str:
        """Data type of an item's pixels."""
        with open_remote(self(item.facts["assets"][0])) as dataset:
            return str(dataset.dtypes[0])


def block(plan: Plan, tile: Tile, files: _Files, dtype: str) -> np.ndarray:
    """Pixels (3, height, width) of one block: the last item that has some wins.

    Raises:
        SceneError: If an asset lies elsewhere than its item says.
    """
    import numpy as np
    from shapely import box

    out = np.zeros((3, tile.height, tile.width), dtype)
    open_still = np.ones((tile.height, tile.width), bool)
    _, _, left, _, _, top = plan.grid.transform_of(tile)
    scale = plan.grid.scale
    outline = box(left, top - tile.height * scale, left + tile.width * scale, top)
    for item in reversed(plan.items):
        if not open_still.any():
            break
        if not projected(item.footprint, plan.grid.crs).buffer(scale).intersects(outline):
            continue
        drawn, valid = _drawn(item, plan.grid, tile, files)
        take = open_still & valid
        out[:, take] = drawn[:, take]
        open_still &= ~valid
    return out


def _drawn(
    item: Candidate, grid: PixelGrid, tile: Tile, files: _Files
) -> tuple[np.ndarray, np.ndarray]:
    """An item's red, green and blue on a tile of the grid, and where it has any."""
    import numpy as np
    from rasterio.enums import Resampling
    from rasterio.transform import Affine
    from rasterio.vrt import WarpedVRT

    bands: list[np.ndarray] = []
    valid = np.zeros((tile.height, tile.width), bool)
    with ExitStack() as stack:
        for href in item.facts["assets"]:
            dataset = stack.enter_context(open_remote(files(href)))
            _check_place(dataset, item)
            same = dataset.crs.to_epsg() == int(grid.crs.removeprefix("EPSG:"))
            vrt = stack.enter_context(
                WarpedVRT(
                    dataset,
                    crs=grid.crs,
                    transform=Affine(*grid.transform_of(tile)),
                    width=tile.width,
                    height=tile.height,
                    # Nearest keeps the values of a scene that lies on this grid already.
                    resampling=Resampling.nearest if same else Resampling.bilinear,
                    nodata=dataset.nodata,
                    add_alpha=dataset.nodata is None and not _has_alpha(dataset),
                )
            )
            wanted = [1, 2, 3] if len(item.facts["assets"]) == 1 else [1]
            wanted = [min(band, dataset.count) for band in wanted]
            bands += list(vrt.read(wanted))
            valid |= vrt.dataset_mask() > 0
    return np.stack(bands), valid


def _has_alpha(dataset: Any) -> bool:
    from rasterio.enums import ColorInterp

    return ColorInterp.alpha in dataset.colorinterp


def _check_place(dataset: Any, item: Candidate) -> None:
    facts = describe(dataset, item.id)
    if not facts.footprint.buffer(1e-3).intersects(item.footprint) or not math.isfinite(
        facts.footprint.area
    ):
        raise SceneError(
            "The picture of this item lies elsewhere than the catalogue says",
            where=item.id,
            remedy="Choose another item; its projection is recorded wrongly",
        )


def _keep(path: Path, grid: PixelGrid, tile: Tile, data: np.ndarray) -> None:
    import rasterio
    from rasterio.transform import Affine

    with (
        replacing(path) as temporary,
        disk_errors(temporary),
        rasterio.open(
            temporary,
            "w",
            driver="GTiff",
            width=tile.width,
            height=tile.height,
            count=len(data),
            dtype=data.dtype,
            crs=grid.crs,
            transform=Affine(*grid.transform_of(tile)),
            compress="deflate",
            zlevel=1,
        ) as dataset,
    ):
        dataset.write(data)
