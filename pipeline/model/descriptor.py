"""Descriptors: the vectors that chips are ranked by, made beside the plain ones.

The plain vector is the average of ResNet-50's last feature map.  The descriptor is its generalised
mean, in which strong responses weigh more (Radenović, Tolias & Chum, TPAMI 2019).  It comes from
the same pass of the network.  The thorough quality adds three turns of the picture, because aerial
pictures have no up, and a second scale: nearly six times the work.  docs/quality.md has the gain of
each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, get_args

import numpy as np

from pipeline.errors import QueryError
from pipeline.model.identity import DIMENSIONS
from pipeline.vectors import normalise

#: How much work a descriptor is.
Quality = Literal["standard", "thorough"]
#: Turns by 90 degrees whose vectors are averaged.
TURNS: dict[Quality, int] = {"standard": 1, "thorough": 4}
#: Length of a descriptor.
LENGTHS: dict[Quality, int] = {"standard": DIMENSIONS, "thorough": 2 * DIMENSIONS}
#: Work of a chip, in passes of a 256-pixel picture.
PASSES: dict[Quality, float] = {"standard": 1.0, "thorough": 4 * (1 + (160 / 256) ** 2)}
#: Side in pixels of a chip at the second scale, and the weight of that scale.
SMALL = 160
SMALL_WEIGHT = 0.5

#: From pictures to their plain and their generalised mean, both float32 (n, 2048).
Pool = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def check_quality(name: str) -> Quality:
    """The quality of this name.

    Raises:
        QueryError: If there is none.
    """
    for quality in get_args(Quality):
        if name == quality:
            return quality
    raise QueryError(
        "Unknown quality", where=name[:40], remedy=f"Use one of {', '.join(get_args(Quality))}"
    )


def generalised_mean(maps: np.ndarray) -> np.ndarray:
    """Float32 (n, d) of feature maps (n, h, w, d), which a ReLU left without negative values.

    Its exponent is 3; 1 would be the average, infinity the maximum.
    """
    return np.cbrt(np.mean(maps * maps * maps, axis=(1, 2)))


def turns(pixels: np.ndarray, count: int = 4) -> Iterator[np.ndarray]:
    """The pictures (n, h, w, …) rotated by 0, 90, 180 and 270 degrees."""
    for number in range(count):
        yield np.ascontiguousarray(np.rot90(pixels, number, axes=(1, 2)))


def join(large: list[np.ndarray], small: list[np.ndarray]) -> np.ndarray:
    """The descriptor: the mean of the turns at scale 1, beside it that at the second scale.

    Args:
        large: Generalised means (n, 2048), one for each turn.
        small: The same at the second scale; none for the standard quality.
    """
    scales = [
        normalise(np.mean([normalise(each) for each in views], axis=0))
        for views in (large, small)
        if views
    ]
    if len(scales) > 1:
        scales[1] *= np.float32(SMALL_WEIGHT)
    return normalise(np.concatenate(scales, axis=1))


def describe(pool: Pool, pixels: np.ndarray, quality: Quality) -> tuple[np.ndarray, np.ndarray]:
    """Plain vectors float32 (n, 2048) and descriptors (n, d) of pictures uint8 (n, h, w, 3).

    Args:
        pool: Runs the network and pools its last feature map.
        pixels: The pictures.
        quality: What the descriptors are made of.
    """
    plain, first = pool(pixels)
    large, small = [first], []
    if quality == "thorough":
        large += [pool(turned)[1] for turned in list(turns(pixels))[1:]]
        reduced = np.array([resize(picture, SMALL) for picture in pixels], np.uint8)
        reduced = reduced.reshape(-1, SMALL, SMALL, 3)
        small = [pool(turned)[1] for turned in turns(reduced)]
    return plain, join(large, small)


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """A picture resampled to uint8 (size, size, 3)."""
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))
