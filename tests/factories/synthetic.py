"""Collections made without imagery or model: seeded chips and vectors, written as real parts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.manifest import Manifest
from pipeline.collection.parquet import write_part
from pipeline.files import write_json
from pipeline.imagery.chips import Chips, chip_id
from pipeline.imagery.scene import Scene, Stretch
from pipeline.model.identity import ModelIdentity

MODEL = ModelIdentity(
    name="resnet50-imagenet",
    weights_sha256=hashlib.sha256(b"test").hexdigest(),
    preprocessing="caffe-1",
    pooling="avg",
    mode="chip",
)


def scene(
    scene_id: str, width: int, height: int, *, gsd: float = 10.0, datetime: str | None = None
) -> Scene:
    """A north-up scene near Lake Geneva that has no pixels."""
    return Scene(
        id=scene_id,
        path=f"{scene_id}.tif",
        title=scene_id,
        crs="EPSG:32632",
        transform=(gsd, 0.0, 300000.0, 0.0, -gsd, 5150000.0),
        width=width,
        height=height,
        dtype="uint8",
        count=3,
        bands=(1, 2, 3),
        stretch=Stretch((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
        nodata=None,
        gsd=gsd,
        datetime=datetime,
        source="raster",
        source_url="",
        license="",
    )


def chips_of(place: Scene, stride: int) -> Chips:
    """Every chip of the scene's grid, pixels left empty."""
    from pipeline.imagery.chips import Grid, corners

    grid = Grid.for_scene(place, stride)
    rows, cols = (a.ravel() for a in np.meshgrid(grid.rows, grid.cols, indexing="ij"))
    n = len(rows)
    return Chips(
        ids=[chip_id(place.id, int(c), int(r)) for c, r in zip(cols, rows, strict=True)],
        cols=cols.astype(np.int32),
        rows=rows.astype(np.int32),
        corners=corners(place, cols, rows),
        nodata_percent=np.linspace(0, 40, n).astype(np.float32),
        sharpness=np.linspace(1, 100, n).astype(np.float32),
        pixels=np.empty((n, 0, 0, 3), np.uint8),
        left_out={},
    )


def collection(
    home: Path,
    name: str = "made",
    *,
    sizes: tuple[int, ...] = (1024,),
    stride: int = 256,
    datetimes: tuple[str | None, ...] | None = None,
    seed: int = 0,
    model: ModelIdentity = MODEL,
) -> Collection:
    """A complete collection of square scenes with seeded random embeddings.

    Scenes lie on the same ground, so that chips of one overlap those of the next.
    """
    rng = np.random.default_rng(seed)
    library = Library(home)
    ids = tuple(f"scene{i}-0000000{i}" for i in range(len(sizes)))
    made = library.create(Manifest(name, name.title(), stride, model, scenes=ids))
    total = 0
    for i, size in enumerate(sizes):
        when = datetimes[i] if datetimes else None
        place = scene(ids[i], size, size, datetime=when)
        made.scenes_folder.mkdir(exist_ok=True)
        write_json(made.scenes_folder / f"{place.id}.json", place.to_item())
        chips = chips_of(place, stride)
        vectors = rng.normal(size=(len(chips.ids), 2048)).astype(np.float32)
        path = made.path / "chips" / place.id / "block-r0000-c0000-all.parquet"
        write_part(path, place, chips, vectors, model, stride=stride)
        total += len(chips.ids)
    return made.write(complete=True, chips=total)
