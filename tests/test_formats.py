"""What older versions wrote on disk: a home of each opens as it is, and is built upon."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from pipeline.build.blocks import BlockSummary, BlockTask, make_block
from pipeline.build.build import build
from pipeline.build.plan import plan
from pipeline.build.request import BuildRequest
from pipeline.census import certificate, review
from pipeline.census.censuses import Censuses
from pipeline.census.report import report
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.parquet import read_embeddings
from pipeline.errors import DamagedError, NewerError, NotFoundError
from pipeline.imagery.ingest import SceneInput, ingest, open_scene
from pipeline.index.index import Index
from pipeline.jobs.job import JobRequest
from pipeline.jobs.queue import Jobs
from pipeline.model.dense import DenseEmbedder
from pipeline.model.embedder import ChipEmbedder, Embedder
from pipeline.model.openvino import OpenVinoNetwork
from pipeline.model.weights.files import load
from pipeline.search import service, uploads
from pipeline.search.open_collections import OpenCollections
from pipeline.search.recipe import Recipe
from pipeline.search.saved import Searches
from pipeline.search.search import Result
from pipeline.sources.earth_engine.exports import Tasks
from tests import ROOT
from tests.factories import synthetic
from tests.web import rest

#: What is in it: its README.md.
OLDEST = ROOT / "tests" / "data" / "home_0_1_0"
RASTER = OLDEST / "fields_20160816.tif"
#: Its saved search that is reviewed, and its job that is done.
SEARCH = "3b9f930bc2aa"
DONE = "261127-102818420"
#: A census of `fields`: its files, as its make.py wrote them, and its certificate.
CENSUS = next((ROOT / "tests" / "data" / "census_1").glob("*/census.json")).parent
#: Chips of `fields` in row order; each is 256 pixels wide and begins 64 after its neighbour.
CHIPS = [
    "159c7ad3fd1346b5", "8f29d18dda0072c7", "e7534226f22a2367",
    "aeacf5666cdbc322", "2a61c02983cf40af", "0d196c83afc76854",
    "046f7848d048af68", "ea4252261444b7dc", "9e844b300ceb3c6e",
]  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the home that version 0.1.0 wrote."""
    return Path(shutil.copytree(OLDEST / "lookalike", tmp_path / "old"))


@pytest.fixture
def counted(old: Path) -> Path:
    """That home with a census of version 1 of its formats."""
    shutil.copytree(CENSUS, old / "collections" / "fields" / "censuses" / CENSUS.name)
    return old


@pytest.fixture
def client(old: Path) -> TestClient:
    return TestClient(rest(old))


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its place there."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_its_collections_are_listed_with_what_they_are(client: TestClient) -> None:
    fields, meadow = client.get("/api/collections").json()
    assert (fields["name"], fields["title"]) == ("fields", "Fields and ponds")
    assert fields["description"] == "Nine chips of made-up land"
    assert (fields["chips"], fields["stride"], fields["complete"]) == (9, 64, True)
    assert fields["area"] is None
    (scene,) = fields["scenes"]
    assert (scene["title"], scene["license"]) == ("Fields", "CC0")
    assert scene["datetime"] == "2016-08-16T00:00:00Z"
    assert (meadow["name"], meadow["title"], meadow["chips"]) == ("meadow", "Meadow", 4)
    assert meadow["area"]["coordinates"][0][0] == [6.416, 46.42]


def test_its_manifests_say_how_each_collection_was_made(old: Path) -> None:
    fields, meadow = (Library(old).open(name).manifest for name in ("fields", "meadow"))
    assert (fields.model.mode, meadow.model.mode) == ("chip", "dense")
    assert (fields.left_out, meadow.left_out) == ({}, {"area": 5})
    assert fields.versions["lookalike"] == meadow.versions["lookalike"] == "0.1.0"
    assert fields.former == ("old-fields",)


def test_its_chips_keep_their_ids_and_places(old: Path) -> None:
    chips = Library(old).open("fields").chips
    assert [chip.decode() for chip in chips.ids] == CHIPS
    assert chips.cols.tolist() == [0, 64, 128] * 3
    assert chips.rows.tolist() == [0, 0, 0, 64, 64, 64, 128, 128, 128]
    # The raster's upper left corner, 300 000 m east and 5 150 000 m north in EPSG:32632.
    np.testing.assert_allclose(chips.corners[0, 0], [6.3947235, 46.4738889], atol=1e-7)
    # The dense collection is of the same scene: its chips are those within its area.
    meadow = Library(old).open("meadow").chips
    assert [chip.decode() for chip in meadow.ids] == [CHIPS[place] for place in (4, 5, 7, 8)]


@pytest.mark.parametrize("name", ["fields", "meadow"])
def test_its_indexes_open_without_being_made_anew(old: Path, name: str) -> None:
    collection = Library(old).open(name)
    before = files(collection.index_folder)
    index = Index.open(collection)
    assert len(index) == len(collection.chips)
    assert files(collection.index_folder) == before


def test_a_search_from_a_chip_finds_what_it_found(client: TestClient, old: Path) -> None:
    asked = Searches(Library(old).open("fields")).get(SEARCH)
    answer = client.post("/api/collections/fields/search", json=asked.recipe.to_dict()).json()
    hits = [(hit["id"], hit["score"]) for hit in answer["hits"]]
    assert hits == list(asked.hits)
    assert (answer["eligible"], answer["total"]) == (asked.eligible, asked.total) == (8, 9)


def test_its_saved_searches_reopen_with_their_review(client: TestClient) -> None:
    listed = client.get("/api/collections/fields/searches").json()
    named = {saved["name"]: saved for saved in listed}
    assert set(named) == {"Like the middle", "a picture with 1 good and 1 bad examples"}
    brief = named["Like the middle"]
    assert brief["query"] == "the chip at 46.4572° N 6.4205° E, 2016-08-16"
    whole = client.get(f"/api/collections/fields/searches/{brief['id']}").json()
    hits = [hit["id"] for hit in whole["hits"]]
    assert len(hits) == 6
    assert (whole["changed"], whole["missing"]) == (False, [])
    assert whole["note"] == "Reviewed in the field"
    assert whole["marks"] == dict(zip(hits, ("good", "bad", "good", "skip"), strict=False))
    assert whole["notes"] == {hits[1]: "A road, no field"}
    picture = client.get(f"/api/collections/fields/searches/{brief['id']}/picture.png")
    assert picture.content.startswith(b"\x89PNG")


def test_review_of_its_searches_goes_on(client: TestClient, old: Path) -> None:
    searches = Searches(Library(old).open("fields"))
    reviewed = searches.get(SEARCH)
    last = reviewed.hits[-1][0]
    done = client.post(
        f"/api/collections/fields/searches/{reviewed.id}/marks", json={"chip": last, "mark": "bad"}
    )
    assert done.status_code == 200
    again = searches.get(reviewed.id)
    assert again.marks == {**reviewed.marks, last: "bad"}
    assert (again.hits, again.recipe, again.notes) == (
        reviewed.hits,
        reviewed.recipe,
        reviewed.notes,
    )


def test_its_jobs_are_listed_with_how_they_ended(client: TestClient, old: Path) -> None:
    listed = {job["collection"]: job for job in client.get("/api/jobs").json()}
    assert {name: job["state"] for name, job in listed.items()} == {
        "old-fields": "done",
        "lost": "failed",
        "harbour": "cancelled",
    }
    assert listed["old-fields"]["summary"]["chips"] == 9
    assert listed["lost"]["error"]["what"] == "There is no such file"
    log = Jobs(old).log(listed["old-fields"]["id"])
    assert log[-1].endswith("done: 9 chips in 2.9 s")


def test_its_cancelled_job_is_resumed_with_what_was_asked(old: Path) -> None:
    queue = Jobs(old)
    (cancelled,) = (job for job in queue.all() if job.state == "cancelled")
    resumed = queue.resume(cancelled.id, start=False)
    assert [job.id for job in queue.queue()] == [resumed.id]
    asked = JobRequest.from_dict(resumed.request)
    assert (asked.build.name, asked.build.stride, asked.build.mode) == ("harbour", 128, "chip")
    assert asked.build.area is not None
    (candidate,) = asked.candidates
    assert (candidate.title, candidate.day) == ("fields_20160816", "2016-08-16")
    assert asked.options == {"locations": [candidate.id]}


def test_its_exports_from_earth_engine_are_waited_for_and_not_started_twice(old: Path) -> None:
    (folder,) = (old / "fetched" / "harbour").iterdir()
    assert Tasks(folder).get("0-0") == {
        "request": "5a58297225594801b57b698695a7e41d",
        "operation": "projects/lookalike/operations/ABCDEF",
    }


def test_its_trash_is_listed_and_restored(old: Path) -> None:
    library = Library(old)
    (gone,) = library.trashed()
    assert (gone.name, gone.title, gone.searches) == ("pond", "Pond", 1)
    assert gone.deleted.startswith("2026-11-27T")
    pond = library.restore(gone.token)
    assert library.names() == ["fields", "meadow", "pond"]
    (saved,) = Searches(pond).all()
    assert len(pond.chips) == saved.total == 2
    assert not Searches(pond).reopen(saved.id).changed
    assert library.trashed() == []


def test_a_former_name_leads_on(client: TestClient, old: Path) -> None:
    assert Library(old).current("old-fields") == "fields"
    answer = client.get("/api/collections/old-fields")
    assert answer.status_code == 404
    assert "fields" in answer.json()["remedy"]
    with pytest.raises(NotFoundError, match="Open fields instead"):
        Library(old).open("old-fields")


def test_a_census_keeps_its_draw_and_its_judgements_and_goes_on(counted: Path) -> None:
    kept = Censuses(Library(counted)).open(CENSUS.name)
    census, lines = kept.census, kept.judgements.lines()
    asked = [line["units"] for line in lines if line["event"] == "asked"]
    for made, units in zip(census.designs, (asked[0], asked[3]), strict=True):
        assert [census.units[row].id for row in made.order[: len(units)]] == units
    assert [each.number for each in census.rounds] == [1, 2]
    assert [(each.name, len(each.units)) for each in census.districts] == [("west", 18)]
    told = report(kept)
    assert (told.judged, told.cannot_tell) == (14, 0)
    assert told.to_dict()["things_seen"] == 16
    assert told.agreement is not None
    assert told.agreement.double == 4
    assert len(kept.judgements.history()) == 19
    in_hand = [unit.id for unit in review.hand_out(kept, 3, "ada").units]
    assert in_hand == asked[-1]
    review.answer(kept, dict.fromkeys(in_hand, 0), "ada")
    assert report(kept).judged == 17


def test_its_certificate_computes_the_same_census() -> None:
    path = CENSUS.parent / "certificate.json"
    told = certificate.report_of_file(path)
    assert (told.census.id, told.judged) == (CENSUS.name, 14)


@pytest.mark.model
@pytest.mark.parametrize("name", ["fields", "meadow"])
def test_the_same_build_again_finds_everything_made(home: Path, name: str) -> None:
    shutil.copytree(OLDEST / "lookalike", home, dirs_exist_ok=True)
    library = Library(home)
    before = files(library.open(name).path / "chips")
    area = library.open(name).manifest.area
    summary = build(BuildRequest(name, (SceneInput(RASTER),), 64, area), library)
    assert (summary.blocks_made, summary.blocks_kept) == (0, 1)
    assert files(library.open(name).path / "chips") == before


@pytest.fixture(scope="module")
def exact(shared_weights: Path) -> Callable[[str], Embedder]:
    """What the vectors were made with: float32, whatever this processor could do faster."""
    loaded = load(shared_weights)
    network = OpenVinoNetwork(loaded, "float32", 2)
    modes = {"chip": ChipEmbedder, "dense": DenseEmbedder}
    return lambda mode: modes[mode](loaded, network)


@pytest.mark.model
@pytest.mark.parametrize("name", ["fields", "meadow"])
def test_the_same_raster_gives_the_same_chips_and_vectors(
    home: Path, exact: Callable[[str], Embedder], name: str
) -> None:
    then = Library(OLDEST / "lookalike").open(name)
    mode = then.manifest.model.mode

    def in_float32(tasks, done, progress) -> list[BlockSummary]:
        # Object cells, which 0.1.0 did not have, are left out.
        blocks = [task for task in tasks if isinstance(task, BlockTask)]
        return [make_block(task, exact(mode)) for task in blocks]

    # Version 0.1.0 stretched 8-bit RGB by percentiles, which is now a choice.
    scene = SceneInput(RASTER, title="Fields", license="CC0", percentile=True)
    asked = BuildRequest(name, (scene,), then.manifest.stride, then.manifest.area, mode)
    build(asked, Library(home), run=in_float32)
    now = Library(home).open(name)

    assert now.manifest.model == then.manifest.model
    assert (now.manifest.chips, now.manifest.left_out) == (
        then.manifest.chips,
        then.manifest.left_out,
    )
    newer = {"path": "", "stretch_from": ""}
    assert [asdict(a) | newer for a in now.scenes.values()] == [
        asdict(b) | newer for b in then.scenes.values()
    ]
    for column in ("ids", "cols", "rows", "corners", "gsd", "nodata_percent", "sharpness"):
        np.testing.assert_array_equal(getattr(now.chips, column), getattr(then.chips, column))
    # Libraries and processors add float32 numbers in different orders: what lies at the edge of
    # two float16 numbers is rounded to either.  Where they do not, the vectors are equal.
    made, kept = (
        np.concatenate([read_embeddings(part).astype(np.float32) for part in each.parts])
        for each in (now, then)
    )
    np.testing.assert_allclose(made, kept, rtol=2**-10, atol=1e-5)


@pytest.mark.model
def test_a_search_from_its_kept_picture_finds_what_it_found(
    old: Path, exact: Callable[[str], Embedder]
) -> None:
    opened = OpenCollections(Library(old))
    opened.embedder = lambda _: exact("chip")
    fields = opened.collection("fields")
    (asked,) = (one for one in Searches(fields).all() if one.recipe.picture)
    assert uploads.pixels(fields, str(asked.recipe.picture)).shape == (256, 256, 3)
    hits = service.find(opened, "fields", asked.recipe).result.hits
    assert [hit.id for hit in hits] == [chip for chip, _ in asked.hits]
    np.testing.assert_allclose(
        [hit.score for hit in hits], [score for _, score in asked.hits], atol=1e-4
    )


def json_of(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def newer_field(path: Path) -> None:
    path.write_text(json.dumps({**json_of(path), "schema": 99}), "utf-8")


def newer_item(path: Path) -> None:
    item = json_of(path)
    item["properties"]["lookalike:schema"] = 99
    path.write_text(json.dumps(item), "utf-8")


def newer_journal(path: Path) -> None:
    first, *lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text(first.replace("1", "99") + "".join(lines), "utf-8")


def newer_part(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    about = {**table.schema.metadata, b"lookalike": b'{"schema": 99, "omitted": []}'}
    pq.write_table(table.replace_schema_metadata(about), path)


def fields(home: Path) -> Collection:
    return Library(home).open("fields")


def told(home: Path) -> object:
    return report(Censuses(Library(home)).open(CENSUS.name))


#: What is of a newer version: its place, how it comes to be so, and who opens it.
NEWER = {
    "manifest": ("collections/fields/collection.json", newer_field, fields),
    "scene": ("collections/fields/scenes/*.json", newer_item, lambda home: fields(home).scenes),
    "part": ("collections/fields/chips/*/*.parquet", newer_part, lambda home: fields(home).chips),
    "part of a build": (
        "collections/fields/chips/*/*.parquet",
        newer_part,
        lambda home: plan(fields(home)),
    ),
    "scene of a build": (
        "collections/fields/scenes/*.json",
        newer_item,
        lambda home: ingest(SceneInput(RASTER), fields(home).scenes_folder),
    ),
    "search": (
        f"collections/fields/searches/{SEARCH}.json",
        newer_field,
        lambda home: Searches(fields(home)).get(SEARCH),
    ),
    "census": (f"collections/fields/censuses/{CENSUS.name}/census.json", newer_field, told),
    "round": (f"collections/fields/censuses/{CENSUS.name}/round-2.json", newer_field, told),
    "judgements": (
        f"collections/fields/censuses/{CENSUS.name}/judgements.jsonl",
        newer_journal,
        told,
    ),
    "job": (f"jobs/{DONE}/job.json", newer_field, lambda home: Jobs(home).get(DONE)),
    "export tasks": (
        "fetched/harbour/*/tasks.json",
        newer_field,
        lambda home: Tasks(next((home / "fetched" / "harbour").iterdir())),
    ),
}


@pytest.mark.parametrize("kind", NEWER)
def test_what_a_newer_version_wrote_is_refused_and_left_as_it_is(counted: Path, kind: str) -> None:
    place, make_newer, opens = NEWER[kind]
    (path,) = counted.glob(place)
    make_newer(path)
    before = path.read_bytes()
    with pytest.raises(NewerError, match=r"written by a newer Lookalike.*Update Lookalike"):
        opens(counted)
    assert path.read_bytes() == before


def test_an_index_of_another_version_is_made_anew(old: Path) -> None:
    collection = fields(old)
    path = collection.index_folder / collection.version / "index.json"
    newer_field(path)
    assert len(Index.open(collection)) == 9
    assert json_of(path)["schema"] == 2


@pytest.mark.parametrize("schema", [0, -1, "2", 1.5, None, True])
def test_a_version_that_is_none_is_damage(old: Path, schema: object) -> None:
    path = old / "jobs" / DONE / "job.json"
    path.write_text(json.dumps({**json_of(path), "schema": schema}), "utf-8")
    with pytest.raises(DamagedError, match="Remove the folder") as error:
        Jobs(old).get(DONE)
    assert not isinstance(error.value, NewerError)


def test_everything_written_today_names_its_version(tmp_path: Path) -> None:
    collection = synthetic.collection(tmp_path)
    scene = open_scene(SceneInput(RASTER)).to_item()
    saved = Searches(collection).save("Ponds", Recipe(chip="a"), Result((), 0, 0, 0))
    job = Jobs(tmp_path).submit(BuildRequest("fields"), start=False)
    Tasks(tmp_path / "fetched").get("0-0")
    Index.open(collection)
    (part,) = (pq.read_metadata(part.path).metadata for part in collection.parts)
    assert json.loads(part[b"lookalike"])["schema"] == 1
    assert scene["properties"]["lookalike:schema"] == 1
    written = {
        collection.path / "collection.json": 1,
        collection.index_folder / collection.version / "index.json": 2,
        collection.path / "searches" / f"{saved.id}.json": 2,
        tmp_path / "jobs" / job.id / "job.json": 1,
        tmp_path / "fetched" / "tasks.json": 1,
    }
    assert {path: json_of(path)["schema"] for path in written} == written


def test_every_file_of_the_oldest_home_and_a_census_stands_in_the_list_of_formats(
    counted: Path,
) -> None:
    listed = re.findall(r"^\| `(\S+)` \|", (ROOT / "docs" / "formats.md").read_text(), re.MULTILINE)
    known = [re.compile(re.sub("[A-Z]+", "[^/]+", place.replace(".", "[.]"))) for place in listed]
    locks = {".lock", ".manifest", ".mutex", ".running"}
    kept = [
        re.sub(r"^trash/[^/]+", "collections/pond", place)
        for place in files(counted)
        if Path(place).name not in locks
    ]
    assert len(kept) > 30
    assert [place for place in kept if not any(row.fullmatch(place) for row in known)] == []
