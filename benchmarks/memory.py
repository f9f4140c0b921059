"""Peak memory of a build: a scene sixteen times as large must not need more of it.

Each build is the real one, `python -m pipeline build`, in a process of its own with an empty home:
open, convert to COG, cut, embed with ResNet-50, write, index.  The peak counts that process and
its children together (proportional set size where the system tells it).

    python benchmarks/memory.py            12,000×12,000 against 3,000×3,000 pixels
    python benchmarks/memory.py --quick    6,000×6,000 against 1,500×1,500, under a minute
    python benchmarks/memory.py --json     one JSON object a line

`ratio` is large over small and should not exceed 1.2.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

LIMIT = 1.2
STRIDE = 256
#: Between two looks at a build's memory.
LOOK_SECONDS = 0.06
SIZES = {"full": (12000, 3000), "quick": (6000, 1500)}


@dataclass(frozen=True)
class Build:
    """One build, measured: peak bytes, duration, chips made."""

    peak: int
    seconds: float
    chips: int


def write_scene(path: Path, side: int) -> None:
    """A seeded square scene of 10 m pixels, neither tiled nor a COG, written strip by strip."""
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    rng = np.random.default_rng(side)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8"}
    place = {"crs": "EPSG:32632", "transform": from_origin(300000, 5300000, 10, 10)}
    x = np.arange(side)
    with rasterio.open(path, "w", **profile, **place) as dataset:
        for top in range(0, side, 250):
            y = np.arange(top, min(top + 250, side))[:, None]
            fields = 120 + 60 * np.sin(x / 170.0) * np.cos(y / 130.0)
            fields[:, x % 400 < 8] = 230
            strip = fields + rng.normal(0, 12, (3, len(y), side))
            strip = strip.clip(1, 255).astype(np.uint8)
            dataset.write(strip, window=Window(0, top, side, len(y)))


def measured_build(scene: Path, folder: Path, weights: Path) -> Build:
    """Build a collection from `scene` in a new home below `folder`, watching its memory."""
    import psutil

    home = Path(tempfile.mkdtemp(dir=folder))
    environment = {**os.environ, "LOOKALIKE_HOME": str(home), "LOOKALIKE_WEIGHTS": str(weights)}
    arguments = ["build", "--scene", str(scene), "--name", "memory", "--stride", str(STRIDE)]
    command = [sys.executable, "-m", "pipeline", *arguments, "--json"]
    started, peak = time.monotonic(), 0
    with (home / "log").open("w+") as log:
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        watched = psutil.Process(child.pid)
        while child.poll() is None:
            with suppress(psutil.Error):
                peak = max(peak, sum(map(_held, [watched, *watched.children(recursive=True)])))
            time.sleep(LOOK_SECONDS)
        log.seek(0)
        said = log.read()
    if child.returncode:
        raise SystemExit(f"the build of {scene.name} failed:\n{said}")
    manifest = json.loads((home / "collections" / "memory" / "collection.json").read_text("utf-8"))
    return Build(peak, time.monotonic() - started, manifest["chips"])


def _held(process: object) -> int:
    """Bytes a process holds, memory shared with others counted once between them."""
    import psutil

    assert isinstance(process, psutil.Process)
    with suppress(psutil.Error):
        return int(getattr(process.memory_full_info(), "pss", 0)) or process.memory_info().rss
    return 0


def main() -> int:
    """Measure and print; the exit status says whether the ratio keeps to the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="smaller scenes, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--repeats", type=int, help="builds of each scene (2; 1 with --quick)")
    options = parser.parse_args()
    large, small = SIZES["quick" if options.quick else "full"]
    repeats = options.repeats or (1 if options.quick else 2)

    from pipeline.model.weights.cache import cache_path
    from pipeline.settings import settings

    weights = settings().weights or cache_path(settings().home)
    if not weights.exists():
        raise SystemExit("The ImageNet weights are missing: run `make setup` first.")
    builds: dict[int, list[Build]] = {large: [], small: []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for side in builds:
            write_scene(folder / f"{side}.tif", side)
        for _ in range(repeats):
            for side, made in builds.items():
                made.append(measured_build(folder / f"{side}.tif", folder, weights))
    peaks = {side: median(b.peak for b in made) / 1e6 for side, made in builds.items()}
    every = [a.peak / b.peak for a, b in zip(builds[large], builds[small], strict=True)]
    result = {
        "name": f"peak memory of a build, {large:,}×{large:,} pixels (MB)",
        "ours": round(peaks[large], 1),
        "rival": round(peaks[small], 1),
        "rival_name": f"the same build of {small:,}×{small:,} pixels",
        "ratio": round(median(every), 3),
        "spread": round(max(every) - min(every), 3),
        "quality": {str(side): asdict(made[0])["chips"] for side, made in builds.items()},
        "limit": LIMIT,
        "seconds": round(sum(b.seconds for made in builds.values() for b in made), 1),
    }
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        for side, made in builds.items():
            print(f"{side:>6,}×{side:<6,} {peaks[side]:8.1f} MB  {made[0].chips:5} chips")
        print(f"ratio {result['ratio']} (limit {LIMIT}), spread {result['spread']}")
    return 0 if float(str(result["ratio"])) <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
