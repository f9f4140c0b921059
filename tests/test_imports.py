"""The rooms of `pipeline/` and the one direction in which they import each other."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from docs.make_packages import DIRECTION, SHIM, Code
from tests import ROOT

CODE = Code(ROOT)
MODULES = CODE.modules
LEVEL = {package: level for level, line in enumerate(DIRECTION) for package in line}
#: Libraries that take long to import: only the functions that need them do.
HEAVY = {
    "affine", "dask", "dask_gateway", "distributed", "ee", "folium", "geemap", "geopandas",
    "google", "googleapiclient", "leafmap", "openvino", "PIL", "pyarrow", "pyogrio", "pyproj",
    "pystac", "pystac_client", "rasterio", "rio_cogeo", "rio_tiler", "scann", "scipy", "shapely",
    "tensorflow",
}  # fmt: skip


@pytest.mark.parametrize("module", sorted(set(MODULES) - {SHIM}))
def test_a_module_imports_only_from_the_left(module: str) -> None:
    own = CODE.package_of(module)
    assert own in LEVEL, f"`{own}` has no place in DIRECTION"
    for target in CODE.graph[module]:
        other = CODE.package_of(target)
        assert other == own or LEVEL[other] < LEVEL[own], f"{module} imports {target}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_our_own_modules_are_imported_at_the_head_of_the_file(module: str) -> None:
    assert not [made.target for made in CODE.imports(module) if not made.at_head]


def test_no_module_imports_itself_in_a_circle() -> None:
    try:
        TopologicalSorter(CODE.graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.mark.parametrize(
    "package",
    sorted(
        path.name
        for path in (ROOT / "pipeline").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    ),
)
def test_each_package_says_what_lives_there(package: str) -> None:
    tree = CODE.trees[f"pipeline.{package}"]
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1, "a package's __init__ holds no code"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("pipeline")))
def test_what_takes_long_to_import_is_imported_where_it_is_used(module: str) -> None:
    tree = CODE.trees[module]
    for node in tree.body:
        names = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        assert not {name.split(".")[0] for name in names} & HEAVY, f"{module}: {names}"
