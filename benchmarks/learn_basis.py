"""Learn the fixed basis of object cells from open imagery.

    python benchmarks/learn_basis.py SOURCE=FOLDER … --to pipeline/model/cells_basis_1.npz

Mean and principal axes of ResNet-50's fourth stage over all cells of the pictures and rasters in
the folders.  A source counts for what it has: with few scenes of one landscape weighed as much as
many pictures of all kinds, less was found on other imagery (docs/objects.md).  The basis is fixed:
cells of all collections lie in the space of the one that is shipped, so another one takes another
name and makes all cells anew.  It prints the share of variance that the axes keep, and how well
windows of 4×4 cells keep their cosines in 64 int8 codes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

COMPONENTS = 64
#: Pixels along an edge of the windows that rasters are cut into.
WINDOW = 1024
#: Components are clipped beyond this many standard deviations.
CLIP = 6.0
SUFFIXES = (".png", ".tif", ".tiff", ".jpg")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("sources", nargs="+", metavar="SOURCE=FOLDER")
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    stage = fourth_stage()
    rng = np.random.default_rng(0)
    every, windows = [], []
    for name, folder in (source.split("=", 1) for source in options.sources):
        maps = [stage(picture[None])[0] for picture in pictures(Path(folder))]
        cells = np.concatenate([one.reshape(-1, one.shape[-1]) for one in maps])
        every.append(cells)
        windows += [window_means(one) for one in maps]
        print(f"{name}: {len(maps)} pictures, {len(cells)} cells")
    cells = np.concatenate(every)
    mean, axes, share = principal_axes(cells)
    steps = ((cells - mean) @ axes).std(0) * CLIP / 127
    arrays = {
        "mean": mean.astype(np.float32),
        "axes": axes.astype(np.float16),
        "steps": steps.astype(np.float32),
    }
    np.savez(options.to, **arrays)
    report = {
        "share of variance": round(share, 4),
        **agreement(np.concatenate(windows), arrays, rng),
    }
    print(json.dumps(report, indent=1))
    return 0


def fourth_stage() -> Callable[[np.ndarray], np.ndarray]:
    """Feature maps (n, h/16, w/16, 1024) of pictures uint8 (n, h, w, 3), before any basis."""
    from pipeline.model import native, resnet, runtime
    from pipeline.model.basis import Basis
    from pipeline.model.weights import cache
    from pipeline.settings import settings

    native.load("tensorflow")
    whole = Basis(np.zeros(1024, "f4"), np.eye(1024, dtype="f4"), np.ones(1024, "f4"), "identity")
    resnet.basis = lambda: whole  # the network's own output, unreduced
    network = runtime.network(cache.load(cache.find()), settings().threads)
    return network.cells


def pictures(folder: Path) -> Iterator[np.ndarray]:
    """RGB pictures uint8 (h, w, 3) below a folder; rasters in windows."""
    import rasterio
    from rasterio.windows import Window

    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        with rasterio.open(path) as dataset:
            for top in range(0, dataset.height, WINDOW):
                for left in range(0, dataset.width, WINDOW):
                    # In multiples of 64, so that the network is compiled for few shapes.
                    edges = dataset.width - left, dataset.height - top
                    size = tuple(min(WINDOW, edge // 64 * 64) for edge in edges)
                    if min(size) < 128:
                        continue
                    pixels = dataset.read((1, 2, 3), window=Window(left, top, *size))
                    if (pixels.max(0) == 0).mean() < 0.2:
                        yield np.ascontiguousarray(pixels.transpose(1, 2, 0))


def principal_axes(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean, leading axes (1024, 64) and the share of variance that they keep."""
    mean = cells.mean(0, dtype=np.float64)
    centred = cells - mean.astype(np.float32)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(cells))
    axes = vectors[:, ::-1][:, :COMPONENTS]
    # A sign of its own choice would make two runs differ.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(COMPONENTS)])
    return mean, axes, float(values[::-1][:COMPONENTS].sum() / values.sum())


def window_means(cells: np.ndarray) -> np.ndarray:
    """Means of all 4×4 windows that do not overlap, (n, 1024)."""
    height, width = (length // 4 * 4 for length in cells.shape[:2])
    parts = cells[:height, :width].reshape(height // 4, 4, width // 4, 4, -1)
    return parts.mean((1, 3)).reshape(-1, cells.shape[-1])


def agreement(windows: np.ndarray, basis: dict, rng: np.random.Generator) -> dict[str, float]:
    """Correlation of windows' cosines in 1,024 numbers with those in 64 int8 codes."""
    picked = windows[rng.choice(len(windows), min(len(windows), 3000), replace=False)]
    centred = picked - basis["mean"]
    components = centred @ basis["axes"].astype(np.float32)
    codes = np.clip(np.rint(components / basis["steps"]), -127, 127) * basis["steps"]

    def cosines(vectors: np.ndarray) -> np.ndarray:
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return (unit @ unit.T)[np.triu_indices(len(unit), 1)]

    full, reduced, kept = cosines(centred), cosines(components), cosines(codes)
    return {
        "correlation of cosines, 64 components": round(float(np.corrcoef(full, reduced)[0, 1]), 4),
        "correlation of cosines, int8 codes": round(float(np.corrcoef(full, kept)[0, 1]), 4),
        "clipped": round(float((np.abs(components / basis["steps"]) > 127).mean()), 6),
    }


if __name__ == "__main__":
    raise SystemExit(main())
