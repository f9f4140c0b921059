"""An object search as a job: what it finds is saved, and nothing if it is cancelled."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import pytest
from shapely.geometry import Point

from pipeline.build.request import BuildRequest
from pipeline.collection import marks
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.errors import StorageError
from pipeline.jobs.object_search import ObjectSearchRequest
from pipeline.jobs.queue import Jobs
from pipeline.jobs.runner import run, work_through
from pipeline.objects.recipe import ObjectRecipe
from pipeline.objects.saved import ObjectSearches
from pipeline.progress import Progress
from pipeline.settings import Settings, settings
from tests.cli.test_app import run as command
from tests.factories import objects
from tests.factories.objects import PLACES, lonlat


@pytest.fixture
def yard(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Collection:
    objects.use_standin(monkeypatch)
    monkeypatch.setattr(Jobs, "start_runner", lambda self: False)
    return objects.collection(tmp_path, Library(home))


def request(yard: Collection, **changes: object) -> ObjectSearchRequest:
    recipe = ObjectRecipe(at=lonlat(yard, PLACES[0]), object_size=32, k=16, **changes)
    return ObjectSearchRequest(("yard",), recipe, "Squares")


def test_request_survives_its_record(yard: Collection) -> None:
    asked = request(yard, threshold=0.5)
    assert ObjectSearchRequest.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


def test_search_stands_beside_a_build_and_saves_what_it_found(yard: Collection, home: Path) -> None:
    jobs = Jobs(home)
    build = jobs.submit(BuildRequest("yard"), start=False)
    job = jobs.search(request(yard))
    assert [each.id for each in jobs.queue()] == [build.id, job.id]
    with pytest.raises(StorageError, match="A job for this collection is queued"):
        jobs.rename_collection(Library(home), "yard", "other")
    steps: list[Progress] = []
    done = run(jobs, job, Settings(home=home, workers=0), steps.append)
    assert (done.state, done.summary["objects"]) == ("done", 16)
    assert "Scanning" in {step.stage for step in steps}
    (saved,) = ObjectSearches(Library(home).open("yard")).all()
    assert (saved.id, saved.name) == (done.summary["search"], "Squares")


def test_cancelled_search_saves_nothing_and_can_be_resumed(yard: Collection, home: Path) -> None:
    jobs, present = Jobs(home), Settings(home=home, workers=0)
    job = jobs.search(request(yard))

    def cancel(step: Progress) -> None:
        if step.stage == "Scanning":
            jobs.cancel(job.id)

    ended = run(jobs, job, present, cancel)
    assert (ended.state, ended.note) == ("cancelled", "Nothing was saved")
    assert ObjectSearches(yard).all() == []
    jobs.resume(job.id)
    assert work_through(jobs, present) == 1
    assert len(ObjectSearches(yard).all()) == 1


def test_search_is_shared_only_with_a_job_that_will_answer_it(yard: Collection, home: Path) -> None:
    jobs, seen = Jobs(home), []
    plain, marked = request(yard), request(yard, marks="abcd1234")
    marks.append(yard, "abcd1234", [marks.Mark("a", *lonlat(yard, PLACES[1]), 32, 32, "good")])
    first = jobs.search(marked)
    assert jobs.search(marked).id == first.id  # it reads its marks when it runs
    run(jobs, first, Settings(home=home, workers=0), lambda _: seen.append(jobs.search(marked).id))
    assert len(set(seen)) == 1
    assert first.id not in seen
    second = jobs.search(plain)

    def cancel(_: Progress) -> None:
        seen.append(jobs.search(plain).id)
        jobs.cancel(second.id)
        seen.append(jobs.search(plain).id)

    seen.clear()
    run(jobs, second, Settings(home=home, workers=0), cancel)
    assert seen[0] == second.id
    assert seen[1] != second.id


def test_collection_that_is_deleted_before_its_search_is_told(yard: Collection, home: Path) -> None:
    jobs = Jobs(home)
    job = jobs.search(request(yard))
    Library(home).delete("yard")
    ended = run(jobs, job, Settings(home=home, workers=0))
    assert ended.state == "failed"
    assert ended.error["kind"] == "NotFoundError"


def test_terminal_queues_a_search_and_says_where_it_is(
    yard: Collection, home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "labels.geojson"
    points = [Point(*lonlat(yard, place)) for place in PLACES[:3]]
    geopandas.GeoDataFrame(geometry=points, crs=4326).to_file(path)
    size = ["--object-size", "32"]
    queued = command(
        "objects", "yard", "--labels", str(path), *size, "--k", "16", "--background", "--json"
    )
    assert queued.returncode == 0, queued.stderr
    job = json.loads(queued.stdout)
    assert (job["state"], job["title"]) == ("queued", "Objects: labels of labels.geojson")
    work_through(Jobs(home), settings())
    shown = command("jobs", "follow", job["id"]).stdout
    (saved,) = ObjectSearches(Library(home).open("yard")).all()
    assert f"Saved 16 objects as search {saved.id} of yard" in shown


def test_terminal_refuses_what_a_job_does_not_make(yard: Collection, tmp_path: Path) -> None:
    lon, lat = lonlat(yard, PLACES[0])
    search = ["yard", f"--at={lon},{lat}", "--background"]
    for arguments in (["ask", *search], [*search, "--to", str(tmp_path / "found.gpkg")]):
        done = command("objects", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--background does not go with" in done.stderr
    gone = command("detector", "apply", "yard", "nosuch", "--background")
    assert gone.returncode == 3
