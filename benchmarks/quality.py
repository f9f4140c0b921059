"""Retrieval quality: every step of the descriptors in turn, a simulated analyst, turned queries.

    python benchmarks/quality.py [FOLDER_OF_CLASSES] [--quick] [--json] [--markdown FILE]
    python benchmarks/quality.py --refine [FOLDER_OF_CLASSES] [--scenes SCENES POINTS]
    python benchmarks/quality.py --overlapping FOLDER_OF_CLASSES

Without a folder the classes are places: jittered, rotated crops of one spot of the two sample
scenes, so that it runs anywhere.  The figures of docs/quality.md are those of UC Merced's pictures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import objects
from benchmarks.support import analyst
from benchmarks.support.imagery import sample_scene
from pipeline.analysis import evaluate
from pipeline.collection.library import Library
from pipeline.imagery.chips import CHIP
from pipeline.model import descriptor, pooling
from pipeline.model.embedder import average_pool, pool
from pipeline.model.resnet import Network
from pipeline.progress import silent
from pipeline.search import picture, service, views
from pipeline.search.open_collections import OpenCollections
from pipeline.search.recipe import RANKINGS, Recipe
from pipeline.vectors import normalise

PLACES, CROPS = 20, 8
#: Searches that are refined, and clicks that are counted.
QUERIES, CLICKS = 60, 200


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", nargs="?", type=Path, help="one subfolder of pictures a class")
    parser.add_argument("--quick", action="store_true", help="fewer pictures, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--refine", action="store_true", help="the simulated analyst alone")
    parser.add_argument("--scenes", type=Path, nargs=2, metavar=("SCENES", "POINTS"),
                        help="with --refine: scenes and their objects, as benchmarks/objects.py "
                        "takes them")  # fmt: skip
    parser.add_argument("--overlapping", action="store_true",
                        help="P@10 on a mosaic with a chip every 64 pixels")  # fmt: skip
    options = parser.parse_args()
    if options.overlapping:
        print(f"P@10 on overlapping chips: {overlapping(options.folder, options.quick):.3f}")
        return 0
    if options.refine:
        return refine(options)
    pixels, labels, names = (
        pictures(options.folder, options.quick) if options.folder else places(options.quick)
    )
    from pipeline.model.loader import this_network

    network = this_network()
    plain = embed(network, pixels, power=1)
    turned = embed(network, pixels, rotate=True)
    rows = ablation(network, pixels, plain, turned, labels, names)
    rows |= mosaic(network, pixels, labels, names)
    seen = rank_views(network, plain, pixels, labels, names, every=28 if options.quick else 5)
    best, first = rows["+ second scale"], rows["plain"]
    result = {
        "name": f"mean average precision, {len(labels)} pictures of {len(names)} classes",
        "ours": round(best.map, 4),
        "rival": round(first.map, 4),
        "rival_name": "average pool, cosine",
        "ratio": round(best.map / first.map, 3),
        "spread": 0.0,
        "quality": {
            name: {"map": round(r.map, 4), "anmrr": round(r.anmrr, 4),
                   "p_at_10": round(r.precision[10], 4)}
            for name, r in rows.items()
        },
        "views_map_and_p_at_10": seen,
    }  # fmt: skip
    tables = as_markdown(rows, seen)
    if options.markdown:
        options.markdown.write_text(tables)
    print(json.dumps(result, ensure_ascii=False) if options.json else tables)
    return 0


def refine(options: argparse.Namespace) -> int:
    """Print what the simulated analyst found."""
    found = classes_refined(options.folder, options.quick) if options.folder else []
    if options.scenes:
        found += scenes_refined(*options.scenes, options.quick)
    table = "\n".join([analyst.HEAD, *(each.row() for each in found)]) + "\n"
    if options.markdown:
        options.markdown.write_text(table)
    rows = [asdict(each) for each in found]
    print(json.dumps(rows, ensure_ascii=False) if options.json else table)
    return 0


def pictures(folder: Path, quick: bool) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The pictures of a folder of classes, at most three a class when quick."""
    pixels, labels, names = [], [], []
    for child in sorted(c for c in folder.iterdir() if c.is_dir()):
        for file in sorted(child.iterdir())[: 3 if quick else None]:
            pixels.append(picture.load(file))
            labels.append(len(names))
        names.append(child.name)
    return np.stack(pixels), np.array(labels), names


def places(quick: bool) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Crops of places of the sample scenes, moved by up to 48 pixels and turned by any angle."""
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels, labels = [], []
    for scene in map(sample_scene, ("landsat7.tif", "landsat.tif")):
        for _ in range(PLACES // 4 if quick else PLACES):
            row = rng.integers(260, scene.shape[0] - 260)
            col = rng.integers(260, scene.shape[1] - 260)
            label = labels[-1] + 1 if labels else 0
            for _ in range(CROPS // 2 if quick else CROPS):
                y, x = row + rng.integers(-48, 49), col + rng.integers(-48, 49)
                around = Image.fromarray(scene[y - 184 : y + 184, x - 184 : x + 184])
                turned = around.rotate(rng.uniform(0, 360), Image.Resampling.BICUBIC)
                pixels.append(np.asarray(turned)[56:312, 56:312])
                labels.append(label)
    return np.stack(pixels), np.array(labels), [f"place {i}" for i in range(labels[-1] + 1)]


def embed(
    network: Network, pixels: np.ndarray, *, power: int = 3, rotate: bool = False
) -> np.ndarray:
    """Unit vectors (n, 2048): generalised means, or averages if `power` is 1.

    Args:
        network: What embeds.
        pixels: The pictures.
        power: 3 or 1.
        rotate: Average the vectors of the four orientations.
    """
    each = []
    for turned in descriptor.turns(pixels, 4 if rotate else 1):
        plain, general = pool(network, turned)
        each.append(normalise(plain if power == 1 else general))
    return normalise(np.mean(each, axis=0))


def by_cosine(vectors: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    units = normalise(vectors)
    return lambda queries: units[queries] @ units.T


def by_diffusion(vectors: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Components, neighbours joined, and a walk on the whole graph."""
    edges = pooling.graph(pooling.augment(pooling.Whitening.learn(vectors)(vectors)))
    return lambda queries: pooling.diffuse(edges, queries)


def ablation(
    network: Network,
    pixels: np.ndarray,
    average: np.ndarray,
    turned: np.ndarray,
    labels: np.ndarray,
    names: list[str],
) -> dict[str, evaluate.Evaluation]:
    """The descriptors' steps, added one after the other.

    Args:
        network: What embeds.
        pixels: The pictures.
        average: Their average-pooled vectors.
        turned: Their generalised means over four orientations.
        labels: Their classes.
        names: The classes.
    """
    small = np.stack([descriptor.resize(one, descriptor.SMALL) for one in pixels])
    gem = embed(network, pixels)
    both = np.concatenate([turned, embed(network, small, rotate=True)], axis=1)

    def project(vectors: np.ndarray, evening: float) -> np.ndarray:
        return pooling.Whitening.learn(vectors, evening=evening)(vectors)

    def cosine(vectors: np.ndarray) -> evaluate.Evaluation:
        return count(by_cosine(vectors))

    def count(scores: Callable[[np.ndarray], np.ndarray]) -> evaluate.Evaluation:
        return evaluate.measure(scores, labels, names)

    def random_walk(vectors: np.ndarray) -> evaluate.Evaluation:
        edges = pooling.graph(vectors)
        return count(lambda queries: pooling.diffuse(edges, queries))

    even = project(gem, pooling.EVENING)
    return {
        "plain": cosine(average),
        "average, components": cosine(project(average, 0)),
        "generalised mean": cosine(gem),
        "+ components": cosine(project(gem, 0)),
        "+ scales evened half-way": cosine(even),
        "(fully, for comparison)": cosine(project(gem, 1)),
        "+ neighbours joined": cosine(pooling.augment(even)),
        "+ diffusion": count(by_diffusion(gem)),
        "(without joining, for comparison)": random_walk(even),
        "+ four orientations": count(by_diffusion(turned)),
        "+ second scale": count(by_diffusion(both)),
    }


def mosaic(
    network: Network, pixels: np.ndarray, labels: np.ndarray, names: list[str]
) -> dict[str, evaluate.Evaluation]:
    """The pictures stitched side by side in random order, chips embedded from the whole.

    Harsher than a real scene: what surrounds a chip here has nothing to do with it.
    """
    from pipeline.model import dense
    from pipeline.model.weights import cache

    embedder = dense.DenseEmbedder(cache.load(cache.find()), network)
    side = int(np.ceil(np.sqrt(len(pixels))))
    order = np.random.default_rng(0).permutation(side * side) % len(pixels)
    rows = [np.concatenate(list(pixels[order[r * side : (r + 1) * side]]), 1) for r in range(side)]
    sheet = np.concatenate(rows)
    vectors = np.empty((len(pixels), 2048), np.float32)
    for r in range(side):
        window = (0, r * 256, side * 256, 256)
        col, row, width, height = dense.region(window, sheet.shape[1::-1])
        at = np.arange(side) * 256
        found = embedder.embed_region(
            sheet[row : row + height, col : col + width], at - col, np.full(side, r * 256 - row)
        )
        vectors[order[r * side : (r + 1) * side]] = found
    scores = by_cosine(normalise(vectors))
    return {"plain, dense in a mosaic": evaluate.measure(scores, labels, names)}


def overlapping(folder: Path, quick: bool) -> float:
    """P@10 on overlapping chips of a mosaic in random order, as a collection is built by default.

    Queries fill one picture; a hit counts for the picture that covers most of it, and those of the
    query's own picture do not count.
    """
    files, names = evaluate.list_pictures(folder)
    pixels, labels, _ = evaluate.load_pictures(files, names)
    order = np.random.default_rng(0).permutation(len(pixels))
    across, high = evaluate.pictures_across(len(order)), len(order)
    with TemporaryDirectory(prefix="lookalike-mosaic-") as home:
        opened, ids = evaluate.collect(
            [pixels[at] for at in order], Path(home), "default", silent, stride=64, mode="dense"
        )
        table = opened.collection(evaluate.COLLECTION).chips
        row = np.rint(table.rows / CHIP).astype(int).clip(0, high // across - 1)
        place = row * across + np.rint(table.cols / CHIP).astype(int).clip(0, across - 1)
        shown = labels[order][place]
        right = []
        for number in range(0, len(ids), 20 if quick else 1):
            recipe = Recipe.from_fields({"chip": ids[number], "k": 20})
            hits = service.find(opened, evaluate.COLLECTION, recipe).result.hits
            others = [hit.row for hit in hits if place[hit.row] != number][:10]
            right.append(float((shown[others] == labels[order][number]).mean()))
    return float(np.mean(right))


def classes_refined(folder: Path, quick: bool) -> list[analyst.Figures]:
    """Refining on a collection of the pictures of a folder."""
    files, names = evaluate.list_pictures(folder)
    pixels, labels, _ = evaluate.load_pictures(files, names)
    with TemporaryDirectory(prefix="lookalike-refine-") as home:
        opened, ids = evaluate.collect(pixels, Path(home), "default", silent)
        table = opened.collection(evaluate.COLLECTION).chips
        kinds = np.empty(len(table), int)
        kinds[[table.row_of(each) for each in ids]] = labels
        rows = np.random.default_rng(0).permutation(len(table))[: 5 if quick else QUERIES]
        return list(analyst.chips(opened, evaluate.COLLECTION, kinds, rows.tolist(), folder.name))


def clicked(opened: OpenCollections, name: str, kinds: np.ndarray, quick: bool) -> str:
    """A table of what clicks on chips find that show something, by both rankings."""
    table = opened.collection(name).chips
    rows = np.random.default_rng(0).permutation(np.flatnonzero(kinds))[: 10 if quick else CLICKS]
    lines = ["| ranking | P@10 | P@50 | P@100 | AP |", "|---|---|---|---|---|"]
    for ranking in RANKINGS:
        found = []
        for row in rows.tolist():
            recipe = Recipe(
                chip=table.id_of(row), k=len(table) - 1, suppress=False, ranking=ranking
            )
            hits = service.find(opened, name, recipe, most=len(table)).result.hits
            right = kinds[[hit.row for hit in hits]] > 0
            precision = right.cumsum() / np.arange(1, len(right) + 1)
            found.append([*precision[[9, 49, 99]], (precision * right).sum() / right.sum()])
        lines.append(f"| {ranking} | {' | '.join(f'{v:.3f}' for v in np.mean(found, axis=0))} |")
    return "\n".join(lines) + "\n"


def scenes_refined(folder: Path, points: Path, quick: bool) -> list[analyst.Figures]:
    """Refining on scenes whose objects are known, for chips and for objects."""
    with TemporaryDirectory(prefix="lookalike-refine-") as home:
        place = objects.scenes(Path(home), folder, points, None)
        opened, name = OpenCollections(Library(Path(home))), place.collection.name
        table, truth = place.collection.chips, place.truth
        numbers = {scene: at for at, scene in enumerate(place.scene_ids)}
        scene = np.array([numbers[each] for each in table.scene_ids])[table.scene]
        kinds = np.zeros(len(table), int)
        for at, (col, row) in zip(truth.scenes, truth.centres, strict=True):
            inside = (table.cols <= col) & (col < table.cols + CHIP)
            inside &= (table.rows <= row) & (row < table.rows + CHIP)
            kinds[inside & (scene == at)] = 1
        print(clicked(opened, name, kinds, quick), file=sys.stderr)
        rng, count = np.random.default_rng(1), 5 if quick else QUERIES
        rows = rng.permutation(np.flatnonzero(kinds))[:count].tolist()
        some = rng.permutation(len(truth.scenes))[: count // 2].tolist()
        return [
            *analyst.chips(opened, name, kinds, rows, f"{folder.name}, chips"),
            *analyst.objects(
                opened, name, truth, place.scene_ids, place.size_m, some, f"{folder.name}, objects"
            ),
        ]


#: A query picture as another camera, or another day, might have taken it.
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda pixels: pixels,
    "turned by 90°": lambda pixels: np.ascontiguousarray(np.rot90(pixels)),
    "turned by 180°": lambda pixels: np.ascontiguousarray(np.rot90(pixels, 2)),
    "turned by 270°": lambda pixels: np.ascontiguousarray(np.rot90(pixels, 3)),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "turned by 45°": lambda pixels: rotate_by_45(pixels),
    "half as large": lambda pixels: views.of_picture(pixels)(2.0),
    "twice as large": lambda pixels: views.of_picture(pixels)(0.5),
}
OPTIONS = {
    "plain": (False, False),
    "any orientation": (True, False),
    "any scale": (False, True),
    "both": (True, True),
}


def rotate_by_45(pixels: np.ndarray) -> np.ndarray:
    """A picture turned by 45 degrees, mirrored outwards where it ends."""
    from PIL import Image

    around = np.pad(pixels, ((64, 64), (64, 64), (0, 0)), mode="symmetric")
    turned = Image.fromarray(around).rotate(45, Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(turned)[64:320, 64:320])


def rank_views(
    network: Network,
    vectors: np.ndarray,
    pixels: np.ndarray,
    labels: np.ndarray,
    names: list[str],
    every: int,
) -> dict[str, dict[str, list[float]]]:
    """mAP and P@10 of changed query pictures, searched plainly and in several views.

    Args:
        network: What embeds.
        vectors: Unit vectors of all pictures as they are.
        pixels: The pictures.
        labels: Their classes.
        names: The classes.
        every: One in so many pictures is a query.
    """
    queries = np.arange(0, len(pixels), every)
    found: dict[str, dict[str, list[float]]] = {}
    for change, changed in CHANGES.items():
        scores: dict[str, list[np.ndarray]] = {option: [] for option in OPTIONS}
        for query in queries:
            read = views.of_picture(changed(pixels[query]))
            seen = views.render(read, any_orientation=True, any_scale=True)
            cosines = vectors @ normalise(average_pool(network, seen)).T
            # Eight orientations of each of three scales, the plain one first.
            each = cosines.reshape(len(vectors), 3, 8)
            for option, (orientation, scale) in OPTIONS.items():
                kept = each[:, : 3 if scale else 1, : 8 if orientation else 1]
                scores[option].append(kept.max(axis=(1, 2)))
        found[change] = {
            option: count_found(np.stack(values), labels, names, queries)
            for option, values in scores.items()
        }
    return found


def count_found(
    scores: np.ndarray, labels: np.ndarray, names: list[str], queries: np.ndarray
) -> list[float]:
    """mAP and P@10 of some queries' scores (q, n) against all."""
    everything = np.zeros((len(labels), len(labels)), np.float32)
    everything[queries] = scores
    only = evaluate.measure(lambda at: everything[at], labels, names, queries=queries)
    return [round(only.map, 4), round(only.precision[10], 4)]


def as_markdown(
    rows: dict[str, evaluate.Evaluation],
    seen: dict[str, dict[str, list[float]]],
) -> str:
    lines = ["| method | mAP | ANMRR | P@1 | P@5 | P@10 | P@20 |", "|---|---|---|---|---|---|---|"]
    for name, r in rows.items():
        figures = [r.map, r.anmrr, *(r.precision[k] for k in evaluate.CUTOFFS)]
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in figures)} |")
    lines += ["", f"| query | {' | '.join(OPTIONS)} |", "|---" * (len(OPTIONS) + 1) + "|"]
    for change, options in seen.items():
        cells = [f"{average:.3f} / {precise:.3f}" for average, precise in options.values()]
        lines.append(f"| {change} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
