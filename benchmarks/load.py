"""Fifty people searching at once through REST, on the real server, with and without a build.

A collection of 100,000 chips is made of clustered vectors (no imagery is needed to search), the app
is started on it as a user would start it, and every user searches from a random chip, reads for
about a second, and searches again.  Then the same while a real build runs as a job: ResNet-50 on a
generated scene, in a worker process.

    python benchmarks/load.py              100,000 chips, 50 users, 30 s each
    python benchmarks/load.py --quick      5,000 chips, 10 users, 5 s each, under a minute
    python benchmarks/load.py --json       one JSON object a line

Errors must be 0.  Times are those the client sees, in milliseconds.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.support.figures import Figure
from benchmarks.support.searchable import WARM_SECONDS, make_collection, server, write_raster

NAME = "load"
THINK_SECONDS = (0.5, 1.5)
#: Pixels of the built scene each way: 1,296 chips, 64 in a block.
SIDE = 9000


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    chips: int
    users: int
    seconds: float


@dataclass(frozen=True)
class Seen:
    """What the users saw.

    Attributes:
        building: Whether a build ran beside them.
        chips: Chips in the collection.
        users: How many searched at once.
        seconds: For how long.
        times: Seconds of every search, in the order of their ends.
        errors: What went wrong.
        blocks_made: Blocks that the build finished meanwhile.
    """

    building: bool
    chips: int
    users: int
    seconds: float
    times: list[float]
    errors: list[str]
    blocks_made: int

    def milliseconds(self, quantile: int) -> float:
        """A percentile of the times."""
        return float(np.percentile(self.times, quantile)) * 1000

    def spread(self, quantile: int) -> float:
        """How far that percentile differs between thirds of the measurement, relative to it."""
        thirds = [np.percentile(part, quantile) for part in np.array_split(self.times, 3)]
        return round(float((max(thirds) - min(thirds)) * 1000 / self.milliseconds(quantile)), 3)


PLANS = {"full": Plan(100_000, 50, 30.0), "quick": Plan(5_000, 10, 5.0)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder to keep the collection in")
    given = parser.parse_args()
    plan = PLANS["quick" if given.quick else "full"]
    with tempfile.TemporaryDirectory() as scratch:
        home = given.keep or Path(scratch) / "home"
        chips = make_collection(home, plan.chips, NAME)
        with server(home, NAME) as address:
            for seed in range(4):
                user(address, chips, time.monotonic() + 2, seed, [], [])
            alone = measure(address, home, chips, replace(plan, users=1), building=False)
            together = measure(address, home, chips, plan, building=False)
            building = measure(address, home, chips, plan, building=True)
    for figure in figures(alone, together, building):
        figure.show(as_json=given.json)
    return 1 if alone.errors or together.errors or building.errors else 0


def measure(address: str, home: Path, chips: list[str], plan: Plan, *, building: bool) -> Seen:
    """Let the users loose, beside a build or not."""
    from pipeline.jobs.queue import Jobs

    job = start_build(home) if building else None
    before = blocks_of(home)
    times: list[float] = []
    errors: list[str] = []
    began = time.monotonic()
    people = [
        threading.Thread(target=user, args=(address, chips, began + plan.seconds, n, times, errors))
        for n in range(plan.users)
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    seconds = time.monotonic() - began
    made = blocks_of(home) - before
    if job:
        jobs = Jobs(home)
        if jobs.get(job).active:
            jobs.cancel(job)
        while jobs.get(job).active:
            time.sleep(0.2)
    for error in sorted(set(errors))[:5]:
        print(error, file=sys.stderr)
    if not times:
        raise SystemExit("no search was answered")
    return Seen(building, len(chips), plan.users, seconds, times, errors, made)


def user(
    address: str, chips: list[str], end: float, seed: int, times: list[float], errors: list[str]
) -> None:
    """One person: search, read, search again."""
    rng = random.Random(seed)
    with httpx.Client(base_url=address, timeout=60) as client:
        time.sleep(rng.uniform(0, THINK_SECONDS[1]))
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                body = {"chip": rng.choice(chips), "k": 10}
                answer = client.post(f"/api/collections/{NAME}/search", json=body)
                if answer.status_code != 200 or len(answer.json()["hits"]) != 10:
                    errors.append(f"{answer.status_code}: {answer.text[:200]}")
                times.append(time.perf_counter() - began)
            except httpx.HTTPError as error:
                errors.append(repr(error))
            time.sleep(rng.uniform(*THINK_SECONDS))


def start_build(home: Path) -> str:
    """Queue a build large enough to outlast the measurement, and wait until it embeds."""
    from pipeline.build.request import BuildRequest
    from pipeline.imagery.ingest import SceneInput
    from pipeline.jobs.queue import Jobs

    raster = home / "building.tif"
    if not raster.exists():
        write_raster(raster, SIDE)
    jobs = Jobs(home)
    job = jobs.submit(BuildRequest("building", (SceneInput(raster),), stride=256, mode="chip"))
    end = time.monotonic() + WARM_SECONDS
    while not blocks_of(home):
        state = jobs.get(job.id)
        if not state.active or time.monotonic() > end:
            raise SystemExit(f"the build is {state.state}: {state.error}")
        time.sleep(0.2)
    return job.id


def blocks_of(home: Path) -> int:
    """Blocks of the building collection that are finished."""
    return len(list((home / "collections" / "building" / "chips").glob("*/block-*.parquet")))


def figures(alone: Seen, together: Seen, building: Seen) -> Iterator[Figure]:
    """The comparisons: many users with one user, and with a build beside them with none."""
    pairs = ((together, alone, "one user alone"), (building, together, "the same without a build"))
    for seen, rival, rival_name in pairs:
        beside = f", beside a build ({seen.blocks_made} blocks made)" if seen.building else ""
        for quantile in (50, 95, 99):
            ours, theirs = seen.milliseconds(quantile), rival.milliseconds(quantile)
            yield Figure(
                f"p{quantile} of a search, ms: {seen.users} users, {seen.chips:,} chips{beside}",
                round(ours, 1),
                round(theirs, 1),
                rival_name,
                round(theirs / ours, 3),
                seen.spread(quantile),
                {
                    "errors": len(seen.errors),
                    "searches": len(seen.times),
                    "a_second": round(len(seen.times) / seen.seconds, 1),
                },
            )


if __name__ == "__main__":
    raise SystemExit(main())
