"""How often the 95% intervals of a check hold the truth, in simulated checks of known lists.

    python benchmarks/estimates.py                     the tables of docs/quality.md, some minutes
    python benchmarks/estimates.py --runs 200          a quick look

First table: intervals to choose from, for a simple random sample; exact, by enumeration of all
samples of lists with 1% to 99% right hits.  Second: the chosen one for the stratified samples of a
check, at thresholds that keep a twentieth to all of the list, 1,000 runs for each case.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.search.estimates import exact_interval
from tests.factories.reviews import ORDERS, Case, simulated

HITS = (20, 50, 100, 300, 1_000, 5_000, 20_000)
SIZES = (10, 20, 50, 100, 200)
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
PARTS = (0.05, 0.25, 0.5, 1.0)
#: From the numbers of good ones in a sample, its size and that of the list to the limits, (n, 2).
Interval = Callable[[np.ndarray, int, int], np.ndarray]


def two_tails(middle: float) -> Interval:
    """Both tails inverted at 2.5%: Clopper-Pearson's interval, or with half the middle mid-P's."""

    def limits(good: np.ndarray, drawn: int, population: int) -> np.ndarray:
        low = _lowest(good, drawn, population, middle)
        return np.stack([low, population - _lowest(drawn - good, drawn, population, middle)], 1)

    return limits


def _lowest(good: np.ndarray, drawn: int, population: int, middle: float) -> np.ndarray:
    """Smallest numbers of good ones whose upper tail exceeds 2.5%, by bisection."""
    from scipy.stats import hypergeom

    low, high = good, population - drawn + good
    while (low < high).any():
        number = (low + high) // 2
        tail = hypergeom.sf(good - 1, population, number, drawn)
        tail -= middle * hypergeom.pmf(good, population, number, drawn)
        low, high = np.where(tail > 0.025, low, number + 1), np.where(tail > 0.025, number, high)
        low = np.minimum(low, high)
    return high


def wilson(good: np.ndarray, drawn: int, population: int) -> np.ndarray:
    """Wilson's interval (1927) with the finite population correction in its sample size."""
    z, n = 1.959964, drawn * (population - 1) / (population - drawn)
    share = good / drawn
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return population * np.stack([middle - half, middle + half], 1)


def blaker(good: np.ndarray, drawn: int, population: int) -> np.ndarray:
    """The interval of a check."""
    return np.array([exact_interval(int(each), drawn, population) for each in good])


INTERVALS: dict[str, Interval] = {
    "Wilson, finite population correction": wilson,
    "mid-P": two_tails(0.5),
    "Clopper-Pearson": two_tails(0.0),
    "**Blaker**": blaker,
}


def enumerated(interval: Interval) -> tuple[float, float, float]:
    """Least and mean coverage of an interval, and its mean width, over all lists and samples."""
    from scipy.stats import hypergeom

    coverage, widths = [], []
    for hits in HITS:
        for size in (size for size in SIZES if size < hits):
            counts = np.arange(size + 1)
            limits = interval(counts, size, hits)
            for number in sorted({min(max(round(s * hits), 1), hits - 1) for s in SHARES}):
                chance = hypergeom.pmf(counts, hits, number, size)
                held = (limits[:, 0] <= number) & (number <= limits[:, 1])
                coverage.append(chance[held].sum())
                widths.append((chance * (limits[:, 1] - limits[:, 0])).sum() / hits)
    return min(coverage), float(np.mean(coverage)), float(np.mean(widths))


def row(name: str, cases: list[Case]) -> str:
    """A row of the second table."""
    precision = np.array([case.precision for case in cases])
    recall = np.array([case.recall for case in cases])
    recall = recall[~np.isnan(recall)]
    recalled = f"{recall.min():.3f} | {recall.mean():.3f}" if len(recall) else "– | –"
    return (
        f"| {name} | {len(cases)} | {precision.min():.3f} | {precision.mean():.3f} | {recalled} |"
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000, help="simulated checks of each case")
    options = parser.parse_args()
    print("| interval | least coverage | mean coverage | mean width |\n|---|---|---|---|")
    for name, interval in INTERVALS.items():
        least, mean, width = enumerated(interval)
        print(f"| {name} | {least:.3f} | {mean:.3f} | {width:.3f} |", flush=True)
    cases: list[Case] = []
    for hits in HITS:
        cases += simulated(hits, SIZES, SHARES, PARTS, runs=options.runs)
        print(f"{hits} hits done", file=sys.stderr, flush=True)
    print(
        "\n| | cases | precision: least | mean | recall: least | mean |\n|---|---|---|---|---|---|"
    )
    for order in ORDERS:
        print(row(order, [case for case in cases if case.order == order]))
    for part in PARTS:
        print(row(f"upper {part:.0%} of the list", [case for case in cases if case.part == part]))
    for hits in HITS:
        print(row(f"{hits:,} hits", [case for case in cases if case.hits == hits]))
    print(row("all", cases))


if __name__ == "__main__":
    main()
