"""What this machine has, what is missing and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.frontend import VENDOR
from pipeline.model.weights.cache import cache_path
from pipeline.settings import Settings

PACKAGES = (
    "streamlit", "leafmap", "earthengine-api", "geemap", "rasterio", "patchify", "tensorflow",
    "scann", "numpy", "scipy", "shapely", "pyarrow", "geopandas", "rio-tiler", "rio-cogeo",
    "distributed", "pystac-client", "localtileserver", "openvino",
)  # fmt: skip
ROOM = 2 * 10**9


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What.
        ok: Whether Lookalike can work with it.
        found: What is there.
        remedy: What to do if it is not right.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """Look at Python, the packages, the weights, the home folder and the front end.

    Nothing heavy is imported and nothing is fetched.
    """
    return [
        _python(),
        *(_package(name) for name in PACKAGES),
        _weights(settings),
        _home(settings),
        _front_end(),
    ]


def _python() -> Finding:
    good = (3, 10) <= sys.version_info < (3, 13)
    remedy = "" if good else "Use Python 3.10, 3.11 or 3.12 and run `make setup`"
    return Finding("python", good, platform.python_version(), remedy)


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", "Run `make setup`")


def _weights(settings: Settings) -> Finding:
    path = settings.weights or cache_path(settings.home)
    if path.exists():
        return Finding("weights", True, str(path))
    return Finding("weights", False, "not fetched", "Run `python -m pipeline weights`")


def _home(settings: Settings) -> Finding:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{settings.home}, {free / 1e9:.1f} GB free"
    if not _writable(folder):
        return Finding("home", False, f"{settings.home} is not writable", "Set LOOKALIKE_HOME")
    if free < ROOM:
        return Finding("home", False, found, "Free some space, or set LOOKALIKE_HOME")
    return Finding("home", True, found)


def _writable(folder: Path) -> bool:
    import os

    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _front_end() -> Finding:
    if (VENDOR / "leaflet" / "leaflet.js").exists():
        return Finding("front end", True, "Leaflet is in place")
    return Finding("front end", False, "Leaflet is missing", "Run `make setup`")
