"""Which object cells a build makes, and which exist.

A collection has one or several layers of cells, each for things of a size.  The size and a scene's
ground sampling distance give the scale.  Blocks of cells do not overlap.  In the dense mode at
scale 1 they are the blocks of chips, so that one pass yields both.  A file's name holds its block
and the area, as those of chips do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipeline.build.blocks import area_key
from pipeline.build.cells import CellTask
from pipeline.collection import cell_files
from pipeline.collection.cell_files import CellWindow
from pipeline.errors import DamagedError, NewerError
from pipeline.geo import antimeridian
from pipeline.imagery.chips import Grid, window_corners
from pipeline.model.cells import cells_across, identity_of, scale_for
from pipeline.model.resnet import CELL_PIXELS

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.collection import Collection
    from pipeline.collection.manifest import Manifest
    from pipeline.imagery.scene import Scene

#: Cells along an edge of a block where cells are a pass of their own.
SPAN = 128
#: Cells made around an area, so that windows at its border are whole.
_MARGIN = 4


def plan_cells(
    collection: Collection, tell: Callable[[str], None]
) -> tuple[list[CellTask], list[CellTask]]:
    """The cells to make, and those that exist.

    Damaged files, and files that another basis or other weights made, are removed, so that their
    cells are made again.

    Args:
        collection: The collection.
        tell: Called with a note about every such file.

    Raises:
        NewerError: If a newer version wrote a file.
    """
    missing: list[CellTask] = []
    existing: list[CellTask] = []
    for scene in collection.scenes.values():
        for scale, area in wanted_scales(collection.manifest, scene).items():
            whole = _undamaged(collection, scene, scale, tell)
            for task in tasks_of(collection, scene, scale, area):
                done = {task.file, f"block-{task.name}-{area_key(None)}.tif"} & whole
                (existing if done else missing).append(task)
    return missing, existing


def wanted_scales(manifest: Manifest, scene: Scene) -> dict[float, BaseGeometry | None]:
    """The scales at which a scene has cells, each with its area, None for the whole scene."""
    scales: dict[float, BaseGeometry | None] = {}
    own = manifest.area.geometry if manifest.area else None
    for layer in manifest.cells:
        scale = scale_for(layer.object_size / scene.gsd) if layer.object_size else 1.0
        part = layer.area.geometry if layer.area else None
        if part is not None and own is not None:
            part = antimeridian.intersection(part, own)
        area = own if part is None else part
        if scale in scales:
            before = scales[scale]
            area = None if area is None or before is None else before.union(area)
        scales[scale] = area
    return scales


def tasks_of(
    collection: Collection, scene: Scene, scale: float, area: BaseGeometry | None
) -> Iterator[CellTask]:
    """All cells of a scene at a scale, block by block."""
    manifest = collection.manifest
    key = area_key(area.wkb if area is not None else None)
    for name, block in blocks_of(scene, manifest, scale):
        window = block if area is None else _within(block, scene, scale, area)
        if window is not None:
            yield CellTask(
                collection.path,
                scene.id,
                name,
                f"block-{name}-{key}.tif",
                scale,
                window,
                manifest.model.weights_sha256,
            )


def blocks_of(scene: Scene, manifest: Manifest, scale: float) -> list[tuple[str, CellWindow]]:
    """Names and windows of the blocks, which cover the scene without overlap."""
    height, width = (cells_across(edge, scale) for edge in (scene.height, scene.width))
    if in_one_pass(manifest, scale):
        grid = Grid.for_scene(scene, manifest.stride)
        blocks = grid.blocks(manifest.block_span)
        tops = sorted({block.rows[0] // CELL_PIXELS for block in blocks})
        lefts = sorted({block.cols[0] // CELL_PIXELS for block in blocks})
    else:
        tops, lefts = _even(height), _even(width)
    return [
        (f"r{i:04d}-c{j:04d}", CellWindow(top, left, bottom - top, right - left))
        for i, (top, bottom) in enumerate(zip(tops, [*tops[1:], height], strict=True))
        for j, (left, right) in enumerate(zip(lefts, [*lefts[1:], width], strict=True))
    ]


def in_one_pass(manifest: Manifest, scale: float) -> bool:
    """Whether chips and these cells are made in one pass."""
    return manifest.model.mode == "dense" and scale == 1


def remove_superseded(collection: Collection) -> None:
    """Remove the files of blocks whose area grew, once those of the larger area exist."""
    for scene in collection.scenes.values():
        for scale, area in wanted_scales(collection.manifest, scene).items():
            key = area_key(area.wkb if area is not None else None)
            names = {path.name for path in cell_files.files_of(collection.path, scene.id, scale)}
            for name in names:
                block = name.rpartition("-")[0]
                whole = f"{block}-{area_key(None)}.tif"
                if name not in (f"{block}-{key}.tif", whole) and {f"{block}-{key}.tif"} & names:
                    folder = cell_files.folder_of(collection.path, scene.id, scale)
                    (folder / name).unlink(missing_ok=True)


def _even(length: int) -> list[int]:
    return list(range(0, length, math.ceil(length / math.ceil(length / SPAN))))


def _undamaged(
    collection: Collection, scene: Scene, scale: float, tell: Callable[[str], None]
) -> set[str]:
    """Names of the scene's usable files; the others are removed."""
    wanted = identity_of(collection.manifest.model.weights_sha256)
    names: set[str] = set()
    outdated = 0
    for path in cell_files.files_of(collection.path, scene.id, scale):
        try:
            block = cell_files.verify(path)
        except NewerError:
            raise
        except DamagedError as error:
            tell(f"Damaged object cells were made again: {error.where}")
            path.unlink(missing_ok=True)
            continue
        if block.identity == wanted:
            names.add(path.name)
        else:
            outdated += 1
            path.unlink(missing_ok=True)
    if outdated:
        of = f"{scene.id}, scale {scale:g}, {outdated} files"
        tell(f"Object cells of another version were made again: {of}")
    return names


def _within(block: CellWindow, scene: Scene, scale: float, area: BaseGeometry) -> CellWindow | None:
    """The smallest window of a block that holds its part of an area and a margin, if any."""
    import shapely
    from shapely.geometry import Polygon

    pixels = block.pixels(scene, scale)
    part = antimeridian.intersection(Polygon(window_corners(scene, pixels)), area)
    if part.is_empty:
        return None
    # Straight edges in degrees are bent in the scene's CRS: points along them bound the part.
    west, south, east, north = part.bounds
    step = max(east - west, north - south) / 64
    dense = shapely.segmentize(part, step) if step > 0 else part
    points = shapely.get_coordinates(dense)
    cols, rows = scene.georeference.pixels(points[:, 0], points[:, 1])
    side = CELL_PIXELS / scale
    low = np.floor([rows.min() / side, cols.min() / side]).astype(int) - _MARGIN
    high = np.ceil([rows.max() / side, cols.max() / side]).astype(int) + _MARGIN
    top, left = max(low[0], block.row), max(low[1], block.col)
    bottom = min(high[0], block.row + block.height)
    right = min(high[1], block.col + block.width)
    if bottom <= top or right <= left:
        return None
    return CellWindow(int(top), int(left), int(bottom - top), int(right - left))
