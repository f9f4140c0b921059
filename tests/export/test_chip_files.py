"""Chips as files: a folder, a zip, Google Drive, and the command for them."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from pipeline.collection.library import Library
from pipeline.collection.manifest import Manifest
from pipeline.collection.parquet import write_part
from pipeline.errors import Cancelled, QueryError, StorageError
from pipeline.export import chip_files
from pipeline.imagery.chips import Grid, cut
from pipeline.imagery.ingest import SceneInput, ingest
from pipeline.imagery.reader import SceneReader
from pipeline.sources.google.drive import Drive
from tests.cli.test_app import answer, run
from tests.factories.rasters import ground, write
from tests.factories.synthetic import MODEL
from tests.loopback.fixtures import google


@pytest.fixture
def built(home: Path, tmp_path_factory: pytest.TempPathFactory):
    """A collection of one real raster whose vectors are made up: export needs none."""
    path = write(tmp_path_factory.mktemp("in") / "a.tif", ground(600, 520))
    library = Library(home)
    collection = library.create(Manifest(name="files", title="files", model=MODEL, stride=128))
    scene = ingest(SceneInput(path), collection.scenes_folder)
    with SceneReader(scene) as reader:
        for block in Grid.for_scene(scene, 128).blocks():
            chips = cut(reader, scene, block)
            vectors = np.zeros((len(chips.ids), 2048), np.float32)
            folder = collection.path / "chips" / scene.id
            write_part(
                folder / f"block-{block.name}-all.parquet", scene, chips, vectors, MODEL, stride=128
            )
    collection.write(scenes=(scene.id,), complete=True)
    return library.open("files"), path


@pytest.mark.parametrize("format", ["png", "jpeg", "geotiff"])
def test_chips_become_files_that_lie_where_they_should(built, tmp_path: Path, format: str) -> None:
    collection, path = built
    made = chip_files.export(collection, tmp_path, format=format)
    assert made.chips == made.written == len(collection.chips)
    rows = list(csv.DictReader((tmp_path / "manifest.csv").open()))
    assert len(rows) == made.chips
    features = json.loads((tmp_path / "manifest.geojson").read_text())["features"]
    assert features[0]["properties"]["id"] == rows[0]["id"]
    row = rows[-1]
    with rasterio.open(tmp_path / row["file"]) as chip, rasterio.open(path) as whole:
        col, line = int(row["col"]), int(row["row"])
        left = whole.transform.c + whole.transform.a * col
        top = whole.transform.f + whole.transform.e * line
        assert (chip.transform.c, chip.transform.f) == pytest.approx((left, top))
        assert chip.transform.a == pytest.approx(whole.transform.a)
        assert chip.read().shape == (3, 256, 256)


@pytest.mark.parametrize("format", ["png", "jpeg", "geotiff"])
def test_a_zip_holds_the_files_of_the_folder(built, tmp_path: Path, format: str) -> None:

    collection, _ = built
    chip_files.export(collection, tmp_path / "folder", format=format)
    chip_files.archive(collection, tmp_path / "chips.zip", format=format)
    with zipfile.ZipFile(tmp_path / "chips.zip") as whole:
        held = {name.partition("/")[2]: whole.read(name) for name in whole.namelist()}
    assert held == {file.name: file.read_bytes() for file in (tmp_path / "folder").iterdir()}


def test_a_zip_of_too_many_chips_names_the_command(built, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(chip_files, "MAX_ZIPPED", 3)
    with pytest.raises(QueryError, match="chips export files"):
        chip_files.archive(built[0], tmp_path / "chips.zip")
    with pytest.raises(QueryError, match="Unknown picture format"):
        chip_files.archive(built[0], tmp_path / "chips.zip", format="bmp")
    assert not list(tmp_path.glob("*.zip"))


def test_an_interrupted_export_writes_only_what_is_missing(built, tmp_path: Path) -> None:
    collection, _ = built

    def stop(report) -> None:
        if report.done == 3:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        chip_files.export(collection, tmp_path, progress=stop)
    told = []
    made = chip_files.export(collection, tmp_path, progress=told.append)
    assert made.written == made.chips - 3
    assert [step.done for step in told] == list(range(3, made.chips + 1))
    assert chip_files.export(collection, tmp_path).written == 0


@pytest.mark.parametrize("folder", ["/proc/chips", f"{__file__}/chips", f"/tmp/{'x' * 300}"])
def test_a_folder_that_cannot_be_made_is_named(built, folder: str) -> None:
    with pytest.raises(StorageError, match=f"{folder}. Choose another folder"):
        chip_files.export(built[0], Path(folder))


def test_chips_go_to_drive_once(built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection, _ = built
    ids = [chip.decode() for chip in collection.chips.ids[:3]]
    with google(tmp_path, monkeypatch) as server:
        for count in (2, 3, 3):  # the manifest changes with the chips
            chip_files.export(
                collection, tmp_path / "out", chips=ids[:count], drive=Drive("chips", base=0.001)
            )
        stored = {server.drive.files[key]["name"]: d for key, d in server.drive.contents.items()}
    assert len(server.requests("POST /upload")) == len(stored)
    assert len(server.requests("PATCH /upload")) == 2
    assert set(stored) == {path.name for path in (tmp_path / "out").iterdir()}
    assert all((tmp_path / "out" / name).read_bytes() == data for name, data in stored.items())


def test_export_and_list_share_the_command(built, tmp_path: Path) -> None:
    assert len(answer("chips", "files", "--json")) == len(built[0].chips)
    made = answer("chips", "export", "files", "--to", str(tmp_path), "--json")
    assert made["written"] == len(built[0].chips)
    done = run("chips", "export", "files", "--to", str(tmp_path), "--format", "gif")
    assert done.returncode == 2
    assert "one of png, jpeg, geotiff" in done.stderr
