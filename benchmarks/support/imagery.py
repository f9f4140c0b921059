"""Real pictures for benchmarks: the sample scenes that come with an installed package."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np


def sample_scene(name: str = "landsat7.tif", size: int | None = None) -> np.ndarray:
    """A sample scene as uint8 RGB (height, width, 3) after its display stretch.

    Args:
        name: File in localtileserver's data: landsat7.tif (the Bay) or landsat.tif (Salt Lake).
        size: Cut this many pixels square from the middle.
    """
    from importlib.resources import as_file, files

    from pipeline.imagery.ingest import SceneInput, ingest
    from pipeline.imagery.reader import SceneReader

    with (
        as_file(files("localtileserver") / "tiler" / "data" / name) as path,
        tempfile.TemporaryDirectory() as folder,
    ):
        scene = ingest(SceneInput(path, percentile=True), Path(folder))
        with SceneReader(scene) as reader:
            width, height = (
                min(size or scene.width, scene.width),
                min(size or scene.height, scene.height),
            )
            left, top = (scene.width - width) // 2, (scene.height - height) // 2
            pixels, _ = reader.read(left, top, width, height)
    return pixels


def chips_of(pixels: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows, each (n,), of the chips of a picture, the last of a row shifted inward."""
    height, width = pixels.shape[:2]
    cols = sorted({*range(0, width - 255, stride), width - 256})
    rows = sorted({*range(0, height - 255, stride), height - 256})
    grid = np.meshgrid(cols, rows)
    return grid[0].ravel(), grid[1].ravel()
