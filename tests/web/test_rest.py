"""The REST interface beyond the plain search: examples, boxes, saved searches, jobs, exports."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import zipfile

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

from pipeline.collection.library import Library
from pipeline.errors import NotFoundError, QueryError
from pipeline.index.index import Index
from pipeline.jobs.queue import Jobs
from pipeline.model.embedder import ChipModel
from pipeline.search.boxes import cut_out
from pipeline.search.open_collections import OpenCollections
from tests.factories import pictured
from tests.web import BrightnessNetwork, FixedEmbedder, rest


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One collection with its index; each test changes a copy."""
    home = tmp_path_factory.mktemp("rest")
    Index.open(pictured.collection(home))
    return home


@pytest.fixture
def home(made, tmp_path):
    return shutil.copytree(made, tmp_path / "home")


@pytest.fixture
def client(home):
    open_collections = OpenCollections(Library(home))
    open_collections.model = lambda name: ChipModel(FixedEmbedder(), None)
    open_collections.network = lambda: BrightnessNetwork()
    with TestClient(rest(home, open_collections)) as client:
        yield client


@pytest.fixture
def chips(home):
    return [chip.decode() for chip in Library(home).open("bay").chips.ids]


@pytest.fixture(autouse=True)
def no_runner(monkeypatch):
    monkeypatch.setattr(Jobs, "start_runner", lambda self: False)


BAY = "/api/collections/bay"


def problem_of(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    return answer.json()


def test_search_from_examples_leaves_bad_ones_out(client, chips):
    fields = {"good": chips[:2], "bad": [chips[2]], "suppress": False, "k": 16}
    answer = client.post(f"{BAY}/search", json=fields).json()
    found = [hit["id"] for hit in answer["hits"]]
    assert len(found) == 15
    assert chips[2] not in found
    assert answer["query"] == {"kind": "examples", "good": chips[:2], "bad": [chips[2]]}


def test_scores_of_all_chips_agree_with_the_hits_and_leave_out_what_is_filtered(client, chips):
    fields = {"chip": chips[3], "suppress": False, "k": 16}
    raw = client.post(f"{BAY}/scores", json=fields).content
    scores = np.frombuffer(raw, "<f4")
    assert len(scores) == len(chips)
    for hit in client.post(f"{BAY}/search", json=fields).json()["hits"]:
        assert scores[hit["row"]] == pytest.approx(hit["score"], abs=2e-3)
    far = client.post(f"{BAY}/scores", json={**fields, "away": 1}).content
    assert np.isnan(np.frombuffer(far, "<f4")).tolist() == [row == 3 for row in range(len(chips))]
    wrong = problem_of(client.post(f"{BAY}/scores", json={**fields, "away": -1}), 400)
    assert wrong["title"] == "away must be a number between 0 and 40,100,000"


def test_cells_say_where_inside_a_chip(client, chips):
    answer = client.post(f"{BAY}/match", json={"chip": chips[3], "chips": chips[:2]}).json()
    assert list(answer) == chips[:2]
    assert np.array(answer[chips[0]]).shape == (8, 8)
    for wrong in ([], "x", chips[:1] * 17):
        problem_of(client.post(f"{BAY}/match", json={"chip": chips[3], "chips": wrong}), 400)
    problem_of(client.post(f"{BAY}/match", json={"chip": chips[3], "chips": ["nosuch"]}), 404)


def test_a_box_has_a_picture(client, home):
    corners = Library(home).open("bay").chips.corners[5]
    box = [*corners.min(axis=0), *corners.max(axis=0)]
    answer = client.get(f"{BAY}/box.png", params={"box": ",".join(map(str, box))})
    assert answer.headers["content-type"] == "image/png"
    problem_of(client.get(f"{BAY}/box.png", params={"box": "1,2,3"}), 400)


def test_filters_alone_tell_how_many_chips_are_eligible(client, chips):
    assert client.post(f"{BAY}/eligible", json={}).json() == {"eligible": 16, "total": 16}
    none = client.post(f"{BAY}/eligible", json={"min_sharpness": 1e9}).json()
    assert none == {"eligible": 0, "total": 16}
    problem_of(client.post(f"{BAY}/eligible", json={"max_nodata": 120}), 400)


def test_a_point_names_its_chip(client, home, chips):
    table = Library(home).open("bay").chips
    lon, lat = table.centres[5]
    answer = client.get(f"{BAY}/chip", params={"lon": lon, "lat": lat}).json()
    assert (answer["id"], answer["row"]) == (chips[5], 5)
    problem_of(client.get(f"{BAY}/chip", params={"lon": "east", "lat": lat}), 400)
    problem_of(client.get(f"{BAY}/chip", params={"lon": 0, "lat": 0}), 404)


def test_filters_come_before_the_search(client, home, chips):
    table = Library(home).open("bay").chips
    west, south = table.corners.reshape(-1, 2).min(axis=0)
    middle, north = table.centres[5, 0] + 1e-6, table.corners[..., 1].max()
    ring = [[west, south], [middle, south], [middle, north], [west, north], [west, south]]
    fields = {
        "chip": chips[3],
        "suppress": False,
        "k": 5,
        "within": {"type": "Polygon", "coordinates": [ring]},
    }
    answer = client.post(f"{BAY}/search", json=fields).json()
    assert len(answer["hits"]) == 5
    assert 5 <= answer["eligible"] < 16
    assert all(hit["lon"] <= middle for hit in answer["hits"])


def test_box_is_read_anew_and_never_finds_itself(client, home):
    table = Library(home).open("bay").chips
    lon, lat = table.centres[5]
    box = [lon - 0.004, lat - 0.003, lon + 0.004, lat + 0.003]
    answer = client.post(f"{BAY}/search", json={"box": box, "k": 3}).json()
    assert answer["query"]["kind"] == "box"
    assert np.array(answer["query"]["corners"]).shape == (4, 2)
    assert answer["hits"]


def test_box_keeps_shapes_and_says_what_is_wrong(home):
    collection = Library(home).open("bay")
    scene = next(iter(collection.scenes.values()))
    lon, lat = collection.chips.centres[5]
    long = cut_out(collection, (lon - 0.01, lat - 0.001, lon + 0.01, lat + 0.001))
    assert long.pixels.shape == (256, 256, 3)
    width, height = np.ptp(long.corners, axis=0) * (np.cos(np.radians(lat)), 1)
    assert width == pytest.approx(height, rel=0.05)
    assert long.corners.mean(axis=0) == pytest.approx((lon, lat), abs=2 * scene.gsd / 1e5)
    for box, error in (
        ((lon, lat, lon - 1, lat), QueryError),
        ((lon, lat, lon + 1e-5, lat + 1e-5), QueryError),
        ((lon - 1, lat - 1, lon + 1, lat + 1), QueryError),
        ((lon - 150, lat - 30, lon + 150, lat + 30), QueryError),
        ((0, 0, 1, 1), NotFoundError),
    ):
        with pytest.raises(error):
            cut_out(collection, box)
    east = collection.chips.corners[..., 0].max()
    with pytest.raises(NotFoundError, match="under the middle"):
        cut_out(collection, (lon, lat - 0.001, 2 * east - lon + 0.001, lat + 0.001))


def test_search_is_saved_reviewed_and_reopened(client, chips):
    made = client.post(f"{BAY}/searches", json={"chip": chips[0], "k": 4, "name": "Fields"})
    assert made.status_code == 201
    saved = made.json()
    one = f"{BAY}/searches/{saved['id']}"
    assert saved["name"] == "Fields"
    assert client.get(f"{one}/picture.png").content.startswith(b"\x89PNG")
    first = saved["hits"][0]["id"]
    marked = client.post(f"{one}/marks", json={"chip": first, "mark": "good", "note": "yes"}).json()
    assert marked["marks"] == {first: "good"}
    assert marked["notes"] == {first: "yes"}
    again = client.get(one).json()
    assert again["hits"] == saved["hits"]
    assert again["reviewed"] == 1
    assert not again["changed"]
    assert again["start"]["kind"] == "chip"
    assert {"row", "lon", "lat"} < set(again["start"])
    assert client.patch(one, json={"name": "Meadows"}).json()["name"] == "Meadows"
    assert [s["id"] for s in client.get(f"{BAY}/searches").json()] == [saved["id"]]
    path = client.get(f"{one}/export?format=csv")
    assert "attachment" in path.headers["content-disposition"]
    assert path.text.splitlines()[1].split(",")[5] == "good"
    assert client.delete(one).status_code == 204
    problem_of(client.get(one), 404)


def test_views_are_searched_saved_and_exported(client, chips):
    body = {"chip": chips[0], "any_orientation": True, "any_scale": True, "k": 4}
    found = client.post(f"{BAY}/search", json=body).json()
    assert len(found["hits"]) == 4
    scores = np.frombuffer(client.post(f"{BAY}/scores", json=body).content, "<f4")
    for hit in found["hits"]:
        assert scores[hit["row"]] == pytest.approx(hit["score"], abs=2e-6)
    cells = client.post(f"{BAY}/match", json={**body, "chips": chips[:1]}).json()
    assert np.array(cells[chips[0]]).shape == (8, 8)
    saved = client.post(f"{BAY}/searches", json=body).json()
    assert saved["hits"] == found["hits"]
    assert saved["recipe"]["any_orientation"] is saved["parameters"]["any_scale"] is True
    exported = client.post(f"{BAY}/export", json=body).json()
    assert "any_orientation" in json.dumps(exported)
    problem_of(client.post(f"{BAY}/search", json={**body, "any_scale": "perhaps"}), 400)


def test_a_refined_search_is_the_same_saved_and_exported(client, chips):
    body = {"chip": chips[0], "good": [chips[9]], "bad": [chips[2]], "k": 8, "suppress": False}
    found = [hit["id"] for hit in client.post(f"{BAY}/search", json=body).json()["hits"]]
    assert found[0] == chips[9]
    saved = client.post(f"{BAY}/searches", json=body).json()
    assert [hit["id"] for hit in saved["hits"]] == found
    again = client.get(f"{BAY}/searches/{saved['id']}").json()
    assert [hit["id"] for hit in again["hits"]] == found
    exported = client.post(f"{BAY}/export", json={**body, "format": "csv"}).text
    assert all(chip in line for chip, line in zip(found, exported.splitlines()[1:], strict=True))


def test_k_counts_sites_when_sites_are_asked_for(client, chips):
    body = {"chip": chips[0], "k": 3, "suppress": False}
    found = client.post(f"{BAY}/search?sites=1", json=body).json()
    assert len(found["sites"]) == 3
    members = [chip for site in found["sites"] for chip in site["chips"]]
    assert sorted(members) == sorted(hit["id"] for hit in found["hits"])
    marks = {members[0]: "good", chips[0]: "good"}  # the query is no hit
    saved = client.post(f"{BAY}/searches?sites=1", json={**body, "marks": marks}).json()
    assert [hit["id"] for hit in saved["hits"]] == [hit["id"] for hit in found["hits"]]
    assert saved["marks"] == {members[0]: "good"}
    for wrong in ({members[0]: "maybe"}, [members[0]]):
        problem_of(client.post(f"{BAY}/searches", json={**body, "marks": wrong}), 400)
    assert saved["parameters"]["k"] == len(found["hits"])
    exported = client.post(f"{BAY}/export", json={**body, "what": "sites"}).json()
    assert len(exported["features"]) == 3
    client.delete(f"{BAY}/searches/{saved['id']}")
    problem_of(client.post(f"{BAY}/search?sites=1", json={**body, "k": 1001}), 400)
    body = {**body, "good": [chips[9]], "bad": [chips[2]]}  # by marks, sites take the same hits
    refined = client.post(f"{BAY}/search?sites=1", json=body).json()
    plain = client.post(f"{BAY}/search", json={**body, "k": len(refined["hits"])}).json()
    assert refined["hits"] == plain["hits"]


@pytest.mark.parametrize("what", ["hits", "sites"])
@pytest.mark.parametrize(("format", "suffix"), [("chips", ".zip"), ("shapefile", ".shp.zip")])
def test_search_is_exported_at_once(client, chips, what, format, suffix):
    body = {"chip": chips[0], "k": 4, "format": format, "what": what}
    answer = client.post(f"{BAY}/export", json=body)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert f"-{what}{suffix}" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert json.loads(archive.read("provenance.json"))["parameters"] == {
            "k": 4,
            "suppress": True,
        }


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"{BAY}/export", {"chip": "0" * 16}, 404),
        (f"{BAY}/export", {"at": [6.43, 46.44], "format": "dwg"}, 400),
        (f"{BAY}/export", {"what": "both", "good": []}, 400),
        (f"{BAY}/searches", {"name": 5, "chip": "x"}, 400),
        (f"{BAY}/searches", {}, 400),
        ("/api/collections/nothing/searches", {"chip": "x"}, 404),
        ("/api/jobs", {}, 400),
        ("/api/jobs", {"name": "../x"}, 400),
        ("/api/jobs", {"name": "x", "stride": 100}, 400),
        ("/api/jobs", {"name": "x", "stride": 0}, 400),
        ("/api/jobs", {"name": "x", "mode": "best"}, 400),
        ("/api/jobs", {"name": "x", "quality": "best"}, 400),
        ("/api/jobs", {"name": "x", "scenes": "a.tif"}, 400),
        ("/api/jobs", {"name": "x", "scenes": ["/etc/passwd"]}, 400),
        ("/api/jobs", {"name": "x", "area": {"type": "Point", "coordinates": [0, 0]}}, 400),
        ("/api/jobs", {"name": "x", "colour": "red"}, 400),
    ],
)
def test_bad_requests_get_a_problem_and_what_to_do(client, path, body, status):
    told = problem_of(client.post(path, json=body), status)
    assert told["title"]


@pytest.mark.parametrize("path", ["/api/jobs", f"{BAY}/search"])
@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b"[" * 100_000, b"\xff", b'{"name": "\\ud800", "chip": "\\ud800"}']
)
def test_bodies_that_are_no_object_are_refused(client, path, body):
    assert problem_of(client.post(path, content=body), 400)["remedy"]


HUGE = 10**400  # a number that JSON holds and no float does


@pytest.mark.parametrize(
    "fields",
    [
        {"at": [HUGE, 1]},
        {"at": {"6.43": 1, "46.44": 2}},
        {"box": [6, 46, HUGE, 47]},
        {"chip": "x", "threshold": -HUGE},
        {"chip": "x", "max_nodata": HUGE},
        {"chip": "x", "away": HUGE},
    ],
)
def test_numbers_that_no_float_holds_are_refused(client, fields):
    problem_of(client.post(f"{BAY}/search", json=fields), 400)


def test_an_area_with_a_number_that_no_float_holds_is_refused(client):
    area = {"type": "Polygon", "coordinates": [[[HUGE, 0], [1, 0], [1, 1], [HUGE, 0]]]}
    problem_of(client.post(f"{BAY}/eligible", json={"within": area}), 400)


@pytest.mark.parametrize("path", [f"{BAY}/search", f"{BAY}/export", f"{BAY}/objects"])
@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"at": [True, 46.44]}, 400, "at must be 2 numbers"),
        ({"at": [6.43, 46.44], "scenes": ["gone"]}, 404, "gone"),
    ],
)
def test_filters_and_places_that_cannot_be_are_refused(client, path, fields, status, word):
    told = problem_of(client.post(path, json=fields), status)
    assert word in f"{told['title']} {told['detail']}"


def test_empty_area_and_unknown_scene_are_not_every_place(client):
    start = {"at": [6.43, 46.44]}
    problem_of(client.post(f"{BAY}/search", json={**start, "within": {}}), 400)
    problem_of(client.post(f"{BAY}/eligible", json={"within": {}}), 400)
    problem_of(client.post(f"{BAY}/eligible", json={"scenes": ["gone"]}), 404)


def test_a_form_that_is_none_is_a_problem(client):
    kind = {"content-type": "multipart/form-data; boundary=x"}
    problem_of(client.post(f"{BAY}/search", content=b"--x\r\nhello", headers=kind), 400)
    many = {f"field{i}": "1" for i in range(30)}
    told = problem_of(client.post(f"{BAY}/search", data=many, files={"image": b"x"}), 400)
    assert "form" in told["title"]


def test_a_path_with_a_nul_is_a_problem(client):
    problem_of(client.post("/api/jobs", json={"name": "x", "scenes": ["a\0b.tif"]}), 400)


def test_body_of_200_mb_is_refused_while_it_arrives(client):
    sent = 0

    async def pieces():
        nonlocal sent
        for _ in range(200):
            sent += 1
            yield b" " * 2**20

    async def post():  # the client of the other tests joins a body before it sends it
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as streaming:
            return await streaming.post("/api/jobs", content=pieces())

    told = problem_of(asyncio.run(post()), 400)
    assert "too large" in told["title"]
    assert sent < 200


def test_jobs_are_queued_seen_cancelled_and_forgotten(client, home):
    body = {"name": "more", "scenes": [str(home / "bay.tif")], "quality": "thorough"}
    made = client.post("/api/jobs", json=body)
    assert made.status_code == 202, made.text
    job = made.json()
    assert job["request"]["quality"] == "thorough"
    one = made.headers["location"]
    assert one == f"/api/jobs/{job['id']}"
    assert client.get(one).json()["state"] == "queued"
    assert Jobs(home).get(job["id"]).collection == "more"
    problem_of(client.post("/api/jobs", json={"name": "more"}), 400)
    problem_of(client.get(f"{one}/preview.jpg"), 404)
    problem_of(client.delete(one), 400)
    assert client.post(f"{one}/cancel").json()["state"] == "cancelled"
    assert client.post(f"{one}/resume").json()["state"] == "queued"
    client.post(f"{one}/cancel")
    assert "queued" in client.get(f"{one}/log").json()["lines"][0]
    assert client.delete(one).status_code == 204
    problem_of(client.get(one), 404)
    assert client.get("/api/jobs").json() == []


def test_private_addresses_are_refused_for_builds(client):
    for url in ("http://127.0.0.1:1/a.tif", "https://169.254.169.254/a.tif"):
        answer = client.post("/api/jobs", json={"name": "x", "scenes": [url]})
        assert answer.status_code == 400
        assert "private" in answer.json()["title"] or "https" in answer.json()["remedy"]


@pytest.mark.parametrize("path", ["/api", "/api/nothing", f"{BAY}/nothing/here"])
def test_an_address_that_leads_nowhere_says_so(client, path):
    assert "/api/docs" in problem_of(client.get(path), 404)["remedy"]
    page = client.get(f"{path}?<script>", headers={"Accept": "text/html,*/*"})
    assert page.status_code == 404
    assert "There is nothing at this address" in page.text
    assert "<script" not in page.text


def test_an_address_asked_in_the_wrong_way_says_which_way_is_right(client):
    told = problem_of(client.get(f"{BAY}/search"), 405)
    assert told["title"] == "This address takes POST, not GET"
    refused = client.put(f"{BAY}/searches", json={})
    assert refused.headers["allow"] == "GET, POST"
    problem_of(refused, 405)
    problem_of(client.delete("/api/nothing"), 404)
    page = client.get(f"{BAY}/search", headers={"Accept": "text/html,*/*"})
    assert page.status_code == 405
    assert "This address takes POST" in page.text
