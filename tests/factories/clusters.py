"""A Dask cluster of one's own, whose workers embed with the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests import ROOT, ends_with_us
from tests.factories import standin


class Cluster:
    """A scheduler and workers in processes of their own, with a home that is not ours.

    Args:
        folder: For their home, their scratch and the file of their hold.
    """

    def __init__(self, folder: Path, *, workers: int = 1) -> None:
        self.folder, self.workers = folder, []
        self.hold = standin.Hold(folder / "hold")
        self._file = folder / "scheduler.json"
        self.scheduler = self._start_scheduler(0)
        self.address = self._await_address()
        for _ in range(workers):
            self.add_worker()

    def restart_scheduler(self) -> None:
        """Start it again at its address once it has ended."""
        port = int(self.address.rpartition(":")[2])
        while True:
            self.scheduler.wait()
            self._file.unlink(missing_ok=True)
            self.scheduler = self._start_scheduler(port)
            try:
                self._await_address()
            except ChildProcessError:  # somebody had the port for a moment
                continue
            return

    def add_worker(self) -> None:
        options = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--preload", standin.__name__]
        scratch = ["--local-directory", str(self.folder / f"scratch{len(self.workers)}")]
        self.workers.append(
            self._start("distributed.cli.dask_worker", self.address, *options, *scratch)
        )

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start_scheduler(self, port: int) -> subprocess.Popen[bytes]:
        options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        file = ["--scheduler-file", str(self._file)]
        return self._start("distributed.cli.dask_scheduler", *options, *file)

    def _await_address(self) -> str:
        """What the scheduler writes down, not in one piece, once it listens."""
        while True:
            try:
                return str(json.loads(self._file.read_text())["address"])
            except (FileNotFoundError, ValueError):
                if self.scheduler.poll() is not None:
                    raise ChildProcessError("the scheduler did not start") from None
                time.sleep(0.05)

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        home, hold = self.folder / "home", self.folder / "hold"
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, "LOOKALIKE_HOME": str(home), standin.HOLD: str(hold)},
            stderr=subprocess.DEVNULL,
            preexec_fn=ends_with_us,
        )
