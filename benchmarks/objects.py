"""Object search, measured with a simulated analyst: one click, then marks.

    python benchmarks/objects.py FOLDER POINTS [--queries 30] [--scale 1] [--json]

FOLDER holds scenes as GeoTIFF, POINTS is GeoJSON with a point for every object and its properties
scene (the file's name without its ending), col, row, width and height in pixels.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.support.detections import Figures, Truth, measured
from pipeline.model import loader
from pipeline.model.basis import basis
from pipeline.model.cells import CellEmbedder, rescale
from pipeline.model.resnet import CELL_PIXELS
from pipeline.objects.asking import is_free, to_judge
from pipeline.objects.model import ObjectModel
from pipeline.objects.training import EXPANSION, Examples, expand, train
from pipeline.vectors import normalise

#: Weights of a window's cells, down and across.
TAPER = (1, 2, 1)
#: Pixels around a window that the network sees when it is turned.
SURROUNDINGS = 128
STEPS = (10, 20, 40, 80)
#: Hits that are ranked again, and windows drawn at random.
RANKED, UNMARKED = 4_000, 4_000
#: Of a thing's size: two detections nearer than this are one.
APART = 0.6


@dataclass
class Windows:
    """All windows of all scenes at one scale.

    Attributes:
        pictures: uint8 (h, w, 3) of each scene, as the network sees it.
        vectors: float32 (n, 64), unit vectors.
        shapes: Rows and columns of each scene's windows.
        scenes, cols, rows: (n,): scene and centre of each, in pixels of the imagery.
    """

    pictures: list[np.ndarray]
    scale: float
    embedder: CellEmbedder
    vectors: np.ndarray = field(init=False)
    shapes: list[tuple[int, int]] = field(init=False)
    turned: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts, places, self.shapes = [], [], []
        for scene, picture in enumerate(self.pictures):
            vectors = window_vectors(cells(picture, self.embedder))
            self.shapes.append(vectors.shape[:2])
            parts.append(vectors.reshape(-1, vectors.shape[2]))
            rows, cols = np.indices(self.shapes[-1]).reshape(2, -1)
            places.append(np.stack([np.full(len(rows), scene), rows, cols]))
        self.vectors = np.concatenate(parts)
        self.scenes, rows, cols = np.concatenate(places, axis=1)
        side = CELL_PIXELS / self.scale
        self.rows, self.cols = ((axis + len(TAPER) / 2) * side for axis in (rows, cols))

    def nearest(self, scene: int, col: float, row: float) -> int:
        """The window whose centre is nearest to a place."""
        away = np.hypot(self.cols - col, self.rows - row) + 1e9 * (self.scenes != scene)
        return int(away.argmin())

    def views(self, window: int) -> np.ndarray:
        """float32 (4, 64): the window upright and turned by 90, 180 and 270 degrees."""
        if window not in self.turned:
            half = SURROUNDINGS + len(TAPER) * CELL_PIXELS // 2
            picture = self.pictures[self.scenes[window]]
            row, col = (round(axis[window] * self.scale) for axis in (self.rows, self.cols))
            padded = np.pad(picture, ((half, half), (half, half), (0, 0)), "reflect")
            crop = padded[row : row + 2 * half, col : col + 2 * half]
            found = [self.vectors[window]]
            for turns in range(1, 4):
                seen = window_vectors(cells(np.rot90(crop, turns), self.embedder))
                found.append(seen[len(seen) // 2, len(seen) // 2])
            self.turned[window] = np.stack(found)
        return self.turned[window]

    def peaks(self, scores: np.ndarray, apart: float, limit: int) -> np.ndarray:
        """Windows that are local maxima, best first."""
        from scipy.ndimage import maximum_filter

        tops, start = [], 0
        for shape in self.shapes:
            part = scores[start : start + shape[0] * shape[1]].reshape(shape)
            best = maximum_filter(part, 3) == part
            tops.append(start + np.flatnonzero(best))
            start += part.size
        order = np.concatenate(tops)
        order = order[np.argsort(-scores[order], kind="stable")]
        kept: list[int] = []
        cell = apart / 2
        crowd: dict[tuple[int, int, int], list[int]] = {}
        for window in order.tolist():
            key = (self.scenes[window], self.rows[window] // cell, self.cols[window] // cell)
            around = [
                other
                for down in range(-2, 3)
                for across in range(-2, 3)
                for other in crowd.get((key[0], key[1] + down, key[2] + across), ())
            ]
            if any(
                max(abs(self.rows[window] - self.rows[k]), abs(self.cols[window] - self.cols[k]))
                < apart
                for k in around
            ):
                continue
            kept.append(window)
            crowd.setdefault(key, []).append(window)
            if len(kept) == limit:
                break
        return np.array(kept)


def cells(picture: np.ndarray, embedder: CellEmbedder) -> np.ndarray:
    """float32 (h, w, 64): the cells of a picture, after their int8 codes."""
    whole = np.ascontiguousarray(picture)
    return embedder.embed(whole, np.ones(whole.shape[:2], bool), 1) * basis().steps


def window_vectors(values: np.ndarray) -> np.ndarray:
    """Unit vectors (h - 2, w - 2, 64) of the windows of cells (h, w, 64)."""
    for axis in range(2):
        count = values.shape[axis] - len(TAPER) + 1
        values = sum(
            weight * np.take(values, range(first, first + count), axis)
            for first, weight in enumerate(TAPER)
        )
    return normalise(values)


def ranked(windows: Windows, model: ObjectModel, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Detections, best first, and their logits."""
    scores = model.first(windows.vectors)
    hits = windows.peaks(scores, apart, RANKED)
    logits = model.logits(windows.vectors[hits], scores[hits])
    order = np.argsort(-logits, kind="stable")
    return hits[order], logits[order]


def analyst(windows: Windows, truth: Truth, query: int, apart: float) -> dict[str, Figures]:
    """Figures after one click and after each number of marks."""
    rng = np.random.default_rng(2)
    unmarked = windows.vectors[rng.choice(len(windows.vectors), UNMARKED)]
    views = windows.views(query)
    direction = normalise(views.mean(0))
    hits = windows.peaks(windows.vectors @ direction, apart, EXPANSION + 1)
    hits = hits[hits != query][:EXPANSION]
    model = expand(views, windows.vectors[hits], unmarked, unmarked @ direction)
    hits, logits = ranked(windows, model, apart)
    figures = {"one click": figures_of(windows, truth, hits)}
    marks: dict[int, bool] = {}
    for step in STEPS:
        known = np.array([query, *marks])
        places = np.stack([axis[known] for axis in (windows.scenes, windows.rows, windows.cols)], 1)
        rows, cols, scenes = (axis[hits] for axis in (windows.rows, windows.cols, windows.scenes))
        free = is_free(rows, cols, scenes, places, apart)
        vectors = windows.vectors[hits]
        for i in to_judge(logits, vectors, scenes, free, step - len(marks)):
            marks[int(hits[i])] = bool(len(truth.near(scenes[i], cols[i], rows[i])))
        good = [query, *(window for window, right in marks.items() if right)]
        bad = [window for window, right in marks.items() if not right]
        examples = Examples.of(
            np.stack([windows.views(window) for window in good]),
            np.stack([windows.views(window) for window in bad]) if bad else None,
        )
        hits, logits = ranked(windows, train(examples, unmarked), apart)
        figures[f"{step} marks"] = figures_of(windows, truth, hits)
    return figures


def figures_of(windows: Windows, truth: Truth, hits: np.ndarray) -> Figures:
    """Figures of some windows, best first."""
    return measured(truth, windows.scenes[hits], windows.cols[hits], windows.rows[hits])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="scenes as GeoTIFF")
    parser.add_argument("points", type=Path, help="GeoJSON of all objects")
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--scale", type=float, default=1, choices=(0.5, 1, 2))
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    names, pictures = scenes_in(options.folder, options.scale)
    truth, sides = truth_of(options.points, names)
    started = time.monotonic()
    windows = Windows(pictures, options.scale, loader.cells())
    print(f"cells of {len(names)} scenes: {time.monotonic() - started:.0f} s", file=sys.stderr)
    queries = np.random.default_rng(1).permutation(len(truth.scenes))[: options.queries]
    apart = APART * float(np.median(sides))
    answers = []
    for i in queries:
        query = windows.nearest(truth.scenes[i], *truth.centres[i])
        answers.append(analyst(windows, truth, query, apart))
    table = {key: Figures.mean([answer[key] for answer in answers]) for key in answers[0]}
    if options.json:
        print(json.dumps({key: vars(figures) for key, figures in table.items()}, indent=1))
        return 0
    print("| | AP | P@10 | P@100 | recall at 90 % precision |\n|---|---|---|---|---|")
    for key, one in table.items():
        values = (one.average_precision, one.first_10, one.first_100, one.recall_at_90)
        print(f"| {key} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    return 0


def scenes_in(folder: Path, scale: float) -> tuple[list[str], list[np.ndarray]]:
    """Names and pictures of a folder's scenes, as the network sees them."""
    import rasterio

    names, pictures = [], []
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as dataset:
            pixels = dataset.read([1, 2, 3]).transpose(1, 2, 0)
        names.append(path.stem)
        pictures.append(rescale(np.ascontiguousarray(pixels), scale))
    return names, pictures


def truth_of(points: Path, names: list[str]) -> tuple[Truth, np.ndarray]:
    """The objects of a point file, and their larger sides in pixels."""
    features = json.loads(points.read_text())["features"]
    found = [f["properties"] for f in features if f["properties"]["scene"] in names]
    sides = np.array([max(one["width"], one["height"]) for one in found])
    centres = np.array([(one["col"], one["row"]) for one in found])
    scenes = np.array([names.index(one["scene"]) for one in found])
    return Truth.of(scenes, centres, sides), sides


if __name__ == "__main__":
    sys.exit(main())
