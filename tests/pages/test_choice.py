"""Which collection a page shows, from its link and from what is there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.formatting import escape_markdown
from pages.ui.server import open_collections
from pipeline.settings import settings
from tests import ROOT
from tests.factories import synthetic


@pytest.fixture
def library(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Streamlit puts the page in its place, which processes that later tests spawn would import.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    settings.cache_clear()
    open_collections.cache_clear()
    yield home / "collections"
    open_collections.cache_clear()
    settings.cache_clear()


def chosen(asked: str = "") -> AppTest:
    """A script of the card's choice, run with a link."""

    def page() -> None:
        import streamlit as st

        from pages.ui.collections import card
        from pages.ui.server import open_collections

        collection = card.choose(open_collections().library.open_all()[0])
        st.text(collection.name if collection else "none")

    test = AppTest.from_function(page)
    if asked:
        test.query_params["collection"] = asked
    return test.run()


def test_a_link_opens_what_it_names_and_says_what_became_of_it(library: Path) -> None:
    synthetic.collection(library.parent, "first")
    synthetic.collection(library.parent, "second")
    assert chosen().text[0].value == "first"
    assert chosen("second").text[0].value == "second"
    open_collections().library.rename("second", "third")
    assert chosen("second").text[0].value == "third"
    unknown = chosen("fourth")
    assert not unknown.exception
    assert unknown.text[0].value == "none"
    assert "fourth" in unknown.error[0].value


@pytest.mark.parametrize("page", ["search", "changes", "quality"])
def test_a_damaged_collection_is_told(
    library: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[bool] = []
    monkeypatch.setattr("pages.ui.empty.no_collection", lambda: called.append(True))
    synthetic.collection(library.parent, "broken")
    (library / "broken" / "collection.json").write_text("{")
    shown = AppTest.from_file(ROOT / "pages" / f"{page}.py").run()
    assert len(shown.error) == 1
    assert "broken" in shown.error[0].value
    assert not called


def test_markdown_in_a_title_is_escaped() -> None:
    assert escape_markdown("*draft* $a$ [x]") == "\\*draft\\* \\$a\\$ \\[x\\]"
