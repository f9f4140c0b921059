"""Write the home of this folder with the code of version 0.1.0; README.md says how to run it.

Everything is asked of 0.1.0 itself: builds run as its jobs, searches go through its REST routes.
The imports are of its modules, so this file stays as it is when later versions move theirs.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from pipeline.renaming import rename
from pipeline.runner import build_attended, run
from pipeline.shelf import Shelf
from pipeline.sources.ee_exports import Tasks
from pipeline.sources.raster import RasterSource
from pipeline.sources.records import Dates
from pipeline.store import Store
from shapely.geometry import shape
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipeline import api, api_searches, resnet
from pipeline.build import BuildRequest, SceneInput
from pipeline.errors import LookalikeError
from pipeline.jobs import JobRequest, Jobs
from pipeline.settings import Settings

#: Jobs record where their rasters were; this place names no machine and no user.
PLACE = Path("/tmp/lookalike-0.1.0")
HOME = PLACE / "kept"
USED = Settings(home=HOME, workers=0)
SHELF = Shelf(Store(HOME))

# bfloat16, which 0.1.0 uses where the processor has it, differs between processors in the third
# digit; in float32 every machine makes the same vectors but for the last bit of float16.
resnet.cpu_has_bfloat16 = lambda: False


def land(width: int, height: int, seed: int) -> np.ndarray:
    """Fields of a few colours and round ponds: (3, height, width), which compresses well."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    colours = rng.integers(40, 200, (6, 3), dtype=np.uint8)
    fields = rng.integers(0, 6, (height // 40 + 1, width // 56 + 1))
    picture = colours[fields[y // 40, x // 56]]
    picture[(x % 112 < 3) | (y % 80 < 3)] = 225
    picture[(x - 2 * width // 3) ** 2 + (y - height // 2) ** 2 < (width // 7) ** 2] = (20, 60, 120)
    return np.moveaxis(picture, -1, 0)


def write(path: Path, data: np.ndarray) -> Path:
    """A GeoTIFF of ten metres a pixel near Lake Geneva."""
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:32632", dtype="uint8", compress="deflate", count=3,
        transform=rasterio.Affine(10, 0, 300000, 0, -10, 5150000),
        height=data.shape[1], width=data.shape[2],
    ) as dataset:  # fmt: skip
        dataset.write(data)
    return path


def builds(jobs: Jobs) -> None:
    """One collection of each mode, one to delete, and a job of each end."""
    fields = SceneInput(
        write(PLACE / "fields_20160816.tif", land(384, 384, seed=1)), title="Fields", license="CC0"
    )
    pond = SceneInput(write(PLACE / "pond.tif", land(288, 256, seed=2)))
    build_attended(
        BuildRequest("old-fields", (fields,), 64, None, "chip", "Fields and ponds"), USED
    )
    # Chips whose centre lies in the south-eastern part.
    west, south, east, north = 6.416, 46.42, 6.46, 46.46
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    area = {"type": "Polygon", "coordinates": [ring]}
    build_attended(BuildRequest("meadow", (fields,), 64, area, "dense", "Meadow"), USED)
    build_attended(BuildRequest("pond", (pond,), 32, None, "dense", "Pond"), USED)
    for job in jobs.all():
        if job.collection != "old-fields":
            jobs.remove(job.id)

    lost = write(PLACE / "lost.tif", land(256, 256, seed=3))
    failing = jobs.submit(BuildRequest("lost", (SceneInput(lost),), 256), start=False)
    lost.unlink()
    run(jobs, failing, USED)

    source = RasterSource((str(PLACE / "fields_20160816.tif"),))
    candidates = source.search(shape(area), Dates())
    wanted = JobRequest(
        BuildRequest("harbour", (), 128, area, "chip", "Harbour"),
        "raster",
        {"locations": [str(PLACE / "fields_20160816.tif")]},
        tuple(candidate.to_dict() for candidate in candidates),
    )
    jobs.cancel(jobs.submit(wanted, start=False).id)
    # As a build from Earth Engine's exports that was interrupted leaves it.
    tasks = Tasks(HOME / "fetched" / "harbour" / "sentinel-2-20160816.drive-1024")
    tasks.get("0-0")
    tasks.started("0-0", "projects/lookalike/operations/ABCDEF")


def searches(store: Store) -> None:
    """Saved searches from a chip and from a picture, with what a review leaves."""
    app = Starlette(routes=[*api.routes(SHELF), *api_searches.routes(SHELF)])
    with TestClient(app) as client:

        def post(path: str, body: dict) -> dict:
            answer = client.post(f"/api/collections/{path}", json=body)
            assert answer.status_code < 300, answer.text
            return answer.json()

        chips = [chip.decode() for chip in store.open("fields").chips.ids]
        asked = {"chip": chips[4], "k": 6, "suppress": False, "max_nodata": 20}
        saved = post("fields/searches", {"name": "Like the middle", **asked})
        hits = [hit["id"] for hit in saved["hits"]]
        one = f"fields/searches/{saved['id']}"
        for hit, mark in zip(hits, ("good", "bad", "good", "skip"), strict=False):
            post(f"{one}/marks", {"chip": hit, "mark": mark})
        post(f"{one}/marks", {"chip": hits[1], "note": "A road, no field"})
        client.patch(f"/api/collections/{one}", json={"note": "Reviewed in the field"})

        buffer = io.BytesIO()
        Image.fromarray(np.moveaxis(land(256, 256, seed=1), 0, -1)).save(buffer, "PNG")
        answer = client.post(
            "/api/collections/fields/search", files={"image": ("field.png", buffer.getvalue())}
        )
        picture = answer.json()["query"]["picture"]
        asked = {"picture": picture, "good": [chips[0]], "bad": [chips[8]], "suppress": False}
        post("fields/searches", {"name": "", **asked, "marks": {chips[0]: "good"}})
        post("pond/searches", {"name": "Ponds", "chip": store.open("pond").chips.ids[0].decode()})


def main(target: Path) -> None:
    """Write home and raster to `target`."""
    shutil.rmtree(PLACE, ignore_errors=True)
    HOME.mkdir(parents=True)
    store, jobs = Store(HOME), Jobs(HOME)
    builds(jobs)
    rename(store, jobs, "old-fields", "fields")
    store.describe("fields", description="Nine chips of made-up land")
    searches(store)
    store.delete("pond")

    shutil.rmtree(target / "lookalike", ignore_errors=True)
    shutil.copytree(HOME, target / "lookalike")
    shutil.copy(PLACE / "fields_20160816.tif", target)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except LookalikeError as error:
        sys.exit(str(error))
