"""A whole scene as a picture: its north is up, however its rows and columns run."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from PIL import Image

from pipeline.imagery.ingest import SceneInput, ingest
from pipeline.imagery.render import age_of, overview, scene_preview
from pipeline.imagery.scene import Scene
from tests.factories.rasters import write

#: 30 m a pixel in Web Mercator, which an overview is drawn in.
NORTH_UP = Affine(30, 0, -13_622_250, 0, -30, 4_559_490)
MIRRORED = {"south up": Affine(1, 0, 0, 0, -1, 300), "east left": Affine(-1, 0, 400, 0, 1, 0)}


def ground() -> np.ndarray:
    """Uint8 (3, 300, 400), bright in the north-west alone."""
    data = np.full((3, 300, 400), 40, np.uint8)
    data[:, :100, :100] = 220
    return data


def scene(folder: Path, transform: Affine, data: np.ndarray) -> Scene:
    folder.mkdir()
    path = write(folder / "scene.tif", data, crs="EPSG:3857", transform=transform)
    return ingest(SceneInput(path), folder / "scenes")


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA")).astype(int)


@pytest.mark.parametrize("way", MIRRORED)
def test_a_scene_whose_rows_or_columns_run_the_other_way_is_north_up(
    tmp_path: Path, way: str
) -> None:
    turned = ground()[:, ::-1] if way == "south up" else ground()[:, :, ::-1]
    plain = scene(tmp_path / "plain", NORTH_UP, ground())
    mirrored = scene(tmp_path / "mirrored", NORTH_UP @ MIRRORED[way], turned)
    shown = pixels(scene_preview(mirrored, age_of(mirrored)))
    assert abs(shown - pixels(scene_preview(plain, age_of(plain)))).mean() < 3
    picture, bounds = overview(mirrored, 100)
    expected, extent = overview(plain, 100)
    assert bounds == pytest.approx(extent)
    assert abs(pixels(picture) - pixels(expected)).mean() < 3


def test_the_overview_of_a_turned_scene_covers_its_footprint_and_is_clear_beside_it(
    tmp_path: Path,
) -> None:
    turned = scene(tmp_path / "turned", NORTH_UP @ Affine.rotation(30), ground())
    picture, (west, south, east, north) = overview(turned, 200)
    corners = [NORTH_UP @ Affine.rotation(30) @ (x, y) for x in (0, 400) for y in (0, 300)]
    xs, ys = zip(*corners, strict=True)
    assert (west, south, east, north) == pytest.approx(
        (min(xs), min(ys), max(xs), max(ys)), abs=200
    )
    alpha = pixels(picture)[..., 3]
    assert alpha[0, 0] == 0
    assert alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] == 255
