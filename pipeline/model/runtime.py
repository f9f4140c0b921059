"""Choice of the runtime that computes ResNet-50 on this machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from pipeline.model.openvino import OpenVinoNetwork
from pipeline.model.resnet import FloatType, Network, TensorFlowNetwork, cpu_has_bfloat16
from pipeline.model.weights.cache import Weights

Runtime = Literal["tensorflow", "openvino"]


def network(weights: Weights, threads: int, runtime: Runtime | None = None) -> Network:
    """ResNet-50 in the fastest runtime of this machine.

    TensorFlow if there is a graphics card, otherwise OpenVINO if it is installed, otherwise
    TensorFlow on the processor.

    Args:
        weights: ResNet-50's.
        threads: Processor threads.
        runtime: Use this one instead, for measurements and tests.
    """
    if runtime is None:
        openvino = importlib.util.find_spec("openvino") is not None
        runtime = "openvino" if openvino and not _may_have_gpu() else "tensorflow"
    if runtime == "openvino":
        float_type: FloatType = "bfloat16" if cpu_has_bfloat16() else "float32"
        return OpenVinoNetwork(weights, float_type, threads)
    return TensorFlowNetwork(weights, threads)


def _may_have_gpu() -> bool:
    """Whether the driver of a graphics card is loaded; importing TensorFlow would take seconds."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/kfd").exists()
