"""The REST interface, asked over HTTP."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.factories import synthetic
from tests.web import rest


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """One collection of 49 chips with random vectors."""
    home = tmp_path_factory.mktemp("api")
    synthetic.collection(home, sizes=(1024,), stride=128)
    return TestClient(rest(home))


def search(client: TestClient, **fields: object):
    return client.post("/api/collections/made/search", json=fields)


def some_chip(client: TestClient) -> dict:
    at = client.get("/api/collections/made").json()["bounds"]
    centre = [(at[0] + at[2]) / 2, (at[1] + at[3]) / 2]
    return search(client, at=centre).json()["query"]


def test_collections_are_described(client) -> None:
    (only,) = client.get("/api/collections").json()
    assert only == client.get("/api/collections/made").json()
    assert (only["chips"], only["quality"]) == (49, None)
    assert len(only["bounds"]) == 4
    assert [scene["id"] for scene in only["scenes"]] == ["scene0-00000000"]


def test_collection_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    for name in ("sound", "torn"):
        synthetic.collection(tmp_path, name)
    (tmp_path / "collections" / "torn" / "collection.json").write_text("{")
    sound, torn = TestClient(rest(tmp_path)).get("/api/collections").json()
    assert (sound["name"], sound["chips"]) == ("sound", 16)
    assert (torn["name"], torn["error"]) == ("torn", "The collection's manifest is damaged")
    assert "delete torn" in torn["remedy"]


def test_a_collection_whose_scene_is_damaged_does_not_hide_the_others(tmp_path: Path) -> None:
    for name in ("sound", "torn"):
        synthetic.collection(tmp_path, name)
    (scene,) = (tmp_path / "collections" / "torn" / "scenes").glob("*.json")
    item = json.loads(scene.read_text())
    scene.write_text(json.dumps({**item, "id": None}))
    sound, torn = TestClient(rest(tmp_path)).get("/api/collections").json()
    assert (sound["name"], sound["chips"]) == ("sound", 16)
    assert (torn["name"], torn["error"]) == ("torn", "A scene's description is damaged")


def test_warming_answers_once_the_index_is_open(client) -> None:
    assert client.get("/api/collections/made/index").json() == {"chips": 49, "kind": "exact"}


def test_a_point_and_its_chip_give_the_same_answer(client) -> None:
    query = some_chip(client)
    by_point = search(client, at=[query["lon"], query["lat"]], k=5).json()
    by_chip = search(client, chip=query["chip"], k=5).json()
    assert by_point["hits"] == by_chip["hits"]
    assert [hit["rank"] for hit in by_chip["hits"]] == [1, 2, 3, 4, 5]
    assert by_chip["eligible"] == 48
    assert by_chip["total"] == 49
    assert query["chip"] not in [hit["id"] for hit in by_chip["hits"]]


def test_a_threshold_and_overlaps_are_honoured(client) -> None:
    chip = some_chip(client)["chip"]
    everything = search(client, chip=chip, k=1000, suppress=False).json()["hits"]
    assert len(everything) == 48
    cut = sorted((hit["score"] for hit in everything), reverse=True)[3]
    above = search(client, chip=chip, k=1000, suppress=False, threshold=cut - 1e-5).json()["hits"]
    assert len(above) == 4


def test_a_search_before_the_graph_is_made_says_what_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.search.open_collections.BACKGROUND_FROM", 0)
    made = synthetic.collection(tmp_path, sizes=(1024,), stride=128)
    client, chip = TestClient(rest(tmp_path)), made.chips.id_of(24)
    first = search(client, chip=chip, k=5).json()
    assert "ranked by plain cosine" in " ".join(first["notes"])
    plain = search(client, chip=chip, k=5, ranking="plain").json()
    assert plain["hits"] == first["hits"]
    assert "ranked by plain cosine" not in " ".join(plain["notes"])
    for thread in threading.enumerate():
        if thread.name == "graph of made":
            thread.join(60)
    after = search(client, chip=chip, k=5).json()
    assert "ranked by plain cosine" not in " ".join(after["notes"])
    assert after["hits"] != first["hits"]


def test_text_with_a_charset_is_read_as_json_too(client) -> None:
    chip = some_chip(client)["chip"]
    answer = client.post("/api/collections/made/search", content=f'{{"chip": "{chip}"}}')
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({}, 400, "exactly one start"),
        ({"chip": "x", "at": [1, 2]}, 400, "exactly one start"),
        ({"chip": "0123456789abcdef"}, 404, "No such chip"),
        ({"chip": 7}, 400, "short text"),
        ({"at": "here"}, 400, "longitude first"),
        ({"at": [1000, 2]}, 400, "not a longitude"),
        ({"at": [0, 0]}, 404, "No chip covers"),
        ({"picture": "0123456789abcdef"}, 404, "does not exist"),
        ({"picture": "../../../secret"}, 404, "does not exist"),
        ({"chip": "x", "k": 0}, 404, "No such chip"),
        ({"chip": "x", "k": 1.5}, 400, "whole number"),
        ({"chip": "x", "colour": 1}, 400, "Unknown search parameter"),
    ],
)
def test_a_bad_search_is_refused_in_words(client, fields, status: int, words: str) -> None:
    answer = search(client, **fields)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert words in problem["title"]
    assert problem["remedy"]
    assert problem["status"] == status


@pytest.mark.parametrize("k", [0, 1001])
def test_k_out_of_range_is_refused(client, k: int) -> None:
    answer = search(client, chip=some_chip(client)["chip"], k=k)
    assert answer.status_code == 400
    assert "between 1 and 1000" in answer.json()["title"]


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b'"x"', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(client, body: bytes) -> None:
    answer = client.post("/api/collections/made/search", content=body)
    assert answer.status_code == 400
    assert "JSON" in answer.json()["title"]


def test_a_huge_body_is_refused_before_it_is_read(client) -> None:
    answer = client.post("/api/collections/made/search", content=b" " * 2_000_000)
    assert answer.status_code == 400
    assert "too large" in answer.json()["title"]


def test_an_unknown_collection_is_refused_and_the_others_are_named(client) -> None:
    for answer in (
        client.get("/api/collections/other"),
        client.post("/api/collections/other/search", json={"chip": "x"}),
    ):
        assert answer.status_code == 404
        assert "made" in answer.json()["remedy"]


def test_a_file_that_is_no_picture_is_refused(client) -> None:
    answer = client.post(
        "/api/collections/made/search", files={"image": ("notes.png", b"only words")}
    )
    assert answer.status_code == 400
    assert answer.json()["detail"] == "notes.png"


def test_a_form_without_a_picture_is_refused(client) -> None:
    answer = client.post("/api/collections/made/search", files={"other": ("a.png", b"x")})
    assert answer.status_code == 400


def test_a_kept_picture_is_found_again_by_its_id(tmp_path: Path) -> None:
    from PIL import Image

    from pipeline.errors import NotFoundError
    from pipeline.search import uploads

    collection = synthetic.collection(tmp_path)
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    identity = uploads.keep(collection, buffer.getvalue(), "noise.png")
    assert uploads.keep(collection, buffer.getvalue(), "again.png") == identity
    assert uploads.pixels(collection, identity).shape == (256, 256, 3)
    with pytest.raises(NotFoundError):
        uploads.png(collection, "f" * 16)
