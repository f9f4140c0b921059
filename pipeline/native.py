"""Import TensorFlow and ScaNN without the lines their native code prints at every start.

Those lines (about CUDA plug-ins and processor features) are written by C++ to the process's
standard error before any log level is honoured, and tell a user nothing.
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return _hushed(name)


def _hushed(name: str) -> ModuleType:
    with hushed():
        return importlib.import_module(name)


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what native code writes to standard error to itself, unless the block fails."""
    sys.stderr.flush()
    kept, pipe = os.dup(2), os.memfd_create("stderr")
    os.dup2(pipe, 2)
    try:
        yield
    except BaseException:
        os.lseek(pipe, 0, os.SEEK_SET)
        os.write(kept, os.read(pipe, 1 << 20))
        raise
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(pipe)
