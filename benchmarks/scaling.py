"""From one worker to two: how much faster, and what a killed worker costs.

Workers are processes of one thread, each pinned to a core of its own and, where root allows, on a
host of its own: a network namespace, and a mount namespace without the head's folder.  Scenes and
blocks pass through shared storage (a folder in the role of a bucket).

    python benchmarks/scaling.py             640 chips in two rounds
    python benchmarks/scaling.py --quick     192 chips in one round
    python benchmarks/scaling.py --json      one JSON object a line

1. Chips and embeddings: the same blocks on one worker and on two, in turn.  `ratio` is the scaling
   efficiency: the rate of two workers over twice the rate of one.  A second line excludes the time
   that the workers' cores spent on other processes (such as head and scheduler, which normally have
   a machine of their own); a third compares the processor time of all processes together.
   `quality` is the share of vectors that are identical, bit by bit.
2. A job during which a worker is killed and replaced, then the scheduler is killed and restarted:
   blocks lost or made twice, counted from the parts in the storage and the job's record.  `quality`
   is the share of vectors that equal those of an undisturbed build.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.support.cluster import WAIT_SECONDS, Cluster
from benchmarks.support.figures import Figure
from benchmarks.support.hosts import free_port, hosts

STRIDE, ROWS, COLS = 128, 4, 8


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    blocks: int
    rounds: int
    disturbed: int


FULL = Size(blocks=20, rounds=2, disturbed=12)
QUICK = Size(blocks=6, rounds=1, disturbed=6)


def write_scene(path: Path, blocks: int) -> None:
    """A strip of so many equal blocks, of the sample scene's pixels."""
    import rasterio
    from rasterio.transform import from_origin

    from benchmarks.support.imagery import sample_scene

    width, height = (COLS * blocks - 1) * STRIDE + 256, (ROWS - 1) * STRIDE + 256
    picture = sample_scene()
    tall = -(-width // picture.shape[1])
    strips = [picture[i * height : (i + 1) * height] for i in range(min(tall, 2))]
    row = np.concatenate([strips[i % len(strips)] for i in range(tall)], axis=1)[:, :width]
    place = {"crs": "EPSG:32632", "transform": from_origin(300000, 5300000, 10, 10)}
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, **place) as dataset:
        dataset.write(np.moveaxis(row, 2, 0))


def _request(name: str, scene: Path) -> Any:
    """A build of a scene whose pixels are taken as they are, whatever else the scene holds."""
    from pipeline.build.request import BuildRequest
    from pipeline.imagery.ingest import SceneInput
    from pipeline.imagery.scene import Stretch

    plain = Stretch((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    return BuildRequest(name, (SceneInput(scene, stretch=plain),), stride=STRIDE, mode="chip")


def vectors(collection: Any) -> np.ndarray:
    """All stored vectors, in row order, with nothing kept from an earlier look."""
    from pipeline.collection.collection import Collection
    from pipeline.collection.parquet import read_embeddings

    fresh = Collection(collection.path, collection.manifest)
    return np.concatenate([read_embeddings(part) for part in fresh.parts])


def equal(one: np.ndarray, other: np.ndarray) -> float:
    """Share of vectors that are the same, bit by bit."""
    if one.shape != other.shape:
        return 0.0
    return float((one.view(np.uint16) == other.view(np.uint16)).all(axis=1).mean())


def efficiency(
    one: Cluster, two: Cluster, home: Path, storage: Any, size: Size, say: Callable[..., None]
) -> tuple[list[Figure], np.ndarray]:
    """The same blocks on one worker and on two, and their vectors."""
    from pipeline.build.build import add_scenes, prepare
    from pipeline.build.dask_engine import DaskEngine
    from pipeline.build.plan import plan
    from pipeline.collection.library import Library
    from pipeline.progress import silent

    scene = home / "strip.tif"
    write_scene(scene, size.blocks)
    request = _request("strip", scene)
    collection, _ = prepare(request, Library(home))
    collection = add_scenes(collection, request, silent)
    tasks, _ = plan(collection)
    chips = sum(task.size for task in tasks)
    assert len(tasks) == size.blocks
    found: dict[int, np.ndarray] = {}
    rates: dict[int, list[float]] = {1: [], 2: []}
    undisturbed: dict[int, list[float]] = {1: [], 2: []}
    costs: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(size.rounds):
        for workers, cluster in ((1, one), (2, two)):
            for folder in (collection.path, Path(storage.url.removeprefix("file://"))):
                shutil.rmtree(folder / "chips", ignore_errors=True)
                shutil.rmtree(folder / "collections" / "strip" / "chips", ignore_errors=True)
            before, others = cluster.processor_seconds(), cluster.others_seconds()
            began = time.perf_counter()
            DaskEngine(cluster.address, storage=storage).run_tasks(tasks, 0, silent)
            took = time.perf_counter() - began
            others = cluster.others_seconds() - others
            rates[workers].append(chips / took)
            undisturbed[workers].append(chips / (took - others / workers))
            costs[workers].append((cluster.processor_seconds() - before) / chips)
            found[workers] = vectors(collection)
            say(
                f"  {workers} worker{'s' * (workers > 1)}: {rates[workers][-1]:.2f} chips/s, "
                f"{undisturbed[workers][-1]:.2f} in the time their cores were theirs, "
                f"{costs[workers][-1] * 1000:.1f} ms of processor time a chip"
            )
    say(f"  the largest worker holds {two.memory() / 1e6:.0f} MB")
    each = [b / (2 * a) for a, b in zip(rates[1], rates[2], strict=True)]
    own = [b / (2 * a) for a, b in zip(undisturbed[1], undisturbed[2], strict=True)]
    thrift = [a / b for a, b in zip(costs[1], costs[2], strict=True)]
    same = equal(found[1], found[2])
    return [
        _figure(
            "chips and embeddings by two workers, chips/s",
            median(rates[2]), 2 * median(rates[1]), "twice one worker", median(each), each, same,
        ),
        _figure(
            "the same in the time their cores were theirs, chips/s",
            median(undisturbed[2]), 2 * median(undisturbed[1]), "twice one worker", median(own),
            own, same,
        ),
        _figure(
            "processor time of a chip by two workers, ms",
            median(costs[2]) * 1000, median(costs[1]) * 1000, "one worker", median(thrift), thrift,
            same,
        ),
    ], found[2]  # fmt: skip


def disturbed(
    cluster: Cluster, home: Path, storage: Any, blocks: int, say: Callable[..., None]
) -> Figure:
    """A worker killed and replaced, then the scheduler, in the middle of a job."""
    from pipeline.collection.library import Library
    from pipeline.jobs.queue import Jobs
    from pipeline.jobs.runner import run
    from pipeline.settings import Settings

    scene = home / "disturbed.tif"
    write_scene(scene, blocks)
    request = _request("disturbed", scene)
    jobs, ended = Jobs(home), []
    job = jobs.submit(request, start=False)
    present = Settings(home=home, scheduler=cluster.address, storage=storage.url)
    runner = threading.Thread(target=lambda: ended.append(run(jobs, job, present)))
    seen: dict[tuple[str, int, int], None] = {}
    parts = Path(storage.url.removeprefix("file://")) / "collections" / "disturbed" / "chips"

    def look() -> int:
        """Blocks made so far; each rewriting of one counts anew."""
        for path in parts.glob("*/block-*.parquet"):
            stat = path.stat()
            seen[(path.name, stat.st_ino, stat.st_mtime_ns)] = None
        return len({name for name, _, _ in seen})

    def until(there: int) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while look() < there and runner.is_alive() and time.monotonic() < end:
            time.sleep(0.02)

    began = time.monotonic()
    with cluster.supervised():
        runner.start()
        until(max(blocks // 4, 1))
        cluster.workers[1].kill()
        say(f"  a worker killed after {look()} of {blocks} blocks, {_since(began)}")
        until(blocks // 2)
        assert cluster.scheduler is not None
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        say(f"  the scheduler killed after {look()} blocks, {_since(began)}")
        cluster.start_scheduler()
        until(blocks)
        runner.join()
    (done,) = ended
    assert done.state == "done", done.error
    look()
    made, stored = len(seen), len({name for name, _, _ in seen})
    record = done.summary["blocks_made"] + done.summary["blocks_kept"]
    wrong = (blocks - stored) + (made - stored) + abs(record - blocks) + (done.attempts - 1)
    through = vectors(Library(home).open("disturbed"))
    say(
        f"  done {_since(began)}: {stored} blocks in the storage, {made} times written, "
        f"{record} in the job's record, {cluster.starts} workers started in all"
    )
    return _figure(
        f"blocks lost or made twice of {blocks}, a worker and the scheduler killed",
        wrong, 0, "undisturbed", 1.0 if not wrong else 0.0, [0.0], _as_undisturbed(home, through),
    )  # fmt: skip


def _as_undisturbed(home: Path, through: np.ndarray) -> float:
    """Share of the disturbed build's vectors equal to those of the same pixels elsewhere.

    The strip of the first part begins with the same picture, so its first columns are the same
    chips; its other blocks are not needed.
    """
    from pipeline.collection.library import Library

    library = Library(home)
    one, other = library.open("strip"), library.open("disturbed")
    first = {
        (int(c), int(r)): v
        for c, r, v in zip(one.chips.cols, one.chips.rows, vectors(one), strict=True)
    }
    pairs = [
        (first[(int(c), int(r))], v)
        for c, r, v in zip(other.chips.cols, other.chips.rows, through, strict=True)
        if (int(c), int(r)) in first
    ]
    return equal(np.stack([a for a, _ in pairs]), np.stack([b for _, b in pairs]))


def _figure(
    name: str, ours: float, rival: float, of: str, ratio: float, each: list[float], quality: float
) -> Figure:
    spread = max(each) - min(each)
    numbers = [round(float(n), 4) for n in (ours, rival)]
    return Figure(name, *numbers, of, round(ratio, 4), round(spread, 4), round(quality, 4))


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


def main() -> int:
    """Measure and print; the exit status says whether anything was lost, doubled or different."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a smaller case, under a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL

    from pipeline.cluster.storage import Storage
    from pipeline.model.weights.cache import cache_path
    from pipeline.settings import settings

    weights = settings().weights or cache_path(settings().home)
    if not weights.exists():
        raise SystemExit("The ImageNet weights are missing: run `make setup` first.")

    def say(*words: object) -> None:
        if not options.json:
            print(*words, flush=True)

    figures = []

    def show(figure: Figure) -> None:
        figures.append(figure)
        figure.show(as_json=options.json)

    with (
        tempfile.TemporaryDirectory(prefix="lookalike-scaling-") as temporary,
        ExitStack() as stack,
    ):
        folder = Path(temporary)
        home, bucket = folder / "head", folder / "bucket"
        home.mkdir()
        places, address = stack.enter_context(hosts(2, home))
        say(
            "hosts: network and mount namespaces joined by a bridge"
            if places[0].isolated
            else "hosts: plain processes; namespaces want root"
        )
        clusters = []
        for number, each in enumerate((places[:1], places)):
            own = folder / f"cluster{number}"
            own.mkdir()
            port = free_port(address)
            clusters.append(Cluster(f"tcp://{address}:{port}", each, own, weights))
            stack.callback(clusters[-1].stop)
        starting = [threading.Thread(target=cluster.start) for cluster in clusters]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join()
        one, two = clusters
        storage = Storage.at(str(bucket))
        found, _ = efficiency(one, two, home, storage, size, say)
        one.stop()
        for figure in found:
            show(figure)
        show(disturbed(two, home, storage, size.disturbed, say))
    lost = next(figure for figure in figures if "killed" in figure.name)
    return 0 if lost.ours == 0 and all(figure.quality == 1 for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
