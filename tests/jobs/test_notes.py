"""What a build noticed reaches the terminal, the job's record (as REST gives it) and the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from shapely.geometry import Polygon
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from pipeline.build.request import BuildRequest
from pipeline.cli.app import app
from pipeline.collection.library import Library
from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput, open_scene
from pipeline.jobs.job import Job
from pipeline.jobs.queue import Jobs
from pipeline.jobs.runner import run
from pipeline.search.open_collections import OpenCollections
from pipeline.settings import Settings
from tests.factories import standin
from tests.factories.rasters import write_raster


@pytest.fixture
def done(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A build of a file given twice, by a crossed outline, and with a damaged block."""
    monkeypatch.setattr("pipeline.model.loader.resnet50", standin.resnet50)
    monkeypatch.setattr("pipeline.model.loader.identity", standin.identity)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    first = write_raster(tmp_path / "one" / "fields.tif", 512, 512, seed=1)
    second = write_raster(tmp_path / "two" / "fields.tif", 512, 512, seed=1)
    west, south, east, north = open_scene(SceneInput(first)).footprint.bounds
    crossed = Area.of(Polygon([(west, south), (east, north), (east, south), (west, north)]))
    assert crossed.notes
    request = BuildRequest("fields", (SceneInput(first), SceneInput(second)), 128, crossed)
    jobs, settings = Jobs(home), Settings(home=home, workers=0)
    run(jobs, jobs.submit(request, start=False), settings, attended=True)
    part = Library(home).open("fields").parts[0]
    part.path.write_bytes(part.path.read_bytes()[:-100])
    return run(jobs, jobs.submit(request, start=False), settings, attended=True)


def test_what_every_stage_of_a_build_noticed_is_in_the_record_and_the_terminal(done: Job) -> None:
    area, twice, damaged = done.notes
    assert "crossed itself" in area
    assert twice.startswith("fields.tif has the same content")
    assert damaged.startswith("A damaged block was made again")
    shown = CliRunner().invoke(app, ["jobs", "show", done.id], env={"COLUMNS": "200"}).output
    assert all(f"Note: {note}\n" in shown for note in done.notes)
    record = CliRunner().invoke(app, ["jobs", "show", done.id, "--json"]).output
    assert tuple(json.loads(record)["summary"]["notes"]) == done.notes


def test_what_a_build_noticed_is_on_the_page(
    done: Job, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page(job_id: str) -> None:
        from pages.ui.jobs import card

        card.show(card.jobs().get(job_id))

    monkeypatch.setattr("pages.ui.jobs.card.jobs", lambda: Jobs(home))
    monkeypatch.setattr(
        "pages.ui.jobs.card.open_collections", lambda: OpenCollections(Library(home))
    )
    Library(home).delete("fields")  # its card would link to a page that this one has not
    # Streamlit puts the page in its place, which processes that later tests spawn would import.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    shown = [text.value for text in AppTest.from_function(page, args=(done.id,)).run().text]
    assert [note for note in done.notes if f"{note}." in shown] == list(done.notes)
