"""A stand-in for the network, for tests of what is the same whatever embeds.

A build is killed, resumed and shared out in the same way by any embedder, and ResNet-50 costs each
new process about nine seconds of a processor.  The real one is tested where vectors matter, and end
to end once in each place that builds.

The stand-in takes the network's place in whichever process calls `install`: `python -m
tests.standin build …` is the command line with it, and a Dask worker that has this module as its
preload embeds with it.  `STANDIN_PAUSE` says for how many seconds each chip shall take.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np

PAUSE = "STANDIN_PAUSE"


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


def dask_setup(_: object) -> None:
    """Called in a Dask worker that starts."""
    install(float(os.environ.get(PAUSE, 0)))


if __name__ == "__main__":
    from pipeline.__main__ import main

    install(float(os.environ.get(PAUSE, 0)))
    main()
