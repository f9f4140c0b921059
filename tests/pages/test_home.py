"""Home: which collections it shows, and in which order."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.server import open_collections
from pipeline.settings import settings
from tests import ROOT
from tests.factories import synthetic


@pytest.fixture
def empty(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Streamlit puts the page in its place, which processes that later tests spawn would import.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    settings.cache_clear()
    open_collections.cache_clear()
    yield home
    open_collections.cache_clear()
    settings.cache_clear()


def test_the_samples_are_first_and_the_forest_before_all(empty: Path) -> None:
    for name in ("bay", "great-salt-lake", "san-francisco-bay", "yellowstone-forest"):
        synthetic.collection(empty, name)
    app = AppTest.from_file(str(ROOT / "pages" / "main.py"), default_timeout=60).run()
    assert not app.exception
    cards = [link.proto.label for link in app.get("page_link")]
    titles = [label.replace("\\", "").removeprefix("Search ") for label in cards[:4]]
    assert titles == ["Yellowstone-Forest", "San-Francisco-Bay", "Great-Salt-Lake", "Bay"]
