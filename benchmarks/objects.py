"""Object search, measured with a simulated analyst: one click, then marks.

    python benchmarks/objects.py FOLDER POINTS          scenes with a point for every object
    python benchmarks/objects.py --trees                the forest sample and its annotated trees
    python benchmarks/objects.py FOLDER POINTS --apply OTHER     a detector, applied elsewhere
    python benchmarks/objects.py FOLDER POINTS --ablate          what each part brings

FOLDER and OTHER hold scenes as GeoTIFF, POINTS is GeoJSON with a point for every object and its
properties scene (the file's name without its ending), col, row, width and height in pixels.

A collection is built from the scenes as `build --object-size` builds it.  An analyst clicks one
object, drawn at random; then it judges what the app asks, ten windows at a time, without errors.
After each step all objects are found as the app finds them.  A detection is right if an object that
none before it took has its centre within half the object's larger side, at least 24 pixels, down
and across; a second hit on one object is an error.  AP is the mean over all objects to be found.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.support.detections import Figures, Truth, measured
from pipeline.build.build import build
from pipeline.build.request import BuildRequest
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.errors import NotFoundError
from pipeline.imagery.chips import CHIP
from pipeline.imagery.ingest import SceneInput, open_scene
from pipeline.objects import ask as questions
from pipeline.objects import asking, examples, find, training
from pipeline.objects.find import Learned, learn
from pipeline.objects.places import Example, Spot
from pipeline.objects.results import ObjectResult, rank
from pipeline.settings import settings
from pipeline.sources import forest

#: Numbers of marks after which is measured, and windows judged at a time.
STEPS, TURN = (10, 20, 40, 80), 10
#: Detections that count.
RANKED = 4_000
#: Share of a scene along its edges in which no query lies.
MARGIN = 0.05


@dataclass(frozen=True, eq=False)
class Place:
    """Scenes as a collection, with the places of all objects.

    Attributes:
        collection: The collection.
        truth: The objects; `truth.scenes` are rows of `scene_ids`.
        scene_ids: The scenes.
        size_m: Median of the objects' larger sides, in metres.
        seconds: Time that the object cells took.
    """

    collection: Collection
    truth: Truth
    scene_ids: tuple[str, ...]
    size_m: float
    seconds: float = 0.0

    def example(self, scene: int, col: float, row: float, *, good: bool = True) -> Example:
        """A window of the usual size at a pixel of a scene."""
        found = self.collection.scenes[self.scene_ids[scene]]
        lon, lat = found.georeference.lonlat(np.array([col]), np.array([row]))
        return Example(
            float(lon[0]), float(lat[0]), self.size_m, self.size_m, good, scene_id=found.id
        )

    def figures(self, learned: Learned) -> Figures:
        """How good what is found is, and how long finding it takes."""
        started = time.perf_counter()
        result = rank([self.collection], learned.ranking, spots=learned.spots, k=RANKED)
        seconds = time.perf_counter() - started
        scenes, cols, rows = self.places(result)
        return measured(self.truth, scenes, cols, rows, seconds)

    def places(self, result: ObjectResult) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row of its scene, column and row in pixels of each object."""
        rows = {scene_id: row for row, scene_id in enumerate(self.scene_ids)}
        found = result.objects
        return (
            np.array([rows[one.scene_id] for one in found], int),
            np.array([one.col for one in found]),
            np.array([one.row for one in found]),
        )

    def queries(self, count: int) -> np.ndarray:
        """Rows of objects drawn at random, none at a scene's edge."""
        sizes = [self.collection.scenes[scene_id] for scene_id in self.scene_ids]
        whole = np.array([(scene.width, scene.height) for scene in sizes])[self.truth.scenes]
        share = self.truth.centres / whole
        inner = np.flatnonzero(((share > MARGIN) & (share < 1 - MARGIN)).all(axis=1))
        return np.random.default_rng(1).permutation(inner)[:count]


def place(
    home: Path, name: str, files: Sequence[Path], boxes: Sequence[np.ndarray], size_m: float | None
) -> Place:
    """The collection of some files, and the objects in them: boxes (n, 4) in pixels of each."""
    library = Library(home)
    sides = np.concatenate([(each[:, 2:] - each[:, :2]).max(axis=1) for each in boxes])
    started = time.monotonic()
    if size_m is None:
        gsd = open_scene(SceneInput(files[0])).gsd
        size_m = round(float(np.median(sides)) * gsd, 1)
    try:
        collection = library.open(name)
    except NotFoundError:
        scenes = tuple(map(SceneInput, files))
        request = BuildRequest(name, scenes, stride=CHIP, object_size=size_m)
        summary = build(request, library)
        print(f"{name}: cells in {summary.cell_seconds:.0f} s", file=sys.stderr)
        collection = library.open(name)
    by_title = {scene.title: scene.id for scene in collection.scenes.values()}
    ids = tuple(by_title[path.stem] for path in files)
    counts = [len(each) for each in boxes]
    every = np.concatenate(boxes)
    truth = Truth.of(
        np.repeat(np.arange(len(files)), counts), (every[:, :2] + every[:, 2:]) / 2, sides
    )
    return Place(collection, truth, ids, size_m, time.monotonic() - started)


def analyst(
    here: Place, query: int, there: Place | None = None, steps: Sequence[int] = STEPS
) -> Iterator[tuple[str, Figures]]:
    """Figures after one click and after each number of marks."""
    scene, (col, row) = int(here.truth.scenes[query]), here.truth.centres[query]
    marks = [here.example(scene, col, row)]
    learned = learn([here.collection], marks)
    yield "one click", here.figures(learned)
    while len(marks) <= max(steps, default=0):
        asked = questions.ask([here.collection], learned.ranking, learned.spots, TURN)
        if not asked.objects:
            return
        for scene, col, row in zip(*here.places(asked), strict=True):
            right = len(here.truth.near(scene, col, row)) > 0
            marks.append(here.example(int(scene), float(col), float(row), good=right))
        learned = learn([here.collection], marks)
        if len(marks) - 1 in steps:
            yield f"{len(marks) - 1} marks", here.figures(learned)
    if there is not None:
        yield f"{len(marks) - 1} marks, elsewhere", there.figures(replaced(learned))


def replaced(learned: Learned) -> Learned:
    """The same ranking without its examples, which lie elsewhere."""
    return Learned(learned.ranking, (), learned.examples)


def table_of(
    here: Place, count: int, there: Place | None = None, steps: Sequence[int] = STEPS
) -> dict[str, list[Figures]]:
    """Figures of each step, one for each query."""
    table: dict[str, list[Figures]] = {}
    for number, query in enumerate(here.queries(count)):
        for step, figures in analyst(here, int(query), there, steps):
            table.setdefault(step, []).append(figures)
        print(f"{number + 1} of {count} queries", file=sys.stderr)
    return table


def best_only(
    logits: np.ndarray, vectors: np.ndarray, scenes: np.ndarray, free: np.ndarray, count: int
) -> np.ndarray:
    """Asks for the best that nobody judged."""
    return np.flatnonzero(free)[:count]


def upright(collection: Collection, spot: Spot) -> np.ndarray:
    """An example as it lies, not turned."""
    return _turned(collection, spot)[:1]


_turned = examples._turned

#: Parts left out or changed: attributes of modules, and what they are then.
ABLATIONS: dict[str, list[tuple[Any, str, Any]]] = {
    "as it is": [],
    "the click not turned": [(examples, "_turned", upright)],
    "the click's best hits not taken for examples": [(find, "EXPANSION", 0)],
    "marks train from the first ten on": [(find, "FEWEST_MARKS", 2)],
    "without self-training": [(find, "FEWEST_HITS", 0), (find, "HITS_PER_MARK", 0)],
    "without the second stage": [(training, "_second_stage", lambda *_: None)],
    "asks for the best alone": [(questions, "to_judge", best_only)],
    "asks for the doubtful anywhere": [
        (asking, "_RANK_COST", 0.0), (asking, "_SCENE_COST", 0.0), (asking, "_CHOICE", 1),
    ],
}  # fmt: skip


@contextmanager
def changed(parts: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """Attributes of modules set to other values."""
    before = [getattr(module, name) for module, name, _ in parts]
    for module, name, value in parts:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(parts, before, strict=True):
            setattr(module, name, value)


def show(title: str, table: dict[str, list[Figures]], *, as_json: bool) -> None:
    """Print the mean of each step, and the spread over the queries."""
    if as_json:
        means = {step: vars(Figures.mean(each)) for step, each in table.items()}
        print(json.dumps({"title": title, **means}, indent=1))
        return
    print(
        f"\n**{title}**\n\n"
        "| | AP (25th to 75th percentile) | P@10 | P@100 | recall at 90% precision | seconds |\n"
        "|---|---|---|---|---|---|"
    )
    for step, each in table.items():
        mean = Figures.mean(each)
        low, high = np.percentile([one.average_precision for one in each], [25, 75])
        print(
            f"| {step} | {mean.average_precision:.3f} ({low:.2f}–{high:.2f}) | {mean.first_10:.3f} "
            f"| {mean.first_100:.3f} | {mean.recall_at_90:.3f} | {mean.seconds:.2f} |",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, nargs="?", help="scenes as GeoTIFF")
    parser.add_argument("points", type=Path, nargs="?", help="GeoJSON of all objects")
    parser.add_argument("--trees", action="store_true", help="the forest sample instead")
    parser.add_argument("--apply", type=Path, help="scenes to which the last detector is applied")
    parser.add_argument("--ablate", action="store_true", help="measure what each part brings")
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--steps", default=",".join(map(str, STEPS)), help="numbers of marks")
    parser.add_argument("--object-size", type=float, help="metres; by default the objects' median")
    parser.add_argument("--home", type=Path, help="keeps the collections; a temporary folder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if not options.trees and not (options.folder and options.points):
        parser.error("name a folder of scenes and a point file, or --trees")
    steps = [int(step) for step in options.steps.split(",") if step]
    with tempfile.TemporaryDirectory() as scratch:
        home = options.home or Path(scratch)
        if options.trees:
            here = trees(home, options.object_size)
        else:
            here = scenes(home, options.folder, options.points, options.object_size)
        there = scenes(home, options.apply, options.points, here.size_m) if options.apply else None
        for title, parts in ABLATIONS.items() if options.ablate else [("as it is", [])]:
            with changed(parts):
                show(title, table_of(here, options.queries, there, steps), as_json=options.json)
    return 0


def trees(home: Path, size_m: float | None) -> Place:
    """The forest sample with its annotated trees."""
    picture = forest.fetch(settings().home)
    boxes = forest.tree_boxes(forest.tree_annotations(settings().home))
    return place(home, "forest", [picture], [boxes], size_m)


def scenes(home: Path, folder: Path, points: Path, size_m: float | None) -> Place:
    """The scenes of a folder with the objects of a point file."""
    files = sorted(folder.glob("*.tif"))
    found = [feature["properties"] for feature in json.loads(points.read_text())["features"]]
    boxes = [boxes_of(found, path.stem) for path in files]
    name = re.sub("[^a-z0-9]+", "-", folder.name.lower())
    return place(home, name, files, boxes, size_m)


def boxes_of(objects: Sequence[dict[str, Any]], scene: str) -> np.ndarray:
    """float (n, 4): left, top, right and bottom of the objects of a scene."""
    here = [one for one in objects if one["scene"] == scene]
    middles = np.array([(one["col"], one["row"]) for one in here]).reshape(-1, 2)
    halves = np.array([(one["width"] / 2, one["height"] / 2) for one in here]).reshape(-1, 2)
    return np.concatenate([middles - halves, middles + halves], axis=1)


if __name__ == "__main__":
    sys.exit(main())
