"""Keras's ResNet-50 as a fast inference graph.

The graph computes what `keras.applications.ResNet50(include_top=False)` on `preprocess_input`
computes, with three changes that leave the result alone but not the time:

- every batch normalisation is folded into the convolution before it (in float64, once);
- preprocessing (RGB → BGR, minus the ImageNet mean) is part of the graph, which takes uint8;
- on a processor or graphics card with fast 16-bit arithmetic, activations and weights are bfloat16
  (or float16 on older cards) with float32 accumulation, which oneDNN and cuDNN do in hardware.

Casting the graph ourselves rather than switching on TensorFlow's auto mixed precision keeps the
choice out of process-global state: a Keras model beside this one still runs in float32.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline import native
from pipeline.weights import Weights

if TYPE_CHECKING:
    import tensorflow as tf

log = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16", "float16"]

#: Keras's "caffe" preprocessing: ImageNet's mean blue, green and red.
MEAN_BGR = (103.939, 116.779, 123.68)
#: Batch-norm epsilon of Keras's ResNet.
EPSILON = 1.001e-5
#: Pixels of a scene between neighbouring cells of the last feature map.
CELL = 32

_STAGES = {2: 3, 3: 4, 4: 6, 5: 3}


@dataclass(frozen=True)
class Machine:
    """What the embedding may run on.

    Attributes:
        device: "gpu" or "cpu".
        precision: Arithmetic of the graph.
        batch: Chips a step that run fastest.
    """

    device: Literal["cpu", "gpu"]
    precision: Precision
    batch: int


def prepare(threads: int | None) -> Machine:
    """Look at the machine and set TensorFlow's threads, as far as it has not started yet.

    Args:
        threads: Processor threads to use, or None for TensorFlow's choice.
    """
    tf = native.load("tensorflow")

    gpus = tf.config.list_physical_devices("GPU")
    if threads is not None and not gpus:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            log.debug("TensorFlow already runs; its thread count stays as it is")
    if gpus:
        for gpu in gpus:
            try:
                tf.config.experimental.set_memory_growth(gpu, True)
            except RuntimeError:
                log.debug("TensorFlow already runs; its memory policy stays as it is")
        details = tf.config.experimental.get_device_details(gpus[0])
        major = details.get("compute_capability", (0, 0))[0]
        precision: Precision = "bfloat16" if major >= 8 else "float16" if major >= 7 else "float32"
        return Machine("gpu", precision, batch=256)
    return Machine("cpu", "bfloat16" if _cpu_has_bfloat16() else "float32", batch=8)


@lru_cache(maxsize=1)
def _cpu_has_bfloat16() -> bool:
    """Whether the processor has bfloat16 instructions; emulating them would be slower."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return " avx512_bf16" in flags or " amx_bf16" in flags


def fold(weights: Weights) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernel (h, w, in, out) and bias (out,) of every convolution, its batch norm folded in."""
    tensors = weights.tensors
    folded = {}
    for key in tensors:
        if key.endswith("_conv/kernel"):
            name = key.removesuffix("_conv/kernel")
            variance = tensors[f"{name}_bn/moving_variance"].astype(np.float64)
            scale = tensors[f"{name}_bn/gamma"] / np.sqrt(variance + EPSILON)
            shift = tensors[f"{name}_conv/bias"] - tensors[f"{name}_bn/moving_mean"]
            folded[name] = (
                (tensors[key] * scale).astype(np.float32),
                (shift * scale + tensors[f"{name}_bn/beta"]).astype(np.float32),
            )
    return folded


Head = Callable[[Mapping[int, "tf.Tensor"]], "tf.Tensor"]


def compile_graph(weights: Weights, precision: Precision, head: Head) -> Callable[[Any], Any]:
    """A TensorFlow function from pixels to what `head` makes of the feature maps.

    Args:
        weights: ResNet-50's.
        precision: Arithmetic of the convolutions.
        head: From the feature map of each stage (2 to 5; float32, (n, h, w, channels)) to the
            result.  Stage 5 has one cell every 32 pixels and 2048 channels.

    Returns:
        A concrete function of uint8 RGB (n, height, width, 3), any n, height and width.
    """
    import tensorflow as tf

    folded = fold(weights)
    dtype = tf.as_dtype(precision)

    def convolve(x: tf.Tensor, name: str, stride: int, padding: str, relu: bool) -> tf.Tensor:
        kernel, bias = folded[name]
        x = tf.nn.conv2d(x, tf.constant(kernel, dtype), stride, padding)
        x = tf.nn.bias_add(x, tf.constant(bias, dtype))
        return tf.nn.relu(x) if relu else x

    def block(x: tf.Tensor, name: str, stride: int, first: bool) -> tf.Tensor:
        shortcut = convolve(x, f"{name}_0", stride, "VALID", relu=False) if first else x
        x = convolve(x, f"{name}_1", stride, "VALID", relu=True)
        x = convolve(x, f"{name}_2", 1, "SAME", relu=True)
        return tf.nn.relu(convolve(x, f"{name}_3", 1, "VALID", relu=False) + shortcut)

    def graph(pixels: tf.Tensor) -> tf.Tensor:
        x = tf.cast(pixels[..., ::-1], tf.float32) - tf.constant(MEAN_BGR)
        x = tf.cast(tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]]), dtype)
        x = convolve(x, "conv1", 2, "VALID", relu=True)
        # After a ReLU nothing is below zero, so padding with zeros is what Keras does.
        x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        maps = {}
        for stage, blocks in _STAGES.items():
            for number in range(1, blocks + 1):
                stride = 2 if number == 1 and stage > 2 else 1
                x = block(x, f"conv{stage}_block{number}", stride, first=number == 1)
            maps[stage] = tf.cast(x, tf.float32)
        return head(maps)

    signature = [tf.TensorSpec((None, None, None, 3), tf.uint8)]
    return tf.function(graph, input_signature=signature, autograph=False).get_concrete_function()


def keras_model(weights: Weights, *, top: bool = False) -> Any:
    """The reference: Keras's own ResNet-50 with these weights; average pool, or its classifier."""
    import keras

    model = keras.applications.ResNet50(
        include_top=top,
        weights=None,
        pooling=None if top else "avg",
        input_shape=(224, 224, 3) if top else (None, None, 3),
    )
    weights.assign(model)
    return model
