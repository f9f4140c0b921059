"""From chosen imagery to the job that builds a collection of it."""

from __future__ import annotations

from pathlib import Path

from pipeline.collection.library import Library
from pipeline.geo.area import Area
from pipeline.jobs.chosen_imagery import ChosenImagery, added_to, with_provenance
from pipeline.sources.registry import open_source
from tests.factories import pictured
from tests.factories.rasters import write_raster


def chosen(*paths: Path, source: str = "") -> ChosenImagery:
    rasters = tuple(open_source("raster", locations=list(paths), folders=None).search(None))
    return ChosenImagery(source, offered=rasters, chosen=rasters, title="Fields")


def test_files_on_this_machine_become_the_scenes_of_the_build(tmp_path: Path) -> None:
    imagery = chosen(write_raster(tmp_path / "a_20160816.tif", 512, 400))
    request = imagery.job("Fields", None, 128, bands=(3, 2, 1))
    (scene,) = request.build.scenes
    assert (scene.path, scene.bands) == (tmp_path / "a_20160816.tif", (3, 2, 1))
    assert (scene.title, scene.datetime[:10]) == ("Fields", "2016-08-16")
    assert (request.source, request.build.name, request.build.area) == ("", "fields", None)


def test_imagery_of_a_source_is_fetched_by_the_job(tmp_path: Path) -> None:
    imagery = chosen(write_raster(tmp_path / "a.tif", 512, 400), source="raster")
    request = imagery.job("Fields", None, 64)
    assert (request.source, len(request.candidates), request.build.scenes) == ("raster", 1, ())


def test_a_second_collection_of_one_title_is_told_apart_by_a_number(tmp_path: Path) -> None:
    imagery = chosen(write_raster(tmp_path / "a.tif", 512, 400))
    build = imagery.job("Fields", None, 128, taken={"fields"}).build
    assert (build.name, build.title) == ("fields-2", "Fields 2")


def test_an_addition_keeps_the_collections_title_stride_model_and_quality(tmp_path: Path) -> None:
    collection = pictured.collection(tmp_path / "home")
    imagery = chosen(write_raster(tmp_path / "a.tif", 512, 400))
    build = added_to(collection, imagery.job("Other", None, 64, quality="thorough")).build
    assert (build.name, build.title, build.stride) == (collection.name, None, None)
    assert build.quality is None
    assert build.scenes


def test_the_outline_covers_every_chosen_scene(tmp_path: Path) -> None:
    imagery = chosen(*(write_raster(tmp_path / f"{name}.tif", 512, 400) for name in "ab"))
    outline = imagery.outline()
    assert isinstance(outline, Area)
    assert all(outline.geometry.buffer(1e-9).covers(one.footprint) for one in imagery.chosen)


def test_a_collections_own_raster_keeps_its_provenance(tmp_path: Path) -> None:
    collection = pictured.collection(tmp_path / "home")
    (scene,) = collection.scenes.values()
    library = Library(tmp_path / "home")
    (own,) = chosen(scene.path).chosen
    assert with_provenance(own, library).title == scene.title
    (other,) = chosen(write_raster(tmp_path / "a.tif", 512, 400)).chosen
    assert with_provenance(other, library) == other
