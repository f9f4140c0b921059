"""Import TensorFlow, OpenVINO and ScaNN without what they do at every start beside their work.

TensorFlow and ScaNN log through Abseil's C++ logging, which no environment variable quiets: lines
about CUDA plug-ins and k-means on standard error, which tell a user nothing.  OpenVINO reports
every import to a statistics service on the internet; here it does not.
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
#: `absl::SetMinLogLevel` as the libraries of requirements.txt export it.
_SET_LEVEL = "_ZN4absl12lts_2023080214SetMinLogLevelENS0_18LogSeverityAtLeastE"
_FATAL = 3


def load(name: str) -> ModuleType:
    """The module of this name, imported quietly the first time."""
    found = sys.modules.get(name)
    # A module that another thread is still importing is there already, but has only half its parts.
    if found is not None and not getattr(found.__spec__, "_initializing", False):
        return found
    with _importing:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if name == "tensorflow":
            _quiet_tensorflow()
        if name == "openvino":
            # Without the package that reports it works the same.  None is how Python marks a module
            # that must not be imported, which the type of `sys.modules` leaves out.
            sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return importlib.import_module(name)


def quiet(library: Path) -> None:
    """Let a shared library that brings its own Abseil log nothing but what ends the process.

    What fails still raises its error.  A library with another version of Abseil is left as it is.
    """
    with suppress(AttributeError):
        getattr(ctypes.CDLL(str(library)), _SET_LEVEL)(_FATAL)


def _quiet_tensorflow() -> None:
    """Quiet the library that holds TensorFlow's Abseil, before the others log at their loading."""
    spec = importlib.util.find_spec("tensorflow")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for library in Path(folder).glob("libtensorflow_framework.*"):
            quiet(library)
