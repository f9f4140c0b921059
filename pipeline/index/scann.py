"""ScaNN for numpy arrays, without the TensorFlow that its package loads beside it."""

from __future__ import annotations

import importlib.util
import sys
import threading
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from pipeline.model import native

_loading = threading.Lock()


@lru_cache(maxsize=1)
def scann() -> ModuleType:
    """ScaNN's operations on numpy arrays, without TensorFlow.

    `import scann` also loads ScaNN's TensorFlow operations, and with them TensorFlow, which takes
    seconds.  An empty package in its place allows the one module to be imported alone.
    """
    with _loading:
        module = _load()
    native.quiet(Path(module.scann_pybind.__file__))  # it would print a report of every k-means
    return module


def _load() -> ModuleType:
    name = "scann.scann_ops.py.scann_ops_pybind"
    spec = None if "scann" in sys.modules else importlib.util.find_spec("scann")
    if spec is None or spec.submodule_search_locations is None:
        return native.load(name)
    bare = ModuleType("scann")
    bare.__path__ = list(spec.submodule_search_locations)
    sys.modules["scann"] = bare
    try:
        return native.load(name)
    finally:
        del sys.modules["scann"]
