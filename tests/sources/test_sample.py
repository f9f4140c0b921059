"""The sample scenes that come with an installed package."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UnavailableError
from pipeline.imagery.chips import Grid, cut
from pipeline.imagery.ingest import SceneInput, ingest, open_scene
from pipeline.imagery.reader import SceneReader
from pipeline.sources.sample import rank, samples
from tests import ROOT


def test_samples_are_the_collections_of_the_demo(home: Path, shared_forest: Path) -> None:
    found = samples()
    assert list(found) == ["san-francisco-bay", "great-salt-lake"]
    (home / "samples").symlink_to(shared_forest / "samples")
    found = samples()
    assert list(found) == ["yellowstone-forest", "san-francisco-bay", "great-salt-lake"]
    for sample in found.values():
        assert sample.path.is_file()
        assert sample.stride == 64
        assert sample.datetime is None
        assert "public domain" in sample.credit or "CC0" in sample.credit
    assert found["yellowstone-forest"].scene_title == "Yellowstone forest, 2019"


def test_samples_come_before_other_collections() -> None:
    names = ["bay", "great-salt-lake", "san-francisco-bay", "town", "yellowstone-forest"]
    assert sorted(names, key=rank) == [
        "yellowstone-forest", "san-francisco-bay", "great-salt-lake", "bay", "town",
    ]  # fmt: skip


def test_samples_are_found_without_importing_the_package_that_carries_them() -> None:
    code = (
        "import sys; from pipeline.sources.sample import samples; samples();"
        "sys.exit(any(m.split('.')[0] in ('localtileserver', 'rasterio') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_bay_is_where_it_should_be_and_readable() -> None:
    sample = samples()["san-francisco-bay"]
    given = SceneInput(sample.path, bands=sample.bands, percentile=sample.percentile)
    scene = open_scene(given)
    west, south, east, north = scene.bounds4326
    assert west < -122.4 < east
    assert south < 37.8 < north
    assert scene.gsd == pytest.approx(30 * np.cos(np.radians(37.77)), rel=0.01)
    assert scene.datetime is None
    with SceneReader(scene) as reader:
        picture = reader.thumbnail(0, 0, scene.width, scene.height, 256)
    assert 60 < picture.mean() < 130
    assert picture.std() > 50


def test_dark_water_of_the_bay_keeps_its_chips() -> None:
    """South of the Bay Bridge the water is zero in places, and it does not touch the border."""
    sample = samples()["san-francisco-bay"]
    scene = open_scene(SceneInput(sample.path, bands=sample.bands))
    with SceneReader(scene) as reader:
        _, valid = reader.read(1100, 950, 400, 400)
        kept = [cut(reader, scene, block) for block in Grid.for_scene(scene, 64).blocks()]
    assert valid.mean() > 0.999
    assert 780 < sum(map(len, kept)) < 864
    assert sum(part.left_out.get("nodata", 0) for part in kept) == 864 - sum(map(len, kept))


def test_lake_is_shown_in_true_colour(tmp_path: Path) -> None:
    sample = samples()["great-salt-lake"]
    scene = ingest(SceneInput(sample.path, bands=sample.bands, title=sample.title), tmp_path)
    assert (scene.bands, scene.count, scene.title) == ((3, 2, 1), 7, "Great Salt Lake")
    assert scene.bounds4326 == pytest.approx((-112.909, 40.606, -112.508, 41.005), abs=0.001)
    assert len(Grid.for_scene(scene, sample.stride)) == 441


def test_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(UnavailableError, match="pip install localtileserver"):
        samples()


def test_package_installed_without_its_data_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Bare:
        def locate_file(self, path: str) -> Path:
            return tmp_path / path

    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Bare())
    with pytest.raises(UnavailableError, match="not installed"):
        samples()
