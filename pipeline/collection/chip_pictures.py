"""Chips as pictures: red, green and blue after their scene's stretch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pipeline.imagery.pictures import read_windows
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.render import age_of, window_png

if TYPE_CHECKING:
    import numpy as np

    from pipeline.collection.collection import Collection


def chip_png(collection: Collection, row: int, size: int = 256, around: int = 1) -> bytes:
    """One chip as PNG; recent ones are remembered.

    Args:
        collection: Where the chip is.
        row: Its row in the table.
        size: Side of the picture in pixels.
        around: How many chips wide the picture is, the chip in its middle: 3 shows its
            surroundings; what lies outside the scene is black.

    Raises:
        DamagedError: If the scene's file cannot be read.
    """
    scene = collection.scene_of(row)
    extent = collection.manifest.chip_size
    col, line = collection.chips.corner_of(row)
    margin = (around - 1) * extent // 2
    return window_png(scene, age_of(scene), (col - margin, line - margin), extent * around, size)


def read_chip(collection: Collection, row: int, margin: int = 0) -> np.ndarray:
    """One chip with `margin` pixels around it: uint8 (side, side, 3), black beyond the scene.

    Raises:
        DamagedError: If the scene's file cannot be read.
    """
    side = collection.manifest.chip_size + 2 * margin
    col, line = collection.chips.corner_of(row)
    with SceneReader(collection.scene_of(row)) as reader:
        return reader.thumbnail(col - margin, line - margin, side, side, side)


def read_chips(
    collection: Collection, rows: Iterable[int], size: int = 256
) -> Iterator[np.ndarray]:
    """Chips one after another, uint8 (size, size, 3); scenes stay open from chip to chip.

    Raises:
        DamagedError: If a scene's file cannot be read.
    """
    side = collection.manifest.chip_size
    table = collection.chips
    windows = ((collection.scene_of(row), (*table.corner_of(row), side, side)) for row in rows)
    yield from read_windows(windows, size)
