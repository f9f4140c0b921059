"""The browser's modules that need no page, by Node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.glob("*.test.mjs"))


def node() -> str:
    """The machine's own Node.js, else the one that set-up puts into the environment."""
    found = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
    assert found, "Node.js is not on the PATH: `make setup` installs it where the machine has none"
    return found


def test_there_are_files_to_run() -> None:
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_a_module_does_what_its_file_says(file: Path) -> None:
    done = subprocess.run(
        [node(), "--test", "--test-reporter=spec", file],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"\n{done.stdout}"
