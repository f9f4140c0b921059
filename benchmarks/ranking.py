"""Searches by the graph beside searches by the plain index: time of a query, of making, memory.

    python benchmarks/ranking.py                     100,000 and 1,000,000 chips
    python benchmarks/ranking.py --sizes 100000
    python benchmarks/ranking.py --quick             30,000 chips
    python benchmarks/ranking.py --home FOLDER       keeps the collections

Vectors are made from real scenes (`support/embeddings.py`), chips lie every 64 pixels.  Half a
thousand chips are searched for, in turn by the default ranking and by the plain one, through the
search service and in a process of its own; memory is what that process holds besides mapped files.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.support.embeddings import Source
from benchmarks.support.figures import Figure
from benchmarks.support.searchable import make_collection
from pipeline.collection.library import Library
from pipeline.index.graph import Graph
from pipeline.index.index import Index
from pipeline.index.scann import scann
from pipeline.search import service
from pipeline.search.open_collections import OpenCollections
from pipeline.search.recipe import Recipe

SEARCHES, WARM = 250, 20


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sizes", default="100000,1000000", help="numbers of chips")
    parser.add_argument("--quick", action="store_true", help="30,000 chips")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--home", type=Path, help="where collections are kept")
    parser.add_argument("--search", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "lookalike-maps"
    )
    options = parser.parse_args()
    if options.search:
        print(json.dumps(searched(options.home, options.search)))
        return 0
    sizes = [30_000] if options.quick else [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory(prefix="lookalike-ranking-") as temporary:
        for size in sizes:
            home = options.home or Path(temporary)
            measure(home, size, Source.found(options.cache), as_json=options.json)
    return 0


def measure(home: Path, size: int, source: Source, *, as_json: bool) -> None:
    """Make a collection, search it, and print the figures."""
    name = f"chips-{size}"
    make_collection(home, size, name, vectors=drawn(source, size), index=False)
    Library(home).drop(name, "index")  # of a collection that was kept: to make it anew
    collection = Library(home).open(name)
    started = time.perf_counter()
    Index.open(collection)
    indexed = time.perf_counter()
    Graph.open(collection)
    graphed = time.perf_counter()
    command = [sys.executable, __file__, "--search", name, "--home", str(home)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    made = {"index_s": indexed - started, "graph_s": graphed - indexed}
    ours, plain = found["default"], found["plain"]
    Figure(
        f"time of a query at {found['chips']:,} chips, ms p50",
        round(ours["p50"], 2),
        round(plain["p50"], 2),
        "plain ranking",
        round(plain["p50"] / ours["p50"], 3),
        round(ours["p95"] - ours["p50"], 2),
        {"p95_ms": round(ours["p95"], 2), "bytes_a_chip": round(found["bytes"])}
        | {key: round(value, 1) for key, value in made.items()},
    ).show(as_json=as_json)


def searched(home: Path, name: str) -> dict[str, Any]:
    """Times of searches in milliseconds, and bytes a chip that this process came to hold."""
    scann()  # whose library needs the same memory whatever is searched
    opened = OpenCollections(Library(home))
    before = held()
    table = opened.collection(name).chips
    rows = np.random.default_rng(3).choice(len(table), SEARCHES + WARM, replace=False)
    times: dict[str, list[float]] = {"default": [], "plain": []}
    for number, row in enumerate(rows.tolist()):
        for ranking, kept in times.items():
            recipe = Recipe.from_fields({"chip": table.id_of(row), "ranking": ranking})
            started = time.perf_counter()
            service.find(opened, name, recipe)
            if number >= WARM:
                kept.append(1000 * (time.perf_counter() - started))
    figures = {
        ranking: {"p50": float(np.median(kept)), "p95": float(np.quantile(kept, 0.95))}
        for ranking, kept in times.items()
    }
    return {**figures, "chips": len(table), "bytes": (held() - before) / len(table)}


def held() -> int:
    """Bytes that this process holds besides mapped files."""
    text = Path("/proc/self/smaps_rollup").read_text()
    found = re.search(r"^Anonymous: +(\d+) kB", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def drawn(source: Source, size: int) -> Callable[[int], np.ndarray]:
    """Gives the next vectors of a source, as many as asked for."""

    def flow() -> Iterator[np.ndarray]:
        for piece in source.vectors(size + 4_096):
            yield from piece

    vectors = flow()
    return lambda count: np.stack([next(vectors) for _ in range(count)]).astype(np.float32)


if __name__ == "__main__":
    raise SystemExit(main())
