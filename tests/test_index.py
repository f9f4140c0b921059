"""The index: derived, rebuilt when it must be, equal to an exact scan."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.collection import Collection, Store
from pipeline.errors import DamagedError
from pipeline.index import Index, Parameters, normalised
from tests import made


def folder_of(collection: Collection) -> Path:
    return collection.index_folder / collection.version


def exact(index: Index, query: np.ndarray, k: int) -> list[int]:
    scores = np.asarray(index.vectors, np.float32) @ normalised(query[None])[0]
    return np.argsort(-scores, kind="stable")[:k].tolist()


def test_search_equals_an_exact_scan(home: Path) -> None:
    collection = made.collection(home, sizes=(2048, 2048))
    index = Index.open(collection)
    for query in np.random.default_rng(1).normal(size=(5, 2048)):
        rows, scores = index.search(query, 10)
        assert rows.tolist() == exact(index, query, 10)
        assert scores == pytest.approx(index.cosines(query, rows), abs=1e-5)


def test_vectors_have_length_one_and_follow_the_row_order(home: Path) -> None:
    collection = made.collection(home, sizes=(1024, 512))
    index = Index.open(collection)
    assert len(index) == len(collection.chips) == 16 + 4
    lengths = np.linalg.norm(np.asarray(index.vectors, np.float32), axis=1)
    assert lengths == pytest.approx(np.ones(20), abs=2e-3)


def test_missing_index_is_rebuilt(home: Path) -> None:
    collection = made.collection(home)
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
    collection = made.collection(home)
    before = Index.open(collection).search(np.ones(2048), 5)
    file = folder_of(collection) / victim
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    after = Index.open(collection).search(np.ones(2048), 5)
    assert before[0].tolist() == after[0].tolist()
    assert file.exists()


def test_index_of_another_model_is_rebuilt(home: Path) -> None:
    collection = made.collection(home)
    Index.open(collection)
    file = folder_of(collection) / "index.json"
    content = json.loads(file.read_text())
    content["model"]["weights_sha256"] = "0" * 64
    file.write_text(json.dumps(content))
    assert Index.open(collection).header.model == made.MODEL


def test_index_moves_with_its_collection(home: Path, tmp_path: Path) -> None:
    collection = made.collection(home)
    before = Index.open(collection).search(np.ones(2048), 5)[0].tolist()
    stamp = (folder_of(collection) / "000/vectors.npy").stat().st_mtime_ns
    shutil.copytree(home / "collections", tmp_path / "other" / "collections")
    shutil.rmtree(home / "collections")
    moved = Store(tmp_path / "other").open("made")
    assert moved.version == collection.version
    index = Index.open(moved)
    assert index.search(np.ones(2048), 5)[0].tolist() == before
    assert (folder_of(moved) / "000/vectors.npy").stat().st_mtime_ns == pytest.approx(
        stamp, abs=2e9
    )


def test_stale_index_is_replaced_when_chips_are_added(home: Path) -> None:
    one = made.collection(home, sizes=(512,))
    Index.open(one)
    two = made.collection(home, "bigger", sizes=(512, 512))
    extra = two.manifest.scenes[1]
    shutil.copytree(two.path / "chips" / extra, one.path / "chips" / extra)
    shutil.copy(two.scenes_folder / f"{extra}.json", one.scenes_folder / f"{extra}.json")
    grown = one.write(scenes=(*one.manifest.scenes, extra))
    assert len(Index.open(grown)) == 8
    assert [p.name for p in grown.index_folder.iterdir()] == [grown.version]


def test_damaged_part_is_named_and_nothing_is_left_half_built(home: Path) -> None:
    collection = made.collection(home)
    part = collection.parts[0].path
    content = bytearray(part.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    part.write_bytes(content)
    with pytest.raises(DamagedError, match=r"block-r0000-c0000-all\.parquet"):
        Index.open(Store(home).open("made"))
    assert not list(collection.index_folder.glob(".tmp-*"))


@pytest.mark.parametrize(("n", "kind"), [(100, "exact"), (19_999, "exact"), (20_000, "tree")])
def test_method_follows_the_size(n: int, kind: str) -> None:
    assert Parameters.for_size(n).kind == kind


def test_empty_eligibility_returns_nothing(home: Path) -> None:
    index = Index.open(made.collection(home))
    rows, scores = index.search(np.ones(2048), 5, np.zeros(len(index), bool))
    assert len(rows) == len(scores) == 0
