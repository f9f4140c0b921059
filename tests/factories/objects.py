"""A collection with things in it that the stand-in for the network recognises by their colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.build.build import build
from pipeline.build.request import BuildRequest
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.imagery.ingest import SceneInput
from pipeline.imagery.scene import Stretch
from tests.factories import standin
from tests.factories.rasters import ground, write

#: Width of a thing in pixels.
WIDTH = 64
#: Centres of the things in pixels (column, row): none touches another.
PLACES = [(x, y) for y in (140, 420, 700, 900) for x in (150, 400, 640, 880)]


def use_standin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embed with the stand-in, which makes a cell from its colours alone."""
    from pipeline.model import loader

    for name in ("resnet50", "identity", "cells"):
        monkeypatch.setattr(loader, name, getattr(standin, name))


def pixels(places: list[tuple[int, int]] = PLACES, side: int = 1024) -> np.ndarray:
    """uint8 (3, side, side): fields with orange squares at the places."""
    data = ground(side, side)
    for x, y in places:
        half = WIDTH // 2
        data[:, y - half : y + half, x - half : x + half] = np.array([[[250]], [[120]], [[10]]])
    return data


def collection(
    folder: Path,
    library: Library,
    name: str = "yard",
    places: list[tuple[int, int]] = PLACES,
    side: int = 1024,
) -> Collection:
    """A collection of one scene of 0.5 m with things at the places."""
    from rasterio.transform import from_origin

    transform = from_origin(300000, 5150000, 0.5, 0.5)
    path = write(folder / f"{name}.tif", pixels(places, side), transform=transform)
    stretch = Stretch((0.0,) * 3, (255.0,) * 3)
    scene = SceneInput(path, stretch=stretch, datetime="2020-05-01")
    build(BuildRequest(name, scenes=(scene,), stride=256), library)
    return library.open(name)


def lonlat(made: Collection, place: tuple[int, int]) -> tuple[float, float]:
    """Longitude and latitude of a place in pixels."""
    (scene,) = made.scenes.values()
    lon, lat = scene.georeference.lonlat(*place)
    return float(lon), float(lat)
