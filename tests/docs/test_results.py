"""The notebook of the results page has the code of `make docs`, which draws with today's API."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from tests import ROOT
from tests.factories import pictured


@pytest.fixture
def make_results(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs"), *sys.path])
    import make_results

    return make_results


def test_the_notebook_has_the_code_that_make_docs_runs(make_results: ModuleType) -> None:
    stored = nbformat.read(make_results.NOTEBOOK, as_version=4)
    assert [cell.source for cell in stored.cells] == [
        cell.source for cell in make_results.notebook().cells
    ]


def test_the_notebook_draws_chips_and_scenes(make_results: ModuleType, tmp_path: Path) -> None:
    names: dict[str, object] = {}
    exec(make_results.SET_UP.partition("\nlibrary =")[0] + "\n" + make_results.DRAWING, names)
    bay = pictured.collection(tmp_path)
    assert names["chip_picture"](bay, 3, 150).size == (150, 150)
    assert names["scene_picture"](bay, 320, [(3, (255, 0, 0), "1")]).size == (320, 320)
