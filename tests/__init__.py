"""The tests, and what they share."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Where programs that a test starts find the project, wherever the tests are run from.
ROOT = Path(__file__).parent.parent


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections, and that nobody else gets meanwhile."""
    with socket.socket() as bound:  # and never listens
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
