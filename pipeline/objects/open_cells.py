"""The open object cells of collections: mapped into memory, with the lengths of their windows.

The lengths do not depend on a query.  They are computed once and kept beside the cells, as
`lengths-<stamp>.npy`; those of the samples of very large scans as `samples-<stamp>.npy`.  Both are
derived: a missing or damaged one is made again.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection import cell_files
from pipeline.collection.cell_files import scene_cells
from pipeline.errors import NotFoundError, StorageError
from pipeline.files import replacing
from pipeline.model.cells import BEST_WIDTH, SCALES, identity_of
from pipeline.objects import scan, shortlist

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.collection.cell_files import SceneCells
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene

#: Scenes kept open at a time.
KEPT = 256

_kept: OrderedDict[tuple[object, ...], MappedCells] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class MappedCells:
    """The cells of a scene at one scale, ready to be scanned.

    Attributes:
        scene: The scene.
        cells: Its cells.
        inverse: float32, one over the length of each window; see `scan.inverse_lengths`.
        folder: Where files derived from the cells are kept.
        drawn: Windows that were drawn at random, by their number: the last ones.
    """

    scene: Scene
    cells: SceneCells
    inverse: np.ndarray
    folder: Path
    drawn: dict[int, np.ndarray] = field(default_factory=dict)

    @cached_property
    def windows(self) -> int:
        """Number of windows that are scored."""
        return int(np.count_nonzero(self.inverse))

    @cached_property
    def samples(self) -> np.ndarray:
        """float32, one over the length of each sample; see `shortlist.sample_lengths`."""
        shape = (2, *shortlist.samples_shape(self.cells))
        path = _derived_path(self.folder, "samples", self.cells)
        return _derived(path, shape, lambda: shortlist.sample_lengths(self.cells))

    @property
    def scale(self) -> float:
        """Pixels given to the network per pixel of the scene."""
        return self.cells.scale

    @property
    def side(self) -> float:
        """Pixels of the scene along an edge of a cell."""
        return self.cells.side

    def centres(self, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Column and row, in pixels of the scene, of the centres of windows."""
        half = scan.WINDOW / 2
        return (cols + half) * self.side, (rows + half) * self.side

    def window_at(self, col: float, row: float) -> tuple[int, int]:
        """Row and column of the window whose centre is nearest to a pixel of the scene."""
        height, width = self.inverse.shape
        half = scan.WINDOW / 2
        down, across = round(row / self.side - half), round(col / self.side - half)
        return min(max(down, 0), height - 1), min(max(across, 0), width - 1)


def scales_of(collection: Collection, scene: Scene) -> list[float]:
    """The scales at which a scene has cells, the smallest first."""
    made_by = identity_of(collection.manifest.model.weights_sha256)
    return [
        scale for scale in SCALES if scene_cells(collection.path, scene, scale, made_by) is not None
    ]


def best_scale(scales: list[float], size: float) -> float:
    """Of several scales, the one at which things `size` pixels wide are recognised best."""
    return min(scales, key=lambda scale: abs(math.log(max(size, 1e-6) * scale / BEST_WIDTH)))


def open_cells(collection: Collection, scene: Scene, scale: float) -> MappedCells:
    """The cells of a scene at a scale, with the lengths of their windows.

    Raises:
        NotFoundError: If the scene has no cells at this scale.
        DamagedError: If a file is damaged.
    """
    made_by = identity_of(collection.manifest.model.weights_sha256)
    cells = scene_cells(collection.path, scene, scale, made_by)
    if cells is None:
        raise missing(collection, scene.title)
    key = (collection.path, cells.stamp)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    # Copies, which are mapped for as long as these cells are open.
    cells = replace(cells, blocks=tuple(map(replace, cells.blocks)))
    folder = cell_files.folder_of(collection.path, scene.id, scale)
    inverse = _derived(
        _derived_path(folder, "lengths", cells),
        scan.map_shape(cells),
        lambda: _lengths(cells),
    )
    opened = MappedCells(scene, cells, inverse, folder)
    with _lock:
        _kept[key] = opened
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return opened


def forget_removed() -> None:
    """Close cells whose files were removed, so that the disk has their space again."""
    with _lock:
        for key in [key for key, mapped in _kept.items() if not mapped.folder.exists()]:
            del _kept[key]


def missing(collection: Collection, where: str) -> NotFoundError:
    """The error about a collection or a scene without object cells that can be searched."""
    scenes = collection.scenes.values()
    others = not any(scales_of(collection, scene) for scene in scenes) and any(
        cell_files.files_of(collection.path, scene.id, scale)
        for scene in scenes
        for scale in SCALES
    )
    return NotFoundError(
        "The object cells were made by another version of Lookalike or with other weights"
        if others
        else "There are no object cells yet, which object search needs",
        where=where,
        remedy=f"Make them {'again ' if others else ''}on the Collections page, or with "
        f"`python -m pipeline build {collection.name}`; chips are not embedded again",
    )


def _lengths(cells: SceneCells) -> np.ndarray:
    """One over the lengths of windows.  All cells are read, so this is where damage is noticed."""
    for block in cells.blocks:
        cell_files.verify(block.path)
    return scan.inverse_lengths(cells)


def _derived_path(folder: Path, name: str, cells: SceneCells) -> Path:
    digest = hashlib.sha256(repr(cells.stamp).encode()).hexdigest()[:16]
    return folder / f"{name}-{digest}.npy"


def _derived(path: Path, shape: tuple[int, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array of a derived file, which is made where it is missing or damaged.

    A search needs no file: where none can be written, the array is kept in memory.
    """
    try:
        kept = np.load(path, mmap_mode="r", allow_pickle=False)
        if kept.shape == shape and kept.dtype == np.float32:
            return kept
    except (OSError, ValueError, EOFError):
        pass
    made = make()
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, made)
    except (OSError, StorageError):  # numpy's own error of a full disk has no number
        return made
    for other in path.parent.glob(f"{path.name.split('-')[0]}-*.npy"):
        if other != path:
            other.unlink(missing_ok=True)
    return made
