"""Detectors are kept, applied elsewhere and trained further; bad files are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.errors import (
    DamagedError,
    LookalikeError,
    ModelMismatchError,
    NewerError,
    NotFoundError,
    QueryError,
)
from pipeline.model.cells import CellIdentity
from pipeline.objects import detector_file as files
from pipeline.objects.detector import Detector, check_cells, notes_on_looks, suited_scenes
from pipeline.objects.detector_training import check_labels, train_detector
from pipeline.objects.detectors import Detectors, suited
from pipeline.objects.places import Example
from pipeline.objects.recipe import ObjectRecipe
from pipeline.objects.results import rank
from pipeline.objects.service import ask_objects, find_objects
from pipeline.search.open_collections import OpenCollections
from tests.factories import objects
from tests.factories.objects import PLACES, lonlat

SIZE = 32.0
EMPTY = [(270, 280), (530, 280), (270, 560), (530, 560), (780, 560), (270, 800), (530, 800),
         (780, 280), (60, 60), (980, 60), (60, 980), (980, 980)]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("detectors")
    with pytest.MonkeyPatch.context() as patch:
        objects.use_standin(patch)
        objects.collection(folder, Library(folder / "home"))
        objects.collection(folder, Library(folder / "home"), "depot", [(300, 300), (700, 300)])
        yield folder / "home"


@pytest.fixture
def yard(home: Path) -> Collection:
    return Library(home).open("yard")


def marks(yard: Collection, good: int = 12, bad: int = 12) -> list[Example]:
    def example(place: tuple[int, int], kind: bool) -> Example:
        return Example(*lonlat(yard, place), SIZE, SIZE, kind)

    right = [example(place, True) for place in PLACES[:good]]
    return right + [example(place, False) for place in EMPTY[:bad]]


@pytest.fixture
def detector(yard: Collection) -> Detector:
    return train_detector(yard, marks(yard), "Orange squares").detector


def test_detector_survives_its_file_and_finds_elsewhere(
    tmp_path: Path, home: Path, yard: Collection, detector: Detector
) -> None:
    path = tmp_path / "squares.json"
    files.write(path, detector)
    again = files.read(path)
    assert again.card() == detector.card()
    depot = Library(home).open("depot")
    assert suited(again, [depot]) == (None, ())
    found = rank([depot], again.ranking, min_probability=0.5).objects
    assert sorted((round(f.col, -1), round(f.row, -1)) for f in found) == [(300, 300), (700, 300)]
    assert all(f.probability and f.probability > 0.5 for f in found)
    assert len(again.pictures) == 12
    assert again.origin.dates == ("2020-05-01",)


def test_detector_is_listed_renamed_and_removed(home: Path, detector: Detector) -> None:
    kept = Detectors(home)
    first, second = kept.keep(detector), kept.keep(detector)
    assert (first, second) == ("orange-squares", "orange-squares-2")
    (kept.folder / "broken.json").write_text("{")
    listed = {each.name: each for each in kept.all()}
    assert listed["broken"].detector is None
    assert isinstance(listed["broken"].error, DamagedError)
    kept.rename(first, "Squares")
    assert kept.open(first).title == "Squares"
    with pytest.raises(QueryError, match="title"):
        kept.rename(first, "  ")
    for name in (first, second):
        kept.remove(name)
    with pytest.raises(NotFoundError, match="no detector"):
        kept.open(first)
    (kept.folder / "broken.json").unlink()


def test_detector_is_trained_further_elsewhere(home: Path, detector: Detector) -> None:
    depot = Library(home).open("depot")
    more = [Example(*lonlat(depot, (300, 300)), SIZE, SIZE, True)]
    topped = train_detector(depot, more, detector.title, before=detector).detector
    assert (topped.ranking.good, topped.ranking.bad) == (13, 12)
    assert len(topped.marks) == 25
    assert topped.origin.collection == f"{detector.origin.collection}, {depot.manifest.title}"
    again = train_detector(depot, more, detector.title, before=topped).detector
    assert again.origin == topped.origin


def test_picture_beside_a_detector_is_refused(home: Path, detector: Detector) -> None:
    name = Detectors(home).keep(detector)
    opened = OpenCollections(Library(home))
    picture = np.zeros((64, 64, 3), np.uint8)
    for search in (
        lambda: find_objects(opened, ["depot"], ObjectRecipe(detector=name), picture=picture),
        lambda: ask_objects(opened, ["depot"], ObjectRecipe(detector=name), 4, picture=picture),
    ):
        with pytest.raises(QueryError, match="without a picture"):
            search()
    Detectors(home).remove(name)


def test_detector_asks_and_learns_from_what_is_wrong_alone(home: Path, detector: Detector) -> None:
    name = Detectors(home).keep(detector)
    opened = OpenCollections(Library(home))
    depot = opened.collection("depot")
    wrong = {"at": list(lonlat(depot, (500, 500))), "object_size": SIZE, "label": "bad"}
    asked = ask_objects(opened, ["depot"], ObjectRecipe(detector=name), 4).result
    assert len(asked.objects) == 4
    marked = ObjectRecipe(detector=name, examples=(wrong,))
    found = find_objects(opened, ["depot"], marked).result
    assert (found.ranking.good, found.ranking.bad) == (12, 13)
    assert len(ask_objects(opened, ["depot"], marked, 4).result.objects) == 4
    Detectors(home).remove(name)


def test_good_marks_alone_train_no_detector(yard: Collection) -> None:
    with pytest.raises(QueryError, match="All marks are good"):
        check_labels(marks(yard, 3, 0))
    with pytest.raises(QueryError, match="no good example"):
        train_detector(yard, marks(yard, 0, 3), "Nothing")


def _edited(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """An edit that a forger would follow by a checksum of his own."""

    def edit(content: bytes) -> bytes:
        values = json.loads(content)
        change(values)
        values.pop("sha256")
        return json.dumps({**values, "sha256": files._checksum(values)}).encode()

    return edit


def _put(*path: Any) -> Callable[[dict[str, Any]], None]:
    *way, key, value = path

    def put(values: Any) -> None:
        for step in way:
            values = values[step]
        values[key] = value

    return put


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (lambda content: content[: len(content) // 2], DamagedError, "cut short"),
        (
            lambda content: content.replace(b"Orange", b"Purple"),
            DamagedError,
            r"edited or damaged: given\.json\. Get",
        ),
        (lambda content: b"[]", DamagedError, "not a detector"),
        (lambda content: b"\x00" * 100, DamagedError, "not JSON"),
        (lambda content: b" " * (files.MAX_BYTES + 1), DamagedError, "larger than 10 MB"),
        (lambda content: b"[" * 100_000, DamagedError, "not JSON"),
        (_edited(_put("model", "weights", 3, float("nan"))), DamagedError, "not JSON"),
        (_edited(_put("model", "weights", [1.0])), DamagedError, "not usable"),
        (_edited(_put("model", "bias", "1")), DamagedError, "not usable"),
        (_edited(_put("model", "weights", [1e30] * 64)), DamagedError, "not usable"),
        (_edited(_put("model", "kernel", "width", 1e9)), DamagedError, "not usable"),
        (_edited(_put("object_size", -1)), DamagedError, "damaged"),
        (_edited(_put("object_size", 1e-4)), DamagedError, "damaged"),
        (_edited(_put("object_size", 0.0104)), DamagedError, "damaged"),
        (_edited(_put("object_size", 1e300)), DamagedError, "damaged"),
        (_edited(_put("good", -1)), DamagedError, "damaged"),
        (_edited(_put("bad", 10**30)), DamagedError, "damaged"),
        (_edited(_put("title", " ")), DamagedError, "damaged"),
        (_edited(_put("title", "\ud800")), DamagedError, "damaged"),
        (_edited(_put("marks", 0, "scene", "\ud800")), DamagedError, "damaged"),
        (_edited(_put("origin", "sensors", ["\ud800"])), DamagedError, "damaged"),
        (_edited(_put("cells", "basis", "\ud800")), DamagedError, "damaged|basis|incomplete"),
        (_edited(_put("vectors", "good", [[1, 2]])), DamagedError, "damaged"),
        (_edited(_put("pictures", ["x" * 20_000])), DamagedError, "damaged"),
        (_edited(_put("pictures", ["javascript:alert(1)"])), DamagedError, "damaged"),
        (_edited(_put("marks", 0, "lon", "<b>")), DamagedError, "damaged"),
        (_edited(_put("marks", [{}])), DamagedError, "damaged"),
        (_edited(_put("cells", {})), DamagedError, "incomplete"),
        (_edited(_put("schema", 2)), NewerError, "newer Lookalike"),
    ],
)
def test_file_that_cannot_be_trusted_is_told(
    tmp_path: Path,
    detector: Detector,
    edit: Callable[[bytes], bytes],
    error: type[LookalikeError],
    message: str,
) -> None:
    path = tmp_path / "given.json"
    files.write(path, detector)
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(error, match=message):
        files.read(path)


def test_other_cells_and_resolutions_are_told(yard: Collection, detector: Detector) -> None:
    other = CellIdentity("keras/resnet50/conv4", "0" * 64, "caffe/1", "9-aaaaaaaa")
    with pytest.raises(ModelMismatchError, match="other weights"):
        check_cells(replace(detector, cells=other), [yard])
    basis = replace(detector.cells, basis="9-aaaaaaaa")
    with pytest.raises(ModelMismatchError, match="another basis"):
        suited(replace(detector, cells=basis), [yard])
    coarse = replace(detector, origin=replace(detector.origin, gsd=10.0))
    with pytest.raises(QueryError, match="similar resolution"):
        suited(coarse, [yard])
    finer = replace(detector, origin=replace(detector.origin, gsd=0.2, sensors=("stac",)))
    scenes = list(yard.scenes.values())
    kept, notes = suited_scenes(finer, scenes)
    assert (kept, len(notes)) == (scenes, 2)
    assert notes[0].startswith("The imagery has 0.5 m a pixel, the detector was trained at 0.2 m")
    assert "another kind of source" in notes[1]
    (note,) = notes_on_looks(detector, -detector.background)
    assert "looks different" in note


def test_scenes_too_coarse_are_left_out_and_the_others_searched(
    yard: Collection, detector: Detector
) -> None:
    (scene,) = yard.scenes.values()
    kept, notes = suited_scenes(detector, [scene, replace(scene, id="far", gsd=10.0)])
    assert kept == [scene]
    assert notes[0].startswith("1 of 2 scenes left out")


def test_two_programs_keep_detectors_of_one_title(home: Path, detector: Detector) -> None:
    from concurrent.futures import ThreadPoolExecutor

    kept = Detectors(home)
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda _: kept.keep(detector), range(4)))
    assert len(set(names)) == 4
    for name in names:
        kept.remove(name)


def test_probability_is_refused_while_marks_are_too_few(yard: Collection) -> None:
    few = train_detector(yard, marks(yard, 9, 9), "Few").detector
    with pytest.raises(QueryError, match="no probabilities yet"):
        rank([yard], few.ranking, min_probability=0.5)
    assert "9 good and 9 bad" in rank([yard], few.ranking).notes[0]
