"""The index beside its rivals, on real embeddings, each at its best setting for the same recall.

    python benchmarks/index.py                     10,000, 100,000 and 1,000,000 chips
    python benchmarks/index.py --quick             10,000 chips, under a minute once the maps exist
    python benchmarks/index.py --sizes 10000,100000
    python benchmarks/index.py --json              one JSON object a line

Vectors are made from real scenes (`support/embeddings.py`); their feature maps are kept in
`--cache` (default: the system's temporary folder).  `--scenes FOLDER` adds GeoTIFFs to the sample
scenes.  Half of the queries are chips of the index, half come from places that are not in it.

Rivals: numpy, faiss (flat, HNSW, IVF-PQ fast-scan) and hnswlib.  On the full vectors they are
measured while those fit in memory (100,000 chips); "+ re-rank" gives a rival our reduced vectors as
its first stage and our full vectors for the second, which is the only way any of them handles a
million chips of 8 KB in a few gigabytes; the seconds to make those count for it as for ours.  Every
rival gets the cheapest setting that reaches a recall@10 of 0.99, then all are timed in turn, one
query at a time on one thread, in several rounds.

`ratio` above 1 means that ours is better; `quality` is recall@10.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one query, one thread: for everybody
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.support import ROOT
from benchmarks.support.embeddings import Source
from benchmarks.support.figures import Figure
from benchmarks.support.rivals import GOAL, Contender, K, Rivals, recall
from benchmarks.support.vectors import Vectors, written
from pipeline.collection.parquet import Part
from pipeline.model.identity import DIMENSIONS

QUERIES = 200
ROUNDS = 5
#: A slow contender is asked no more queries in a round after so long.
ROUND_US = 1.5e6
#: First windows of the chips that are added and of the queries from elsewhere.
ADDED, HELD_OUT = 240, 100_000


def timed(contenders: list[Contender], queries: np.ndarray, rounds: int) -> None:
    """Time everybody in turn, so that whatever else the machine does meets all alike."""
    for _ in range(rounds):
        for contender in contenders:
            took: list[float] = []
            for query in queries:
                if sum(took) > ROUND_US:
                    break
                started = time.perf_counter()
                contender.search(query)
                took.append((time.perf_counter() - started) * 1e6)
            contender.p50.append(float(np.percentile(took, 50)))
            contender.p99.append(float(np.percentile(took, 99)))


def anonymous_memory(folder: Path) -> float:
    """Bytes of its own that a fresh process takes to open our index and search it."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nimport numpy as np\n"
        "from pipeline.index import scann, segment\n"
        "def anon():\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return next(int(l.split()[1]) for l in lines if l.startswith('RssAnon')) * 1024\n"
        "scann.scann(); before = anon()\n"
        "found = segment.Segment.open(Path(sys.argv[2]))\n"
        "q = np.asarray(found.vectors[0], np.float32)\n"
        "for _ in range(20): found.search(q / np.linalg.norm(q), 10)\n"
        "print(anon() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT), str(folder)], capture_output=True, text=True
    )
    done.check_returncode()
    return float(done.stdout)


def preparing(parts: list[Part], folder: Path) -> float:
    """Seconds for what our build and any rival with "+ re-rank" must do alike.

    That is a file of unit vectors and the axes; each rival's reduced vectors are timed with it.
    """
    from pipeline.collection.parquet import read_embeddings
    from pipeline.index.projection import Projection
    from pipeline.index.segment_writer import fill

    folder.mkdir()
    started = time.perf_counter()
    shape = (sum(part.rows for part in parts), DIMENSIONS)
    vectors = np.lib.format.open_memmap(folder / "v.npy", "w+", np.float16, shape)
    fill(vectors, (read_embeddings(part) for part in parts), lambda _: None)
    vectors.flush()
    Projection.fit(vectors)
    seconds = time.perf_counter() - started
    del vectors
    shutil.rmtree(folder)
    return seconds


def measure(n: int, source: Source, folder: Path, quick: bool, say: Callable[..., None]) -> Any:
    """Every figure of one size."""
    from pipeline.index.exact import scan
    from pipeline.index.index import Index
    from pipeline.index.rows import Eligible
    from pipeline.vectors import normalise

    parts = written(source.vectors(n), folder / "parts", "a")
    extra = written(source.vectors(n // 100, first=ADDED), folder / "parts", "b")
    collection = Vectors(folder, parts)
    started = time.perf_counter()
    index = Index.open(collection)
    build = time.perf_counter() - started
    segment, vectors = index.segments[0], index.vectors
    rng = np.random.default_rng(0)
    own = vectors[np.sort(rng.choice(n, QUERIES // 2, replace=False))].astype(np.float32)
    other = np.concatenate(list(source.vectors(QUERIES // 2, first=HELD_OUT)))
    queries = normalise(np.concatenate([own, other]))
    truth, _ = scan(vectors, queries, K)
    parameters = index.header.parameters
    say(f"\n{n:,} chips: built in {build:.1f} s, {parameters}")

    small = sum(size for name, size in segment.content.files.items() if name != "vectors.npy")
    kept = anonymous_memory(segment.folder)
    ours = Contender("ours", lambda q: index.search(q, K)[0], build, kept / n)
    ours.recall = recall(ours.search, queries, truth)

    mask = np.zeros(n, bool)
    mask[rng.choice(n, n // 100, replace=False)] = True
    # Kept from search to search, as a search page does while its filters stay.
    eligible = Eligible(mask)
    few = eligible.rows
    filtered_truth = few[scan(vectors[few], queries, K)[0]]
    filtered = Contender("ours, 1 % eligible", lambda q: index.search(q, K, eligible)[0], 0, 0)
    filtered.recall = recall(filtered.search, queries, filtered_truth)

    contenders = [ours, filtered]
    shared = preparing(parts, folder / "prepared")
    for rival in Rivals(vectors, segment, queries, truth, shared).all(quick):
        contenders.append(rival)
        say(f"  {rival.name}: built in {rival.build:.1f} s, recall {rival.recall:.4f}")
    timed(contenders, queries, 3 if quick else ROUNDS)
    for each in contenders:
        say(
            f"  {each.name:58} recall {each.recall:.4f}  p50 {median(each.p50):8.0f} µs  "
            f"p99 {median(each.p99):8.0f} µs  build {each.build:7.1f} s  {each.size:6.0f} B/chip"
        )

    started = time.perf_counter()
    index.search_many(queries, K)
    batch = QUERIES / (time.perf_counter() - started)
    collection = Vectors(folder, [*parts, *extra])
    started = time.perf_counter()
    grown = Index.open(collection)
    add = time.perf_counter() - started
    found = grown.search(normalise(grown.vectors[[len(grown) - 1]])[0], 1)[0]
    assert found[0] >= n, "an added chip is found at once"
    collection = Vectors(folder, [*parts[1:], *extra])
    started = time.perf_counter()
    reduced = Index.open(collection)
    delete = time.perf_counter() - started
    assert len(reduced) == len(grown) - parts[0].rows
    gone = normalise(vectors[[5]])[0]
    rows, _ = reduced.search(gone, K)
    assert rows.min() >= 0
    assert rows.max() < len(reduced)
    say(f"  batch {batch:.0f} queries/s, adding 1 % {add:.2f} s, removing a part {delete:.2f} s")
    return figures(n, ours, filtered, contenders[2:], batch, add, small / n)


def figures(
    n: int,
    ours: Contender,
    filtered: Contender,
    rivals: list[Contender],
    batch: float,
    add: float,
    disk: float,
) -> list[Figure]:
    """The comparisons of one size."""
    fit = [rival for rival in rivals if rival.recall >= GOAL] or rivals
    best = min(fit, key=lambda rival: median(rival.p50))
    tail = min(fit, key=lambda rival: median(rival.p99))
    graph = min((r for r in rivals if "hnswlib" in r.name), key=lambda rival: rival.build)
    spread = (max(ours.p50) - min(ours.p50)) / median(ours.p50)

    def figure(name: str, own: float, other: float, of: str, quality: float) -> Figure:
        ratio = other / own if own else 0.0
        values = (round(own, 3), round(other, 3), of, round(ratio, 3))
        return Figure(f"{name}, {n} chips", *values, round(spread, 3), round(quality, 4))

    everybody = [
        {
            "name": each.name,
            "recall": round(each.recall, 4),
            "p50": round(median(each.p50), 1),
            "p99": round(median(each.p99), 1),
            "build": round(each.build, 1),
            "size": round(each.size),
        }
        for each in (ours, filtered, *rivals)
    ]
    p50, p99 = median(ours.p50), median(ours.p99)
    return [
        replace(
            figure("p50 of a query, µs", p50, median(best.p50), best.name, ours.recall),
            more={"contenders": everybody},
        ),
        figure("p99 of a query, µs", p99, median(tail.p99), tail.name, ours.recall),
        figure("build, s", ours.build, graph.build, graph.name, ours.recall),
        figure("memory, bytes a chip", ours.size, best.size, best.name, ours.recall),
        figure("disk beside the vectors, bytes a chip", disk, 1024, "1 KB", ours.recall),
        figure(
            "p50 with 1 % eligible, µs", median(filtered.p50), p50, "no filter", filtered.recall
        ),
        figure("adding 1 %, s", add, ours.build / 100, "1 % of a build", ours.recall),
        figure("a query in a batch, µs", 1e6 / batch, p50, "alone", ours.recall),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="10,000 chips, fewer rivals")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "lookalike-maps"
    )
    parser.add_argument("--scenes", type=Path, help="folder with more GeoTIFFs")
    options = parser.parse_args()
    source = Source.found(options.cache, options.scenes)
    sizes = [10_000] if options.quick else [int(size) for size in options.sizes.split(",")]

    def say(*words: object) -> None:
        if not options.json:
            print(*words, flush=True)

    for n in sizes:
        folder = Path(tempfile.mkdtemp(prefix="lookalike-index-", dir=options.cache.parent))
        try:
            found = measure(n, source, folder, options.quick, say)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for figure in found:
            figure.show(as_json=options.json)


if __name__ == "__main__":
    main()
