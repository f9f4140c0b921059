"""From a click in object search to the objects on the map, in Chromium, and from a mark to the new
ranking, over 6.4 million cells.

    python benchmarks/objects_click.py             6.4 million cells; 1 GB of disk
    python benchmarks/objects_click.py --millions 1.6
    python benchmarks/objects_click.py --json      one JSON object a line

The page is the Search page of the real server.  A click's time runs from the browser's click event
to the frame after the one in which the objects were drawn: the surroundings of the click are read
and pass the network, all cells are ranked, and the thousand best objects are drawn.  The page is at
rest before it.  A mark's time is that of two requests: one keeps it, and one trains on the 21 and
more marks so far and ranks all cells.

Scenes are a sample scene, repeated; their cells are pieces of its own, turned, mirrored and
disturbed (`objects_speed.py`).  The rival is scikit-image's `match_template` of 64 pixels in a grey
picture of the same size, scaled from a piece, which draws nothing.  `spread` is the 95th percentile
over the median.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import Page, Request, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.interaction import PAINTED, PIXEL, press
from benchmarks.objects_speed import PICTURE, piece, template_matching
from benchmarks.support.figures import Figure
from benchmarks.support.imagery import sample_scene
from benchmarks.support.searchable import server
from pipeline.collection import cell_files
from pipeline.collection.cell_files import CellWindow
from pipeline.collection.library import Library
from pipeline.collection.manifest import CellLayer, Manifest
from pipeline.collection.parquet import write_part
from pipeline.files import write_json
from pipeline.imagery.chips import CHIP, Chips, chip_id, corners
from pipeline.imagery.scene import Scene
from pipeline.index.index import Index
from pipeline.model import loader
from pipeline.model.cells import identity_of as identity_of_cells
from pipeline.model.identity import DIMENSIONS, ModelIdentity, identity_of
from pipeline.model.resnet import CELL_PIXELS
from pipeline.model.weights import cache
from tests.browser.driver import DESKTOP, FLAGS, chromium_path
from tests.factories.synthetic import scene as scene_of

NAME = "large"
#: Cells along the edges of a scene, and of a block.
SIDE, BLOCK = 1265, 256
#: Metres of a pixel, and of what is clicked: 64 pixels.
GSD, SIZE_M = 1.0, 64.0
#: Marks before the first that is timed.
MARKS = 20
#: Promises the time from the next click to the objects on the screen, and how many they are.
NEXT = (
    "() => { window.answer = new Promise((done) => addEventListener('click', (click) => {"
    " const drawn = () => document.querySelector('.leaflet-lk-objects-pane canvas');"
    " const watch = new MutationObserver(() => { if (!drawn()) return; watch.disconnect();"
    " (" + PAINTED + ")(() => done([performance.now() - click.timeStamp,"
    " lookalike.store.state.shown.length])); });"
    " watch.observe(document.querySelector('.lk-map'), { childList: true, subtree: true });"
    " }, { capture: true, once: true })); }"
)
#: In the addresses of what a search asks for: pictures, outlines.
ASKED = "/objects/"
CLEARED = (
    "() => !lookalike.store.state.objects.length && !lookalike.store.state.busy"
    " && !document.querySelector('.leaflet-lk-objects-pane canvas')"
)


def make_home(home: Path, scenes: int) -> None:
    """A collection with cells, and enough else to be opened."""
    weights = cache.load(cache.find())
    model = identity_of(weights, "chip")
    made_by = identity_of_cells(model.weights_sha256)
    picture = sample_scene()
    embedder = loader.cells()
    codes = [embedder.embed(picture, np.ones(picture.shape[:2], bool), 1)]
    side = SIDE * CELL_PIXELS
    made = Library(home).create(
        Manifest(
            NAME, NAME.title(), CHIP, model, cells=(CellLayer(),),
            scenes=tuple(f"{NAME}-{number:08d}" for number in range(scenes)),
        )
    )  # fmt: skip
    rng = np.random.default_rng(0)
    for number, scene_id in enumerate(made.manifest.scenes):
        plain = scene_of(scene_id, side, side, gsd=GSD)
        a, b, c, d, e, f = plain.transform[:6]
        # One beside the other.
        scene = Scene(**{**vars(plain), "transform": (a, b, c + number * side * GSD, d, e, f)})
        write_json(made.scenes_folder / f"{scene.id}.json", scene.to_item())
        path = made.scenes_folder / scene.path
        if number:
            os.link(made.scenes_folder / f"{made.manifest.scenes[0]}.tif", path)
        else:
            write_raster(path, picture, side)
        write_chips(made.path / "chips" / scene.id / "block-r0000-c0000-all.parquet", scene, model)
        folder = cell_files.folder_of(made.path, scene.id, 1.0)
        folder.mkdir(parents=True)
        for row in range(0, SIDE, BLOCK):
            for col in range(0, SIDE, BLOCK):
                window = CellWindow(row, col, min(BLOCK, SIDE - row), min(BLOCK, SIDE - col))
                part = piece(codes, rng)[: window.height, : window.width]
                path = folder / f"block-r{row:05d}-c{col:05d}.tif"
                cell_files.write(path, part, window, scene, 1.0, made_by)
        print(f"{number + 1} of {scenes} scenes", file=sys.stderr)
    made = made.write(complete=True, chips=2 * scenes)
    Index.open(made)


def write_raster(path: Path, picture: np.ndarray, side: int) -> None:
    """A scene of a picture repeated, tiled, with overviews."""
    import rasterio
    from rasterio.windows import Window

    height = picture.shape[0]
    across = np.tile(picture, (1, -(-side // picture.shape[1]), 1))[:, :side].transpose(2, 0, 1)
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32632", "transform": (GSD, 0, 300000, 0, -GSD, 5150000), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "jpeg", "photometric": "ycbcr",
        "interleave": "pixel",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        for top in range(0, side, height):
            rows = min(height, side - top)
            dataset.write(across[:, :rows], window=Window(0, top, side, rows))
        dataset.build_overviews([2**level for level in range(1, 8)])


def write_chips(path: Path, scene: Scene, model: ModelIdentity) -> None:
    """A chip in two corners: object search needs none, and a map shows where they are."""
    col = row = np.array([0, scene.width - CHIP], np.int32)
    chips = Chips(
        ids=[chip_id(scene.id, int(place), int(place)) for place in col], cols=col, rows=row,
        corners=corners(scene, col, row), nodata_percent=np.zeros(2, np.float32),
        sharpness=np.ones(2, np.float32), pixels=np.empty((2, 0, 0, 3), np.uint8), left_out={},
    )  # fmt: skip
    write_part(path, scene, chips, np.eye(2, DIMENSIONS, dtype=np.float32), model, stride=CHIP)


def clicks(page: Page, places: Sequence[Sequence[float]]) -> tuple[list[float], list[int]]:
    """Milliseconds of each click, and how many objects it drew."""
    times, counts = [], []
    under_way: set[Request] = set()
    page.on("request", lambda asked: under_way.add(asked) if ASKED in asked.url else None)
    page.on("requestfinished", lambda asked: under_way.discard(asked))
    page.on("requestfailed", lambda asked: under_way.discard(asked))
    for place in places:
        page.keyboard.press("Escape")
        page.wait_for_function(CLEARED)
        at = page.evaluate(PIXEL, list(place))
        page.evaluate(NEXT)
        press(page, ".lk-map", *at)
        took, count = page.evaluate("() => answer")
        times.append(took)
        counts.append(count)
        page.wait_for_function("() => document.querySelector('.lk-object-cards img')?.complete")
        while under_way:
            page.wait_for_timeout(20)
    return times, counts


def marks(url: str, count: int) -> list[float]:
    """Milliseconds from each further mark to the new ranking."""
    root = f"{url}/api/collections/{NAME}"
    with httpx.Client(timeout=600) as client:
        bounds = client.get(root).json()["bounds"]
        at = [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2]
        example = {"at": at, "object_size": SIZE_M, "label": "good"}
        recipe = {"examples": [example], "k": 1000}
        found = client.post(f"{root}/objects", json=recipe).raise_for_status().json()["objects"]
        recipe["marks"] = "speed000"
        times = []
        for number in range(MARKS + count):
            hit = found[number]
            mark = {key: hit[key] for key in ("lon", "lat", "width_m", "height_m", "scene_id")}
            mark |= {"key": str(number), "label": "bad" if number % 3 else "good"}
            started = time.perf_counter()
            client.put(f"{root}/object-marks/speed000", json={"marks": [mark]}).raise_for_status()
            if number < MARKS - 1:
                continue
            client.post(f"{root}/objects", json=recipe).raise_for_status()
            times.append(1e3 * (time.perf_counter() - started))
    return times[1:]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--millions", type=float, default=6.4, help="millions of cells")
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    scenes = max(round(options.millions * 1e6 / SIDE**2), 1)
    million = round(scenes * SIDE**2 / 1e6, 1)
    grey = sample_scene()[:PICTURE, :PICTURE].mean(2)
    rival = template_matching(grey) * million * CELL_PIXELS**2
    home = Path(tempfile.mkdtemp())
    try:
        make_home(home, scenes)
        with server(home, NAME) as url, sync_playwright() as playwright:
            bounds = httpx.get(f"{url}/api/collections/{NAME}").json()["bounds"]
            browser = playwright.chromium.launch(
                executable_path=chromium_path(playwright), args=FLAGS
            )
            page = browser.new_page(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
            page.add_init_script("localStorage.setItem('lookalike:tour', '3')")
            page.goto(f"{url}/search?collection={NAME}&mode=objects")
            page.wait_for_function(
                "() => window.lookalike?.store?.state.size && window.lookalike.map.leaflet()",
                timeout=600_000,
            )
            page.get_by_label("Object size").fill(f"{SIZE_M:g}")
            page.get_by_label("Object size").press("Enter")
            shares = np.random.default_rng(0).uniform(0.2, 0.8, (options.clicks + 2, 2))
            west, south, east, north = bounds
            places = [(west + x * (east - west), south + y * (north - south)) for x, y in shares]
            page.set_default_timeout(60_000)
            clicks(page, places[:2])  # maps the files
            times, counts = clicks(page, places[2:])
            browser.close()
            marked = marks(url, options.clicks)
    finally:
        shutil.rmtree(home)
    for name, values, quality in (
        (f"click to objects on the map, {million:g} million cells, ms", times, min(counts)),
        (f"mark to new ranking, {million:g} million cells, ms", marked, MARKS),
    ):
        p50, p95 = np.percentile(values, [50, 95])
        Figure(
            name=name,
            ours=round(float(p50)),
            rival=round(rival),
            rival_name="scikit-image match_template, one query",
            ratio=round(rival / p50, 1),
            spread=round(float(p95 / p50), 2),
            quality=quality,
            more={
                "p50_ms": round(float(p50)),
                "p95_ms": round(float(p95)),
                "best_ms": round(float(min(values))),
                "load": round(os.getloadavg()[0], 1),
            },
        ).show(as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
