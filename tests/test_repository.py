"""Promises of the repository as a whole: what loads what, what is pinned, what is documented."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pipeline

ROOT = Path(__file__).resolve().parent.parent
#: Packages that take seconds to load, or that have no business in the pipeline.
HEAVY = {"streamlit", "tensorflow", "keras", "scann", "ee", "geemap", "leafmap"}
PYTHONS = ("3.10", "3.11", "3.12")
#: Packages that `docs/scaling.md` asks their users to install.
EXTRAS = {"coiled", "dask_gateway"}


def modules() -> list[str]:
    """Every module of the pipeline, by its dotted name."""
    return [found.name for found in pkgutil.walk_packages(pipeline.__path__, "pipeline.")]


def sources(*suffixes: str) -> list[Path]:
    """The repository's own text files, without what set-up or a build put there."""
    folders = ["pipeline", "pages", "assets", "tests", "benchmarks", "docs", ".ci", ".streamlit"]
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    skipped = {".git", "vendor", "__pycache__", "node_modules", ".ipynb_checkpoints"}
    return [
        path
        for path in files
        if not skipped & set(path.relative_to(ROOT).parts)
        and (path.suffix in suffixes if suffixes else path.suffix not in {".png", ".jpg", ".webp"})
    ]


def loaded_by(*arguments: str) -> set[str]:
    """Top-level packages that a Python process with these arguments loads."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names = re.findall(r"^import time:.*\|\s*([\w.]+)$", done.stderr, re.MULTILINE)
    return {name.split(".")[0] for name in names}


def test_importing_every_pipeline_module_loads_nothing_heavy() -> None:
    assert len(modules()) > 10
    code = "import importlib\n" + "\n".join(
        f"importlib.import_module({name!r})" for name in modules()
    )
    loaded = loaded_by("-c", code)
    assert "pipeline" in loaded
    assert not loaded & HEAVY


def test_the_server_has_loaded_what_its_threads_would_load_in_halves() -> None:
    assert loaded_by("-c", "import streamlit_app") >= {"pyproj", "rasterio", "shapely"}


@pytest.mark.parametrize("name", ["pipeline", "pipeline.settings", "pipeline.errors"])
def test_the_ground_modules_load_only_the_standard_library(name: str) -> None:
    loaded = loaded_by("-c", f"import {name}")
    assert not loaded & (HEAVY | {"numpy", "pandas", "pyarrow", "rasterio", "shapely", "dask"})


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by("-m", "pipeline", "--help")
    assert "pipeline" in loaded
    assert not loaded & (HEAVY | {"rasterio", "geopandas", "distributed", "pandas"})


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_once_for_every_python(name: str) -> None:
    pins: dict[str, list[Requirement]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if line and not line.startswith(("#", "-r ")):
            requirement = Requirement(line)
            assert [part.operator for part in requirement.specifier] == ["=="], line
            pins.setdefault(requirement.name, []).append(requirement)
    for package, versions in pins.items():
        for python in PYTHONS:
            chosen = [
                v for v in versions if not v.marker or v.marker.evaluate({"python_version": python})
            ]
            assert len(chosen) <= 1, f"{package} is pinned twice for Python {python}"


def test_everything_asked_for_by_name_is_pinned_on_every_python() -> None:
    pinned = [
        Requirement(line)
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text().splitlines()
        if line and not line.startswith(("#", "-r "))
    ]
    for name in ("requirements.in", "requirements-dev.in"):
        asked = [
            Requirement(line.split("#")[0]).name
            for line in (ROOT / name).read_text().splitlines()
            if line.split("#")[0].strip()
        ]
        for python in PYTHONS:
            here = {
                p.name
                for p in pinned
                if not p.marker or p.marker.evaluate({"python_version": python})
            }
            assert set(asked) <= here, f"missing on Python {python}: {set(asked) - here}"


def imported(file: Path) -> set[str]:
    """Top-level packages that a module imports anywhere, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_what_the_app_imports_is_installed_without_the_development_tools() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {
        canonicalize_name(Requirement(line).name) for line in lines if not line.startswith("#")
    }
    app = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    names = set().union(*(imported(file) for file in [*app, ROOT / "streamlit_app.py"]))
    provided = metadata.packages_distributions()
    missing = [
        name
        for name in names - sys.stdlib_module_names - EXTRAS - {"pipeline", "pages"}
        if not pinned & {canonicalize_name(package) for package in provided.get(name, ())}
    ]
    assert not missing


@pytest.mark.parametrize(
    "name",
    [
        "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml",
        "requirements.txt", "requirements-dev.txt", ".ci/run", ".streamlit/config.toml",
        "streamlit_app.py", "docs/cli.md", "docs/how_it_works.md", "docs/operations.md",
        "docs/results.md", "docs/reverse_visual_search.ipynb",
    ],
)  # fmt: skip
def test_a_promised_file_is_there_and_not_empty(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def test_the_test_command_of_the_readme_is_what_the_checks_run() -> None:
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    for command in ("make lint", "make test"):
        assert f"`{command}`" in (ROOT / "README.md").read_text()
        assert any(line.split(" 2>")[0].strip() == command for line in script)
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_every_make_target_is_listed_by_make_help() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    steps = {"help", "venv", "runtime", "dev", "npm", "chromium", "tools", "forest"}
    listed = set(re.findall(r'@echo "make ([a-z-]+) ', text))
    assert listed == targets - steps


def test_relative_links_and_pictures_in_the_documents_lead_somewhere() -> None:
    broken = []
    for page in sources(".md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} → {target}")
    assert not broken


def test_the_command_reference_names_every_command_and_option() -> None:
    from typer.main import get_command

    from pipeline.cli.app import app

    text = (ROOT / "docs" / "cli.md").read_text()
    missing = []
    for name, command in get_command(app).commands.items():
        _, found, rest = text.partition(f"### {name}\n")
        section = rest.split("\n### ", 1)[0]
        group = getattr(command, "commands", None)
        missing += [] if found else [name]
        missing += [f"{name} {sub}" for sub in group or () if f"`{name} {sub}" not in section]
        options = {
            option
            for each in (group.values() if group else [command])
            for parameter in each.params
            for option in parameter.opts
            if option.startswith("--")
        }
        missing += [
            f"{name} {option}" for option in options if not re.search(rf"[`\[ ]{option}\b", section)
        ]
    assert not missing


def test_the_operations_page_names_every_environment_variable() -> None:
    read = set(re.findall(r"LOOKALIKE_[A-Z_]+", (ROOT / "pipeline" / "settings.py").read_text()))
    told = set(re.findall(r"LOOKALIKE_[A-Z_]+", (ROOT / "docs" / "operations.md").read_text()))
    assert read <= told, f"not documented: {read - told}"


def test_only_settings_reads_the_environment() -> None:
    readers = [
        path.name
        for path in sources(".py")
        if path.is_relative_to(ROOT / "pipeline")
        and re.search(r"os\.(getenv|environ(?!\.setdefault))", path.read_text())
    ]
    assert readers == ["settings.py"]


def test_our_browser_code_names_no_host() -> None:
    named = {
        f"{path.relative_to(ROOT)}: {url}"
        for path in sources(".js", ".css", ".html")
        if path.is_relative_to(ROOT / "assets")
        for url in re.findall(r"https?://[^\s\"'`)]+", path.read_text())
        if not url.startswith("http://www.w3.org/")
    }
    assert not named


def test_pages_load_nothing_from_elsewhere() -> None:
    loads = re.compile(
        r"<(?:script|link|img|iframe|source)\b[^>]*https?://"
        r"|url\(\s*['\"]?https?://|@import\s+['\"]?http|from\s+['\"]https?://|fetch\(\s*['\"]https?:",
        re.IGNORECASE,
    )
    pages = [path for path in sources(".py", ".toml") if path.is_relative_to(ROOT / "pages")]
    pages += [ROOT / "streamlit_app.py", ROOT / ".streamlit" / "config.toml"]
    assert not [path.name for path in pages if loads.search(path.read_text())]


def test_no_package_index_and_no_machine_is_named() -> None:
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "npmmirror" + ".")
    flags = ("--index" + "-url", "--find" + "-links", "--registry" + "=")
    places = ("/ro" + "ot/", "/ho" + "me/", "/wo" + "rk/")
    named = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in sources()
        for word in (*hosts, *flags, *places)
        if word in path.read_text(errors="replace")
    ]
    assert not named


def test_one_version_is_told_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    (packaged,) = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)
    released = re.findall(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert packaged == pipeline.__version__ == released[0]


def test_colours_stand_once_among_the_style_sheets() -> None:
    tokens = (ROOT / "assets" / "shared" / "tokens.css").read_text()
    named = re.findall(r"--lk-[\w-]+: (#[0-9a-f]{6});", tokens)
    assert len(named) >= 4
    for path in sorted((ROOT / "assets").glob("[!v]*/*.css")):
        if path.name != "tokens.css":
            again = [colour for colour in named if colour in path.read_text().lower()]
            assert not again, f"{path.name} spells out {again}"
