"""The collections a server holds open."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.collection.library import Library
from pipeline.errors import NotFoundError
from pipeline.search import open_collections as module
from pipeline.search.open_collections import OpenCollections
from tests.factories import synthetic


def test_many_requests_share_one_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthetic.collection(tmp_path)
    loads = []
    opened = module._open
    monkeypatch.setattr(module, "_open", lambda c: loads.append(c.name) or opened(c))
    open_collections = OpenCollections(Library(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        indexes = list(pool.map(lambda _: open_collections.index("made"), range(8)))
    assert loads == ["made"]
    assert len({id(index) for index in indexes}) == 1


def test_a_rebuilt_collection_gets_its_new_index(tmp_path: Path) -> None:
    import shutil

    synthetic.collection(tmp_path, seed=1)
    open_collections = OpenCollections(Library(tmp_path))
    before = open_collections.index("made")
    shutil.rmtree(tmp_path / "collections" / "made")
    synthetic.collection(tmp_path, seed=2, stride=128)
    assert len(open_collections.index("made")) > len(before)


def test_the_indexes_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    open_collections = OpenCollections(Library(tmp_path))
    for name in ("one", "two", "three"):
        synthetic.collection(tmp_path, name)
    first, second = open_collections.index("one"), open_collections.index("two")
    assert open_collections.index("one") is first
    third = open_collections.index("three")
    assert open_collections.index("one") is first
    assert open_collections.index("three") is third
    assert open_collections.index("two") is not second


def test_an_unknown_collection_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        OpenCollections(Library(tmp_path)).index("nowhere")
