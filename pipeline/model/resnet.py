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
from pipeline.model.basis import basis
from pipeline.model.weights.cache import Weights

log = logging.getLogger(__name__)

FloatType = Literal["float32", "bfloat16", "float16"]

#: Keras's "caffe" preprocessing: ImageNet's mean blue, green and red.
MEAN_BGR = (103.939, 116.779, 123.68)
#: Batch-norm epsilon of Keras's ResNet.
EPSILON = 1.001e-5
#: Pixels of a scene between neighbouring places of the last feature map.
SQUARE = 32
#: Pixels between neighbouring object cells, which come from the fourth stage.
CELL_PIXELS = 16
#: What the graph returns: the last feature map, the fourth stage in the basis of object cells.
Output = Literal["maps", "cells"]

#: Residual blocks of each stage.
STAGES = {2: 3, 3: 4, 4: 6, 5: 3}
#: The stage that object cells come from.
CELL_STAGE = 4


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

    def cells(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, ceil(h/16), ceil(w/16), 64): components of object cells of such pixels."""
        ...

    def maps_and_cells(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both in one pass, which costs hardly more than the maps alone."""
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
        self._weights, self._float_type = weights, float_type
        self._graphs = lru_cache(maxsize=3)(self._compile)

    def _compile(self, outputs: tuple[Output, ...]) -> Callable[[Any], Any]:
        return compile_graph(self._weights, self._float_type, outputs)

    def maps(self, pixels: np.ndarray) -> np.ndarray:
        """See `Network.maps`."""
        return self._run(pixels, ("maps",))[0]

    def cells(self, pixels: np.ndarray) -> np.ndarray:
        """See `Network.cells`."""
        return self._run(pixels, ("cells",))[0]

    def maps_and_cells(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Network.maps_and_cells`."""
        maps, cells = self._run(pixels, ("maps", "cells"))
        return maps, cells

    def _run(self, pixels: np.ndarray, outputs: tuple[Output, ...]) -> list[np.ndarray]:
        tf = native.load("tensorflow")

        graph = self._graphs(outputs)
        steps = range(0, len(pixels), self.batch)
        parts = [graph(tf.constant(pixels[i : i + self.batch])) for i in steps]
        return [np.concatenate([part[i].numpy() for part in parts]) for i in range(len(outputs))]


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


def reduction() -> tuple[np.ndarray, np.ndarray]:
    """The basis of object cells as a convolution: kernel (1, 1, 1024, 64) and bias (64,)."""
    given = basis()
    return given.axes[None, None], -(given.mean.astype(np.float64) @ given.axes).astype(np.float32)


def compile_graph(
    weights: Weights, float_type: FloatType, outputs: tuple[Output, ...] = ("maps",)
) -> Callable[[Any], Any]:
    """A TensorFlow function from pixels to feature maps.

    Args:
        weights: ResNet-50's.
        float_type: Arithmetic of the convolutions.
        outputs: What it returns.

    Returns:
        A concrete function of uint8 RGB (n, height, width, 3), any n, height and width, to a
        list in the order of `outputs`: float32 (n, ceil(height/32), ceil(width/32), 2048) and
        (n, ceil(height/16), ceil(width/16), 64).
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
        made: dict[Output, Any] = {}
        for stage, blocks in STAGES.items():
            if stage > CELL_STAGE and "maps" not in outputs:
                break
            for number in range(1, blocks + 1):
                stride = 2 if number == 1 and stage > 2 else 1
                x = block(x, f"conv{stage}_block{number}", stride, first=number == 1)
            if stage == CELL_STAGE and "cells" in outputs:
                kernel, bias = (tf.constant(part, dtype) for part in reduction())
                cells = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias)
                made["cells"] = tf.cast(cells, tf.float32)
        made["maps"] = tf.cast(x, tf.float32)
        return [made[output] for output in outputs]

    signature = [tf.TensorSpec((None, None, None, 3), tf.uint8)]
    return tf.function(graph, input_signature=signature, autograph=False).get_concrete_function()
