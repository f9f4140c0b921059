"""Draws the packages of the code and who imports whom, and counts what there is.

    python docs/make_packages.py                       # writes docs/packages.svg
    python docs/make_packages.py --figures [CHECKOUT]  # prints figures of this or another checkout

Everything is read from the source with `ast`; nothing is imported.  `tests/test_imports.py` uses
the same reader to keep the direction.
"""

from __future__ import annotations

import argparse
import ast
import statistics
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "packages.svg"
GROUND = "pipeline"
#: Entered by `python -m pipeline`, and only hands over.
SHIM = "pipeline.__main__"
#: From left to right; a package imports from those to its left and from itself.  Those of one line
#: do not know each other.
DIRECTION = (
    (GROUND,),  # the modules directly in `pipeline/`
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


#: Pixels from one package of the picture to the next, and of a box.
ACROSS, DOWN = 60, 46
WIDTH, HEIGHT = 150, 34
MARGIN = 16
#: Pixels from a box's left edge to the line that leads up to it.
DROP = 22
NOTES = (
    "A package imports from those above it:",
    "from its line left to a dot, up to the arrow.",
    "Those of one band do not know each other.",
    "The number counts modules.",
)


class Import(NamedTuple):
    """One import of one of our own modules, of types for the type checker too.

    Attributes:
        target: The imported module.
        at_head: Whether it stands outside of any function.
    """

    target: str
    at_head: bool


class Code:
    """The modules of `pipeline/` and `pages/` in a checkout, and their imports.

    Args:
        root: The checkout.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Path of each module by its dotted name; a package's is that of its `__init__`."""
        paths = [
            path
            for folder in ("pipeline", "pages")
            for path in sorted((self.root / folder).rglob("*.py"))
        ]
        names = (".".join(path.relative_to(self.root).with_suffix("").parts) for path in paths)
        return dict(zip((name.removesuffix(".__init__") for name in names), paths, strict=True))

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """Syntax tree of each module."""
        return {name: ast.parse(path.read_text("utf-8")) for name, path in self.modules.items()}

    def package_of(self, module: str) -> str:
        """The package a module counts to: "geo" for `pipeline.geo.area`, "pages" for all pages."""
        parts = module.split(".")
        if parts[0] == "pages" or len(parts) == 1:
            return parts[0]
        return parts[1] if (self.root / "pipeline" / parts[1]).is_dir() else GROUND

    def imports(self, module: str) -> Iterator[Import]:
        """Each import of one of our modules in a module."""

        def walk(node: ast.AST, head: bool) -> Iterator[Import]:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.ImportFrom) and child.module:
                    for name in child.names:
                        inner = f"{child.module}.{name.name}"
                        target = inner if inner in self.modules else child.module
                        if target in self.modules:
                            yield Import(target, head)
                elif isinstance(child, ast.Import):
                    for name in child.names:
                        if name.name in self.modules:
                            yield Import(name.name, head)
                function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from walk(child, head and not function)

        yield from walk(self.trees[module], True)

    @cached_property
    def graph(self) -> dict[str, set[str]]:
        """The modules that each module imports."""
        return {
            module: {name.target for name in self.imports(module)} - {module}
            for module in self.modules
        }

    @cached_property
    def packages(self) -> dict[str, list[str]]:
        """Modules of each package, packages in the order of `DIRECTION`, unknown ones last."""
        packages: dict[str, list[str]] = {name: [] for line in DIRECTION for name in line}
        for module, path in self.modules.items():
            if path.name != "__init__.py":
                packages.setdefault(self.package_of(module), []).append(module)
        return {name: modules for name, modules in packages.items() if modules}

    @cached_property
    def arrows(self) -> set[tuple[str, str]]:
        """(importer, imported) packages; the shim hands over against the direction."""
        pairs = {
            (self.package_of(module), self.package_of(target))
            for module, targets in self.graph.items()
            for target in targets
            if module != SHIM
        }
        return {(importer, imported) for importer, imported in pairs if importer != imported}

    def circles(self) -> list[list[str]]:
        """Groups of modules that all import each other, directly or through others (Tarjan)."""
        order: dict[str, int] = {}
        lowest: dict[str, int] = {}
        stack: list[str] = []
        groups: list[list[str]] = []

        def visit(module: str) -> None:
            order[module] = lowest[module] = len(order)
            stack.append(module)
            for target in sorted(self.graph[module]):
                if target not in order:
                    visit(target)
                if target in stack:
                    lowest[module] = min(lowest[module], lowest[target])
            if lowest[module] == order[module]:
                at = stack.index(module)
                groups.append(sorted(stack[at:]))
                del stack[at:]

        for module in self.modules:
            if module not in order:
                visit(module)
        return [group for group in groups if len(group) > 1]


def picture(code: Code) -> str:
    """The packages on a diagonal, as SVG.

    A package's line runs left to a dot for each package that it imports; from the dot a line runs
    up to that one.  All dots lie below the diagonal, since imports have one direction.
    """
    names = list(code.packages)
    left = {name: MARGIN + ACROSS * i for i, name in enumerate(names)}
    top = {name: MARGIN + DOWN * i for i, name in enumerate(names)}
    middle = {name: top[name] + HEIGHT // 2 for name in names}
    total = (left[names[-1]] + WIDTH + MARGIN, top[names[-1]] + HEIGHT + MARGIN)
    lines, dots, boxes = [], [], []
    for name, modules in code.packages.items():
        x, y = left[name], top[name]
        imported = [other for other in names if (name, other) in code.arrows]
        importers = [other for other in names if (other, name) in code.arrows]
        if imported:
            start = min(left[other] for other in imported) + DROP
            lines.append(f'<path class="line" d="M{x} {middle[name]}H{start}"/>')
        if importers:
            end = max(middle[other] for other in importers)
            lines.append(
                f'<path class="line up" d="M{x + DROP} {end}V{y + HEIGHT + 7}"'
                ' marker-end="url(#arrow)"/>'
            )
        dots += [
            f'<circle cx="{left[other] + DROP}" cy="{middle[name]}" r="4">'
            f"<title>{name} imports {other}</title></circle>"
            for other in imported
        ]
        title = "pipeline/*.py" if name == GROUND else name
        boxes.append(
            f'<g transform="translate({x} {y})"><rect class="box" width="{WIDTH}"'
            f' height="{HEIGHT}" rx="6"/><text class="name" x="12" y="22">{title}</text>'
            f'<text class="count" x="{WIDTH - 12}" y="22">{len(modules)}</text></g>'
        )
    notes = [
        f'<text class="note" x="{total[0] - MARGIN}" y="{MARGIN + 22 + 20 * i}">{text}</text>'
        for i, text in enumerate(NOTES)
    ]
    body = "\n".join([*_bands(top, total[0]), *lines, *dots, *boxes, *notes])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total[0]} {total[1]}"'
        f' width="{total[0]}" height="{total[1]}" role="img"'
        ' aria-label="The packages and which of them import which">\n'
        f"<style>{_CSS}</style>\n"
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="8"'
        ' markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        '<path class="head" d="M0 0 8 4 0 8z"/></marker></defs>\n'
        '<rect class="page" width="100%" height="100%"/>\n'
        f"{body}\n</svg>\n"
    )


def _bands(top: dict[str, int], width: int) -> list[str]:
    """A tint behind every other level of `DIRECTION`."""
    levels = [[name for name in line if name in top] for line in DIRECTION]
    gap = (DOWN - HEIGHT) // 2
    return [
        f'<rect class="band" y="{top[level[0]] - gap}" width="{width}"'
        f' height="{DOWN * len(level)}"/>'
        for level in list(filter(None, levels))[1::2]
    ]


#: GitHub shows the picture on a light or on a dark page.
_CSS = """
svg{font:14px system-ui,-apple-system,"Segoe UI",sans-serif}
.page{fill:#fff}.band{fill:#f1f5f9}
.box{fill:#fff;stroke:#334155;stroke-width:1.5}
.name{fill:#0f172a;font-weight:600}.count,.note{fill:#475569;text-anchor:end}
.line{stroke:#94a3b8;stroke-width:1.5;fill:none}
circle,.head{fill:#c2410c}
@media(prefers-color-scheme:dark){
.page{fill:#0d1117}.band{fill:#161d29}
.box{fill:#1e293b;stroke:#94a3b8}
.name{fill:#f1f5f9}.count,.note{fill:#a8b5c7}
.line{stroke:#55657d}
circle,.head{fill:#fb923c}
}
"""


def figures(code: Code) -> dict[str, str]:
    """What there is of `pipeline/`: label and figure."""
    own = [name for name in code.modules if name.split(".")[0] == "pipeline"]
    packages = {name for name in own if code.modules[name].name == "__init__.py"}
    lines = sum(len(code.modules[name].read_text("utf-8").splitlines()) for name in own)
    bodies = {
        f"{module}.{node.name}": _body_lines(node)
        for module in own
        for node in ast.walk(code.trees[module])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    longest = max(bodies, key=lambda name: bodies[name])
    hidden = sum(not name.at_head for module in own for name in code.imports(module))
    circles = code.circles()
    return {
        "modules": f"{len(own) - len(packages)}",
        "lines": f"{lines:,}",
        "packages": f"{len(packages)}",
        "arrows between packages": f"{len(code.arrows)}",
        "circles": f"{len(circles)}",
        "modules in circles": f"{sum(map(len, circles))}",
        "own imports inside functions": f"{hidden}",
        "functions": f"{len(bodies)}",
        "lines of the median function's body": f"{statistics.median(bodies.values()):g}",
        "lines of the longest": f"{bodies[longest]} ({longest})",
    }


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its head and its docstring."""
    body = function.body[ast.get_docstring(function, clean=False) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0


def main() -> None:
    """Write the picture, or print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figures", nargs="*", type=Path, metavar="CHECKOUT")
    checkouts = parser.parse_args().figures
    if checkouts is None:
        PICTURE.write_text(picture(Code()), "utf-8")
        print(f"Wrote {PICTURE}")
    for root in [ROOT] if checkouts == [] else checkouts or []:
        print(root.resolve())
        for label, figure in figures(Code(root.resolve())).items():
            print(f"  {label:36}{figure}")


if __name__ == "__main__":
    main()
