"""The plan of a build: which blocks are finished, which are still to make, what was left out.

A part that exists is finished.  Its name tells the block and the area; where the area grew, a block
has a later part with what was gained.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline.build.blocks import BlockTask
from pipeline.collection import parquet
from pipeline.errors import DamagedError, NewerError
from pipeline.geo import antimeridian
from pipeline.imagery.chips import Block, Grid, count_inside, window_corners

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene

log = logging.getLogger(__name__)


def plan(
    collection: Collection, tell: Callable[[str], None] = log.warning
) -> tuple[list[BlockTask], list[parquet.Part]]:
    """The blocks still to make, and the parts that are finished.

    A damaged part is removed and its block made anew.

    Args:
        collection: Whose blocks.
        tell: Told of every damaged block.
    """
    from shapely import to_wkb

    manifest = collection.manifest
    geometry = manifest.area.geometry if manifest.area else None
    wkb = to_wkb(geometry) if geometry is not None else None
    key = _area_key(wkb)
    tasks: list[BlockTask] = []
    kept: list[parquet.Part] = []
    for scene in collection.scenes.values():
        found = _finished(collection, scene.id, tell)
        kept += found.values()
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
                )
            )
    return tasks, kept


def left_out(made: Sequence[parquet.Part]) -> dict[str, int]:
    """Chips left out in all, by reason.

    A block whose area grew has several parts; that of the largest area, which leaves out the
    fewest, tells what is left out now.
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
    """Whether a chip's centre may lie in the area: the block's window meets it."""
    from shapely.geometry import Polygon

    window = Polygon(window_corners(scene, block.window))
    return antimeridian.intersects(window, area)


def _finished(
    collection: Collection, scene_id: str, tell: Callable[[str], None]
) -> dict[str, parquet.Part]:
    """The whole parts of a scene by file name.

    All parts of a block of which one is damaged are removed: a later one holds only what the area
    gained, so that the block must be made anew as one.
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
    """The block that a part's file name begins with: "block-r0003-c0001"."""
    return part.rpartition("-")[0]


def _area_key(wkb: bytes | None) -> str:
    return hashlib.sha256(wkb).hexdigest()[:8] if wkb else "all"
