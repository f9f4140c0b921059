"""What several test modules start: a Google on the loopback, and a process that talks to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import settings
from pipeline.sources.earth_engine import client
from tests import ROOT
from tests.loopback.earth_engine import EarthEngine, new_york
from tests.loopback.expressions import Catalogue
from tests.loopback.google import Bucket, Drive, Tokens, service_account_key
from tests.loopback.server import Hold, Loopback

#: Over all three scenes of `new_york` with its defaults, 0.2 km².
MANHATTAN = (-74.0160, 40.7098, -74.0092, 40.7127)


class Google(Loopback):
    """Earth Engine, Drive, Cloud Storage and tokens behind one address."""

    def __init__(self, catalogue: Catalogue, **options: Any) -> None:
        self.tokens = Tokens()
        self.drive, self.bucket = Drive(self.tokens), Bucket(self.tokens)
        self.earth = EarthEngine(catalogue, self.tokens, self.drive, self.bucket)
        super().__init__(self.tokens, self.drive, self.bucket, self.earth, **options)


@contextmanager
def google(
    folder: Path, patch: pytest.MonkeyPatch, catalogue: Catalogue | None = None
) -> Iterator[Google]:
    """A running Google, and an environment that leads to it with a service account's key."""
    with Google(catalogue or new_york()) as server:
        key = service_account_key(folder / "key.json", server.url)
        for name, value in environment(server, key).items():
            patch.setenv(name, value)
        settings.cache_clear()
        client._connected = None
        try:
            yield server
        finally:
            # The client stays signed in for the process, and a later server may get this port.
            client._connected = None
            settings.cache_clear()


def killed(code: str, *arguments: object, hold: Hold) -> None:
    """Run a program until a request of its is held, and kill it then."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT)
    try:
        while not hold.reached.wait(0.05):
            assert process.poll() is None, "it ended before"
    finally:
        process.kill()
        process.wait()
        hold.let_go()


def environment(server: Loopback, key: Path) -> dict[str, str]:
    return {
        "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        "LOOKALIKE_EE_URL": server.url,
        "LOOKALIKE_DRIVE_URL": server.url,
        "LOOKALIKE_STORAGE_URL": server.url,
    }
