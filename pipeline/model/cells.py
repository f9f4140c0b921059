"""Object cells: ResNet-50's fourth stage, reduced to 64 numbers for every 16×16 pixels.

One vector of a chip cannot say which thing in it was meant.  The output of the fourth stage
(`conv4_block6_out`, 1,024 numbers every 16 pixels) is local enough to find things that are much
smaller than a chip.  The fixed basis of `pipeline.model.basis` reduces it to 64 components, kept as
int8 codes.  Cells of all collections lie in one space, so a detector trained in one collection can
be applied in another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.errors import ModelMismatchError
from pipeline.model import resnet
from pipeline.model.basis import COMPONENTS, NO_DATA, basis, quantise
from pipeline.model.resnet import CELL_PIXELS
from pipeline.model.weights import cache

#: Pixels of the network's input read around a block: with them, a cell made in two blocks differs
#: by less than 1e-3 in cosine.
HALO = 128
#: Scales at which cells can be made: pixels given to the network per pixel of the imagery.
SCALES = (0.5, 1.0, 2.0)
#: Things are best recognised when they are 60 to 120 pixels wide as the network sees them
#: (docs/objects.md); the geometric mean of the two.
BEST_WIDTH = math.sqrt(60 * 120)
#: A cell with more than this share of pixels without data is one without data.
MOST_EMPTY = 0.5


@dataclass(frozen=True)
class CellIdentity:
    """What made object cells.  Cells of two identities do not compare.

    Attributes:
        network: The network and its layer.
        weights_sha256: Fingerprint of its weights.
        preprocessing: Preparation of pixels for the first layer.
        basis: Version of the basis and eight digits of its SHA-256.
        components: Numbers of a cell.
    """

    network: str
    weights_sha256: str
    preprocessing: str
    basis: str
    components: int = COMPONENTS

    def __str__(self) -> str:
        return f"{self.network}, basis {self.basis}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CellIdentity:
        """The identity that `to_dict` wrote; unknown keys of later versions are ignored.

        Raises:
            ModelMismatchError: If a value is missing or of another kind.
        """
        try:
            return cls(
                network=str(values["network"]),
                weights_sha256=str(values["weights_sha256"]),
                preprocessing=str(values["preprocessing"]),
                basis=str(values["basis"]),
                components=int(values["components"]),
            )
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelMismatchError(
                "The identity of the object cells is incomplete",
                where=error,
                remedy="Make the cells again",
            ) from error


def identity_of(weights_sha256: str) -> CellIdentity:
    """The identity of cells that these weights make with the shipped basis."""
    return CellIdentity("keras/resnet50/conv4", weights_sha256, "caffe/1", basis().name)


def scale_for(size: float) -> float:
    """The scale at which things `size` pixels wide are recognised best."""
    return min(SCALES, key=lambda scale: abs(math.log(max(size, 1e-6) * scale / BEST_WIDTH)))


def cells_across(pixels: int, scale: float) -> int:
    """Cells along an edge of `pixels` pixels of the imagery."""
    return math.ceil(math.ceil(pixels * scale) / CELL_PIXELS)


def rescale(pixels: np.ndarray, scale: float) -> np.ndarray:
    """Pixels uint8 (h, w, 3) as the network sees them at a scale: bicubic, or means of 2×2.

    Both are the same at every place of a scene, so that blocks join without seams, except at the
    edges of the array, which the halo covers.
    """
    if scale == 1:
        return pixels
    from PIL import Image

    picture = Image.fromarray(pixels)
    if scale < 1:
        return np.asarray(picture.reduce(round(1 / scale)))
    size = (round(picture.width * scale), round(picture.height * scale))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def has_data(valid: np.ndarray, scale: float) -> np.ndarray:
    """bool (h, w): the cells of which at least half the pixels (rows, columns) hold data."""
    side = round(CELL_PIXELS / scale)
    edges = [np.arange(0, length, side) for length in valid.shape]
    counts = np.add.reduceat(np.add.reduceat(valid, edges[0], 0, dtype=np.int32), edges[1], 1)
    heights, widths = (
        np.diff([*edge, length]) for edge, length in zip(edges, valid.shape, strict=True)
    )
    return counts >= (1 - MOST_EMPTY) * np.outer(heights, widths)


def fill_missing(pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The pixels, the ImageNet mean where there is no data, which the network sees as padding."""
    if valid.all():
        return pixels
    mean = np.round(resnet.MEAN_BGR[::-1]).astype(np.uint8)
    return np.where(valid[..., None], pixels, mean)


class CellEmbedder:
    """Makes the object cells of windows of a scene.

    Attributes:
        identity: What makes the cells.
    """

    def __init__(self, loaded: cache.Weights, network: resnet.Network) -> None:
        self.identity = identity_of(loaded.sha256)
        self.network = network

    def embed(self, pixels: np.ndarray, valid: np.ndarray, scale: float) -> np.ndarray:
        """Codes of a window of the imagery.

        Args:
            pixels: uint8 RGB (h, w, 3).
            valid: bool (h, w), where there is data.
            scale: Pixels given to the network per pixel of the imagery.

        Returns:
            int8 (rows, columns, 64), -128 where there is no data.
        """
        seen = rescale(fill_missing(pixels, valid), scale)
        return mask(quantise(self.network.cells(seen[None])[0]), has_data(valid, scale))

    def components(self, pictures: np.ndarray) -> np.ndarray:
        """Components float32 (n, rows, columns, 64) of pictures uint8 (n, h, w, 3) as they are."""
        return self.network.cells(pictures)


def mask(codes: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The codes (h, w, 64), -128 where `kept` (h, w) is false; changed in place."""
    codes[~kept] = NO_DATA
    return codes
