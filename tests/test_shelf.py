"""The collections a server holds open."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import shelf as module
from pipeline.errors import NotFoundError
from pipeline.shelf import Shelf
from pipeline.store import Store
from tests import made


def test_many_requests_share_one_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.collection(tmp_path)
    loads = []
    opened = module._opened
    monkeypatch.setattr(module, "_opened", lambda c: loads.append(c.name) or opened(c))
    shelf = Shelf(Store(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        indexes = list(pool.map(lambda _: shelf.index("made"), range(8)))
    assert loads == ["made"]
    assert len({id(index) for index in indexes}) == 1


def test_a_rebuilt_collection_gets_its_new_index(tmp_path: Path) -> None:
    import shutil

    made.collection(tmp_path, seed=1)
    shelf = Shelf(Store(tmp_path))
    before = shelf.index("made")
    shutil.rmtree(tmp_path / "collections" / "made")
    made.collection(tmp_path, seed=2, stride=128)
    assert len(shelf.index("made")) > len(before)


def test_the_indexes_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    shelf = Shelf(Store(tmp_path))
    for name in ("one", "two", "three"):
        made.collection(tmp_path, name)
    first, second = shelf.index("one"), shelf.index("two")
    assert shelf.index("one") is first
    third = shelf.index("three")
    assert shelf.index("one") is first
    assert shelf.index("three") is third
    assert shelf.index("two") is not second


def test_an_unknown_collection_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Shelf(Store(tmp_path)).index("nowhere")
