"""The census in the terminal, as others script against it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shapely.geometry import box, mapping, shape

from pipeline.collection.library import Library
from pipeline.settings import settings
from tests.cli.test_app import answer, run
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("census")
    with pytest.MonkeyPatch.context() as patch:
        objects.use_standin(patch)
        patch.setenv("LOOKALIKE_HOME", str(made / "home"))
        settings.cache_clear()
        objects.collection(made, Library(made / "home"))
        yield made
    settings.cache_clear()


@pytest.fixture
def labels(tmp_path: Path, folder: Path) -> Path:
    yard = Library(folder / "home").open("yard")
    features = []
    for x, y in PLACES[:3]:
        corners = [lonlat(yard, (x + d, y - d)) for d in (-WIDTH // 2, WIDTH // 2)]
        (west, south), (east, north) = corners
        features.append({"type": "Feature", "properties": {"label": "good"},
                         "geometry": mapping(box(west, south, east, north))})  # fmt: skip
    path = tmp_path / "labels.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def count(unit: dict[str, Any]) -> int:
    left, top, width, height = unit["pixels"]
    return sum(left <= x < left + width and top <= y < top + height for x, y in PLACES)


def test_a_census_from_start_to_export(tmp_path: Path, labels: Path, folder: Path) -> None:
    west, south, east, north = (
        Library(folder / "home")
        .open("yard")
        .scenes[Library(folder / "home").open("yard").manifest.scenes[0]]
        .bounds4326
    )
    parts = tmp_path / "parts.geojson"
    halves = {"north": (west, (south + north) / 2, east, north),
              "south": (west, south, east, (south + north) / 2)}  # fmt: skip
    parts.write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"name": name}, "geometry": mapping(box(*bounds))}
        for name, bounds in halves.items()
    ]}))  # fmt: skip
    begun: Any = answer(
        "census", "start", "yard", "--labels", str(labels), "--unit", "256", "--error", "0.2",
        "--districts", str(parts), "--json",
    )  # fmt: skip
    census = begun["id"]
    assert begun["units"] == 16
    units: Any = answer("census", "next", census, "--n", "10", "--json")
    assert len(units) == 10
    assert all(shape(unit["geometry"]).is_valid and unit["scene_id"] for unit in units)
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({unit["id"]: count(unit) for unit in units}))
    done = run("census", "answer", census, str(path), "--reviewer", "bo")
    assert (done.returncode, "never asked" in done.stderr) == (2, True)
    assert run("census", "answer", census, str(path)).returncode == 0
    again = run("census", "answer", census, str(path))
    assert (again.returncode, "already" in again.stderr) == (2, True)
    told: Any = answer("census", "report", census, "--json")
    assert set(told) >= {"estimate", "low", "high", "confidence", "judged", "units", "recall",
                         "precision", "districts"}  # fmt: skip
    assert told["low"] <= 16 <= told["high"]
    assert (told["judged"], told["units"], told["confidence"]) == (10, 16, 0.95)
    assert {each["name"] for each in told["districts"]} == {"north", "south"}
    for name in ("census.html", "census.json", "census.geojson", "census.zip"):
        assert run("census", "export", census, "--to", str(tmp_path / name)).returncode == 0
    again_told: Any = answer("census", "report", str(tmp_path / "census.json"), "--json")
    assert again_told == told
    listed: Any = answer("census", "list", "--json")
    assert census in {each["id"] for each in listed}
    assert "10 of 16" in run("census", "list").stdout
    assert run("census", "undo", census).returncode == 0


def test_answers_that_cannot_be_read_are_refused(tmp_path: Path, labels: Path) -> None:
    begun: Any = answer("census", "start", "yard", "--labels", str(labels), "--unit", "256",
                        "--json")  # fmt: skip
    census, path = begun["id"], tmp_path / "answers.json"
    units: Any = answer("census", "next", census, "--n", "2", "--json")
    first = units[0]["id"]
    for text in ("", "[1]", "{", f'{{"{first}": 1, "{first}": 2}}', f'{{"{first}": -3}}',
                 f'{{"{first}": "many"}}', "{}"):  # fmt: skip
        path.write_text(text)
        done = run("census", "answer", census, str(path))
        assert done.returncode == 2, text
    assert run("census", "answer", census, str(tmp_path / "none.json")).returncode == 2
    told: Any = answer("census", "report", census, "--json")
    assert (told["judged"], told["estimate"]) == (0, None)


def test_what_cannot_be_counted_is_refused(tmp_path: Path, labels: Path) -> None:
    far = json.dumps(mapping(box(0, 0, 1, 1)))
    given = ["census", "start", "yard", "--labels", str(labels)]
    for more, code in (
        (["--within", far], 2),
        (["--unit", "3"], 2),
        (["--error", "0"], 2),
        (["--saved", "0123456789ab"], 2),
        (["--date", "1999-01-01"], 2),
    ):
        assert run(*given, *more).returncode == code, more
    assert run("census", "start", "nosuch", "--labels", str(labels)).returncode == 3
    assert run("census", "start", "yard").returncode == 2
    assert run("census", "next", "0123456789ab").returncode == 3
    assert run("census", "report", str(tmp_path / "none.json")).returncode == 4
