"""The plan of a build: which blocks are finished, which are to be made, and what was left out.

A part that exists is finished.  Its name holds block and area.  If the area grew, a block has
another part with the chips that were gained.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline.build.blocks import BlockTask, area_key
from pipeline.build.cell_plan import in_one_pass, tasks_of, wanted_scales
from pipeline.collection import parquet
from pipeline.errors import DamagedError, NewerError
from pipeline.geo import antimeridian
from pipeline.imagery.chips import Block, Grid, count_inside, window_corners

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.build.cells import CellTask
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene

log = logging.getLogger(__name__)


def plan(
    collection: Collection, tell: Callable[[str], None] = log.warning
) -> tuple[list[BlockTask], list[parquet.Part]]:
    """The blocks to make, and the finished parts.

    A damaged part is removed, so that its block is made again.

    Args:
        collection: The collection.
        tell: Called with a note about every damaged block.
    """
    from shapely import to_wkb

    manifest = collection.manifest
    geometry = manifest.area.geometry if manifest.area else None
    wkb = to_wkb(geometry) if geometry is not None else None
    key = area_key(wkb)
    tasks: list[BlockTask] = []
    kept: list[parquet.Part] = []
    for scene in collection.scenes.values():
        found = _finished_parts(collection, scene.id, tell)
        kept += found.values()
        cells = _cells_in_one_pass(collection, scene)
        for block in Grid.for_scene(scene, manifest.stride).blocks(manifest.block_span):
            name = f"block-{block.name}-{key}.parquet"
            if name in found or (geometry is not None and not _touches(scene, block, geometry)):
                continue
            older = [p for n, p in found.items() if _block_of(n) == f"block-{block.name}"]
            if any(not part.left_out.get("area") for part in older):
                continue
            known = frozenset(
                chip for p in older for chip in parquet.read_columns(p, ["id"])["id"].to_pylist()
            )
            tasks.append(
                BlockTask(
                    collection.path,
                    scene.id,
                    block,
                    name,
                    wkb,
                    manifest.model.mode,
                    manifest.stride,
                    known,
                    None if geometry is None else count_inside(scene, block, geometry),
                    cells=cells.get(block.name),
                    quality=manifest.quality,
                )
            )
    return tasks, kept


def left_out(made: Sequence[parquet.Part]) -> dict[str, int]:
    """Chips left out of the collection, by reason.

    A block has several parts if the area grew.  The part of the largest area counts, which is the
    one that leaves out the fewest chips.
    """
    blocks: dict[tuple[str, str], dict[str, int]] = {}
    for part in made:
        block = (part.scene_id, _block_of(part.path.name))
        if part.left_out.get("area", 0) <= blocks.get(block, part.left_out).get("area", 0):
            blocks[block] = part.left_out
    total: Counter[str] = Counter()
    for tally in blocks.values():
        total.update(tally)
    return {reason: number for reason, number in total.items() if number}


def _touches(scene: Scene, block: Block, area: BaseGeometry) -> bool:
    """Whether the block's window touches the area, so that a chip's centre may lie in it."""
    from shapely.geometry import Polygon

    window = Polygon(window_corners(scene, block.window))
    return antimeridian.intersects(window, area)


def _finished_parts(
    collection: Collection, scene_id: str, tell: Callable[[str], None]
) -> dict[str, parquet.Part]:
    """The undamaged parts of a scene, by file name.

    If one part of a block is damaged, all of them are removed: a later part only has the chips that
    the area gained, so the whole block must be made again.
    """
    found, damaged = {}, set()
    for path in collection.part_files(scene_id):
        try:
            found[path.name] = parquet.verify(path, scene_id)
        except NewerError:
            raise
        except DamagedError as error:
            tell(f"A damaged block was made again: {error.where}")
            damaged.add(_block_of(path.name))
    for path in collection.part_files(scene_id):
        if _block_of(path.name) in damaged:
            path.unlink(missing_ok=True)
            found.pop(path.name, None)
    return found


def _block_of(part: str) -> str:
    """The block in a part's file name, such as "block-r0003-c0001"."""
    return part.rpartition("-")[0]


def _cells_in_one_pass(collection: Collection, scene: Scene) -> dict[str, CellTask]:
    """The object cells that are made with the chips of a scene, by the name of the block."""
    if not in_one_pass(collection.manifest, 1.0):
        return {}
    scales = wanted_scales(collection.manifest, scene)
    if 1.0 not in scales:
        return {}
    return {task.name: task for task in tasks_of(collection, scene, 1.0, scales[1.0])}
