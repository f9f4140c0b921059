"""Checks of saved searches of chips and of objects over REST: drawn, judged blind, estimated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat
from tests.web import rest

ROOT = "/api/collections/yard"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("checked")
    with pytest.MonkeyPatch.context() as patch:
        objects.use_standin(patch)
        objects.collection(folder, Library(folder / "home"))
        yield folder / "home"


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(rest(home)) as client:
        yield client


@pytest.fixture(params=["searches", "object-searches"])
def saved(
    client: TestClient, home: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a saved search of each kind, and its hits."""
    yard: Collection = Library(home).open("yard")
    lon, lat = lonlat(yard, PLACES[5])
    body = {"at": [lon, lat], "k": 12, "name": "Squares"}
    body |= (
        {"object_size": WIDTH / 2} if request.param == "object-searches" else {"suppress": False}
    )
    answer = client.post(f"{ROOT}/{request.param}", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    root = f"{ROOT}/{request.param}/{made.get('id') or made['search']['id']}"
    yield root, made.get("hits") or made["objects"]
    client.delete(root)


def test_check_is_drawn_judged_blind_and_estimates(client: TestClient, saved: Any) -> None:
    root, hits = saved
    before = client.get(f"{root}/check").json()
    assert (before["size"], before["seed"], before["left"]) == (0, None, 0)
    assert before["population"] == len(hits)
    drawn = client.post(f"{root}/check", json={"size": 6}).json()
    assert (drawn["size"], drawn["left"], sum(drawn["strata"])) == (6, 6, len(hits))
    items = client.get(f"{root}/check/next").json()
    assert len(items) == 6
    assert not {"score", "rank", "probability", "mark"} & set(items[0])
    assert {each["id"] for each in items} <= {each["id"] for each in hits}
    for number, item in enumerate(items):
        mark = {"id": item["id"], "mark": "good" if number % 3 else "bad", "author": "Ada"}
        progress = client.post(f"{root}/check/judgements", json=mark).json()
        assert progress == {
            "size": 6, "judged": number + 1, "left": 5 - number, "population": len(hits)
        }  # fmt: skip
    check = client.get(root).json()["check"]
    assert check == client.get(f"{root}/check").json()
    whole = check["estimates"][-1]
    assert (whole["judged"], whole["good"], whole["precision"]) == (6, 4, pytest.approx(2 / 3))
    assert whole["low"] < 2 / 3 < whole["high"]
    assert client.get(f"{root}/check/next").json() == []


def test_judgement_is_taken_back_and_more_are_drawn(client: TestClient, saved: Any) -> None:
    root, _ = saved
    client.post(f"{root}/check", json={"size": 2, "seed": "ab"})
    first, second = client.get(f"{root}/check/next").json()
    for item in (first, second):
        client.post(f"{root}/check/judgements", json={"id": item["id"], "mark": "good"})
    client.post(f"{root}/check/judgements", json={"id": second["id"], "mark": None})
    assert client.get(f"{root}/check/next?n=5").json() == [second]
    more = client.post(f"{root}/check", json={"size": 4}).json()
    assert (more["size"], more["judged"], more["seed"]) == (4, 1, "ab")
    assert client.get(f"{root}/check/next?n=1").json() == [second]


def test_judgements_have_author_and_time_and_nobody_takes_back_those_of_another(
    client: TestClient, saved: Any
) -> None:
    root, _ = saved
    client.post(f"{root}/check", json={"size": 1})
    [item] = client.get(f"{root}/check/next").json()
    for author, mark in (("Ada", "good"), ("Bo", "bad"), ("Bo", None)):
        judged = {"id": item["id"], "mark": mark, "author": author}
        progress = client.post(f"{root}/check/judgements", json=judged).json()
        assert progress["left"] == 0
    answer = client.get(root).json()
    [judgement] = answer["check"]["judgements"]
    assert answer["judgements"] == [judgement]
    assert answer["marks"] == answer["check"]["marks"] == {item["id"]: "good"}
    assert judgement.pop("time")
    assert judgement == {"id": item["id"], "mark": "good", "author": "Ada"}


def test_export_records_estimate_with_interval_design_and_seed(
    client: TestClient, saved: Any
) -> None:
    root, hits = saved
    without = client.get(f"{root}/export").json()
    assert without["provenance"]["estimate"] is None
    assert without["features"][0]["properties"]["estimate"] == ""
    client.post(f"{root}/check", json={"size": len(hits), "seed": "5eed"})
    for item in client.get(f"{root}/check/next").json()[:5]:
        client.post(f"{root}/check/judgements", json={"id": item["id"], "mark": "good"})
    document = client.get(f"{root}/export").json()
    estimate = document["provenance"]["estimate"]
    assert (estimate["judged"], estimate["precision"], estimate["hits"]) == (5, 1, len(hits))
    assert (estimate["seed"], estimate["strata"]) == ("5eed", [len(hits)])
    words = document["features"][0]["properties"]["estimate"]
    assert words.startswith("100.0% right (95% interval ")
    assert words.endswith("seed 5eed")
    assert len(words) < 254
    marks = [each["properties"]["mark"] for each in document["features"]]
    assert marks.count("good") == 5  # what was judged is known of the hit


def test_check_is_deleted_and_the_next_one_is_drawn_anew(client: TestClient, saved: Any) -> None:
    root, _ = saved
    seed = client.post(f"{root}/check", json={}).json()["seed"]
    assert client.delete(f"{root}/check").status_code == 204
    assert client.get(f"{root}/check").json()["size"] == 0
    assert client.post(f"{root}/check", json={"error": 0.2}).json()["seed"] != seed


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("", {"size": 0}, 400, "size"),
        ("", {"size": 5, "error": 0.1}, 400, "exclude"),
        ("", {"seed": "nothex"}, 400, "seed"),
        ("/judgements", {"id": "nosuch", "mark": "good"}, 400, "did not draw"),
        ("/judgements", {"id": "nosuch", "mark": "fine"}, 400, "mark"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_lost(
    client: TestClient, saved: Any, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    root, _ = saved
    before = client.post(f"{root}/check", json={"size": 3}).json()
    answer = client.post(f"{root}/check{path}", json=body)
    assert answer.status_code == status
    assert words in json.dumps(answer.json())
    assert client.get(f"{root}/check").json() == before


def test_check_of_a_search_that_is_not_there(client: TestClient, saved: Any) -> None:
    root, _ = saved
    kind = root.split("/")[4]
    for search in ("0" * 12, "passwd"):
        assert client.get(f"{ROOT}/{kind}/{search}/check").status_code == 404
    assert client.get(f"{ROOT}/nosuch/{'0' * 12}/check").status_code in (400, 404)
