"""The picture of the packages, and the figures that are counted for any checkout."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from docs.make_packages import PICTURE, Code, figures, picture


def write(root: Path, files: dict[str, str]) -> Code:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Code(root)


def test_the_picture_is_what_the_code_imports_now() -> None:
    made = picture(Code())
    assert PICTURE.read_text("utf-8") == made, "run `make picture`"
    ElementTree.fromstring(made)


def test_an_import_draws_an_arrow_and_a_circle_counts(tmp_path) -> None:
    code = write(
        tmp_path,
        {
            "pipeline/__init__.py": "",
            "pipeline/errors.py": "",
            "pipeline/geo/__init__.py": "",
            "pipeline/geo/area.py": "from pipeline.geo import shape\nfrom pipeline import errors\n",
            "pipeline/geo/shape.py": "def f():\n    from pipeline.geo import area\n    return area",
        },
    )
    assert code.packages == {
        "pipeline": ["pipeline.errors"],
        "geo": ["pipeline.geo.area", "pipeline.geo.shape"],
    }
    assert code.arrows == {("geo", "pipeline")}
    assert "geo imports pipeline" in picture(code)
    assert code.circles() == [["pipeline.geo.area", "pipeline.geo.shape"]]
    counted = figures(code)
    assert counted["modules"] == "3"
    assert counted["own imports inside functions"] == "1"
    assert counted["lines of the longest"] == "2 (pipeline.geo.shape.f)"
