"""Blocks, the unit of work of a build: read, cut, embed, write one part.

A block's task contains all that a worker needs, wherever it runs.  The part that it writes is its
checkpoint.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from pipeline.build.cells import EMBEDDING, inside, write_cells
from pipeline.collection import parquet
from pipeline.collection.cell_files import CellWindow
from pipeline.imagery.chips import Block, Chips, Window, cut
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.scene import load_scene
from pipeline.model import dense
from pipeline.model.descriptor import LENGTHS, Quality
from pipeline.model.identity import DIMENSIONS
from pipeline.model.resnet import CELL_PIXELS

if TYPE_CHECKING:
    from pipeline.build.cells import CellTask
    from pipeline.imagery.scene import Scene
    from pipeline.model.embedder import Embedder, RegionEmbedder

#: Chips embedded between two checks for cancellation.
PIECE = 32


@dataclass(frozen=True)
class BlockTask:
    """One block to make: small, picklable, and all that a worker needs.

    Attributes:
        folder: The collection's folder.
        scene_id: Scene of the block.
        block: Its chips.
        part: File name of the part to write.
        area: WKB of the area in EPSG:4326, or None.
        mode: How chips are embedded.
        stride: Pixels between the starts of neighbouring chips.
        known: Ids of chips of this block that older parts contain.
        inside: Number of chips whose centre lies in the area, or None without an area.
        scene: The scene as a worker reads it, if not from the collection's folder.
        cells: Object cells to make in the same pass, for the dense mode.
        quality: Of the descriptors, or None for none.
    """

    folder: Path
    scene_id: str
    block: Block
    part: str
    area: bytes | None
    mode: str
    stride: int
    known: frozenset[str] = frozenset()
    inside: int | None = None
    scene: Scene | None = None
    cells: CellTask | None = None
    quality: Quality | None = None

    @property
    def path(self) -> Path:
        """The part's file."""
        return self.folder / "chips" / self.scene_id / self.part

    @property
    def size(self) -> int:
        """Chips to process, as progress counts them."""
        if self.inside is not None:
            return self.inside
        return len(self.block.rows) * len(self.block.cols)


@dataclass(frozen=True)
class BlockSummary:
    """Result of one block."""

    chips: int
    left_out: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class Read:
    """Pixels read for one block.

    Attributes:
        scene: The scene.
        chips: The chips to embed, with pixels unless there is a region.
        region: For the dense mode, uint8 (h, w, 3): the chips' window grown by the halo.
        valid: For the dense mode, bool (h, w), False for no-data pixels of the region.
        origin: Column and row of the region's upper left pixel.
    """

    scene: Scene
    chips: Chips
    region: np.ndarray | None = None
    valid: np.ndarray | None = None
    origin: tuple[int, int] = (0, 0)


def existing_block(task: BlockTask) -> BlockSummary | None:
    """The result of a block whose part exists, because its worker was lost after writing it.

    `plan` removes damaged parts before tasks are handed out.
    """
    if not task.path.is_file():
        return None
    part = parquet.read_footer(task.path, task.scene_id)
    return BlockSummary(part.rows, part.left_out, 0.0)


def read_block(task: BlockTask) -> Read:
    """Read and cut one block, without the model."""
    import shapely

    scene = task.scene or load_scene(task.folder / "scenes", task.scene_id)
    area = shapely.from_wkb(task.area) if task.area else None
    with SceneReader(scene) as reader:
        dense_mode = task.mode == "dense"
        chips = cut(reader, scene, task.block, area=area, with_pixels=not dense_mode)
        if task.known:
            chips = chips.select([chip not in task.known for chip in chips.ids])
        if not dense_mode or not chips.ids:
            return Read(scene, chips)
        window = chips.window
        if task.cells is not None:
            window = _union(window, task.cells.window.pixels(scene, 1.0))
        col, row, width, height = dense.region(window, (scene.width, scene.height))
        region, valid = reader.read(col, row, width, height)
    return Read(scene, chips, region, valid, (col, row))


def make_block(
    task: BlockTask,
    embedder: Embedder,
    progress: Callable[[int], None] | None = None,
    *,
    read: Read | None = None,
) -> BlockSummary:
    """Make one block: read, cut, embed, write its part.

    Args:
        task: The block.
        embedder: The model.
        progress: Called with the number of chips embedded so far; may raise `Cancelled`.
        read: The block's pixels, if they were read ahead.
    """
    started = time.monotonic()
    read = read or read_block(task)
    chips = read.chips
    with EMBEDDING:
        embeddings, descriptors = _embed(task, read, embedder, progress)
    parquet.write_part(
        task.path,
        read.scene,
        chips,
        embeddings,
        embedder.identity,
        stride=task.stride,
        descriptors=descriptors,
    )
    return BlockSummary(len(chips.ids), chips.left_out, time.monotonic() - started)


def _embed(
    task: BlockTask, read: Read, embedder: Embedder, progress: Callable[[int], None] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Vectors of a block's chips, float32 (n, 2048), and their descriptors (n, d), if wanted.

    Object cells of the same pass are written.
    """
    chips = read.chips
    if read.region is not None and read.valid is not None:
        if progress:
            progress(0)
        return _embed_region(task, read, cast("RegionEmbedder", embedder), read.region, read.valid)
    count = len(chips.ids)
    embeddings = np.empty((count, DIMENSIONS), np.float32)
    descriptors = np.empty((count, LENGTHS[task.quality]), np.float32) if task.quality else None
    for start in range(0, count, PIECE):
        if progress:
            progress(start)
        part = slice(start, start + PIECE)
        pixels = chips.pixels[part]
        if descriptors is None or task.quality is None:
            embeddings[part] = embedder.embed(pixels)
        else:
            embeddings[part], descriptors[part] = embedder.describe(pixels, task.quality)
    return embeddings, descriptors


def _embed_region(
    task: BlockTask, read: Read, embedder: RegionEmbedder, region: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    col, row = read.origin
    made = embedder.describe_region(
        region,
        read.chips.cols - col,
        read.chips.rows - row,
        valid,
        task.quality,
        cells=task.cells is not None,
    )
    if task.cells is not None and made.cells is not None:
        place = CellWindow(row // CELL_PIXELS, col // CELL_PIXELS, *made.cells.shape[:2])
        # Before the part, which is the checkpoint of both.
        write_cells(task.cells, read.scene, inside(made.cells, place, task.cells.window))
    return made.plain, made.descriptors


def _union(first: Window, second: Window) -> Window:
    """The smallest window that holds both."""
    left, top = min(first[0], second[0]), min(first[1], second[1])
    right = max(first[0] + first[2], second[0] + second[2])
    return left, top, right - left, max(first[1] + first[3], second[1] + second[3]) - top


def area_key(wkb: bytes | None) -> str:
    """The area in the name of a part or cell file: 8 digits of its hash, "all" without one."""
    return hashlib.sha256(wkb).hexdigest()[:8] if wkb else "all"
