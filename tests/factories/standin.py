"""A stand-in for the network, for tests of what is the same whatever embeds.

A build is killed, resumed and shared out in the same way by any embedder, and ResNet-50 costs each
new process about nine seconds of a processor.  The real one is tested where vectors matter, and end
to end once in each place that builds.

The stand-in takes the network's place in whichever process calls `install`: `python -m
tests.factories.standin build …` is the command line with it, and a Dask worker that has this module
as its preload embeds with it.  `STANDIN_HOLD` names the file of a `Hold`, which stops it where a
test wants to disturb a build.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.build.request import BuildRequest
    from pipeline.model.identity import ModelIdentity

HOLD = "STANDIN_HOLD"


class Hold:
    """Keeps every process from embedding once so many blocks are finished, until it is let go.

    Args:
        path: The file that says so.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._reached = path, path.with_suffix(".reached")

    def after(self, blocks: int, root: Path) -> None:
        """Embed on until so many blocks lie somewhere below `root`."""
        from pipeline.files import write_json

        write_json(self._path, {"blocks": blocks, "root": str(root)})

    def let_go(self) -> None:
        self._path.unlink(missing_ok=True)

    @property
    def reached(self) -> bool:
        """Whether a process has been kept from embedding."""
        return self._reached.exists()

    def wait(self) -> None:
        """Called before each piece of a block is embedded."""
        while self._holds():
            self._reached.touch()
            time.sleep(0.02)

    def _holds(self) -> bool:
        try:
            held = json.loads(self._path.read_text())
        except FileNotFoundError:
            return False
        return len(blocks_below(Path(held["root"]))) >= held["blocks"]


def blocks_below(root: Path) -> list[Path]:
    """Every block below a folder that is finished."""
    return list(root.rglob("block-*.parquet"))


class Colours:
    """Embeds a chip as its colours at the points of a grid, in no time.

    Args:
        mode: As of the network whose identity it claims, so that collections open as usual.
    """

    def __init__(self, mode: str = "chip") -> None:
        from pipeline.model.identity import ModelIdentity
        from pipeline.model.weights.cache import TRUNK_SHA256

        self.identity = ModelIdentity("keras/resnet50", TRUNK_SHA256, "caffe/1", "avg", mode)

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, 2048) of uint8 RGB (n, 256, 256, 3)."""
        if held := os.environ.get(HOLD):
            Hold(Path(held)).wait()
        points = pixels[:, 8::16, 8::16].reshape(-1, 768)
        return np.tile(points, 3)[:, :2048].astype(np.float32)

    def describe(self, pixels: np.ndarray, quality: str) -> tuple[np.ndarray, np.ndarray]:
        """Such vectors, and unit vectors as descriptors, twice as long for the thorough quality."""
        from pipeline.model.descriptor import join

        vectors = self.embed(pixels)
        return vectors, join([vectors], [vectors] if quality == "thorough" else [])


class ColourCells:
    """Makes object cells of the colours in their middles, in no time."""

    def __init__(self) -> None:
        from pipeline.model.cells import identity_of
        from pipeline.model.weights.cache import TRUNK_SHA256

        self.identity = identity_of(TRUNK_SHA256)

    def embed(self, pixels: np.ndarray, valid: np.ndarray, scale: float) -> np.ndarray:
        """int8 (rows, columns, 64) of uint8 RGB (h, w, 3), -128 where there is no data."""
        from pipeline.model.cells import cells_across, has_data, mask

        if held := os.environ.get(HOLD):
            Hold(Path(held)).wait()
        side = round(16 / scale)
        height, width = (cells_across(edge, scale) for edge in pixels.shape[:2])
        rows = np.minimum(np.arange(height) * side + side // 2, pixels.shape[0] - 1)
        cols = np.minimum(np.arange(width) * side + side // 2, pixels.shape[1] - 1)
        # Waves over the colours: alike where colours are near, unrelated where they are far.
        rng = np.random.default_rng(0)
        turns = pixels[rows][:, cols] @ rng.normal(0, 1 / 40, (3, 64)) + rng.uniform(0, 6.28, 64)
        return mask((120 * np.cos(turns)).astype(np.int8), has_data(valid, scale))

    def components(self, pictures: np.ndarray) -> np.ndarray:
        """float32 (n, rows, columns, 64) of pictures uint8 (n, h, w, 3)."""
        from pipeline.model.basis import basis

        whole = np.ones(pictures.shape[1:3], bool)
        codes = np.stack([self.embed(picture, whole, 1.0) for picture in pictures])
        return codes * basis().steps


def cells(**_: object) -> ColourCells:
    """What takes the place of `pipeline.model.loader.cells`."""
    return ColourCells()


def resnet50(mode: str = "chip", **_: object) -> Colours:
    """What takes the place of `pipeline.model.loader.resnet50`."""
    return Colours(mode)


def identity(mode: str = "chip", _: object = None) -> ModelIdentity:
    """As `pipeline.model.loader.identity`, without the weights read: 0.3 s of each new process."""
    return Colours(mode).identity


def install() -> None:
    """Let this process embed with the stand-in from now on."""
    from pipeline.model import loader

    # Functions of a module are not declared to be replaced.
    loader.resnet50 = resnet50
    loader.identity = identity
    loader.cells = cells


def build_in_child(request: BuildRequest, home: Path) -> None:
    """A build with the stand-in, for `moments.killed_at`."""
    from pipeline.build.build import build
    from pipeline.collection.library import Library

    install()
    build(request, Library(home))


def dask_setup(_: object) -> None:
    """Called in a Dask worker that starts."""
    install()


if __name__ == "__main__":
    from pipeline.cli.app import main

    install()
    main()
