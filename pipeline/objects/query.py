"""Query vectors: what the network sees of a thing, turned four ways.

A thing seen from above has no up.  The surroundings of the example are cut out, turned by quarter
turns and passed through the network; the mean of the four vectors finds more than any of them
(docs/objects.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.imagery.reader import SceneReader
from pipeline.model.basis import quantise
from pipeline.model.cells import BEST_WIDTH, fill_missing, rescale
from pipeline.model.resnet import CELL_PIXELS
from pipeline.objects.scan import MOST_EMPTY, TAPER, WINDOW
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.imagery.scene import Scene
    from pipeline.model.cells import CellEmbedder
    from pipeline.objects.places import Spot

#: Pixels of the network's input that it sees around an example's window.  With 128, as around the
#: blocks of a scene, no more is found, and the pass takes three times as long.
SURROUNDINGS = 64
#: Side, in pixels given to the network, of the picture around an example.
PICTURE = WINDOW * CELL_PIXELS + 2 * SURROUNDINGS
#: Pictures passed through the network at a time.
_BATCH = 16


def turned_vectors(
    spots: Sequence[Spot], scale: float, embedder: CellEmbedder, steps: np.ndarray
) -> np.ndarray:
    """Unit vectors of the windows at the centres of examples, turned by 0, 90, 180 and 270 degrees.

    Args:
        spots: The examples.
        scale: Pixels given to the network per pixel of the imagery.
        embedder: Makes cells.
        steps: float32 (64,), the basis's.

    Returns:
        float32 (n, 4, 64).

    Raises:
        QueryError: If a scene has no data there.
        DamagedError: If the imagery cannot be read.
    """
    return vectors_of(np.stack([picture_of(spot, scale) for spot in spots]), embedder, steps)


def vectors_of(pictures: np.ndarray, embedder: CellEmbedder, steps: np.ndarray) -> np.ndarray:
    """Unit vectors float32 (n, 4, 64) of the middles of pictures uint8 (n, 176, 176, 3), turned."""
    turned = np.concatenate(
        [np.ascontiguousarray(np.rot90(pictures, turns, axes=(1, 2))) for turns in range(4)]
    )
    vectors = np.concatenate(
        [
            centre_vectors(embedder.components(turned[start : start + _BATCH]), steps)
            for start in range(0, len(turned), _BATCH)
        ]
    )
    return vectors.reshape(4, len(pictures), -1).transpose(1, 0, 2)


def centre_vectors(components: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 64) of the middle windows of components (n, h, w, 64)."""
    first = (components.shape[1] - WINDOW) // 2
    middle = components[:, first : first + WINDOW, first : first + WINDOW]
    # Through the same codes as the cells that they are compared with.
    codes = quantise(middle).astype(np.float32) * steps
    return normalise(np.einsum("hw,nhwd->nd", TAPER, codes))


def framed(picture: np.ndarray) -> np.ndarray:
    """A picture that an object fills, uint8 (h, h, 3), as (176, 176, 3) with surroundings.

    It is resized to the width at which things are recognised best; its mirror image takes the place
    of the surroundings, which are unknown.
    """
    from PIL import Image

    width = round(BEST_WIDTH / 2) * 2
    small = Image.fromarray(picture).resize((width, width), Image.Resampling.LANCZOS)
    around = (PICTURE - width) // 2
    return np.pad(np.asarray(small), ((around, around), (around, around), (0, 0)), "symmetric")


def picture_of(spot: Spot, scale: float) -> np.ndarray:
    """uint8 (176, 176, 3): an example and its surroundings as the network sees them.

    Raises:
        QueryError: If the scene has no data there.
        DamagedError: If the imagery cannot be read.
    """
    side = round(PICTURE / scale)
    left, top = round(spot.col - side / 2), round(spot.row - side / 2)
    pixels, valid = _surroundings(spot.scene, left, top, side)
    edge = (side - round(WINDOW * CELL_PIXELS / scale)) // 2
    if valid[edge:-edge, edge:-edge].mean() < 1 - MOST_EMPTY:
        raise no_data(spot.scene)
    return rescale(fill_missing(pixels, valid), scale)


def no_data(scene: Scene) -> QueryError:
    """The error about an example on nodata."""
    return QueryError(
        "The scene has no data where the example is",
        where=scene.title,
        remedy="Choose a place on the imagery",
    )


def _surroundings(scene: Scene, left: int, top: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A square of a scene, uint8 (side, side, 3), and where it has data, bool (side, side)."""
    pixels, valid = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), bool)
    first, last = max(left, 0), min(left + side, scene.width)
    upper, lower = max(top, 0), min(top + side, scene.height)
    if first < last and upper < lower:
        into = slice(upper - top, lower - top), slice(first - left, last - left)
        with SceneReader(scene) as reader:
            pixels[into], valid[into] = reader.read(first, upper, last - first, lower - upper)
    return pixels, valid
