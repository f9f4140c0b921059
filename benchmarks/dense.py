"""Overlapping chips of a scene embedded in one pass, beside Keras `predict` chip by chip.

Both sides read the scene from its file and write their vectors to one, in the same run.  Keras's
side embeds a sample of the chips, spread over the scene, and its time is scaled to all of them
(its cost is the same for every chip); ours always embeds every chip.  `stride32_over_stride64` is
what four times the chips cost; `cells` is what the object cells of the same pass add; `seam` is how
far the vector of a chip moves when the scene is cut into other blocks (1 − cosine, the largest).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

TARGET = 20.0
SEAM = 1e-3
#: Pixels of chip origins a block: large blocks waste less on halos and need more memory.
SPAN = 2048


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="one round, under a minute")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    rounds, sample = (1, 24) if options.quick else (3, 96)

    import keras

    from pipeline.imagery.chips import Grid
    from pipeline.imagery.ingest import SceneInput, ingest
    from pipeline.imagery.reader import SceneReader
    from pipeline.model import dense, native, runtime
    from pipeline.model.weights import cache
    from pipeline.settings import settings
    from tests.factories.keras_reference import keras_model

    native.load("tensorflow")
    loaded = cache.load(cache.find())
    embedder = dense.DenseEmbedder(loaded, runtime.network(loaded, settings().threads))
    model = keras_model(loaded)

    with (
        as_file(files("localtileserver") / "tiler" / "data" / "landsat7.tif") as source,
        tempfile.TemporaryDirectory() as temporary,
    ):
        folder = Path(temporary)
        scene = ingest(SceneInput(source, percentile=True), folder)

        def in_one_pass(
            stride: int, span: int = SPAN, *, cells: bool = False
        ) -> tuple[dict[tuple[int, int], int], float]:
            started = time.perf_counter()
            places: dict[tuple[int, int], int] = {}
            every = []
            with SceneReader(scene) as reader:
                for block in Grid.for_scene(scene, stride).blocks(span):
                    col, row, width, height = dense.region(
                        block.window, (scene.width, scene.height)
                    )
                    pixels, valid = reader.read(col, row, width, height)
                    cols, rows = (a.ravel() for a in np.meshgrid(block.cols, block.rows))
                    for place in zip(cols.tolist(), rows.tolist(), strict=True):
                        places[place] = len(places)
                    if cells:
                        made = embedder.describe_region(
                            pixels, cols - col, rows - row, valid, None, cells=True
                        )
                        vectors = made.plain
                        np.save(folder / "cells.npy", made.cells)
                    else:
                        vectors = embedder.embed_region(pixels, cols - col, rows - row, valid)
                    every.append(vectors)
            np.save(folder / f"{stride}-{span}.npy", np.concatenate(every).astype(np.float16))
            return places, time.perf_counter() - started

        def one_by_one(places: list[tuple[int, int]]) -> float:
            started = time.perf_counter()
            with SceneReader(scene) as reader:
                chips = [reader.read(col, row, 256, 256)[0] for col, row in places]
            ready = keras.applications.resnet50.preprocess_input(np.stack(chips).astype("float32"))
            np.save(folder / "keras.npy", model.predict(ready, verbose=0).astype(np.float16))
            return time.perf_counter() - started

        places, _ = in_one_pass(64)
        everywhere = list(places)
        picked = [everywhere[i] for i in np.linspace(0, len(places) - 1, sample).astype(int)]
        one_by_one(picked)
        wide, with_cells, narrow, rival = [], [], [], []
        in_one_pass(64, cells=True)
        for _ in range(rounds):
            wide.append(in_one_pass(64)[1])
            with_cells.append(in_one_pass(64, cells=True)[1])
            narrow.append(in_one_pass(32)[1])
            rival.append(one_by_one(picked) * len(places) / sample)
        other, _ = in_one_pass(64, 576)
        vectors = np.load(folder / f"64-{SPAN}.npy").astype(np.float32)
        blocked = np.load(folder / "64-576.npy").astype(np.float32)
    blocked = blocked[[other[place] for place in places]]
    seam = 1 - (vectors * blocked).sum(1) / (
        np.linalg.norm(vectors, axis=1) * np.linalg.norm(blocked, axis=1)
    )
    ratios = [b / a for a, b in zip(wide, rival, strict=True)]
    result = {
        "name": f"seconds to embed the Bay scene at stride 64 ({len(places)} chips)",
        "ours": round(median(wide), 2),
        "rival": round(median(rival), 2),
        "rival_name": f"Keras predict, float32, chip by chip (scaled from {sample} chips)",
        "ratio": round(median(ratios), 1),
        "spread": round(max(ratios) - min(ratios), 1),
        "quality": {"seam": float(f"{seam.max():.2g}")},
        "stride32_over_stride64": round(
            median(b / a for a, b in zip(wide, narrow, strict=True)), 2
        ),
        "cells": round(median(b / a - 1 for a, b in zip(wide, with_cells, strict=True)), 3),
        "engine": embedder.network.name,
        "target": TARGET,
    }
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        print(f"{embedder.network.name}: {result['ours']} s; Keras: {result['rival']} s; ratio "
              f"{result['ratio']} (spread {result['spread']}, target {TARGET})")  # fmt: skip
        print(
            f"stride 32 costs {result['stride32_over_stride64']} of stride 64; object cells "
            f"add {result['cells']:.1%}; "
            f"seam {seam.max():.1e}"
        )
    return 0 if seam.max() < SEAM else 1


if __name__ == "__main__":
    raise SystemExit(main())
