"""Set-up on machines that are not as they should be."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH of its own with the few programs the set-up script calls, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "uname", "rm"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


def make_venv(programs: Path, venv: Path, *python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / ".ci" / "venv.sh"), str(venv), *python],
        env={"PATH": str(programs), "HOME": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_that_does_not_work_is_passed_over(programs: Path, tmp_path: Path) -> None:
    write_program(programs / "python3.12", "echo 'python3.12: command not found' >&2; exit 127")
    # sys._base_executable is the interpreter behind the tests' own virtual environment.
    write_program(programs / "python3", f'exec "{sys._base_executable}" "$@"')
    done = make_venv(programs, tmp_path / "venv")
    assert done.returncode == 0, done.stderr
    assert "with python3 (Python 3." in done.stdout
    assert (tmp_path / "venv" / "bin" / "python").exists()
    again = make_venv(programs, tmp_path / "venv")
    assert (again.returncode, again.stdout) == (0, "")


def test_without_a_python_the_message_says_which_and_how(programs: Path, tmp_path: Path) -> None:
    done = make_venv(programs, tmp_path / "venv")
    assert done.returncode == 1
    assert "No Python 3.10, 3.11 or 3.12" in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_named_python_that_does_not_work_is_refused(programs: Path, tmp_path: Path) -> None:
    done = make_venv(programs, tmp_path / "venv", str(tmp_path / "python9"))
    assert done.returncode == 1
    assert str(tmp_path / "python9") in done.stderr


def test_another_system_than_linux_is_told_so(programs: Path, tmp_path: Path) -> None:
    (programs / "uname").unlink()
    write_program(programs / "uname", "echo Darwin")
    done = make_venv(programs, tmp_path / "venv")
    assert done.returncode == 1
    assert "Linux" in done.stderr


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / ".ci" / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages folder with one whole package, `good` 1.0."""
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    info = tmp_path / "good-1.0.dist-info"
    info.mkdir()
    (tmp_path / "good.py").write_text("x = 1\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: good\nVersion: 1.0\n")
    (info / "RECORD").write_text("good.py,,6\ngood-1.0.dist-info/METADATA,,\n")
    (info / "INSTALLER").write_text("pip\n")
    return tmp_path


def test_a_whole_package_is_left_alone(install: ModuleType, packages: Path) -> None:
    assert install.half_installed() == []


@pytest.mark.parametrize(
    "damage", ["missing", "short", "no installer", "no record", "cut-off record"]
)
def test_a_half_written_package_is_installed_anew(
    install: ModuleType, packages: Path, damage: str
) -> None:
    info = packages / "good-1.0.dist-info"
    match damage:
        case "missing":
            (packages / "good.py").unlink()
        case "short":
            (packages / "good.py").write_text("x")
        case "no installer":
            (info / "INSTALLER").unlink()
        case "no record":
            (info / "RECORD").unlink()
        case "cut-off record":
            (info / "RECORD").write_text("good.py,,6\ngood-1.0.di")
    assert install.half_installed() == ["good==1.0"]


def test_a_package_without_a_name_is_removed(install: ModuleType, packages: Path) -> None:
    info = packages / "good-1.0.dist-info"
    (info / "METADATA").unlink()
    assert install.half_installed() == []
    assert not info.exists()


def test_the_stamp_follows_the_content_of_the_requirements(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "ROOT", tmp_path)
    file = tmp_path / "requirements.txt"
    file.write_text("a==1\n")
    before = install.fingerprint(("requirements.txt",))
    os.utime(file, (0, 0))
    assert install.fingerprint(("requirements.txt",)) == before
    file.write_text("a==2\n")
    assert install.fingerprint(("requirements.txt",)) != before
