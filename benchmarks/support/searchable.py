"""A collection of any size that can be searched at once, and the real app that serves it.

Vectors are clustered noise, so that no network is needed.  Below 20,000 chips that is unkind: an
exact answer is proven by a few dozen real vectors, and among noise by nearly all of them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from benchmarks.support import ROOT
from tests.factories.synthetic import scene as scene_of

STRIDE = 64
CLUSTERS = 300
WARM_SECONDS = 600


def make_collection(
    home: Path,
    n: int,
    name: str,
    *,
    pictured: bool = False,
    vectors: Callable[[int], np.ndarray] | None = None,
    index: bool = True,
) -> list[str]:
    """A searchable collection of about n chips; returns their ids.  Made once in a kept folder.

    Args:
        home: The app's folder.
        n: How many chips; the nearest square is made.
        name: What to call it.
        pictured: Write its scene too, for the map's tiles and the chips' pictures.
        vectors: Gives the next vectors, as many as asked for; by default clustered noise.
        index: Make its index.
    """
    from pipeline.collection.library import Library
    from pipeline.collection.manifest import Manifest
    from pipeline.collection.parquet import write_part
    from pipeline.errors import NotFoundError
    from pipeline.files import write_json
    from pipeline.imagery.chips import Chips, Grid, chip_id, corners
    from pipeline.index.index import Index
    from pipeline.model.identity import DIMENSIONS, identity_of
    from pipeline.model.weights import cache

    library = Library(home)
    try:
        found = library.open(name)
    except NotFoundError:
        side = 256 + (round(n**0.5) - 1) * STRIDE
        scene = scene_of(f"{name}-00000000", side, side, gsd=1.0)
        model = identity_of(cache.load(cache.find()), "chip")
        made = library.create(Manifest(name, name.title(), STRIDE, model, scenes=(scene.id,)))
        write_json(made.scenes_folder / f"{scene.id}.json", scene.to_item())
        if pictured:
            write_raster(made.scenes_folder / scene.path, side)
        grid = Grid.for_scene(scene, STRIDE)
        rng = np.random.default_rng(0)
        centres = rng.random((CLUSTERS, DIMENSIONS), np.float32)
        cols = np.array(grid.cols)
        for number, start in enumerate(range(0, len(grid.rows), 8)):
            rows = np.repeat(np.array(grid.rows[start : start + 8]), len(cols))
            across = np.tile(cols, len(rows) // len(cols))
            count = len(rows)
            chips = Chips(
                ids=[chip_id(scene.id, int(c), int(r)) for c, r in zip(across, rows, strict=True)],
                cols=across.astype(np.int32),
                rows=rows.astype(np.int32),
                corners=corners(scene, across, rows),
                nodata_percent=np.zeros(count, np.float32),
                sharpness=np.ones(count, np.float32),
                pixels=np.empty((count, 0, 0, 3), np.uint8),
                left_out={},
            )
            if vectors is None:
                noise = rng.random((count, DIMENSIONS), np.float32)
                values = centres[rng.integers(CLUSTERS, size=count)] + noise
            else:
                values = vectors(count)
            path = made.path / "chips" / scene.id / f"block-r{number:04d}-c0000-all.parquet"
            write_part(path, scene, chips, values, model, stride=STRIDE)
        found = made.write(complete=True, chips=len(grid))
    if index:
        Index.open(found)
    return [chip.decode() for chip in found.chips.ids]


def write_raster(path: Path, side: int) -> None:
    """A seeded scene of square fields, tiled and with overviews, as large as asked for."""
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    strip = 1024
    fields = np.random.default_rng(1).integers(0, 255, (3, strip // 16, -(-side // 16)), np.uint8)
    pixels = fields.repeat(16, axis=1).repeat(16, axis=2)[:, :, :side]
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32632", "transform": from_origin(300000, 5150000, 1, 1), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "lzw", "interleave": "pixel",
        "photometric": "rgb",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        for top in range(0, side, strip):
            height = min(strip, side - top)
            dataset.write(pixels[:, :height], window=Window(0, top, side, height))
        dataset.build_overviews([2**level for level in range(1, 7) if side >> level > 256])


@contextmanager
def server(home: Path, *names: str) -> Iterator[str]:
    """The real app on a free port, the indexes of these collections warm."""
    from pipeline.model.weights.cache import find

    environment = {
        **os.environ,
        "LOOKALIKE_HOME": str(home),
        "LOOKALIKE_WEIGHTS": str(find()),
        "LOOKALIKE_WORKERS": "1",
    }
    os.environ.update(environment)
    with streamlit("streamlit_app.py", environment) as address:
        for name in names:
            wait_for(f"{address}/api/collections/{name}/index")
        yield address


@contextmanager
def streamlit(script: str, environment: dict[str, str]) -> Iterator[str]:
    """A Streamlit script of this repository on a free port; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port),
         "--server.address", "127.0.0.1", "--server.headless=true"],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str) -> None:
    """Ask until the answer is 200."""
    end = time.monotonic() + WARM_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(url, timeout=WARM_SECONDS).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit(f"{url} did not answer")
