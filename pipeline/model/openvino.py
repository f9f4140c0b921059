"""The ResNet-50 graph in OpenVINO, which runs it faster on Intel and AMD processors.

It is used if the `openvino` package is installed and there is no graphics card.  The graph is built
from the folded Keras weights, so that embedding does not need TensorFlow: a worker starts in one
second instead of five and is half a gigabyte smaller.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.model import native, resnet
from pipeline.model.resnet import Output
from pipeline.model.weights.cache import Weights

#: Chips per request.  Requests run in parallel; larger ones only move more memory.
BATCH = 4


class OpenVinoNetwork:
    """ResNet-50's last feature map, computed by OpenVINO on the processor.

    Args:
        weights: ResNet-50's.
        float_type: "bfloat16" or "float32".
        threads: Processor threads.
    """

    def __init__(self, weights: Weights, float_type: resnet.FloatType, threads: int) -> None:
        openvino = native.load("openvino")

        self.batch = BATCH
        self.name = f"OpenVINO {openvino.__version__.split('-')[0]} {float_type}"
        self._threads = threads
        self._hints = {
            "INFERENCE_PRECISION_HINT": "bf16" if float_type == "bfloat16" else "f32",
            "INFERENCE_NUM_THREADS": str(threads),
        }
        self._core = openvino.Core()
        folded = resnet.fold(weights)
        self._models = lru_cache(maxsize=3)(lambda outputs: _graph(folded, outputs))
        self._compiled = lru_cache(maxsize=4)(self._compile)
        # A compiled model has one request for its calls, and a reshape changes the model itself.
        self._lock = threading.Lock()

    def _compile(self, shape: tuple[int, ...], streams: int, outputs: tuple[Output, ...]) -> Any:
        model = self._models(outputs)
        model.reshape(list(shape))
        return self._core.compile_model(model, "CPU", {**self._hints, "NUM_STREAMS": str(streams)})

    def maps(self, pixels: np.ndarray) -> np.ndarray:
        """See `Network.maps`; threads take turns."""
        return self._run(pixels, ("maps",))[0]

    def cells(self, pixels: np.ndarray) -> np.ndarray:
        """See `Network.cells`; threads take turns."""
        return self._run(pixels, ("cells",))[0]

    def maps_and_cells(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Network.maps_and_cells`; threads take turns."""
        maps, cells = self._run(pixels, ("maps", "cells"))
        return maps, cells

    def _run(self, pixels: np.ndarray, outputs: tuple[Output, ...]) -> list[np.ndarray]:
        with self._lock:
            return self._infer(pixels, outputs)

    def _infer(self, pixels: np.ndarray, outputs: tuple[Output, ...]) -> list[np.ndarray]:
        openvino = native.load("openvino")

        n, height, width, _ = pixels.shape
        places = range(len(outputs))
        if n <= self.batch:
            compiled = self._compiled((n, height, width, 3), 1, outputs)
            made = compiled(np.ascontiguousarray(pixels))
            return [made[place].copy() for place in places]
        compiled = self._compiled((self.batch, height, width, 3), self._threads, outputs)
        shapes = [tuple(compiled.output(place).shape) for place in places]
        results = [np.empty((n, *shape[1:]), np.float32) for shape in shapes]
        requests = openvino.AsyncInferQueue(compiled)

        def keep(request: Any, start: int) -> None:
            for place, result in enumerate(results):
                tensor = request.get_output_tensor(place).data
                result[start : start + self.batch] = tensor[: n - start]

        requests.set_callback(keep)
        for start in range(0, n, self.batch):
            part = pixels[start : start + self.batch]
            if len(part) < self.batch:  # the compiled shape is fixed: pad the last batch
                part = np.concatenate(
                    [part, np.zeros((self.batch - len(part), *part.shape[1:]), "u1")]
                )
            requests.start_async({0: np.ascontiguousarray(part)}, start)
        requests.wait_all()
        return results


def _graph(folded: dict[str, tuple[np.ndarray, np.ndarray]], outputs: tuple[Output, ...]) -> Any:
    openvino = native.load("openvino")
    ops = openvino.opset13

    def convolve(x: Any, name: str, stride: int, pad: int, *, relu: bool) -> Any:
        kernel, bias = resnet.reduction() if name == "cells" else folded[name]
        if name == "conv1":
            kernel = kernel[:, :, ::-1]  # for RGB input, which saves converting pixels to BGR
        # As a constant: of an array itself OpenVINO makes 25 million Python numbers first.
        weights = ops.constant(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
        x = ops.convolution(x, weights, [stride] * 2, [pad] * 2, [pad] * 2, [1, 1])
        x = ops.add(x, bias.reshape(1, -1, 1, 1))
        return ops.relu(x) if relu else x

    pixels = ops.parameter([-1, -1, -1, 3], np.uint8)
    mean = np.array(resnet.MEAN_BGR[::-1], np.float32)
    x = ops.subtract(ops.convert(pixels, "f32"), mean.reshape(1, 1, 1, 3))
    x = ops.transpose(x, np.array([0, 3, 1, 2]))
    x = convolve(x, "conv1", 2, 3, relu=True)
    x = ops.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
    made: dict[Output, Any] = {}
    for stage, blocks in resnet.STAGES.items():
        if stage > resnet.CELL_STAGE and "maps" not in outputs:
            break
        for number in range(1, blocks + 1):
            name, first = f"conv{stage}_block{number}", number == 1
            stride = 2 if first and stage > 2 else 1
            shortcut = convolve(x, f"{name}_0", stride, 0, relu=False) if first else x
            x = convolve(x, f"{name}_1", stride, 0, relu=True)
            x = convolve(x, f"{name}_2", 1, 1, relu=True)
            x = ops.relu(ops.add(convolve(x, f"{name}_3", 1, 0, relu=False), shortcut))
        if stage == resnet.CELL_STAGE and "cells" in outputs:
            made["cells"] = convolve(x, "cells", 1, 0, relu=False)
    made["maps"] = x
    channels_last = np.array([0, 2, 3, 1])
    results = [ops.transpose(made[output], channels_last) for output in outputs]
    return openvino.Model(results, [pixels], "resnet50")
