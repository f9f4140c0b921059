"""`python -m pipeline doctor|weights`: what this machine has, what it lacks and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.terminal import Json, print_json, print_table, progress
from pipeline.errors import UnavailableError
from pipeline.frontend import VENDOR
from pipeline.model.weights.cache import cache_path, find
from pipeline.settings import Settings, settings

PACKAGES = (
    "streamlit", "leafmap", "earthengine-api", "geemap", "rasterio", "patchify", "tensorflow",
    "scann", "numpy", "scipy", "shapely", "pyarrow", "geopandas", "rio-tiler", "rio-cogeo",
    "distributed", "pystac-client", "localtileserver", "openvino",
)  # fmt: skip
#: Minimum free disk space in bytes.
ROOM = 2 * 10**9


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(weights)
    app.command()(doctor)


def weights(
    source: Annotated[
        Path | None, typer.Option("--from", help="File or folder that holds the weights.")
    ] = None,
) -> None:
    """Fetch and verify the ImageNet weights of ResNet-50."""
    with progress() as report:
        path = find(source, progress=report)
    typer.echo(f"The weights are ready: {path}")


def doctor(as_json: Json = False) -> None:
    """Show what is installed, what is missing and how to get it."""
    checks = examine(settings())
    if as_json:
        print_json({"ok": all(c.ok for c in checks), "checks": [c.to_dict() for c in checks]})
    else:
        from rich.text import Text

        marks = {True: Text("ok", "green"), False: Text("missing", "red")}
        rows = [(c.name, marks[c.ok], c.found, c.remedy) for c in checks]
        print_table(["What", "", "Found", "What to do"], rows)
    if not all(check.ok for check in checks):
        raise typer.Exit(UnavailableError.exit_code)


@dataclass(frozen=True)
class Requirement:
    """One requirement.

    Attributes:
        name: What is required.
        ok: Whether it is met.
        found: What is there.
        remedy: What to do if it is not met.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def examine(settings: Settings) -> list[Requirement]:
    """Check Python, the packages, the weights, the home folder and the front end.

    Nothing heavy is imported and nothing is fetched.
    """
    return [
        _python(),
        *(_package(name) for name in PACKAGES),
        _weights(settings),
        _home(settings),
        _front_end(),
    ]


def _python() -> Requirement:
    good = (3, 10) <= sys.version_info < (3, 13)
    remedy = "" if good else "Use Python 3.10, 3.11 or 3.12 and run `make setup`"
    return Requirement("python", good, platform.python_version(), remedy)


def _package(name: str) -> Requirement:
    try:
        return Requirement(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Requirement(name, False, "not installed", "Run `make setup`")


def _weights(settings: Settings) -> Requirement:
    path = settings.weights or cache_path(settings.home)
    if path.exists():
        return Requirement("weights", True, str(path))
    return Requirement("weights", False, "not fetched", "Run `python -m pipeline weights`")


def _home(settings: Settings) -> Requirement:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    state = f"{settings.home}, {free / 1e9:.1f} GB free"
    if not _writable(folder):
        return Requirement("home", False, f"{settings.home} is not writable", "Set LOOKALIKE_HOME")
    if free < ROOM:
        return Requirement("home", False, state, "Free some space, or set LOOKALIKE_HOME")
    return Requirement("home", True, state)


def _writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _front_end() -> Requirement:
    if (VENDOR / "leaflet" / "leaflet.js").exists():
        return Requirement("front end", True, "Leaflet is in place")
    return Requirement("front end", False, "Leaflet is missing", "Run `make setup`")
