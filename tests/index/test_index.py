"""The index: derived, rebuilt when it must be, equal to an exact scan."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.errors import DamagedError, StorageError
from pipeline.index.index import Index
from pipeline.index.segment_writer import initial_parameters
from pipeline.vectors import normalise
from tests.factories import synthetic


def folder_of(collection: Collection) -> Path:
    return collection.index_folder / collection.version


def exact(index: Index, query: np.ndarray, k: int) -> list[int]:
    scores = np.asarray(index.vectors, np.float32) @ normalise(query[None])[0]
    return np.argsort(-scores, kind="stable")[:k].tolist()


def test_search_equals_an_exact_scan(home: Path) -> None:
    collection = synthetic.collection(home, sizes=(2048, 2048))
    index = Index.open(collection)
    for query in np.random.default_rng(1).normal(size=(5, 2048)):
        rows, scores = index.search(query, 10)
        assert rows.tolist() == exact(index, query, 10)
        assert scores == pytest.approx(index.cosines(query, rows), abs=1e-5)


def test_vectors_have_length_one_and_follow_the_row_order(home: Path) -> None:
    collection = synthetic.collection(home, sizes=(1024, 512))
    index = Index.open(collection)
    assert len(index) == len(collection.chips) == 16 + 4
    lengths = np.linalg.norm(np.asarray(index.vectors, np.float32), axis=1)
    assert lengths == pytest.approx(np.ones(20), abs=2e-3)


def test_missing_index_is_rebuilt(home: Path) -> None:
    collection = synthetic.collection(home)
    before = Index.open(collection).search(np.ones(2048), 5)
    shutil.rmtree(collection.index_folder)
    after = Index.open(collection).search(np.ones(2048), 5)
    assert before[0].tolist() == after[0].tolist()


@pytest.mark.parametrize(
    "victim",
    ["index.json", "000/segment.json", "000/vectors.npy", "000/scann/scann_config.pb"],
)
@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_damaged_index_is_rebuilt(home: Path, victim: str, damage: str) -> None:
    collection = synthetic.collection(home)
    before = Index.open(collection).search(np.ones(2048), 5)
    file = folder_of(collection) / victim
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    after = Index.open(collection).search(np.ones(2048), 5)
    assert before[0].tolist() == after[0].tolist()
    assert file.exists()


@pytest.mark.parametrize(
    ("victim", "change"),
    [
        ("000/segment.json", {"files": []}),
        ("000/segment.json", {"files": None}),
        ("000/segment.json", {"parts": [["a", "b", 16]]}),
        ("000/segment.json", {"parts": [["a", "b", "c", "16"]]}),
        ("000/segment.json", {"parts": [["a", {}, "c", 16]]}),
        ("000/segment.json", {"parts": []}),
        ("000/segment.json", {"rows": 16.0}),
        ("000/segment.json", {"parameters": {"kind": "none"}}),
        ("000/segment.json", {"parameters": {"kind": "tree"}}),
        ("000/segment.json", {"recall_at_10": "all"}),
        ("index.json", {"chips": 16.0}),
        ("index.json", {"model": {**synthetic.MODEL.to_dict(), "dimensions": float("inf")}}),
        ("index.json", {"parameters": {"kind": 5}}),
        ("index.json", {"parameters": {"kind": "exact", "leaves": "many"}}),
        ("index.json", {"segments": 1}),
    ],
)
def test_an_index_of_the_wrong_kinds_is_rebuilt(
    home: Path, victim: str, change: dict[str, object]
) -> None:
    collection = synthetic.collection(home)
    before = Index.open(collection).search(np.ones(2048), 5)
    file = folder_of(collection) / victim
    sound = file.read_text()
    file.write_text(json.dumps({**json.loads(sound), **change}))
    after = Index.open(collection).search(np.ones(2048), 5)
    assert before[0].tolist() == after[0].tolist()
    assert json.loads(file.read_text()) == json.loads(sound)


def test_index_of_another_model_is_rebuilt(home: Path) -> None:
    collection = synthetic.collection(home)
    Index.open(collection)
    file = folder_of(collection) / "index.json"
    content = json.loads(file.read_text())
    content["model"]["weights_sha256"] = "0" * 64
    file.write_text(json.dumps(content))
    assert Index.open(collection).header.model == synthetic.MODEL


def test_index_moves_with_its_collection(home: Path, tmp_path: Path) -> None:
    collection = synthetic.collection(home)
    before = Index.open(collection).search(np.ones(2048), 5)[0].tolist()
    stamp = (folder_of(collection) / "000/vectors.npy").stat().st_mtime_ns
    shutil.copytree(home / "collections", tmp_path / "other" / "collections")
    shutil.rmtree(home / "collections")
    moved = Library(tmp_path / "other").open("made")
    assert moved.version == collection.version
    index = Index.open(moved)
    assert index.search(np.ones(2048), 5)[0].tolist() == before
    assert (folder_of(moved) / "000/vectors.npy").stat().st_mtime_ns == pytest.approx(
        stamp, abs=2e9
    )


def test_stale_index_is_replaced_when_chips_are_added(home: Path) -> None:
    one = synthetic.collection(home, sizes=(512,))
    Index.open(one)
    two = synthetic.collection(home, "bigger", sizes=(512, 512))
    extra = two.manifest.scenes[1]
    shutil.copytree(two.path / "chips" / extra, one.path / "chips" / extra)
    shutil.copy(two.scenes_folder / f"{extra}.json", one.scenes_folder / f"{extra}.json")
    grown = one.write(scenes=(*one.manifest.scenes, extra))
    assert len(Index.open(grown)) == 8
    assert [p.name for p in grown.index_folder.iterdir()] == [grown.version]


def with_scene(collection: Collection, donor: Collection, scene: str) -> Collection:
    """The collection with a scene of another one added."""
    shutil.copytree(donor.path / "chips" / scene, collection.path / "chips" / scene)
    shutil.copy(donor.scenes_folder / f"{scene}.json", collection.scenes_folder / f"{scene}.json")
    return collection.write(scenes=(*collection.manifest.scenes, scene))


def assert_fresh(index: Index, collection: Collection, tmp_path: Path) -> None:
    """The index answers as one made from nothing does, and its vectors follow the row order."""
    shutil.copytree(collection.path, tmp_path / "fresh" / "collections" / collection.name)
    shutil.rmtree(tmp_path / "fresh" / "collections" / collection.name / "index")
    fresh = Index.open(Library(tmp_path / "fresh").open(collection.name))
    assert len(fresh.segments) == 1
    assert len(index) == len(fresh) == len(collection.chips)
    assert np.array_equal(np.asarray(index.vectors), np.asarray(fresh.vectors))
    rows = np.array([len(index) - 1, 0, 3])
    assert np.array_equal(index.vectors[rows], fresh.vectors[rows])
    assert np.array_equal(index.vectors[2], fresh.vectors[2])
    mask = np.arange(len(index)) % 2 == 0
    for query in np.random.default_rng(2).normal(size=(4, 2048)):
        for eligible in (None, mask):
            got, expected = index.search(query, 6, eligible), fresh.search(query, 6, eligible)
            assert got[0].tolist() == expected[0].tolist()
            assert got[1] == pytest.approx(expected[1], abs=2e-6)
        assert index.cosines(query) == pytest.approx(fresh.cosines(query), abs=1e-5)
        assert index.cosines(query, rows) == pytest.approx(fresh.cosines(query, rows), abs=1e-5)
    many = np.random.default_rng(3).normal(size=(3, 2048))
    assert index.search_many(many, 4)[0].tolist() == fresh.search_many(many, 4)[0].tolist()
    assert index.recall(sample=8) == 1.0


def test_added_chips_become_a_segment_and_the_rest_is_kept(home: Path, tmp_path: Path) -> None:
    donor = synthetic.collection(home, "donor", sizes=(1536, 768))
    second = donor.manifest.scenes[1]
    one = synthetic.collection(home, sizes=(1536,))
    Index.open(one)
    kept = (folder_of(one) / "000/vectors.npy").stat().st_ino
    grown = with_scene(one, donor, second)
    index = Index.open(grown)
    assert index.header.segments == (36, 9)
    assert (folder_of(grown) / "000/vectors.npy").stat().st_ino == kept
    assert_fresh(index, grown, tmp_path)


def test_growing_an_open_index_holds_nothing_twice_and_loses_nothing(home: Path) -> None:
    donor = synthetic.collection(home, "donor", sizes=(1536, 768, 640))
    one = synthetic.collection(home, sizes=(1536,))
    before = Index.open(one)
    query = before.vectors[3].astype(np.float32)
    expected = before.search(query, 5)
    twice = one
    for scene in donor.manifest.scenes[1:]:  # the second time upon what is already shared
        twice = with_scene(twice, donor, scene)
        after = Index.open(twice)
        assert np.shares_memory(after.segments[0].vectors, before.segments[0].vectors)
        assert after.segments[0].folder.is_dir()
    assert before.search(query, 5)[0].tolist() == expected[0].tolist()


def test_index_that_another_process_makes_meanwhile_is_taken(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, donor = (
        synthetic.collection(home, sizes=(1024,)),
        synthetic.collection(tmp_path / "donor", sizes=(1024, 512), seed=1),
    )
    Index.open(one)
    grown = with_scene(one, donor, donor.manifest.scenes[1])

    def linked(old: Path, *_: object, **__: object) -> None:
        monkeypatch.undo()
        Index.open(Collection(grown.path, grown.manifest))
        raise FileNotFoundError(old)

    monkeypatch.setattr("shutil.copytree", linked)
    assert_fresh(Index.open(grown), grown, tmp_path / "fresh")


def test_more_chips_than_a_segment_holds_swallow_it(home: Path, tmp_path: Path) -> None:
    donor = synthetic.collection(home, "donor", sizes=(512, 1536))
    one = synthetic.collection(home, sizes=(512,))
    Index.open(one)
    grown = with_scene(one, donor, donor.manifest.scenes[1])
    index = Index.open(grown)
    assert index.header.segments == (40,)
    assert_fresh(index, grown, tmp_path)


def test_removed_chips_are_never_found_again(home: Path, tmp_path: Path) -> None:
    collection = synthetic.collection(home, sizes=(512, 2048, 512))
    before = Index.open(collection)
    gone = np.asarray(before.vectors[0], np.float32)
    shutil.rmtree(collection.path / "chips" / collection.manifest.scenes[0])
    shrunk = collection.write(scenes=collection.manifest.scenes[1:])
    index = Index.open(shrunk)
    assert index.header.segments == (72,)
    assert len(index) == 68
    rows, scores = index.search(gone, 68)
    assert sorted(rows.tolist()) == list(range(68))
    assert scores[0] < 0.5
    assert_fresh(index, shrunk, tmp_path)


def test_a_scene_that_comes_first_moves_the_rows_of_the_others(home: Path, tmp_path: Path) -> None:
    collection = synthetic.collection(home, sizes=(512, 2048))
    first, second = collection.manifest.scenes
    later = collection.write(scenes=(second,))
    Index.open(later)
    both = later.write(scenes=(first, second))
    index = Index.open(both)
    assert index.header.segments == (64, 4)
    assert_fresh(index, both, tmp_path)


def test_a_segment_mostly_removed_is_written_anew(home: Path, tmp_path: Path) -> None:
    collection = synthetic.collection(home, sizes=(1024, 512, 512))
    Index.open(collection)
    shrunk = collection.write(scenes=collection.manifest.scenes[1:])
    index = Index.open(shrunk)
    assert index.header.segments == (8,)
    assert_fresh(index, shrunk, tmp_path)


def test_an_index_cut_into_segments_answers_as_one(home: Path, tmp_path: Path) -> None:
    collection = synthetic.collection(home, sizes=(1024, 768, 768, 512))
    index = Index.open(collection, largest=13)
    assert len(index.segments) == 3
    assert_fresh(index, collection, tmp_path)


def test_the_self_check_is_in_the_header(home: Path) -> None:
    collection = synthetic.collection(home)
    index = Index.open(collection)
    content = json.loads((folder_of(collection) / "index.json").read_text())
    assert content["recall_at_10"] == index.header.recall_at_10 == index.recall() == 1.0
    assert content["parameters"]["kind"] == "exact"


def test_full_disk_is_told_before_a_page_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    collection = synthetic.collection(home)
    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(StorageError, match="disk is full"):
        Index.open(collection)
    assert list(collection.index_folder.iterdir()) == []


def test_damaged_part_is_named_and_nothing_is_left_half_built(home: Path) -> None:
    collection = synthetic.collection(home)
    part = collection.parts[0].path
    content = bytearray(part.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    part.write_bytes(content)
    with pytest.raises(DamagedError, match=r"block-r0000-c0000-all\.parquet"):
        Index.open(Library(home).open("made"))
    assert not list(collection.index_folder.glob(".tmp-*"))


@pytest.mark.parametrize(("n", "kind"), [(100, "exact"), (19_999, "exact"), (20_000, "tree")])
def test_method_follows_the_size(n: int, kind: str) -> None:
    assert initial_parameters(n).kind == kind


def test_empty_eligibility_returns_nothing(home: Path) -> None:
    index = Index.open(synthetic.collection(home))
    rows, scores = index.search(np.ones(2048), 5, np.zeros(len(index), bool))
    assert len(rows) == len(scores) == 0
