"""Chips to vectors: ResNet-50 without its top and a global average pool, 2,048 numbers per chip.

There are two modes, whose vectors do not mix; a collection names its mode in its model identity:

- "chip": each 256×256 chip passes through the network alone, padded with zeros, as in Keras;
- "dense": the network passes once over a region of the scene, and a chip's vector is the mean of
  its 8×8 squares of the feature map.  The cost depends on the area of the scene, not on the number
  of overlapping chips, and chips see their true surroundings.  See `pipeline.model.dense`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pipeline.errors import QueryError
from pipeline.model import resnet
from pipeline.model.identity import DIMENSIONS, ModelIdentity, identity_of
from pipeline.model.weights import cache


class Embedder(Protocol):
    """Turns chips into vectors."""

    @property
    def identity(self) -> ModelIdentity:
        """The model that makes the vectors."""
        ...

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Vectors of chips embedded on their own, as query pictures are.

        Args:
            pixels: uint8 RGB (n, 256, 256, 3).

        Returns:
            float32 (n, dimensions), not normalised.
        """
        ...


class RegionEmbedder(Embedder, Protocol):
    """Turns overlapping chips of a region into vectors in one pass."""

    def embed_region(
        self,
        pixels: np.ndarray,
        cols: np.ndarray,
        rows: np.ndarray,
        valid: np.ndarray | None = None,
    ) -> np.ndarray:
        """Vectors of the chips of a region; see `pipeline.model.dense.DenseEmbedder`."""
        ...

    def embed_region_with_cells(
        self, pixels: np.ndarray, cols: np.ndarray, rows: np.ndarray, valid: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same, and the region's object cells."""
        ...


class ChipEmbedder:
    """ResNet-50 over chips one by one.

    Args:
        loaded: The weights.
        network: The runtime.
    """

    def __init__(self, loaded: cache.Weights, network: resnet.Network) -> None:
        self.identity = identity_of(loaded, "chip")
        self.network = network

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, 2048) of uint8 RGB (n, 256, 256, 3), not normalised."""
        return average_pool(self.network, pixels)


def average_pool(network: resnet.Network, pixels: np.ndarray) -> np.ndarray:
    """Global average of the last feature map of pictures.

    Args:
        network: The runtime.
        pixels: uint8 RGB (n, h, w, 3).

    Returns:
        float32 (n, 2048).

    Raises:
        QueryError: If `pixels` is not such an array.
    """
    if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8:
        raise QueryError(
            "Pixels to embed must be uint8 RGB, (n, height, width, 3)",
            where=f"{pixels.dtype} {pixels.shape}",
            remedy="Convert them first",
        )
    vectors = np.empty((len(pixels), DIMENSIONS), np.float32)
    for start in range(0, len(pixels), 256):  # bounds the feature maps held at once to 128 MB
        part = slice(start, start + 256)
        vectors[part] = network.maps(pixels[part]).mean((1, 2))
    return vectors
