"""The command line as others script against it: output, messages, exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shapely.geometry import shape

from pipeline.collection.library import Library
from pipeline.model.descriptor import LENGTHS
from tests import ROOT, closed_port
from tests.factories import rasters, standin, synthetic
from tests.loopback.package_index import use_index


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str) -> Done:
    """The command line's own main in this process: TensorFlow is imported once, not each time."""
    from pipeline.cli import app as cli
    from pipeline.settings import settings

    settings.cache_clear()
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    code = 0
    try:
        sys.argv = ["pipeline", *arguments]
        with redirect_stdout(out), redirect_stderr(err):
            cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        sys.argv = argv
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return Done(code, out.getvalue(), err.getvalue())


def answer(*arguments: str) -> object:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_search_by_chip_lists_hits_with_the_documented_keys(home: Path) -> None:
    collection = synthetic.collection(home)
    chip = collection.chips.ids[0].decode()
    hits = answer("search", "made", "--chip", chip, "--k", "5", "--json")
    assert isinstance(hits, list)
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    keys = {"rank", "id", "score", "by_chance", "scene_id", "datetime", "geometry"}
    assert set(hits[0]) == keys
    assert shape(hits[0]["geometry"]).is_valid
    assert chip not in {hit["id"] for hit in hits}


def test_it_is_a_program_whose_output_is_only_the_answer(home: Path) -> None:
    chip = synthetic.collection(home).chips.ids[0].decode()
    command = [sys.executable, "-m", "pipeline", "search", "made", "--chip", chip, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 10
    assert done.stderr == ""


def test_gdal_does_not_warn_of_formats_that_are_left_out() -> None:
    code = (
        "import logging, pipeline, rasterio;"
        "logging.basicConfig(); rasterio.Env().__enter__(); logging.warning('others are heard')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "WARNING:root:others are heard\n"


def test_search_by_point_equals_search_by_the_chip_there(home: Path) -> None:
    collection = synthetic.collection(home)
    lon, lat = collection.chips.centres[6]
    chip = collection.chips.ids[6].decode()
    by_point = answer("search", "made", f"--at={lon},{lat}", "--json")
    assert by_point == answer("search", "made", "--chip", chip, "--json")


def test_geojson_output_is_a_feature_collection(home: Path) -> None:
    collection = synthetic.collection(home)
    chip = collection.chips.ids[0].decode()
    content = answer("search", "made", "--chip", chip, "--geojson")
    assert isinstance(content, dict)
    assert content["type"] == "FeatureCollection"
    assert len(content["features"]) == 10
    assert content["features"][0]["properties"]["rank"] == 1


def test_no_suppress_keeps_overlapping_hits(home: Path) -> None:
    collection = synthetic.collection(home, stride=64, sizes=(512,))
    chip = collection.chips.ids[0].decode()
    kept = answer("search", "made", "--chip", chip, "--k", "100", "--json")
    everything = answer("search", "made", "--chip", chip, "--k", "100", "--no-suppress", "--json")
    assert isinstance(kept, list)
    assert isinstance(everything, list)
    assert len(kept) < len(everything) == 24


def test_build_takes_the_crs_of_a_raster_that_states_none(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.model.loader.resnet50", standin.resnet50)
    monkeypatch.setattr("pipeline.model.loader.identity", standin.identity)
    raster = rasters.write(tmp_path / "plain.tif", rasters.ground(300, 300), crs=None)
    command = ("build", "--name", "plain", "--scene", str(raster), "--stride", "256")
    refused = run(*command)
    assert refused.returncode == 2
    assert "--crs EPSG:CODE" in refused.stderr
    assert run(*command, "--crs", "nowhere").returncode == 2
    assert not (home / "collections" / "plain").exists()
    assert run(*command, "--crs", "EPSG:32632").returncode == 0
    (scene,) = Library(home).open("plain").scenes.values()
    assert scene.crs == "EPSG:32632"


def test_thorough_quality_says_its_price_before_it_runs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.model.loader.resnet50", standin.resnet50)
    monkeypatch.setattr("pipeline.model.loader.identity", standin.identity)
    raster = rasters.write(tmp_path / "west.tif", rasters.ground(600, 300))
    command = ("build", "fields", "--stride", "256", "--scene", str(raster))
    done = run(*command, "--quality", "thorough")
    assert done.returncode == 0
    assert "looks at 6 chips in four orientations and at two sizes: about" in done.stderr
    assert "min (rough estimate), 5.6 times as long as standard" in done.stderr
    again = run(*command)
    assert again.returncode == 0
    assert "looks at" not in again.stderr  # nothing is left to make
    other = run(*command, "--quality", "standard")
    assert other.returncode == 2
    assert "built with quality thorough, not standard" in other.stderr
    more = rasters.write(tmp_path / "east.tif", rasters.ground(300, 300, seed=2))
    added = run("build", "fields", "--scene", str(more))
    assert added.returncode == 0
    assert "looks at 4 chips" in added.stderr
    assert Library(home).open("fields").parts[-1].descriptor == LENGTHS["thorough"]


@pytest.fixture
def unbuilt(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which builds make nothing, and a pip that reaches no index."""
    from pipeline.build.build import BuildSummary

    monkeypatch.setattr(
        "pipeline.cli.build.run",
        lambda request: BuildSummary(request.name, 1, {}, (), 1, 0, 0.5),
    )
    with closed_port() as port:
        use_index(monkeypatch, f"http://127.0.0.1:{port}")
        yield home


def test_all_samples_are_one_json_document(unbuilt: Path, shared_forest: Path) -> None:
    (unbuilt / "samples").symlink_to(shared_forest / "samples")
    built = answer("sample", "--json")
    assert isinstance(built, list)
    assert [one["name"] for one in built] == [
        "yellowstone-forest", "san-francisco-bay", "great-salt-lake",
    ]  # fmt: skip


def test_without_the_forest_the_other_samples_are_built(unbuilt: Path) -> None:
    done = run("sample", "--json")
    assert done.returncode == 0
    assert [one["name"] for one in json.loads(done.stdout)] == [
        "san-francisco-bay", "great-salt-lake",
    ]  # fmt: skip
    assert "The sample yellowstone-forest is not built" in done.stderr
    assert "sample --from FILE" in done.stderr
    # One that was built earlier is complete without its source.
    synthetic.collection(unbuilt, "yellowstone-forest")
    assert "not built" not in run("sample").stderr


def test_the_imagery_of_the_samples_can_be_fetched_alone(
    unbuilt: Path, shared_forest: Path, tmp_path: Path
) -> None:
    done = run("sample", "--fetch-only")
    assert done.returncode == 7
    assert "deepforest 2.1.0" in done.stderr
    wrong = run("sample", "--from", str(tmp_path / "absent.whl"))
    assert wrong.returncode == 2
    assert "not the wheel of deepforest 2.1.0" in wrong.stderr
    assert wrong.stdout == ""
    (unbuilt / "samples" / ".lock").unlink()
    (unbuilt / "samples").rmdir()
    (unbuilt / "samples").symlink_to(shared_forest / "samples")
    picture = unbuilt / "samples" / "yellowstone-forest.png"
    assert run("sample", "--fetch-only").stdout == f"The forest sample is ready: {picture}\n"
    assert answer("sample", "--fetch-only", "--json") == {"picture": str(picture)}


@pytest.mark.model
def test_search_by_picture_finds_hits(home: Path, tmp_path: Path) -> None:
    from pipeline.model.loader import resnet50

    synthetic.collection(home, model=resnet50("chip").identity)
    path = tmp_path / "query.png"
    noise = np.random.default_rng(0).integers(0, 255, (300, 280, 3), np.uint8)
    Image.fromarray(noise).save(path)
    for views in ((), ("--any-orientation", "--any-scale")):
        hits = answer("search", "made", "--image", str(path), "--k", "3", "--json", *views)
        assert isinstance(hits, list)
        assert len(hits) == 3


def test_examples_order_the_hits_and_bad_ones_are_none(home: Path) -> None:
    ids = [chip.decode() for chip in synthetic.collection(home).chips.ids]
    options = ("--good", ids[4], "--good", ids[9], "--bad", ids[2], "--no-suppress", "--k", "20")
    hits = answer("search", "made", "--chip", ids[0], *options, "--json")
    found = [hit["id"] for hit in hits]
    assert set(found[:2]) == {ids[4], ids[9]}
    assert set(found) == set(ids) - {ids[0], ids[2]}
    alone = answer("search", "made", *options, "--json")
    assert len(alone) == 15


def test_table_shows_rank_score_and_place(home: Path) -> None:
    collection = synthetic.collection(home)
    done = run("search", "made", "--chip", collection.chips.ids[0].decode())
    assert done.returncode == 0
    assert "Score" in done.stdout
    assert "of 15 eligible chips" in done.stdout


def test_collections_info_and_chips_describe_what_is_there(home: Path) -> None:
    collection = synthetic.collection(home, datetimes=("2016-08-16T00:00:00Z",))
    collection.write(left_out={"nodata": 2, "area": 3})
    (listed,) = answer("collections", "--json")
    assert (listed["name"], listed["chips"], listed["state"]) == ("made", 16, "complete")
    info = answer("info", "made", "--json")
    assert isinstance(info, dict)
    assert info["stride"] == 256
    assert info["model"] == synthetic.MODEL.to_dict()
    assert info["scenes"][0]["properties"]["datetime"] == "2016-08-16T00:00:00Z"
    told = run("info", "made").stdout
    assert "Skipped 2 with >50% no-data, 3 outside the area" in " ".join(told.split())
    chips = answer("chips", "made", "--json")
    assert isinstance(chips, list)
    assert [chip["id"].encode() for chip in chips] == collection.chips.ids.tolist()
    assert run("chips", "made", "--limit", "-1").returncode == 2


def test_damaged_collection_is_listed_as_such_beside_the_others(home: Path) -> None:
    synthetic.collection(home)
    synthetic.collection(home, "second")
    (home / "collections" / "made" / "collection.json").write_text("{")
    listed = answer("collections", "--json")
    assert isinstance(listed, list)
    assert [(c["name"], c["state"]) for c in listed] == [
        ("made", "damaged"),
        ("second", "complete"),
    ]


def test_brackets_in_a_title_are_printed_as_they_are(home: Path) -> None:
    synthetic.collection(home)
    title = "Bay [draft] [/old]"
    assert run("describe", "made", "--title", title).returncode == 0
    for command in (["collections"], ["info", "made"]):
        assert title in run(*command).stdout


def test_delete_can_be_undone(home: Path) -> None:
    synthetic.collection(home)
    token = run("delete", "made").stdout.split()[-1]
    assert answer("collections", "--json") == []
    assert run("restore", token).returncode == 0
    assert len(answer("collections", "--json")) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("search", "none", "--chip", "x"), 3, "no collection of this name"),
        (("search", "made", "--chip", "ffffffffffffffff"), 3, "No such chip"),
        (("search", "made", "--at", "100,10"), 3, "No chip covers this point"),
        (("search", "made", "--at", "here"), 2, "longitude first"),
        (("search", "made", "--chip", "x", "--k", "0"), 2, "between 1 and 1000"),
        (("search", "made"), 2, "Say what to search from"),
        (("search", "made", "--image", "gone.png"), 2, "cannot be opened"),
        (("search", "made", "--chip", "x", "--within", ""), 2, "--within is empty"),
        (("search", "made", "--chip", "x", "--max-nodata", "-1"), 2, "between 0 and 100"),
        (("search", "made", "--chip", "x", "--scenes", " , "), 2, "--scenes is empty"),
        (("build", "--name", "x", "--bands", f"{'9' * 5000},1,1"), 2, "three band numbers"),
        (("build", "--name", "x", "--title", "caf\udce9"), 2, "not UTF-8"),
        (("describe", "made", "--title", "caf\udce9"), 2, "not UTF-8"),
        (("search", "../made", "--chip", "x"), 2, "1 to 64 lowercase letters"),
        (("info", "a.b"), 2, "Try 'a-b'"),
        (("delete", "none"), 3, "no collection of this name"),
        (("build", "--name", "new", "--scene", "gone.tif"), 2, "gone.tif"),
        (("build", "--name", "x" * 300, "--scene", "gone.tif"), 2, "1 to 64 lowercase letters"),
        (("build", "--name", "new"), 3, "--scene FILE"),
        (("build", "--name", "new", "--stride", "0"), 2, "multiple of 32"),
    ],
)
def test_bad_arguments_get_one_message_and_an_exit_code(
    home: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    synthetic.collection(home)
    done = run(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("Error:") == 1


def test_unwritable_home_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.factories.rasters import write_raster

    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("LOOKALIKE_HOME", str(blocked / "home"))
    raster = write_raster(tmp_path / "fine.tif", 300, 300, seed=1)
    done = run("build", "--name", "new", "--scene", str(raster))
    assert done.returncode == 6
    assert "LOOKALIKE_HOME" in done.stderr


def test_doctor_says_what_is_there_and_what_to_do(home: Path) -> None:
    content = json.loads(run("doctor", "--json").stdout)
    checks = {check["name"]: check for check in content["checks"]}
    assert checks["weights"]["ok"]
    assert checks["tensorflow"]["found"].startswith("2.18")
    assert content["ok"] == all(check["ok"] for check in checks.values())


def test_doctor_names_missing_weights_and_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "new"))
    monkeypatch.delenv("LOOKALIKE_WEIGHTS", raising=False)
    done = run("doctor")
    assert done.returncode == 5
    assert "pipeline weights" in " ".join(done.stdout.split())


@pytest.mark.model
def test_evaluate_prints_the_documented_figures(home: Path, tmp_path: Path) -> None:
    from tests.factories.rasters import ground

    for number, kind in enumerate(("fields", "noise")):
        folder = tmp_path / "classes" / kind
        folder.mkdir(parents=True)
        for i in range(3):
            noise = np.random.default_rng(i).integers(0, 255, (256, 256, 3), np.uint8)
            picture = np.moveaxis(ground(256, 256, seed=i), 0, -1) if number == 0 else noise
            Image.fromarray(picture).save(folder / f"{i}.png")
    found = answer("evaluate", str(tmp_path / "classes"), "--method", "plain", "--json")
    assert isinstance(found, dict)
    assert {"map", "anmrr", "p_at_1", "p_at_5", "p_at_10", "p_at_20", "queries"} <= set(found)
    assert (found["queries"], found["p_at_1"], found["map"]) == (6, 1.0, 1.0)


def test_evaluate_refuses_a_folder_without_classes(home: Path, tmp_path: Path) -> None:
    done = run("evaluate", str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
