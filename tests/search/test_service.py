"""One search service: REST, the command line and exports give the same hits of the same query."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from pipeline.collection.library import Library
from pipeline.model.loader import resnet50
from tests.cli.test_app import answer, run
from tests.factories import pictured
from tests.web import rest

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def made(module_home: Path) -> Path:
    pictured.collection(module_home, model=resnet50("chip").identity)
    return module_home


@pytest.fixture
def table(made: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOOKALIKE_HOME", str(made))
    return Library(made).open("bay").chips


@pytest.fixture
def client(made: Path):
    with TestClient(rest(made)) as client:
        yield client


def options_of(fields: dict[str, Any]) -> list[str]:
    """The same search as options: `max_nodata` is `--max-nodata`."""
    options = []
    for name, value in fields.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            options.append(option)
        elif value is False:
            options.append(f"--no-{name}")
        elif isinstance(value, dict):
            options.append(f"{option}={json.dumps(value)}")
        elif isinstance(value, list):
            options.append(f"{option}={','.join(map(str, value))}")
        else:
            options.append(f"{option}={value}")
    return options


def fields_of(table, start: str) -> dict[str, Any]:
    """A search with marks, every filter and no suppression."""
    ids = [chip.decode() for chip in table.ids]
    lon, lat = table.centres[5].tolist()
    west, south = table.corners.reshape(-1, 2).min(axis=0).tolist()
    east, north = table.corners.reshape(-1, 2).max(axis=0).tolist()
    west += (east - west) / 4
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    starts: dict[str, dict[str, Any]] = {
        "chip": {"chip": ids[5], "any_orientation": True},
        "at": {"at": [lon, lat]},
        "box": {"box": [lon - 0.004, lat - 0.003, lon + 0.004, lat + 0.003], "any_scale": True},
        "good": {},
    }
    return {
        **starts[start],
        "good": [ids[9], ids[6]],
        "bad": [ids[2]],
        "k": 4,
        "suppress": False,
        "threshold": -0.9,
        "within": {"type": "Polygon", "coordinates": [ring]},
        "scenes": list(table.scene_ids),
        "since": "2016-08-16",
        "until": "2016-08-16",
        "max_nodata": 38,
        "min_sharpness": 3,
        "away": 1,
    }


@pytest.mark.parametrize("sites", [False, True])
@pytest.mark.parametrize("start", ["chip", "at", "box", "good"])
def test_the_same_search_gives_the_same_hits_everywhere(
    table, client, tmp_path: Path, start: str, sites: bool
) -> None:
    fields = fields_of(table, start)
    kind, flag = ("sites", ["--sites"]) if sites else ("hits", [])
    options = [*options_of(fields), *flag]

    rest = client.post("/api/collections/bay/search", json=fields, params={"sites": int(sites)})
    expected = [(each["id"], each["score"]) for each in rest.json()[kind]]
    assert 0 < len(expected) <= 4

    terminal = answer("search", "bay", *options, "--json")
    assert [(each["id"], each["score"]) for each in terminal] == expected

    collection = answer("search", "bay", *options, "--geojson")
    found = [(f["properties"]["id"], f["properties"]["score"]) for f in collection["features"]]
    assert found == expected

    body = {**fields, "what": kind, "format": "geojson"}
    exported = client.post("/api/collections/bay/export", json=body).json()
    path = tmp_path / "found.geojson"
    assert run("export", "bay", "--to", str(path), *options).returncode == 0
    for features in (exported["features"], json.loads(path.read_text())["features"]):
        assert [feature["id"] for feature in features] == [chip for chip, _ in expected]


def test_each_filter_reaches_the_search_from_the_terminal(table, client) -> None:
    fields = fields_of(table, "chip")
    start = {"chip": fields["chip"], "k": 100, "suppress": False}
    for name in ("within", "max_nodata", "min_sharpness", "away"):
        some = {**start, name: 3000 if name == "away" else fields[name]}
        body = client.post("/api/collections/bay/search", json=some).json()
        hits = answer("search", "bay", *options_of(some), "--json")
        assert [hit["id"] for hit in hits] == [hit["id"] for hit in body["hits"]]
        assert 0 < len(hits) < 15, name
    gone = run("search", "bay", *options_of({**start, "scenes": ["gone"]}))
    assert (gone.returncode, "No such scene in bay: gone" in gone.stderr) == (3, True)
    for wrong in ({"since": "2016-08-17"}, {"until": "2016-08-15"}):
        assert answer("search", "bay", *options_of({**start, **wrong}), "--json") == []
    assert len(answer("search", "bay", *options_of({**start, "max_nodata": 0}), "--json")) == 1


def test_a_polygon_may_be_a_file_wkt_or_geojson(table, tmp_path: Path) -> None:
    from shapely.geometry import shape

    fields = fields_of(table, "chip")
    outline = tmp_path / "outline.geojson"
    outline.write_text(json.dumps(fields["within"]))
    given = (str(outline), shape(fields["within"]).wkt, json.dumps(fields["within"]))
    first, *others = (
        answer("search", "bay", "--chip", fields["chip"], f"--within={text}", "--json")
        for text in given
    )
    assert first
    assert all(other == first for other in others)
    gone = run("search", "bay", "--chip", fields["chip"], "--within", "gone.geojson")
    assert gone.returncode == 2
    assert "gone.geojson" in gone.stderr


def test_what_was_changed_in_a_polygon_is_said_beside_the_answer(table) -> None:
    west, south = table.corners.reshape(-1, 2).min(axis=0)
    east, north = table.corners.reshape(-1, 2).max(axis=0)
    bow = (
        f"POLYGON(({west} {south}, {east} {north}, {east} {south}, {west} {north}, {west} {south}))"
    )
    done = run("search", "bay", "--chip", table.ids[0].decode(), "--within", bow, "--json")
    assert done.returncode == 0
    assert "Note: The outline crossed itself" in done.stderr
    assert isinstance(json.loads(done.stdout), list)


def test_sites_in_a_table_say_how_many_hits_they_hold(table) -> None:
    chip = table.ids[0].decode()
    done = run("search", "bay", "--chip", chip, "--k", "2", "--no-suppress", "--sites")
    assert done.returncode == 0, done.stderr
    assert "Best chip" in done.stdout
    assert "2 sites, made up of" in done.stdout


def test_a_start_may_lie_in_another_collection_and_its_examples_here(
    table, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = shutil.copytree(made, tmp_path / "home")
    Library(home).open("bay").write(title="Other")
    shutil.copytree(home / "collections" / "bay", home / "collections" / "other")
    monkeypatch.setenv("LOOKALIKE_HOME", str(home))
    from pipeline.settings import settings

    settings.cache_clear()
    lon, lat = table.centres[5].tolist()
    good = ["--good", table.ids[9].decode(), "--no-suppress"]
    for start in (
        ["--chip", table.ids[5].decode()],
        [f"--at={lon},{lat}"],
        [f"--box={lon - 0.004},{lat - 0.003},{lon + 0.004},{lat + 0.003}"],
        [],
    ):
        there = answer("search", "bay", *start, *good, "--from", "other", "--json")
        assert there == answer("search", "bay", *start, *good, "--json")
        assert there[0]["id"] == table.ids[9].decode()


def test_a_search_from_an_image_file_writes_nothing(table, made: Path, tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "query.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 280, 3), np.uint8)).save(path)
    marks = ("--good", table.ids[9].decode(), "--bad", table.ids[2].decode())
    done = run("search", "bay", "--image", str(path), *marks)
    assert done.returncode == 0, done.stderr
    assert "like query.png" in done.stdout
    assert not (made / "collections" / "bay" / "searches" / "pictures").exists()
    assert run("search", "bay", "--image", str(path), "--chip", "x").returncode == 2


def test_a_saved_search_is_exported_without_filters_of_the_moment(
    table, client, tmp_path: Path
) -> None:
    saved = client.post("/api/collections/bay/searches", json={"at": table.centres[5].tolist()})
    to = ["--to", str(tmp_path / "saved.csv")]
    one = ["export", "bay", "--saved", saved.json()["id"], *to]
    assert run(*one).returncode == 0
    refused = run(*one, "--max-nodata", "5")
    assert refused.returncode == 2
    assert "--max-nodata" in refused.stderr
    for option in (["--k", "100"], ["--good", "x"], ["--no-suppress"], ["--any-scale"]):
        refused = run(*one, *option)
        assert refused.returncode == 2
        assert option[0] in refused.stderr
    scores = [hit["score"] for hit in saved.json()["hits"]]
    least = (scores[0] + scores[-1]) / 2
    above = sum(score > least for score in scores)
    assert 0 < above < len(scores)
    assert run(*one, f"--threshold={least}").returncode == 0
    assert len((tmp_path / "saved.csv").read_text("utf-8-sig").splitlines()) == 1 + above
    assert run(*one, "--threshold", "nan").returncode == 2
    assert run(*one, "--chip", "x").returncode == 2
