"""Which runtime computes ResNet-50 on this machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from pipeline.model.openvino import OpenVinoNetwork
from pipeline.model.resnet import Network, Precision, TensorFlowNetwork, _cpu_has_bfloat16
from pipeline.model.weights.cache import Weights

Runtime = Literal["tensorflow", "openvino"]


def network(weights: Weights, threads: int, runtime: Runtime | None = None) -> Network:
    """The fastest way this machine has to run ResNet-50.

    A graphics card is used when TensorFlow has one; else OpenVINO where it is installed; else
    TensorFlow on the processor.

    Args:
        weights: ResNet-50's.
        threads: Processor threads.
        runtime: Take this one instead, for measuring and testing.
    """
    if runtime is None:
        openvino = importlib.util.find_spec("openvino") is not None
        runtime = "openvino" if openvino and not _may_have_gpu() else "tensorflow"
    if runtime == "openvino":
        precision: Precision = "bfloat16" if _cpu_has_bfloat16() else "float32"
        return OpenVinoNetwork(weights, precision, threads)
    return TensorFlowNetwork(weights, threads)


def _may_have_gpu() -> bool:
    """Whether a graphics card's driver is loaded; asking TensorFlow would mean importing it."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/kfd").exists()
