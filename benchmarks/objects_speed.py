"""From a query to the objects like it, over millions of cells, beside template matching and Keras.

    python benchmarks/objects_speed.py                  6.4 and 64 million cells; 4.5 GB of disk
    python benchmarks/objects_speed.py FOLDER           cells of the scenes (GeoTIFF) in a folder
    python benchmarks/objects_speed.py --millions 6.4
    python benchmarks/objects_speed.py --json           one JSON object a line

Cells are those of real imagery (without FOLDER, of a sample scene): pieces of them, turned,
mirrored and disturbed, fill scenes of 6.4 million cells on disk.  They are mapped into memory and
warm.
Every query is a window drawn at random.  A time runs from the query's vector to the 1,000 best
objects.  A cell is 16×16 pixels: 6.4 million are 1.6 gigapixels.

The rivals look for the same 64 pixels: scikit-image's `match_template` in a grey picture, and Keras
`predict` of ResNet-50 on windows every 16 pixels.  They run on a piece, scaled by its area.

`spread` is the 95th percentile over the median.  `quality` is the share of the first hundred of the
whole scan.  `cpu_ms` is processor time divided by the number of cores: on a busy machine it is
nearer than wall time to what a quiet one takes.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.support.figures import Figure
from benchmarks.support.imagery import sample_scene
from pipeline.collection.cell_files import CellWindow, SceneCells
from pipeline.model import loader
from pipeline.model.basis import COMPONENTS
from pipeline.model.resnet import CELL_PIXELS
from pipeline.objects import scan, shortlist
from pipeline.objects.peaks import Peaks, peaks

#: Cells along the edges of a scene, 6.4 million, and of a block.
HEIGHT, WIDTH, BLOCK = 2500, 2560, 256
#: Objects wanted, cells within which two are one, and first hits that must be those of all.
LIMIT, RADIUS, FIRST = 1_000, 3.3, 100
#: Largest change of a code, so that no two pieces are the same.
NOISE = 6
#: Pixels along the edges of what is sought and of the rivals' pictures.
THING, PICTURE, CROP = 64, 2048, 320
#: Queries whose whole scan is done as well.
CHECKED = 5


@dataclass(frozen=True)
class Block:
    """A block of cells mapped from a file."""

    window: CellWindow
    codes: np.ndarray


@dataclass
class Scene:
    """A scene's cells with what is kept beside them."""

    cells: SceneCells
    inverse: np.ndarray = field(init=False)
    samples: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.inverse = scan.inverse_lengths(self.cells)
        self.samples = shortlist.sample_lengths(self.cells)

    def whole(self, query: np.ndarray) -> Peaks:
        """The best of the whole score map."""
        scores = scan.score_map(self.cells, self.inverse, query)
        return peaks(scores, RADIUS, LIMIT)


def whole(scenes: Sequence[Scene], query: np.ndarray) -> list[Peaks]:
    """The best of every scene by its whole score map."""
    return [scene.whole(query) for scene in scenes]


def staged(scenes: Sequence[Scene], query: np.ndarray) -> list[Peaks]:
    """The best of every scene after the first stage."""
    promised = [shortlist.promises(scene.cells, scene.samples, query) for scene in scenes]
    tiles = shortlist.best_tiles(promised, LIMIT, [None] * len(scenes))
    assert tiles is not None
    return [
        shortlist.peaks_in_tiles(scene.cells, scene.inverse, query, chosen, RADIUS, LIMIT)
        for scene, chosen in zip(scenes, tiles, strict=True)
    ]


def first(found: Sequence[Peaks]) -> set[tuple[int, int, int]]:
    """Scene, row and column of the first hundred of several scenes."""
    hits = [
        (-score, number, row, col)
        for number, peaks in enumerate(found)
        for score, row, col in zip(
            peaks.scores.tolist(), peaks.rows.tolist(), peaks.cols.tolist(), strict=True
        )
    ]
    return {hit[1:] for hit in sorted(hits)[:FIRST]}


def codes_of(folder: Path | None) -> list[np.ndarray]:
    """int8 (h, w, 64): the cells of real scenes."""
    pictures = [sample_scene()] if folder is None else list(read(folder))
    embedder = loader.cells()
    return [embedder.embed(pixels, np.ones(pixels.shape[:2], bool), 1) for pixels in pictures]


def read(folder: Path) -> Iterator[np.ndarray]:
    """The scenes of a folder, uint8 (h, w, 3)."""
    import rasterio

    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as dataset:
            yield np.ascontiguousarray(dataset.read([1, 2, 3]).transpose(1, 2, 0))


def scenes_on_disk(folder: Path, count: int, codes: Sequence[np.ndarray]) -> list[Scene]:
    """Scenes of 6.4 million cells."""
    rng = np.random.default_rng(0)
    scenes = []
    for number in range(count):
        blocks = []
        for row in range(0, HEIGHT, BLOCK):
            for col in range(0, WIDTH, BLOCK):
                place = CellWindow(row, col, min(BLOCK, HEIGHT - row), min(BLOCK, WIDTH - col))
                path = folder / f"{number}-{row}-{col}"
                piece(codes, rng)[: place.height, : place.width].tofile(path)
                shape = (place.height, place.width, COMPONENTS)
                blocks.append(Block(place, np.memmap(path, np.int8, "r", 0, shape)))
        # The blocks stand in for those of files, whose window and codes a scan reads.
        cells = SceneCells(str(number), 1.0, HEIGHT, WIDTH, tuple(blocks))  # type: ignore[arg-type]
        scenes.append(Scene(cells))
        print(f"{len(scenes)} of {count} scenes", file=sys.stderr)
    return scenes


def piece(codes: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """int8 (256, 256, 64): part of a scene's cells, turned, mirrored, disturbed and continued."""
    made = np.empty((BLOCK, BLOCK, COMPONENTS), np.int8)
    edge = BLOCK // 2
    for top in range(0, BLOCK, edge):
        for left in range(0, BLOCK, edge):
            source = codes[rng.integers(len(codes))]
            row, col = (int(rng.integers(max(n - edge, 0) + 1)) for n in source.shape[:2])
            part = source[row : row + edge, col : col + edge]
            part = np.pad(part, [(0, edge - n) for n in part.shape[:2]] + [(0, 0)], "reflect")
            part = np.rot90(part, rng.integers(4))[:: rng.choice([1, -1])]
            noise = rng.integers(-NOISE, NOISE + 1, part.shape, np.int8)
            disturbed = np.clip(part.astype(np.int16) + noise, -127, 127)
            made[top : top + edge, left : left + edge] = disturbed
    return made


def processor() -> float:
    """Seconds of processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(
    search: Callable[[np.ndarray], object], queries: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of each query: wall, and processor time divided by the cores."""
    search(queries[0])  # maps the files
    wall, cpu = [], []
    for query in queries:
        started, used = time.perf_counter(), processor()
        search(query)
        wall.append(1e3 * (time.perf_counter() - started))
        cpu.append(1e3 * (processor() - used) / len(os.sched_getaffinity(0)))
    return np.array(wall), np.array(cpu)


def template_matching(picture: np.ndarray) -> float:
    """Milliseconds a megapixel of scikit-image's template matching."""
    from skimage.feature import match_template

    thing = picture[200 : 200 + THING, 300 : 300 + THING]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        match_template(picture, thing)
        times.append(1e3 * (time.perf_counter() - started))
    return min(times) / (picture.size / 1e6)


def sliding_predict(crop: np.ndarray) -> float:
    """Milliseconds a megapixel of Keras `predict` on windows of a crop."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras.applications.resnet50 import ResNet50, preprocess_input

    model = ResNet50(include_top=False, weights=None, pooling="avg", input_shape=(THING, THING, 3))
    view = np.lib.stride_tricks.sliding_window_view(crop, (THING, THING), axis=(0, 1))
    windows = view[::CELL_PIXELS, ::CELL_PIXELS].reshape(-1, 3, THING, THING)
    inputs = preprocess_input(windows.transpose(0, 2, 3, 1).astype(np.float32))
    model.predict(inputs[:32], verbose=0)
    started = time.perf_counter()
    model.predict(inputs, verbose=0)
    seconds = time.perf_counter() - started
    return 1e3 * seconds / (len(inputs) * CELL_PIXELS**2 / 1e6)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, nargs="?", help="scenes as GeoTIFF")
    parser.add_argument("--millions", default="6.4,64", help="millions of cells: multiples of 6.4")
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    counts = [round(float(part) / 6.4) for part in options.millions.split(",")]
    codes = codes_of(options.folder)
    picture = sample_scene() if options.folder is None else next(read(options.folder))
    grey = picture[:PICTURE, :PICTURE].mean(2)
    rivals = {
        "scikit-image match_template": template_matching(grey),
        "Keras predict on sliding windows": sliding_predict(picture[:CROP, :CROP]),
    }
    with tempfile.TemporaryDirectory() as folder:
        scenes = scenes_on_disk(Path(folder), max(counts), codes)
        for count in counts:
            report(scenes[:count], options.queries, rivals, as_json=options.json)
    return 0


def report(scenes: Sequence[Scene], count: int, rivals: dict[str, float], *, as_json: bool) -> None:
    """Print the figures of some scenes beside each rival."""
    windows = scan.random_windows(scenes[-1].cells, count, seed=1)
    queries = list(windows)
    large = sum(scene.inverse.size for scene in scenes) > shortlist.WHOLE_UP_TO
    search = staged if large else whole
    wall, cpu = timed(lambda query: search(scenes, query), queries)
    checked = queries[:CHECKED] if large else []
    shares = [
        len(first(staged(scenes, query)) & first(whole(scenes, query))) / FIRST for query in checked
    ]
    cells = len(scenes) * HEIGHT * WIDTH
    p50, p95 = np.percentile(wall, [50, 95])
    more = {
        "p50_ms": round(float(p50)),
        "p95_ms": round(float(p95)),
        "best_ms": round(float(wall.min())),
        "cpu_ms": round(float(np.median(cpu))),
        "cpu_best_ms": round(float(cpu.min())),
        "load": round(os.getloadavg()[0], 1),
    }
    for name, each in rivals.items():
        rival = each * cells * CELL_PIXELS**2 / 1e6
        Figure(
            name=f"scan and peaks of {cells / 1e6:g} million cells, ms",
            ours=round(float(p50)),
            rival=round(rival),
            rival_name=name,
            ratio=round(rival / p50, 1),
            spread=round(float(p95 / p50), 2),
            quality=min(shares, default=1.0),
            more=more,
        ).show(as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
