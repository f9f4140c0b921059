"""Object cells as tasks of a build: read a rectangle of a scene, embed it, write one file.

Where the dense mode passes the network over a scene at scale 1, `build.blocks` makes chips and
cells in that one pass.  Everywhere else cells are a pass of their own, made of these tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection import cell_files
from pipeline.collection.cell_files import CellWindow
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.scene import load_scene
from pipeline.model.basis import NO_DATA
from pipeline.model.cells import HALO, CellEmbedder, cells_across, identity_of
from pipeline.model.resnet import CELL_PIXELS

if TYPE_CHECKING:
    from pipeline.imagery.scene import Scene

#: Held while something is embedded, because the model uses all of its cores.  Meanwhile a worker's
#: second thread reads the next block and writes the previous one.
EMBEDDING = Lock()
#: Cells read around a rectangle.
_AROUND = HALO // CELL_PIXELS


@dataclass(frozen=True)
class CellTask:
    """One file of cells to make: small, picklable, and all that a worker needs.

    Attributes:
        folder: The collection's folder.
        scene_id: The scene.
        name: Name of the block, "r0003-c0001".
        file: Name of the file to write.
        scale: Pixels given to the network per pixel of the imagery.
        window: The cells to make.
        weights_sha256: Weights of the network.
        scene: The scene as a worker reads it, if not from the collection's folder.
    """

    folder: Path
    scene_id: str
    name: str
    file: str
    scale: float
    window: CellWindow
    weights_sha256: str
    scene: Scene | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return cell_files.folder_of(self.folder, self.scene_id, self.scale) / self.file

    @property
    def size(self) -> int:
        """Cells to make, as progress counts them."""
        return self.window.size


@dataclass(frozen=True)
class CellPixels:
    """Pixels read for a task.

    Attributes:
        scene: The scene.
        pixels: uint8 (h, w, 3): the task's window and its surroundings.
        valid: bool (h, w).
        place: The cells that these pixels cover.
    """

    scene: Scene
    pixels: np.ndarray
    valid: np.ndarray
    place: CellWindow


def read_cells(task: CellTask) -> CellPixels:
    """Read the pixels of a task, without the model."""
    scene = task.scene or load_scene(task.folder / "scenes", task.scene_id)
    place = surroundings(task.window, scene, task.scale)
    with SceneReader(scene) as reader:
        pixels, valid = reader.read(*place.pixels(scene, task.scale))
    return CellPixels(scene, pixels, valid, place)


def surroundings(window: CellWindow, scene: Scene, scale: float) -> CellWindow:
    """The window grown by the halo, clipped to the scene."""
    height, width = (cells_across(edge, scale) for edge in (scene.height, scene.width))
    top, left = max(window.row - _AROUND, 0), max(window.col - _AROUND, 0)
    bottom = min(window.row + window.height + _AROUND, height)
    right = min(window.col + window.width + _AROUND, width)
    return CellWindow(top, left, bottom - top, right - left)


def make_cells(
    task: CellTask,
    embedder: CellEmbedder,
    progress: Callable[[int], None] | None = None,
    *,
    read: CellPixels | None = None,
) -> float:
    """Make one file of cells; returns the seconds it took.

    Args:
        task: The task.
        embedder: Makes cells.
        progress: Called with the number of cells made so far; may raise `Cancelled`.
        read: The pixels, if they were read ahead.
    """
    started = time.monotonic()
    read = read or read_cells(task)
    if progress:
        progress(0)
    if read.valid.any():
        with EMBEDDING:
            made = embedder.embed(read.pixels, read.valid, task.scale)
        codes = inside(made, read.place, task.window)
    else:
        codes = np.full((task.window.height, task.window.width, 1), NO_DATA, np.int8)
        codes = np.repeat(codes, embedder.identity.components, axis=2)
    write_cells(task, read.scene, codes)
    return time.monotonic() - started


def inside(codes: np.ndarray, place: CellWindow, window: CellWindow) -> np.ndarray:
    """The part of the codes of `place` that lies in `window`."""
    top, left = window.row - place.row, window.col - place.col
    return codes[top : top + window.height, left : left + window.width]


def write_cells(task: CellTask, scene: Scene, codes: np.ndarray) -> None:
    """Write the file of a task; raises `StorageError` if the disk is full."""
    identity = identity_of(task.weights_sha256)
    cell_files.write(task.path, codes, task.window, scene, task.scale, identity)
