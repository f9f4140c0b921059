"""A collection over real pixels with made-up vectors: what exports and pictures need."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.manifest import Manifest
from pipeline.collection.parquet import write_part
from pipeline.imagery.ingest import SceneInput, ingest
from pipeline.model.identity import ModelIdentity
from tests.factories.rasters import ground, write
from tests.factories.synthetic import MODEL, chips_of


def collection(
    home: Path, *, title: str = "bay", size: int = 640, model: ModelIdentity = MODEL
) -> Collection:
    """A collection named bay, 16 chips of one dated and licensed scene near Lake Geneva."""
    home.mkdir(exist_ok=True)
    raster = write(home / "bay.tif", ground(size, size))
    made = Library(home).create(Manifest("bay", "The Bay", 128, model))
    scene = ingest(
        SceneInput(
            raster, title=title, datetime="2016-08-16T10:00:00Z", license="CC-BY 4.0 Somebody"
        ),
        made.scenes_folder,
    )
    chips = chips_of(scene, 128)
    made.write(scenes=(scene.id,), complete=True, chips=len(chips.ids))
    vectors = np.random.default_rng(1).normal(size=(len(chips.ids), 2048)).astype(np.float32)
    part = made.path / "chips" / scene.id / "block-r0000-c0000-all.parquet"
    write_part(part, scene, chips, vectors, model, stride=128)
    return Library(home).open("bay")
