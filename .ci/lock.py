"""Resolve requirements*.in for every supported Python and write one pinned file each.

A package whose version is the same on every Python gets one line; one that differs gets a line
per version with a `python_version` marker.  Plain `pip install -r` reads the result.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PYTHONS = ("3.10", "3.11", "3.12")
ROOT = Path(__file__).resolve().parent.parent
HEADERS = {
    "requirements.txt": "# Pinned for Python 3.10-3.12 by `make lock` from requirements.in.\n",
    "requirements-dev.txt": (
        "# Pinned by `make lock` from requirements-dev.in.\n-r requirements.txt\n"
    ),
}


def resolve(sources: list[str], python: str, constraints: list[str]) -> dict[str, str]:
    """Package name to version, as uv resolves `sources` on Linux x86-64 for one Python."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "-q", "--no-header", "--no-annotate"]
    command += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
    command += [part for path in constraints for part in ("-c", path)]
    lines = subprocess.run(
        [*command, *sources], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", lines, re.MULTILINE))


def merged(by_python: dict[str, dict[str, str]]) -> list[str]:
    """One line a package where all Pythons agree, else one a version with its marker."""
    lines = []
    for name in sorted(set().union(*by_python.values())):
        versions = {python: found.get(name) for python, found in by_python.items()}
        if len(set(versions.values())) == 1:
            lines.append(f"{name}=={versions[PYTHONS[0]]}")
            continue
        for version in sorted({v for v in versions.values() if v}):
            pythons = [p for p in PYTHONS if versions[p] == version]
            marker = " or ".join(f'python_version == "{p}"' for p in pythons)
            lines.append(f"{name}=={version} ; {marker}")
    return lines


def main() -> None:
    """Write both files; arguments are constraint files for uv."""
    constraints = sys.argv[1:]
    base = {p: resolve(["requirements.in"], p, constraints) for p in PYTHONS}
    full = {p: resolve(["requirements.in", "requirements-dev.in"], p, constraints) for p in PYTHONS}
    for name, found in (("requirements.txt", base), ("requirements-dev.txt", full)):
        lines = merged(found)
        if name == "requirements-dev.txt":
            runtime = set(merged(base))
            clashes = {line.split("==")[0] for line in set(lines) - runtime} & set(base["3.11"])
            if clashes:
                sys.exit(
                    f"Development tools change the pins of {', '.join(sorted(clashes))}."
                    " Bound them in requirements-dev.in."
                )
            lines = [line for line in lines if line not in runtime]
        (ROOT / name).write_text(HEADERS[name] + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
