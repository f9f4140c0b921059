"""Chips to vectors: ResNet-50 without its top, global average pool, 2048 numbers a chip.

Two modes, which a collection names in its model identity because their vectors do not mix:

- "chip": each 256×256 chip goes through the network alone, zeros around it, as Keras does it;
- "dense": one pass over a region of the scene, and a chip's vector is the mean of its 8×8 cells of
  the feature map.  The cost follows the scene's area instead of the number of overlapping chips,
  and a chip sees its true surroundings.  See `pipeline.model.dense`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np

from pipeline.errors import ModelMismatchError, QueryError
from pipeline.model import resnet
from pipeline.model.weights import cache

Mode = Literal["chip", "dense"]
CHIP = 256
DIMENSIONS = 2048


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a vector; vectors of different identities cannot be compared.

    The arithmetic (float32, bfloat16) is not part of it: the vectors agree to a cosine above
    0.999, so a collection built on one machine is searched on another.

    Attributes:
        name: The network.
        weights_sha256: Fingerprint of its weights.
        preprocessing: What is done to pixels before the first layer.
        pooling: How a feature map becomes a vector.
        mode: Whether chips were embedded alone or in their surroundings.
        dimensions: Length of a vector.
    """

    name: str
    weights_sha256: str
    preprocessing: str
    pooling: str
    mode: Mode
    dimensions: int = DIMENSIONS

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelIdentity:
        """From `to_dict`'s values; unknown keys of later versions are ignored.

        Raises:
            ModelMismatchError: If a key is missing.
        """
        try:
            return cls(
                name=str(values["name"]),
                weights_sha256=str(values["weights_sha256"]),
                preprocessing=str(values["preprocessing"]),
                pooling=str(values["pooling"]),
                mode=values["mode"],
                dimensions=int(values.get("dimensions", DIMENSIONS)),
            )
        except KeyError as error:
            raise ModelMismatchError(
                "The model identity is incomplete",
                where=error.args[0],
                remedy="Build the collection again",
            ) from error


class Embedder(Protocol):
    """Turns chips into vectors."""

    @property
    def identity(self) -> ModelIdentity:
        """What the vectors are made by."""
        ...

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Vectors of chips cut out and embedded alone; the way of a query picture.

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


class ChipEmbedder:
    """ResNet-50 over chips one by one.

    Args:
        loaded: The weights.
        network: What runs them.
    """

    def __init__(self, loaded: cache.Weights, network: resnet.Network) -> None:
        self.identity = identity_of(loaded, "chip")
        self.network = network

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, 2048) of uint8 RGB (n, 256, 256, 3), not normalised."""
        return pooled(self.network, pixels)


def pooled(network: resnet.Network, pixels: np.ndarray) -> np.ndarray:
    """Global average of the last feature map of pictures.

    Args:
        network: What runs ResNet-50.
        pixels: uint8 RGB (n, h, w, 3).

    Returns:
        float32 (n, 2048).

    Raises:
        QueryError: If `pixels` is not such an array.
    """
    if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8:
        raise QueryError(
            "Pictures to embed must be uint8 RGB, (n, height, width, 3)",
            where=f"{pixels.dtype} {pixels.shape}",
            remedy="Convert them first",
        )
    vectors = np.empty((len(pixels), DIMENSIONS), np.float32)
    for start in range(0, len(pixels), 256):  # bounds the feature maps held at once to 128 MB
        part = slice(start, start + 256)
        vectors[part] = network.maps(pixels[part]).mean((1, 2))
    return vectors


def identity_of(loaded: cache.Weights, mode: Mode) -> ModelIdentity:
    """The identity of vectors these weights make in this mode."""
    return ModelIdentity(
        name="keras/resnet50",
        weights_sha256=loaded.sha256,
        preprocessing="caffe/1",
        pooling="avg",
        mode=mode,
    )
