"""Install one set of requirements into the virtual environment that runs this script.

    python .ci/install.py runtime|dev|node

A stamp in the environment records the content of the requirement files that were installed; while
it agrees there is nothing to do.  Without it, an earlier install may have been cut off half-way
through a package, so installed files are first checked against their records and the packages that
fail are installed anew.
"""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETS = {
    "runtime": ("requirements.txt",),
    "dev": ("requirements.txt", "requirements-dev.txt"),
    "node": ("requirements-node.txt",),
}


def fingerprint(names: tuple[str, ...]) -> str:
    """What the stamp holds: the requirement files' content and the Python they were for."""
    content = b"\0".join((ROOT / name).read_bytes() for name in names)
    return f"{hashlib.sha256(content).hexdigest()} {sys.version.split()[0]}\n"


def is_whole(info: Path) -> bool:
    """Whether all files in a package's record are there with their recorded size.

    The record is read here, as `importlib.metadata` leaves missing files out from Python 3.12 on.
    pip writes `INSTALLER` after everything else but the final record.

    Args:
        info: The package's `.dist-info` folder.
    """
    record = info / "RECORD"
    if not record.is_file() or not (info / "INSTALLER").is_file():
        return False
    with record.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            if len(row) != 3:
                return False
            path, size = info.parent / row[0], row[2]
            if not size or path.suffix == ".pyc":
                continue
            if not path.is_file() or path.stat().st_size != int(size):
                return False
    return True


def half_installed() -> list[str]:
    """Pins of the packages whose files do not agree with their records.

    A package cut off before its name was written is removed: pip would stumble over it.
    """
    pins = set()
    for folder in Path(sysconfig.get_path("purelib")).glob("*.dist-info"):
        described = (folder / "METADATA").is_file() and metadata.PathDistribution(folder).metadata
        if not described or not described["Name"]:
            shutil.rmtree(folder)
        elif not is_whole(folder):
            pins.add(f"{described['Name']}=={described['Version']}")
    return sorted(pins)


def pip(arguments: list[str], log: Path, packages: int) -> None:
    """Run pip, its output in `log`, a line of progress on the terminal."""
    environment = {"PIP_DEFAULT_TIMEOUT": "60", "PIP_RETRIES": "5", **os.environ}
    command = [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    found, shown = 0, time.monotonic()
    with log.open("a") as file:
        process = subprocess.Popen(
            [*command, "--progress-bar", "off", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                found += line.startswith(("Collecting ", "Processing ", "Requirement already "))
                if line.startswith("Installing collected packages"):
                    print("  unpacking them, which takes a minute or more", flush=True)
                    shown = float("inf")
                elif time.monotonic() - shown > 10:
                    print(f"  {min(found, packages)} of {packages} packages fetched", flush=True)
                    shown = time.monotonic()
            failed = process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            sys.exit("Stopped. Run the same command to continue.")
    if failed:
        lines = log.read_text().splitlines()
        lines = [line for line in lines if not line.startswith(("WARNING", "Looking in"))]
        print("\n".join(lines[-15:]), file=sys.stderr)
        sys.exit(
            f"pip could not install every package; its output is in {log}. Check the network and"
            " the package index, then run the same command again; installed packages are kept."
        )


def main() -> None:
    """Install the set named on the command line unless its stamp agrees."""
    name = sys.argv[1]
    files = SETS[name]
    stamp = Path(sys.prefix) / f".{name}-stamp"
    wanted = fingerprint(files)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    log = Path(sys.prefix) / f"install-{name}.log"
    log.unlink(missing_ok=True)
    started = time.monotonic()
    pins = {
        line.split("==")[0]
        for file in files
        for line in (ROOT / file).read_text().splitlines()
        if "==" in line
    }
    print(f"Installing {len(pins)} packages ({name}); pip's output goes to {log}", flush=True)
    broken = half_installed()
    if broken:
        print(
            f"  reinstalling what an interrupted install left incomplete: {', '.join(broken)}",
            flush=True,
        )
        pip(["--force-reinstall", "--no-deps", *broken], log, len(broken))
    pip(["-r", files[-1]], log, len(pins))
    stamp.write_text(wanted)
    if name == "dev":
        (stamp.parent / ".runtime-stamp").write_text(fingerprint(SETS["runtime"]))
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
