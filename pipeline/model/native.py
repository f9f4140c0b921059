"""Import TensorFlow, OpenVINO and ScaNN without log output and without usage statistics.

TensorFlow and ScaNN print lines about CUDA plug-ins and k-means to standard error through Abseil's
C++ logging, which reads no environment variable.  OpenVINO reports every import to a statistics
service on the internet.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from types import ModuleType

_importing = threading.Lock()
#: Symbol of `absl::SetMinLogLevel` in the versions that requirements.txt pins.
_SET_LEVEL = "_ZN4absl12lts_2023080214SetMinLogLevelENS0_18LogSeverityAtLeastE"
_FATAL = 3


def load(name: str) -> ModuleType:
    """The module of this name, imported quietly the first time."""
    found = sys.modules.get(name)
    # A module that another thread is still importing is in sys.modules, but incomplete.
    if found is not None and not getattr(found.__spec__, "_initializing", False):
        return found
    with _importing:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if name == "tensorflow":
            _quiet_tensorflow()
        if name == "openvino":
            # OpenVINO works without the package that reports.  None forbids its import, which the
            # type of `sys.modules` does not provide for.
            sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return importlib.import_module(name)


def quiet(library: Path) -> None:
    """Make a shared library that contains Abseil log fatal messages only.

    Failures still raise their errors.  A library with another version of Abseil stays as it is.
    """
    with suppress(AttributeError):
        getattr(ctypes.CDLL(str(library)), _SET_LEVEL)(_FATAL)


def _quiet_tensorflow() -> None:
    """Quiet the library that contains TensorFlow's Abseil before the others log while loading."""
    spec = importlib.util.find_spec("tensorflow")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for library in Path(folder).glob("libtensorflow_framework.*"):
            quiet(library)
