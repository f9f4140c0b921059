"""Chips to vectors: ResNet-50 without its top and a global average pool, 2,048 numbers per chip.

There are two modes, whose vectors do not mix; a collection names its mode in its model identity:

- "chip": each 256×256 chip passes through the network alone, padded with zeros, as in Keras;
- "dense": the network passes once over a region of the scene, and a chip's vector is the mean of
  its 8×8 squares of the feature map.  The cost depends on the area of the scene, not on the number
  of overlapping chips, and chips see their true surroundings.  See `pipeline.model.dense`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.errors import QueryError
from pipeline.model import descriptor, resnet
from pipeline.model.descriptor import Quality
from pipeline.model.identity import DIMENSIONS, ModelIdentity, identity_of
from pipeline.model.weights import cache
from pipeline.vectors import normalise


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

    def describe(self, pixels: np.ndarray, quality: Quality) -> tuple[np.ndarray, np.ndarray]:
        """Such vectors, and the descriptors by which chips are ranked.

        Returns:
            float32 (n, dimensions), not normalised, and float32 (n, d), unit vectors.
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

    def describe_region(
        self,
        pixels: np.ndarray,
        cols: np.ndarray,
        rows: np.ndarray,
        valid: np.ndarray | None,
        quality: Quality | None,
        *,
        cells: bool = False,
    ) -> RegionVectors:
        """The same, with descriptors and the region's object cells."""
        ...


@dataclass(frozen=True)
class RegionVectors:
    """What one region gives.

    Attributes:
        plain: Vectors of its chips, float32 (n, 2048), not normalised.
        descriptors: Their descriptors, float32 (n, d), if they were asked for.
        cells: Object cells at scale 1, int8 (h, w, 64), -128 without data, if asked for.
    """

    plain: np.ndarray
    descriptors: np.ndarray | None = None
    cells: np.ndarray | None = None


@dataclass(frozen=True)
class ChipModel:
    """What made a collection's chips, to describe a query in the same way.

    Attributes:
        embedder: Makes plain vectors.
        quality: Of the descriptors, or None in a collection that has none, whose chips are ranked
            by their plain vectors.
    """

    embedder: Embedder
    quality: Quality | None

    @property
    def identity(self) -> ModelIdentity:
        """The model that makes the plain vectors."""
        return self.embedder.identity

    def describe(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Plain vectors float32 (n, 2048) and descriptors (n, d) of uint8 (n, 256, 256, 3)."""
        if self.quality is None:
            vectors = self.embedder.embed(pixels)
            return vectors, normalise(vectors)
        return self.embedder.describe(pixels, self.quality)


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

    def describe(self, pixels: np.ndarray, quality: Quality) -> tuple[np.ndarray, np.ndarray]:
        """See `Embedder.describe`."""
        return descriptor.describe(lambda views: pool(self.network, views), pixels, quality)


def pool(network: resnet.Network, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average and generalised mean of the last feature map, both float32 (n, 2048).

    Args:
        network: The runtime.
        pixels: uint8 RGB (n, h, w, 3).

    Raises:
        QueryError: If `pixels` is not such an array.
    """
    _check_pixels(pixels)
    plain = np.empty((len(pixels), DIMENSIONS), np.float32)
    general = np.empty_like(plain)
    for start in range(0, len(pixels), 64):  # bounds the feature maps held at once to 32 MB
        part = slice(start, start + 64)
        maps = network.maps(pixels[part])
        plain[part], general[part] = maps.mean((1, 2)), descriptor.generalised_mean(maps)
    return plain, general


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
    _check_pixels(pixels)
    vectors = np.empty((len(pixels), DIMENSIONS), np.float32)
    for start in range(0, len(pixels), 256):  # bounds the feature maps held at once to 128 MB
        part = slice(start, start + 256)
        vectors[part] = network.maps(pixels[part]).mean((1, 2))
    return vectors


def _check_pixels(pixels: np.ndarray) -> None:
    if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8:
        raise QueryError(
            "Pixels to embed must be uint8 RGB, (n, height, width, 3)",
            where=f"{pixels.dtype} {pixels.shape}",
            remedy="Convert them first",
        )
