"""The rooms of `pipeline/` and the one direction in which they import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from tests import ROOT

#: From left to right; a package imports from those to its left and from itself.  Those of one line
#: do not know each other.
DIRECTION = (
    ("pipeline",),  # the modules directly in `pipeline/`
    ("geo",),
    ("imagery", "model"),
    ("sources", "collection", "cluster"),
    ("index",),
    ("search", "build"),
    ("objects",),
    ("jobs", "export", "analysis", "census"),
    ("watch",),
    ("web", "cli"),
    ("pages",),
)
LEVEL = {package: level for level, line in enumerate(DIRECTION) for package in line}
#: Entered by `python -m pipeline`, and only hands over.
SHIM = "pipeline.__main__"
#: Libraries that take long to import: only the functions that need them do.
HEAVY = {
    "affine", "dask", "dask_gateway", "distributed", "ee", "folium", "geemap", "geopandas",
    "google", "googleapiclient", "leafmap", "openvino", "PIL", "pyarrow", "pyogrio", "pyproj",
    "pystac", "pystac_client", "rasterio", "rio_cogeo", "rio_tiler", "scann", "scipy", "shapely",
    "tensorflow",
}  # fmt: skip

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("pipeline", "pages")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def package_of(module: str) -> str:
    """The package a module counts to: "geo" for `pipeline.geo.area`, "pages" for all pages."""
    parts = module.split(".")
    if parts[0] == "pages" or len(parts) == 1:
        return parts[0]
    name = parts[1] if (ROOT / "pipeline" / parts[1]).is_dir() else "pipeline"
    assert name in LEVEL, f"`{name}` has no place in DIRECTION"
    return name


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """Each module of ours that a module imports, for types only too; and whether at its head."""

    def walk(node: ast.AST, head: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ImportFrom) and child.module:
                for name in child.names:
                    inner = f"{child.module}.{name.name}"
                    target = inner if inner in MODULES else child.module
                    if target in MODULES:
                        yield target, head
            elif isinstance(child, ast.Import):
                yield from ((name.name, head) for name in child.names if name.name in MODULES)
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from walk(child, head and not function)

    yield from walk(ast.parse(MODULES[module].read_text("utf-8")), True)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {SHIM}))
def test_a_module_imports_only_from_the_left(module: str) -> None:
    own = package_of(module)
    for target, _ in imports(module):
        other = package_of(target)
        assert other == own or LEVEL[other] < LEVEL[own], f"{module} imports {target}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_our_own_modules_are_imported_at_the_head_of_the_file(module: str) -> None:
    assert not [target for target, head in imports(module) if not head]


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {
        module: {target for target, _ in imports(module) if target != module} for module in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
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
    tree = ast.parse((ROOT / "pipeline" / package / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1, "a package's __init__ holds no code"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("pipeline")))
def test_what_takes_long_to_import_is_imported_where_it_is_used(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    for node in tree.body:
        names = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        assert not {name.split(".")[0] for name in names} & HEAVY, f"{module}: {names}"
