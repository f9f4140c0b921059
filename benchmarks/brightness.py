"""What the display stretch does to searches across scenes: one per scene, and as builds show them.

    python benchmarks/brightness.py FOLDER [--points FILE] [--stride 256] [--percentile] [--json]

FOLDER holds scenes.  Every chip is a query, of which the nearest hundred are taken (by cosine,
itself left out).  `own share` is the share of chips of its own scene among them; `own over other`
is how many of its own scene's chips are among them, against how many of the others', each as a
share of what there is: 1 where a search does not care which scene a chip is of.

With FILE, points of things in the scenes' coordinates, only chips with one are queries, and
`precision` is the share of the hundred that hold one, `elsewhere` the same of the nearest hundred
of other scenes.

Of scenes that cover each other, the same place is looked for in each of the others: `first` is how
often it is the nearest chip of that scene, `first five` how often among five, and `median rank`
its place.  `first of all` is how often the nearest chip of all other scenes shows the same place.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.imagery.brightness import settle
from pipeline.imagery.chips import CHIP, Grid, cut
from pipeline.imagery.ingest import SceneInput, levels_of, open_scene
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.scene import Scene
from pipeline.sources.files import SUFFIXES
from pipeline.vectors import normalise

HITS = 100


@dataclass(frozen=True)
class Embedded:
    """Chips of all scenes.

    Attributes:
        vectors: Unit vectors (n, 2048).
        scene: Number of each chip's scene (n,).
        places: Centre of each chip in the coordinates of its scene (n, 2).
        windows: West, south, east, north of each chip there (n, 4).
    """

    vectors: np.ndarray
    scene: np.ndarray
    places: np.ndarray
    windows: np.ndarray


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="scenes")
    parser.add_argument("--points", type=Path, help="things in them, any vector format")
    parser.add_argument("--stride", type=int, default=CHIP, help="pixels between chips")
    parser.add_argument(
        "--percentile", action="store_true", help="also as build --brightness percentile shows them"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    files = sorted(p for p in options.folder.iterdir() if p.suffix.lower() in SUFFIXES)
    points = read_points(options.points) if options.points else None
    ways = {"one stretch per scene": per_scene(files), "as built": as_built(files)}
    if options.percentile:
        ways["one stretch for all"] = as_built(files, percentile=True)
    result = {}
    for name, scenes in ways.items():
        started = time.monotonic()
        chips = embed(scenes, options.stride)
        figures = {"chips": float(len(chips.vectors)), **neighbours(chips, points)}
        if points is None:
            figures |= same_place(chips)
        result[name] = {key: round(value, 4) for key, value in figures.items()}
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(json.dumps(result) if options.json else as_markdown(result))
    return 0


def per_scene(files: list[Path]) -> list[Scene]:
    """The scenes from the 2nd to the 98th percentile of each, as version 0.1.0 showed them."""
    return [open_scene(SceneInput(path, percentile=True)) for path in files]


def as_built(files: list[Path], percentile: bool = False) -> list[Scene]:
    """The scenes as a new collection of all of them shows them."""
    scenes = [open_scene(SceneInput(path, percentile=percentile)) for path in files]
    stretches = settle([(scene, lambda scene=scene: levels_of(scene)) for scene in scenes], {})
    return [replace(scene, stretch=stretches[scene.sensor]) for scene in scenes]


def read_points(path: Path) -> np.ndarray:
    """Coordinates (n, 2) of points in a file, as the file has them."""
    import geopandas

    places = geopandas.read_file(path).geometry
    return np.column_stack([places.x, places.y])


def embed(scenes: list[Scene], stride: int) -> Embedded:
    """The chips of all scenes, embedded one by one."""
    from rasterio.transform import Affine

    from pipeline.model.loader import resnet50

    embedder = resnet50("chip")
    vectors, numbers, places, windows = [], [], [], []
    for number, scene in enumerate(scenes):
        transform = Affine(*scene.transform)
        with SceneReader(scene) as reader:
            for block in Grid.for_scene(scene, stride).blocks():
                chips = cut(reader, scene, block)
                vectors.append(embedder.embed(chips.pixels))
                cols, rows = np.asarray(chips.cols), np.asarray(chips.rows)
                west, north = transform @ (cols, rows)
                east, south = transform @ (cols + CHIP, rows + CHIP)
                windows.append(np.column_stack([west, south, east, north]))
                places.append(np.column_stack([(west + east) / 2, (south + north) / 2]))
                numbers.append(np.full(len(cols), number))
    unit = normalise(np.concatenate(vectors).astype(np.float32))
    return Embedded(unit, np.concatenate(numbers), np.concatenate(places), np.concatenate(windows))


def neighbours(chips: Embedded, points: np.ndarray | None) -> dict[str, float]:
    """How often searches find chips of their own scene, and chips with things in them."""
    scores = chips.vectors @ chips.vectors.T
    np.fill_diagonal(scores, -np.inf)
    holds = np.ones(len(scores), bool) if points is None else _hold(chips, points)
    own_shares, other_shares, precise, elsewhere = [], [], [], []
    for query in np.flatnonzero(holds):
        order = np.argsort(-scores[query], kind="stable")[:-1]
        own = chips.scene == chips.scene[query]
        hits = order[:HITS]
        own_shares.append(own[hits].sum() / (own.sum() - 1))
        other_shares.append((~own[hits]).sum() / (~own).sum())
        precise.append(holds[hits].mean())
        elsewhere.append(holds[order[~own[order]][:HITS]].mean())
    found = {
        "own share": float(np.mean(own_shares) * (np.bincount(chips.scene).mean() - 1) / HITS),
        "own over other": float(np.mean(own_shares) / np.mean(other_shares)),
    }
    if points is not None:
        found |= {"precision": float(np.mean(precise)), "elsewhere": float(np.mean(elsewhere))}
    return {"queries": float(holds.sum()), **found}


def _hold(chips: Embedded, points: np.ndarray) -> np.ndarray:
    """Which chips hold a point (n,)."""
    west, south, east, north = chips.windows.T[:, :, None]
    x, y = points.T[:, None]
    return ((west <= x) & (x < east) & (south <= y) & (y < north)).any(axis=1)


def same_place(chips: Embedded) -> dict[str, float]:
    """How well the same place is found in the other scenes; empty if none covers another."""
    ranks, first = [], []
    side = chips.windows[0, 2] - chips.windows[0, 0]
    for query, (scene, place) in enumerate(zip(chips.scene, chips.places, strict=True)):
        scores = chips.vectors @ chips.vectors[query]
        there = np.abs(chips.places - place).max(axis=1) < side / 16
        others = there & (chips.scene != scene)
        for match in np.flatnonzero(others):
            rivals = scores[chips.scene == chips.scene[match]]
            ranks.append(1 + int((rivals > scores[match]).sum()))
        if others.any():
            first.append(bool(others[np.argmax(np.where(chips.scene == scene, -2, scores))]))
    if not ranks:
        return {}
    return {
        "first": float(np.mean(np.array(ranks) == 1)),
        "first five": float(np.mean(np.array(ranks) <= 5)),
        "median rank": float(np.median(ranks)),
        "mean rank": float(np.mean(ranks)),
        "first of all": float(np.mean(first)),
    }


def as_markdown(result: dict[str, dict[str, float]]) -> str:
    columns = list(result)
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for key in result[columns[0]]:
        lines.append(f"| {key} | {' | '.join(f'{result[c][key]:g}' for c in columns)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
