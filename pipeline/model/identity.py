"""The identity of the model that made a vector.  Vectors of different models do not compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pipeline.errors import ModelMismatchError
from pipeline.model.weights import cache

Mode = Literal["chip", "dense"]


DIMENSIONS = 2048


@dataclass(frozen=True)
class ModelIdentity:
    """The model that made a vector.

    The arithmetic (float32, bfloat16) is not part of it: vectors agree to a cosine above 0.999, so
    a collection built on one machine can be searched on another.

    Attributes:
        name: The network.
        weights_sha256: Fingerprint of its weights.
        preprocessing: Preparation of pixels for the first layer.
        pooling: How a feature map becomes a vector.
        mode: "chip" if chips were embedded alone, "dense" if in their surroundings.
        dimensions: Length of a vector.
    """

    name: str
    weights_sha256: str
    preprocessing: str
    pooling: str
    mode: Mode
    dimensions: int = DIMENSIONS

    def __str__(self) -> str:
        return f"{self.name} ({self.mode}) {self.weights_sha256[:12]}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelIdentity:
        """The identity that `to_dict` wrote; unknown keys of later versions are ignored.

        Raises:
            ModelMismatchError: If a value is missing or of another kind.
        """
        try:
            if values["mode"] not in get_args(Mode):
                raise ValueError(values["mode"])
            return cls(
                name=str(values["name"]),
                weights_sha256=str(values["weights_sha256"]),
                preprocessing=str(values["preprocessing"]),
                pooling=str(values["pooling"]),
                mode=values["mode"],
                dimensions=int(values.get("dimensions", DIMENSIONS)),
            )
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelMismatchError(
                "The model identity is incomplete",
                where=error,
                remedy="Build the collection again",
            ) from error


def identity_of(loaded: cache.Weights, mode: Mode) -> ModelIdentity:
    """The identity of vectors these weights make in this mode."""
    return ModelIdentity(
        name="keras/resnet50",
        weights_sha256=loaded.sha256,
        preprocessing="caffe/1",
        pooling="avg",
        mode=mode,
    )
