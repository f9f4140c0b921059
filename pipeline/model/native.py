"""Import TensorFlow, OpenVINO and ScaNN without what they do at every start beside their work.

Their native code prints lines (about CUDA plug-ins and processor features) to the process's
standard error before any log level is honoured; they tell a user nothing.  OpenVINO reports every
import to a statistics service on the internet; here it does not.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_importing = threading.Lock()


def load(name: str) -> ModuleType:
    """The module of this name, imported quietly the first time.

    An import that fails prints what it printed: nothing is hidden then.
    """
    found = sys.modules.get(name)
    # A module that another thread is still importing is there already, but has only half its parts.
    if found is not None and not getattr(found.__spec__, "_initializing", False):
        return found
    with _importing:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if name == "openvino":
            # Without the package that reports it works the same.  None is how Python marks a module
            # that must not be imported, which the type of `sys.modules` leaves out.
            sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return _hushed(name)


def _hushed(name: str) -> ModuleType:
    with hushed():
        return importlib.import_module(name)


class _Hush:
    """Standard error turned away while anybody wants it so; the last to leave turns it back."""

    def __init__(self) -> None:
        self._lock, self._users, self._kept, self._pipe = threading.Lock(), 0, -1, -1

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                sys.stderr.flush()
                self._kept, self._pipe = os.dup(2), os.memfd_create("stderr")
                os.dup2(self._pipe, 2)

    def leave(self, failed: bool) -> None:
        with self._lock:
            if failed:
                size = os.fstat(self._pipe).st_size
                os.write(self._kept, os.pread(self._pipe, min(size, 1 << 20), 0))
            self._users -= 1
            if not self._users:
                os.dup2(self._kept, 2)
                os.close(self._kept)
                os.close(self._pipe)


_hush = _Hush()


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what native code writes to standard error to itself, unless the block fails.

    Blocks of several threads may overlap; the stream is back when the last has ended.
    """
    _hush.enter()
    failed = True
    try:
        yield
        failed = False
    finally:
        _hush.leave(failed)
