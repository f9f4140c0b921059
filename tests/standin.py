"""A stand-in for the network, for tests of what is the same whatever embeds.

A build is killed, resumed and shared out in the same way by any embedder, and ResNet-50 costs each
new process about nine seconds of a processor.  The real one is tested where vectors matter, and end
to end once in each place that builds.

The stand-in takes the network's place in whichever process calls `install`: `python -m
tests.standin build …` is the command line with it, and a Dask worker that has this module as its
preload embeds with it.  `STANDIN_PAUSE` says for how many seconds each chip shall take.

A file is real once it is renamed, so what a killed process leaves behind differs only by the
renames it came to.  `killed_at` kills a build just before or just after each of them in turn.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pipeline.build import BuildRequest
    from pipeline.store import Store

PAUSE = "STANDIN_PAUSE"
#: What a build imports late beside our own modules.
PACKAGES = (
    "pytest",
    "pandas",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "rio_cogeo",
    "shapely",
    "patchify",
)


class Colours:
    """Embeds a chip as its colours at the points of a grid, in no time.

    Args:
        mode: As of the network whose identity it claims, so that collections open as usual.
        pause: Seconds each chip takes.
    """

    def __init__(self, mode: str = "chip", pause: float = 0.0) -> None:
        from pipeline.embedding import ModelIdentity
        from pipeline.weights import TRUNK_SHA256

        self.identity = ModelIdentity("keras/resnet50", TRUNK_SHA256, "caffe/1", "avg", mode)
        self._pause = pause

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, 2048) of uint8 RGB (n, 256, 256, 3)."""
        time.sleep(self._pause * len(pixels))
        points = pixels[:, 8::16, 8::16].reshape(-1, 768)
        return np.tile(points, 3)[:, :2048].astype(np.float32)


def resnet50(pause: float = 0.0) -> Callable[..., Colours]:
    """What takes the place of `pipeline.embedding.resnet50`."""
    return lambda mode="chip", **_: Colours(mode, pause)


def install(pause: float = 0.0) -> None:
    """Let this process embed with the stand-in from now on."""
    from pipeline import embedding

    embedding.resnet50 = resnet50(pause)


class Moments:
    """Counts the moments just before and just after each rename: two of every rename.

    Args:
        last: The moment at which this process is killed, 0 for never.
    """

    def __init__(self, last: int = 0) -> None:
        self.count, self._last = 0, last

    def watch(self, patch: Callable[[object, str, Any], None] = setattr) -> None:
        """Count the renames of this process from now on."""
        for name in ("rename", "replace"):
            patch(Path, name, self._around(getattr(Path, name)))

    def _around(self, rename: Callable[..., Path]) -> Callable[..., Path]:
        def watched(path: Path, target: Path) -> Path:
            self._pass()
            renamed = rename(path, target)
            self._pass()
            return renamed

        return watched

    def _pass(self) -> None:
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def killed_at(moment: int, request: BuildRequest, store: Store) -> bool:
    """Build in a child that is killed at one of its `Moments`; whether it came to that."""
    children = multiprocessing.get_context("forkserver")
    # The server of forks has loaded what takes time; none of our modules loads TensorFlow.
    ours = [name for name in sys.modules if name.startswith("pipeline.")]
    children.set_forkserver_preload([*PACKAGES, *ours, __name__])
    child = children.Process(target=_build, args=(moment, request, store.home))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def _build(moment: int, request: BuildRequest, home: Path) -> None:
    from pipeline.build import build
    from pipeline.store import Store

    install()
    Moments(moment).watch()
    build(request, Store(home))


def dask_setup(_: object) -> None:
    """Called in a Dask worker that starts."""
    install(float(os.environ.get(PAUSE, 0)))


if __name__ == "__main__":
    from pipeline.__main__ import main

    install(float(os.environ.get(PAUSE, 0)))
    main()
