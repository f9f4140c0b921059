"""Views of a query: the same place rotated, mirrored, and at half and double scale.

The network distinguishes a plane that points north from one that points east, and a house from one
twice as large.  "Any orientation" searches the eight rotations and reflections of a picture, "any
scale" half, all and twice the ground around the same centre; both together are 24 views.  The score
of a chip is that of its best view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pipeline.imagery.chips import CHIP
from pipeline.imagery.reader import SceneReader
from pipeline.model.descriptor import turns

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene

#: How much ground each view shows, as a factor; 1 is the query itself.
SCALES = (1.0, 0.5, 2.0)

#: Reads the query's place at a scale: uint8 (256, 256, 3).
Read = Callable[[float], np.ndarray]


def render(read: Read, *, any_orientation: bool, any_scale: bool) -> np.ndarray:
    """All views, uint8 (m, 256, 256, 3), the unchanged query first; m is 1, 3, 8 or 24."""
    scaled = [read(scale) for scale in (SCALES if any_scale else SCALES[:1])]
    return np.concatenate([symmetries(view) if any_orientation else view[None] for view in scaled])


def symmetries(pixels: np.ndarray) -> np.ndarray:
    """The eight rotations and reflections (8, h, h, 3) of a square picture, unchanged first."""
    mirrored = pixels[:, ::-1]
    return np.concatenate([*turns(pixels[None]), *turns(mirrored[None])])


def of_chip(collection: Collection, chip: str) -> Read:
    """Reads a chip.

    Raises:
        NotFoundError: If there is no such chip.
    """
    row = collection.chips.row_of(chip)
    return of_window(collection.scene_of(row), *collection.chips.corner_of(row), CHIP)


def of_window(scene: Scene, col: int, row: int, side: int) -> Read:
    """Reads a square of a scene; beyond its border the scene is mirrored.

    Black pixels there would change what the network sees.  Reading raises DamagedError if the
    imagery is gone.
    """

    def read(scale: float) -> np.ndarray:
        wide = max(round(side * scale), 1)
        left, top = round(col + (side - wide) / 2), round(row + (side - wide) / 2)
        with SceneReader(scene) as reader:
            pixels = reader.thumbnail(left, top, wide, wide, CHIP)
        x0, x1 = _inside(left, wide, scene.width)
        y0, y1 = _inside(top, wide, scene.height)
        return _pad(pixels[y0:y1, x0:x1], (y0, CHIP - y1), (x0, CHIP - x1))

    return read


def of_picture(pixels: np.ndarray) -> Read:
    """Reads a picture, uint8 (256, 256, 3).

    What lies around it is unknown, so double scale is the picture at half its size, mirrored
    outwards.
    """

    def read(scale: float) -> np.ndarray:
        from PIL import Image

        if scale == 1:
            return pixels
        image = Image.fromarray(pixels)
        if scale < 1:
            edge = round(CHIP * (1 - scale) / 2)
            image = image.crop((edge, edge, CHIP - edge, CHIP - edge))
            return np.asarray(image.resize((CHIP, CHIP), Image.Resampling.BICUBIC))
        small = round(CHIP / scale)
        around = ((CHIP - small) // 2, CHIP - small - (CHIP - small) // 2)
        resized = image.resize((small, small), Image.Resampling.LANCZOS)
        return _pad(np.asarray(resized), around, around)

    return read


def _inside(start: int, wide: int, limit: int) -> tuple[int, int]:
    """Start and end (exclusive), in pixels along one axis, of a view's part on the scene."""
    low, high = (round((edge - start) * CHIP / wide) for edge in (0, limit))
    first = min(max(low, 0), CHIP - 1)
    return first, max(min(high, CHIP), first + 1)


def _pad(pixels: np.ndarray, rows: tuple[int, int], cols: tuple[int, int]) -> np.ndarray:
    return np.pad(pixels, (rows, cols, (0, 0)), mode="symmetric")
