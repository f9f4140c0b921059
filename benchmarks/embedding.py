"""Chips embedded per second: our engine beside Keras `predict` in float32, in the same run.

Both take the same real chips; rounds alternate, so that what else the machine does falls on both.
The ratio is the median over rounds of wall-clock time; processor time stands beside it, because it
does not depend on what else runs.  `cosine` is the smallest of our vectors to Keras's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.model.weights.cache import Weights

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

TARGET = 2.5
COSINE = 0.999


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="few chips, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--runtime", choices=["openvino", "tensorflow"], help="default the fastest")
    parser.add_argument(
        "--steps", action="store_true", help="processor time of each step from Keras to ours"
    )
    options = parser.parse_args()
    chips, rounds = (48, 3) if options.quick else (256, 7)

    import keras

    from benchmarks.support.imagery import chips_of, sample_scene
    from pipeline.model import embedder, native
    from pipeline.model import runtime as runtimes
    from pipeline.model.weights import cache
    from pipeline.settings import settings
    from tests.factories.keras_reference import keras_model

    native.load("tensorflow")
    loaded = cache.load(cache.find())
    model = keras_model(loaded)
    scene = sample_scene(size=1536)
    cols, rows = chips_of(scene, 128)
    picked = np.linspace(0, len(cols) - 1, min(chips, len(cols))).astype(int)
    pixels = np.stack([scene[rows[i] : rows[i] + 256, cols[i] : cols[i] + 256] for i in picked])

    def theirs() -> np.ndarray:
        ready = keras.applications.resnet50.preprocess_input(pixels.astype(np.float32))
        return model.predict(ready, verbose=0)

    if options.steps:
        return steps(loaded, pixels[:48], settings().threads, theirs)
    network = runtimes.network(loaded, settings().threads, options.runtime)

    def ours() -> np.ndarray:
        return embedder.average_pool(network, pixels)

    mine, keras_vectors = ours(), theirs()  # and both are warm
    cosines = (mine * keras_vectors).sum(1) / (
        np.linalg.norm(mine, axis=1) * np.linalg.norm(keras_vectors, axis=1)
    )
    wall: dict[str, list[float]] = {"ours": [], "rival": []}
    work: dict[str, list[float]] = {"ours": [], "rival": []}
    for _ in range(rounds):
        for name, run in (("ours", ours), ("rival", theirs)):
            seconds, busy = measure(run)
            wall[name].append(seconds)
            work[name].append(busy)
    ratios = [b / a for a, b in zip(wall["ours"], wall["rival"], strict=True)]
    result = {
        "name": "chips embedded per second",
        "ours": round(len(pixels) / median(wall["ours"]), 2),
        "rival": round(len(pixels) / median(wall["rival"]), 2),
        "rival_name": "Keras predict, float32",
        "ratio": round(median(ratios), 2),
        "spread": round(max(ratios) - min(ratios), 2),
        "quality": {
            "cosine_min": round(float(cosines.min()), 5),
            "cosine_median": round(float(np.median(cosines)), 5),
        },
        "engine": network.name,
        "chips": len(pixels),
        "processor_seconds_per_chip": {
            name: round(median(busy) / len(pixels), 4) for name, busy in work.items()
        },
        "processor_ratio": round(median(work["rival"]) / median(work["ours"]), 2),
        "target": TARGET,
    }
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        print(f"{network.name}: {result['ours']} chips/s; Keras float32: {result['rival']} chips/s")
        print(f"ratio {result['ratio']} (spread {result['spread']}, target {TARGET}); by processor "
              f"time {result['processor_ratio']}; cosine at least {cosines.min():.5f}")  # fmt: skip
    return 0 if cosines.min() >= COSINE else 1


def steps(
    loaded: Weights, pixels: np.ndarray, threads: int, theirs: Callable[[], np.ndarray]
) -> int:
    """Print what each step from Keras's float32 to our engine saves, by processor time."""
    from pipeline.model import embedder, resnet
    from pipeline.model.openvino import OpenVinoNetwork

    networks: dict[str, resnet.Network] = {
        f"{runtime.__name__.removesuffix('Network')}, {float_type}, batches of {size}": runtime(
            loaded, threads=threads, float_type=float_type
        )
        for runtime, sizes in ((resnet.TensorFlowNetwork, (8, 32)), (OpenVinoNetwork, (4, 16)))
        for float_type in ("float32", "bfloat16")
        for size in sizes
    }
    for name, network in networks.items():
        network.batch = int(name.rpartition(" ")[2])
        embedder.average_pool(network, pixels)
    theirs()
    busy: dict[str, list[float]] = {name: [] for name in ("Keras predict, float32", *networks)}
    for _ in range(5):
        busy["Keras predict, float32"].append(measure(theirs)[1])
        for name, network in networks.items():
            busy[name].append(
                measure(lambda network=network: embedder.average_pool(network, pixels))[1]
            )
    for name, seconds in busy.items():
        print(f"{name:40} {median(busy['Keras predict, float32']) / median(seconds):.2f}")
    return 0


def measure(run: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor seconds of a call."""
    started, busy = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - started, time.process_time() - busy


if __name__ == "__main__":
    raise SystemExit(main())
