"""The census, simulated with the truth as its reviewer: does the interval hold, how wide is it?

    python benchmarks/census.py FOLDER POINTS            scenes with a point for every object
    python benchmarks/census.py --populations            populations made up, rare and clumped ones
    python benchmarks/census.py FOLDER POINTS --plot docs/census_simulation.svg

FOLDER and POINTS are those of `benchmarks/objects.py`.  A collection is built, a simulated analyst
gives a few tens of marks, and a census is begun with them as `census start --labels` does.  Then it
is judged again and again by the truth, each time with another seed: design and estimators are those
of the product.  Printed are the share of runs whose 95% interval holds the truth, the median
half-width, and how many units drawn plainly at random the same half-width would take.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import objects as analysts
from pipeline.census.census import Census
from pipeline.census.design import FLOOR, LEVELS, design, unit_weights
from pipeline.census.estimate import Answers, Estimate, estimate
from pipeline.census.interval import Z
from pipeline.census.start import Plan, Sought, start
from pipeline.collection.library import Library
from pipeline.imagery.scene import Scene
from pipeline.objects import ask as questions
from pipeline.objects.find import learn
from pipeline.search.open_collections import OpenCollections

#: Units of a made-up population.
UNITS = 2_000


@dataclass(frozen=True, eq=False)
class Population:
    """Units whose counts are known.

    Attributes:
        name: What it is.
        counts: float (n,), the truth.
        mass: float (n, 16), what a detector makes of each unit.
        listed: int (n,), things of its list.
        right: float (n,), how many of them are right.
    """

    name: str
    counts: np.ndarray
    mass: np.ndarray
    listed: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Figures:
    """What many runs on a population say.

    Attributes:
        name: The population.
        truth: Its total.
        judged: Units judged in each run.
        covered: Share of runs whose interval holds the truth.
        below: Share of runs whose interval lies above the truth.
        above: Share of runs whose interval lies below it.
        mean: Mean of the estimates.
        deviation: Their standard deviation.
        half: Median half-width.
        relative: Median half-width as a share of the estimate, None where that is 0.
        plain: Units drawn plainly at random that the same half-width takes.
        recall_covered: Share of runs whose interval of the recall holds it.
    """

    name: str
    truth: float
    judged: int
    covered: float
    below: float
    above: float
    mean: float
    deviation: float
    half: float
    relative: float | None
    plain: int | None
    recall_covered: float | None


def simulate(here: Population, judged: int, runs: int, floor: float = FLOOR) -> Figures:
    """Judge a population many times, each time with other random numbers."""
    rng = np.random.default_rng(11)
    truth, size = float(here.counts.sum()), len(here.counts)
    weights = unit_weights(here.mass, floor)
    found = [run(here, judged, rng.random(size), weights) for _ in range(runs)]
    total = np.array([(e.total.estimate, e.total.low, e.total.high) for e in found])
    half = (total[:, 2] - total[:, 1]) / 2
    positive = total[:, 0] >= 0.5
    relative = float(np.median(half[positive] / total[positive, 0])) if positive.any() else None
    recall = float(here.right.sum()) / truth if truth else 0.0
    told = [e.recall for e in found if e.recall is not None]
    held = [each.low - 1e-9 <= recall <= each.high + 1e-9 for each in told]
    return Figures(
        name=here.name,
        truth=truth,
        judged=judged,
        covered=float(((total[:, 1] <= truth) & (truth <= total[:, 2])).mean()),
        below=float((total[:, 1] > truth).mean()),
        above=float((total[:, 2] < truth).mean()),
        mean=float(total[:, 0].mean()),
        deviation=float(total[:, 0].std()),
        half=float(np.median(half)),
        relative=relative,
        plain=plain_units(here.counts, float(np.median(half))),
        recall_covered=float(np.mean(held)) if held and here.listed.any() else None,
    )


def run(here: Population, judged: int, uniform: np.ndarray, weights: np.ndarray) -> Estimate:
    """One census: the first units of the design are judged by the truth."""
    made = design(here.mass, here.listed, np.maximum(uniform, 1e-12), weights)
    answered = np.zeros(len(here.counts), bool)
    answered[made.order[:judged]] = True
    counts = np.where(answered, here.counts, np.nan)
    found = estimate([made], Answers(counts, answered, np.where(answered, here.right, np.nan)))
    assert found is not None
    return found


def plain_units(counts: np.ndarray, half: float) -> int | None:
    """Units drawn plainly at random whose mean has this half-width; None if all are alike."""
    size, variance = len(counts), float(counts.var(ddof=1))
    if not variance:
        return None
    if not half:
        return size
    return math.ceil(1 / (1 / size + half**2 / (Z**2 * size**2 * variance)))


def judged_by_truth(
    home: Path, folder: Path, points: Path, marks: int, query: int
) -> tuple[Population, Census]:
    """Scenes with the places of their objects, and a census begun with marks on some of them."""
    here = analysts.scenes(home, folder, points, None)
    scene, place = int(here.truth.scenes[query]), here.truth.centres[query]
    given = [here.example(scene, *place)]
    learned = learn([here.collection], given)
    while len(given) < marks:
        asked = questions.ask([here.collection], learned.ranking, learned.spots, analysts.TURN)
        for number, col, row in zip(*here.places(asked), strict=True):
            good = len(here.truth.near(number, col, row)) > 0
            given.append(here.example(int(number), float(col), float(row), good=good))
        learned = learn([here.collection], given)
    plan = Plan(here.collection.name, Sought(labels=tuple(given)), seed=1)
    census = start(OpenCollections(Library(home)), plan).census
    expected = census.latest.expectation
    counts = np.zeros(len(census.units))
    squares = {(unit.scene_id, unit.left, unit.top): i for i, unit in enumerate(census.units)}
    matched = np.zeros(len(counts))
    items = np.array([item[1:4] for item in expected.items])
    free = np.ones(len(items), bool)
    for number, (col, row) in zip(here.truth.scenes, here.truth.centres, strict=True):
        name = here.scene_ids[number]
        side = census.side
        unit = squares[name, int(col // side * side), int(row // side * side)]
        counts[unit] += 1
        matched[unit] += _takes(here.collection.scenes[name], col, row, items, free)
    population = Population(folder.name, counts, expected.mass, expected.listed, matched)
    return population, census


def _takes(scene: Scene, col: float, row: float, items: np.ndarray, free: np.ndarray) -> bool:
    """Whether a thing takes one of the list that none took, within half its width."""
    lon, lat = scene.georeference.lonlat(col, row)
    east = (items[:, 0] - lon) * 111_320 * math.cos(math.radians(float(lat)))
    away = np.hypot(east, (items[:, 1] - lat) * 111_320)
    near = np.flatnonzero(free & (away <= items[:, 2] / 2))
    if not len(near):
        return False
    free[near[away[near].argmin()]] = False
    return True


def made_up() -> list[Population]:
    """Populations that are harder than most: rare, clumped, missed and misleading ones."""
    rng = np.random.default_rng(7)

    def rare(full: int, mean: float = 1.0) -> np.ndarray:
        counts = np.zeros(UNITS)
        counts[rng.choice(UNITS, full, replace=False)] = rng.poisson(mean - 1, full) + 1
        return counts

    def detected(name: str, counts: np.ndarray, recall: float, false: int) -> Population:
        mass = np.zeros((UNITS, len(LEVELS)))
        listed, right = np.zeros(UNITS, int), np.zeros(UNITS)
        things = np.repeat(np.arange(UNITS), counts.astype(int))
        seen = things[rng.random(len(things)) < recall]
        wrong = rng.integers(0, UNITS, false)
        for units, middle, good in ((seen, 2.0, True), (wrong, -2.0, False)):
            logits = rng.normal(middle, 1.5, len(units))
            at = np.rint((logits - LEVELS[0]) / (LEVELS[1] - LEVELS[0])).clip(0, len(LEVELS) - 1)
            np.add.at(mass, (units, at.astype(int)), 1)
            np.add.at(listed, units[logits >= 0], 1)
            if good:
                np.add.at(right, units[logits >= 0], 1)
        return Population(name, counts, mass, listed, right)

    common = rng.poisson(0.5, UNITS).astype(float)
    lost = detected("scores of other units", rng.permutation(common), 0.9, 500)
    nothing = np.zeros((UNITS, len(LEVELS)))
    none, zero = np.zeros(UNITS, int), np.zeros(UNITS)
    return [
        detected("30 things, 95% detected", rare(30), 0.95, 300),
        detected("30 things, 70% detected", rare(30), 0.7, 300),
        detected("8 things, 70% detected", rare(8), 0.7, 300),
        detected("no things", zero, 0.7, 300),
        detected("40 clumps of 20, 80% detected", rare(40, 20), 0.8, 1_500),
        *(
            detected(f"{number} things, {share} never detected", counts, recall, 400)
            for number, counts in ((200, rare(200)), (700, rare(400, 1.75)))
            for share, recall in (("a tenth", 0.9), ("a quarter", 0.75), ("half", 0.5))
        ),
        Population("0.3 a unit, no scores", rng.poisson(0.3, UNITS).astype(float), nothing, none,
                   zero),
        Population("0.02 a unit, no scores", rng.poisson(0.02, UNITS).astype(float), nothing, none,
                   zero),
        Population(lost.name, common, lost.mass, none, zero),
    ]  # fmt: skip


def show(figures: Figures, *, as_json: bool) -> None:
    """Print a row of the table."""
    if as_json:
        print(json.dumps(asdict(figures)), flush=True)
        return
    relative = "–" if figures.relative is None else f"{figures.relative:.1%}"
    plain = "–" if figures.plain is None else f"{figures.plain}"
    recall = "–" if figures.recall_covered is None else f"{figures.recall_covered:.1%}"
    print(
        f"| {figures.name} | {figures.truth:.0f} | {figures.judged} | {figures.mean:.0f} ± "
        f"{figures.deviation:.0f} | {figures.covered:.1%} | {figures.below:.1%} | "
        f"{figures.above:.1%} | {figures.half:.0f} | {relative} | {plain} | {recall} |",
        flush=True,
    )


HEAD = (
    "| population | truth | judged | estimate, mean ± sd | covered | too high | too low | "
    "half-width | of the estimate | plain random units | recall covered |\n" + "|---" * 11 + "|"
)


def plot(path: Path, here: Population, steps: Sequence[int], runs: int) -> None:
    """Draw half-width against units judged, and what plain random units would give."""
    found = [simulate(here, judged, runs) for judged in steps]
    size, variance, truth = len(here.counts), float(here.counts.var(ddof=1)), here.counts.sum()
    plain = [Z * size * math.sqrt((1 / n - 1 / size) * variance) / truth for n in steps]
    ours = [each.half / truth for each in found]
    write_plot(path, list(steps), ours, plain, [each.covered for each in found])


def write_plot(
    path: Path,
    steps: Sequence[int],
    ours: Sequence[float],
    plain: Sequence[float],
    covered: Sequence[float],
) -> None:
    """The plot as SVG, which needs no library."""
    left, top, width, height = 60, 20, 560, 300
    high, far = math.ceil(max(plain) * 10) / 10, max(steps)

    def x(n: float) -> float:
        return left + width * n / far

    def y(value: float) -> float:
        return top + height * (1 - value / high)

    def line(values: Sequence[float], colour: str) -> str:
        at = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in zip(steps, values, strict=True))
        return f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="2.5"/>'

    marks = "".join(
        f'<circle cx="{x(n):.1f}" cy="{y(v):.1f}" r="3.5" fill="#0891b2"/>'
        f'<text x="{x(n):.1f}" y="{y(v) + 17:.1f}" text-anchor="middle" fill="#0e7490">'
        f"{c:.0%}</text>"
        for n, v, c in zip(steps, ours, covered, strict=True)
    )
    grid = "".join(
        f'<path d="M{left} {y(v):.1f}h{width}" stroke="#cbd5e1"/>'
        f'<text x="{left - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.0%}</text>'
        for v in np.arange(0, high + 0.01, 0.1)
    ) + "".join(
        f'<text x="{x(n):.1f}" y="{top + height + 18}" text-anchor="middle">{n}</text>'
        for n in steps
    )
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 380" '
        'font-family="system-ui,sans-serif" font-size="12" fill="#334155">'
        '<rect width="660" height="380" fill="#fff"/>'
        f"{grid}{line(plain, '#94a3b8')}{line(ours, '#0891b2')}{marks}"
        f'<text x="{x(steps[1]) + 10:.1f}" y="{y(plain[1]) - 6:.1f}" '
        'fill="#64748b">plain random units</text>'
        f'<text x="{left + width / 2}" y="{top + height + 40}" text-anchor="middle">units judged; '
        "by the dots, the share of runs whose interval holds the truth</text>"
        f'<text x="16" y="{top + height / 2}" transform="rotate(-90 16 {top + height / 2})" '
        'text-anchor="middle">half-width of the 95% interval</text></svg>\n',
        "utf-8",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, nargs="?", help="scenes as GeoTIFF")
    parser.add_argument("points", type=Path, nargs="?", help="GeoJSON of all objects")
    parser.add_argument("--populations", action="store_true", help="made-up populations")
    parser.add_argument("--marks", type=int, default=80, help="marks of the simulated analyst")
    parser.add_argument("--queries", type=int, default=1, help="detectors, each from another click")
    parser.add_argument("--judged", default="150", help="numbers of units judged")
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--floor", type=float, default=FLOOR)
    parser.add_argument("--home", type=Path, help="keeps the collection; a temporary folder")
    parser.add_argument("--plot", type=Path, help="SVG to write")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if not options.populations and not (options.folder and options.points):
        parser.error("name a folder of scenes and a point file, or --populations")
    steps = [int(step) for step in options.judged.split(",")]
    if not options.json:
        print(HEAD)
    with tempfile.TemporaryDirectory() as scratch:
        home = options.home or Path(scratch)
        populations = made_up() if options.populations else []
        if options.folder:
            queries = analysts.scenes(home, options.folder, options.points, None).queries(
                options.queries
            )
            populations += [
                judged_by_truth(home, options.folder, options.points, options.marks, int(query))[0]
                for query in queries
            ]
        for here in populations:
            for judged in steps:
                show(simulate(here, judged, options.runs, options.floor), as_json=options.json)
        if options.plot:
            plot(options.plot, populations[-1], (50, 100, 150, 250, 400), options.runs // 4)
    return 0


if __name__ == "__main__":
    sys.exit(main())
