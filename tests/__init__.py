"""The tests, and what they share."""

import ctypes
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Where programs that a test starts find the project, wherever the tests are run from.
ROOT = Path(__file__).parent.parent

PR_SET_PDEATHSIG = 1  # prctl(2)


def ends_with_us() -> None:
    """As `preexec_fn` of a server: the kernel ends it when the tests are killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections, and that nobody else gets meanwhile."""
    with socket.socket() as bound:  # and never listens
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
