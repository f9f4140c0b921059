"""What is asked of a build: one type for the page, the command line, REST and the disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pipeline.build.request import BuildRequest
from pipeline.collection.library import Library
from pipeline.collection.manifest import Manifest
from pipeline.errors import QueryError
from pipeline.geo.area import Area
from pipeline.imagery.brightness import Brightness
from pipeline.imagery.ingest import SceneInput
from pipeline.settings import Settings
from pipeline.sources.registry import open_source
from pipeline.web.jobs import BuildBody, job_request
from tests.factories.rasters import write_raster
from tests.factories.synthetic import MODEL

#: Not closed the usual way round, one corner given twice, and in two parts.
OUTLINE: dict[str, Any] = {
    "type": "Feature",
    "properties": {"name": "The ponds"},
    "geometry": {
        "type": "MultiPolygon",
        "coordinates": [
            [[[-122.1, 37.4], [-122.1, 37.5], [-122.0, 37.5], [-122.0, 37.5], [-122.1, 37.4]]],
            [[[-121.9, 37.4], [-121.8, 37.4], [-121.8, 37.6], [-121.9, 37.4]]],
        ],
    },
}


def drawn(outline: dict[str, Any], patch: pytest.MonkeyPatch) -> Area:
    """The area that the Area page keeps of an outline drawn on its map."""

    def page(outline: dict) -> None:  # its source is run elsewhere, without our imports
        import streamlit as st

        from pages.ui.area import shape

        shape.take_geojson(outline, drawn=True)
        st.session_state["kept"] = shape.area()

    # Streamlit puts the page in its place, which processes that later tests spawn would import.
    patch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    kept = AppTest.from_function(page, args=(outline,)).run().session_state["kept"]
    assert isinstance(kept, Area)
    return kept


def test_one_outline_from_the_page_the_command_line_and_rest_is_one_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "aoi.geojson"
    file.write_text(json.dumps(OUTLINE))
    page = BuildRequest("ponds", area=drawn(OUTLINE["geometry"], monkeypatch))
    command_line = BuildRequest("ponds", area=Area.from_file(file))
    rest = job_request(BuildBody(name="ponds", area=OUTLINE), Settings(home=tmp_path)).build
    assert page == command_line == rest
    assert BuildRequest.from_dict(json.loads(json.dumps(page.to_dict()))) == page


@pytest.mark.parametrize("text", ["automatic", "percentile", "0,3000"])
def test_brightness_over_rest_reaches_the_rasters(tmp_path: Path, text: str) -> None:
    scene = write_raster(tmp_path / "fields.tif", 300, 300)
    body = BuildBody(name="fields", scenes=[str(scene)], brightness=text)
    job = job_request(body, Settings(home=tmp_path, folders=(tmp_path,)))
    source = open_source(job.source, **json.loads(json.dumps(job.options)))
    (fetched,) = source.fetch(None, job.candidates, tmp_path)
    shown = Brightness.parse(text)
    assert (fetched.stretch, fetched.percentile) == (shown.stretch, shown.percentile)
    assert SceneInput.from_dict(json.loads(json.dumps(fetched.to_dict()))) == fetched


def test_restretch_over_rest_is_part_of_the_request(tmp_path: Path) -> None:
    body = BuildBody(name="fields", brightness="percentile", restretch=True)
    request = job_request(body, Settings(home=tmp_path)).build
    assert request == BuildRequest("fields", restretch="percentile")
    assert BuildRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request
    with pytest.raises(QueryError, match="measured, not given"):
        job_request(body.model_copy(update={"brightness": "0,9"}), Settings(home=tmp_path))


@pytest.mark.parametrize("form", ["geometry", "feature"])
def test_area_that_version_0_1_wrote_is_the_same_area(tmp_path: Path, form: str) -> None:
    """The Area page wrote a geometry into job.json and collection.json, the others a Feature."""
    area = Area.from_geojson(OUTLINE)
    request = BuildRequest("ponds", area=area)
    manifest = Manifest("ponds", "Ponds", 128, MODEL, area=area)
    file = Library(tmp_path).create(manifest).path / "collection.json"
    feature = area.to_geojson()
    written = feature if form == "feature" else feature["geometry"]
    file.write_text(json.dumps({**json.loads(file.read_text()), "area": written}))
    assert BuildRequest.from_dict({**request.to_dict(), "area": written}) == request
    opened = Library(tmp_path).open("ponds").manifest.area
    assert opened == area
    assert opened is not None
    assert opened.geometry.wkb == area.geometry.wkb, "parts are named after its checksum"
