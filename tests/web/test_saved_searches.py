"""Saved searches over REST: everywhere, compared, cut by score and mark."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from pipeline.collection.library import Library
from pipeline.search.open_collections import OpenCollections
from tests.factories.synthetic import collection
from tests.web import rest


@pytest.fixture
def open_collections(tmp_path):
    collection(tmp_path / "home")
    return OpenCollections(Library(tmp_path / "home"))


@pytest.fixture
def client(open_collections):
    return TestClient(rest(open_collections=open_collections))


@pytest.fixture
def saved(open_collections, client):
    name = open_collections.library.names()[0]
    chip = open_collections.collection(name).chips.ids[0].decode()
    root = f"/api/collections/{name}/searches"
    made = client.post(root, json={"name": "Ponds", "chip": chip, "k": 6, "suppress": False})
    assert made.status_code == 201, made.text
    return f"{root}/{made.json()['id']}", made.json()


def test_searches_of_every_collection_are_listed(client, saved):
    _, search = saved
    listed = client.get("/api/searches").json()
    assert [one["id"] for one in listed["searches"]] == [search["id"]]
    assert listed["refused"] == listed["trashed"] == []


def test_a_deleted_collection_says_how_many_searches_it_took_along(open_collections, client, saved):
    name = open_collections.library.names()[0]
    open_collections.library.delete(name)
    listed = client.get("/api/searches").json()
    assert listed["searches"] == []
    assert [(gone["name"], gone["searches"]) for gone in listed["trashed"]] == [(name, 1)]
    assert client.get(saved[0]).status_code == 404
    open_collections.library.restore(listed["trashed"][0]["token"])
    assert client.get(saved[0]).json()["name"] == "Ponds"


def test_a_damaged_collection_does_not_hide_the_others(open_collections, client, saved):
    broken = open_collections.library.root / "broken"
    broken.mkdir()
    (broken / "collection.json").write_text("{")
    listed = client.get("/api/searches").json()
    assert len(listed["searches"]) == 1
    assert [one["collection"] for one in listed["refused"]] == ["broken"]


def test_marks_estimate_nothing(client, saved):
    root, search = saved
    chip = search["hits"][0]["id"]
    answer = client.post(f"{root}/marks", json={"chip": chip, "mark": "good"}).json()
    assert (answer["marks"], answer["notes"]) == ({chip: "good"}, {})
    check = client.get(root).json()["check"]
    assert (check["size"], check["judged"]) == (0, 0)
    assert {each["precision"] for each in check["estimates"]} == {None}


def test_an_export_is_cut_by_score_and_mark(client, saved):
    root, search = saved
    hits = search["hits"]
    client.post(f"{root}/marks", json={"chip": hits[1]["id"], "mark": "bad"})
    fields = {"format": "geojson", "min": str(hits[3]["score"]), "marks": "good,none"}
    answer = client.get(f"{root}/export", params=fields)
    found = answer.json()["features"]
    expected = [h["id"] for h in hits if h["score"] >= hits[3]["score"] and h != hits[1]]
    assert [one["id"] for one in found] == expected
    ranks = {hit["id"]: hit["rank"] for hit in hits}  # those on the screen
    assert [one["properties"]["rank"] for one in found] == [ranks[chip] for chip in expected]
    assert "ponds-hits.geojson" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"min": "high"}, "number"),
        ({"min": "nan"}, "min must be a number"),
        ({"min": "-inf"}, "min must be a number"),
        ({"marks": "excellent"}, "mark"),
        ({"what": "towns"}, "hits or sites"),
        ({"format": "docx"}, "format"),
        ({"min": "2"}, "nothing to export"),
    ],
)
def test_an_export_that_cannot_be_is_refused_in_words(client, saved, fields, word):
    answer = client.get(f"{saved[0]}/export", params={"format": "csv", **fields})
    assert answer.status_code == 400
    assert word in answer.json()["title"]


def test_an_empty_minimum_counts_as_left_out(client, saved):
    found = client.get(f"{saved[0]}/export", params={"format": "geojson", "min": ""})
    assert len(found.json()["features"]) == len(saved[1]["hits"])


def test_a_search_agrees_with_itself(client, saved):
    root, search = saved
    answer = client.get(f"{root}/compare", params={"with": search["id"]}).json()
    assert answer["agreement"] == 1
    assert len(answer["both"]) == len(search["hits"])
    assert client.get(f"{root}/compare", params={"with": "0" * 12}).status_code == 404


def test_a_search_from_a_point_keeps_the_chip_it_meant(open_collections, client):
    name = open_collections.library.names()[0]
    table = open_collections.collection(name).chips
    lon, lat = table.centres[2].tolist()
    made = client.post(f"/api/collections/{name}/searches", json={"at": [lon, lat], "k": 3}).json()
    assert made["recipe"]["chip"] == table.ids[table.row_at(lon, lat)].decode()
    assert "at" not in made["recipe"]


def test_good_hits_are_exported_below_the_minimum_with_the_rank_of_the_screen(client, saved):
    root, search = saved
    hits = search["hits"]
    client.post(f"{root}/marks", json={"chip": hits[4]["id"], "mark": "good", "author": "Ann"})
    fields = {"format": "geojson", "min": str(hits[1]["score"])}
    found = client.get(f"{root}/export", params=fields).json()["features"]
    assert [(one["properties"]["rank"], one["id"]) for one in found] == [
        (hits[at]["rank"], hits[at]["id"]) for at in (0, 1, 4)
    ]


def test_a_search_is_saved_with_the_marks_of_its_set_and_their_authors(client, saved):
    root, search = saved
    first, second, *_ = (hit["id"] for hit in search["hits"])
    folder = root.rsplit("/searches", 1)[0]
    for number, (author, chip, label) in enumerate(
        [
            ("Ann", first, "good"),
            ("Ben", first, "bad"),
            ("Ben", second, "good"),
            ("Ben", "x", "bad"),
        ]
    ):
        mark = {"key": str(number), "chip": chip, "label": label, "author": author}
        kept = client.put(f"{folder}/chip-marks/saving01", json={"marks": [mark]}).json()
    assert (kept["count"], kept["missing"]) == (3, ["x"])
    assert [(mark["author"], mark["label"]) for mark in kept["others"]] == [("Ann", "good")]
    body = {"chip": search["recipe"]["chip"], "k": 6, "suppress": False, "marks_set": "saving01"}
    again = client.post(f"{folder}/searches", json=body).json()
    assert again["marks"] == {first: "bad", second: "good"}
    given = [(each["id"], each["author"], each["mark"]) for each in again["judgements"]]
    assert given == [(first, "Ann", "good"), (first, "Ben", "bad"), (second, "Ben", "good")]
    assert client.get(f"{folder}/chip-marks/saving01").json() == kept
