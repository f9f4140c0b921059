"""Keras's ResNet-50 as a fast inference graph.

The graph computes the same as `keras.applications.ResNet50(include_top=False)` after
`preprocess_input`, but faster, by three changes:

- every batch normalisation is folded into the convolution before it (once, in float64);
- preprocessing (RGB → BGR, minus the ImageNet mean) is part of the graph, which takes uint8;
- on a processor or graphics card with fast 16-bit arithmetic, activations and weights are bfloat16
  (or float16 on older cards) with float32 accumulation, which oneDNN and cuDNN do in hardware.

The graph is cast explicitly, because TensorFlow's automatic mixed precision is global state of the
process: a Keras model beside this one still runs in float32.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from pipeline.model import native
from pipeline.model.weights.cache import Weights

log = logging.getLogger(__name__)

FloatType = Literal["float32", "bfloat16", "float16"]

#: Keras's "caffe" preprocessing: ImageNet's mean blue, green and red.
MEAN_BGR = (103.939, 116.779, 123.68)
#: Batch-norm epsilon of Keras's ResNet.
EPSILON = 1.001e-5
#: Pixels of a scene between neighbouring cells of the last feature map.
CELL = 32

#: Residual blocks of each stage.
STAGES = {2: 3, 3: 4, 4: 6, 5: 3}


class Network(Protocol):
    """ResNet-50 up to its last feature map.

    Attributes:
        name: Runtime and arithmetic, for reports ("TensorFlow 2.18.1 bfloat16").
        batch: Pictures per step.
    """

    name: str
    batch: int

    def maps(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, ceil(h/32), ceil(w/32), 2048) of uint8 RGB (n, h, w, 3)."""
        ...


class TensorFlowNetwork:
    """ResNet-50's last feature map, computed by TensorFlow on the processor or a graphics card.

    Args:
        weights: ResNet-50's.
        threads: Processor threads.  TensorFlow sets them when it starts, so only the first network
            of a process counts.
        float_type: Arithmetic; by default the fastest on this machine.
    """

    def __init__(self, weights: Weights, threads: int, float_type: FloatType | None = None) -> None:
        tf = native.load("tensorflow")

        gpus = tf.config.list_physical_devices("GPU")
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            log.debug("TensorFlow is already running: threads and memory policy are unchanged")
        if float_type is None:
            float_type = _gpu_float_type(gpus[0]) if gpus else None
        if float_type is None:
            float_type = "bfloat16" if cpu_has_bfloat16() else "float32"
        self.batch = 256 if gpus else 8
        self.name = f"TensorFlow {tf.__version__} {float_type}{' on GPU' if gpus else ''}"
        self._graph = compile_graph(weights, float_type)

    def maps(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, ceil(h/32), ceil(w/32), 2048) of uint8 RGB (n, h, w, 3)."""
        tf = native.load("tensorflow")

        steps = range(0, len(pixels), self.batch)
        parts = [self._graph(tf.constant(pixels[i : i + self.batch])).numpy() for i in steps]
        return np.concatenate(parts)


def _gpu_float_type(gpu: Any) -> FloatType:
    tf = native.load("tensorflow")

    details = tf.config.experimental.get_device_details(gpu)
    major = details.get("compute_capability", (0, 0))[0]
    return "bfloat16" if major >= 8 else "float16" if major >= 7 else "float32"


@lru_cache(maxsize=1)
def cpu_has_bfloat16() -> bool:
    """Whether the processor has bfloat16 instructions; emulation would be slower than float32."""
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


def compile_graph(weights: Weights, float_type: FloatType) -> Callable[[Any], Any]:
    """A TensorFlow function from pixels to the last feature map.

    Args:
        weights: ResNet-50's.
        float_type: Arithmetic of the convolutions.

    Returns:
        A concrete function of uint8 RGB (n, height, width, 3), any n, height and width, to
        float32 (n, ceil(height/32), ceil(width/32), 2048).
    """
    tf = native.load("tensorflow")

    folded = fold(weights)
    dtype = tf.as_dtype(float_type)

    def convolve(x: Any, name: str, stride: int, padding: str, relu: bool) -> Any:
        kernel, bias = folded[name]
        x = tf.nn.conv2d(x, tf.constant(kernel, dtype), stride, padding)
        x = tf.nn.bias_add(x, tf.constant(bias, dtype))
        return tf.nn.relu(x) if relu else x

    def block(x: Any, name: str, stride: int, first: bool) -> Any:
        shortcut = convolve(x, f"{name}_0", stride, "VALID", relu=False) if first else x
        x = convolve(x, f"{name}_1", stride, "VALID", relu=True)
        x = convolve(x, f"{name}_2", 1, "SAME", relu=True)
        return tf.nn.relu(convolve(x, f"{name}_3", 1, "VALID", relu=False) + shortcut)

    def graph(pixels: Any) -> Any:
        x = tf.cast(pixels[..., ::-1], tf.float32) - tf.constant(MEAN_BGR)
        x = tf.cast(tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]]), dtype)
        x = convolve(x, "conv1", 2, "VALID", relu=True)
        # After a ReLU no value is negative, so padding with zeros equals Keras's padding.
        x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        for stage, blocks in STAGES.items():
            for number in range(1, blocks + 1):
                stride = 2 if number == 1 and stage > 2 else 1
                x = block(x, f"conv{stage}_block{number}", stride, first=number == 1)
        return tf.cast(x, tf.float32)

    signature = [tf.TensorSpec((None, None, None, 3), tf.uint8)]
    return tf.function(graph, input_signature=signature, autograph=False).get_concrete_function()
