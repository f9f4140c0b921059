"""The browser libraries: fetched from npm at set-up, verified, unpacked to `assets/vendor/`.

`assets/package.json` names each package's version and the integrity of its tarball.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline import npm
from pipeline.errors import LookalikeError

ASSETS = Path(__file__).parent.parent / "assets"
VENDOR = ASSETS / "vendor"
_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Package:
    """One pinned npm package.

    Attributes:
        name: Its name in the registry.
        version: The exact version.
        integrity: `sha512-<base64>` of its tarball.
    """

    name: str
    version: str
    integrity: str

    @property
    def stamp(self) -> str:
        """Content of the file that marks a complete copy of this version."""
        return f"{self.name}@{self.version} {self.integrity}\n"


def pinned(manifest: Path = ASSETS / "package.json") -> list[Package]:
    """The libraries that `assets/package.json` pins."""
    content = json.loads(manifest.read_text())
    return [
        Package(name, version, content["integrity"][name])
        for name, version in content["dependencies"].items()
    ]


def missing(vendor: Path = VENDOR) -> list[Package]:
    """The pinned libraries that are not unpacked in `vendor`."""
    return [library for library in pinned() if not _present(library, vendor)]


def fetch(vendor: Path = VENDOR) -> list[Package]:
    """Fetch missing libraries into `vendor`; existing ones are left as they are.

    Returns:
        The libraries that were fetched.

    Raises:
        UnavailableError, ServiceError, DamagedError: As `npm.pack`.
    """
    wanted = missing(vendor)
    for library in wanted:
        _install(library, vendor)
    return wanted


def assets_version(folder: Path = ASSETS) -> str:
    """Eight hexadecimal digits that change whenever a front-end file does."""
    # The libraries' own files change only with their stamps.
    patterns = ("*.*", "*/*.js", "*/*.css", "vendor/*/.stamp")
    files = sorted(path for pattern in patterns for path in folder.glob(pattern))
    stamps = [f"{path.relative_to(folder)}:{path.stat().st_mtime_ns}" for path in files]
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:8]


def _present(library: Package, vendor: Path) -> bool:
    stamp = vendor / library.name / ".stamp"
    return stamp.is_file() and stamp.read_text() == library.stamp


def _install(library: Package, vendor: Path) -> None:
    vendor.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=vendor, prefix=".fetch-") as scratch:
        tarball = npm.pack(
            f"{library.name}@{library.version}",
            Path(scratch),
            integrity=library.integrity,
            seconds=_TIMEOUT_SECONDS,
        )
        unpacked = Path(scratch) / "unpacked"
        _unpack_dist(tarball, unpacked)
        (unpacked / ".stamp").write_text(library.stamp)
        target = vendor / library.name
        if target.exists():
            target.rename(Path(scratch) / "outdated")
        unpacked.rename(target)


def _unpack_dist(tarball: Path, folder: Path) -> None:
    """Unpack the regular files below `package/dist/`; other members are ignored as untrusted."""
    with tarfile.open(tarball) as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts
            if not member.isfile() or parts[:2] != ("package", "dist") or ".." in parts:
                continue
            source = archive.extractfile(member)
            target = folder.joinpath(*parts[2:])
            target.parent.mkdir(parents=True, exist_ok=True)
            if source is not None:
                target.write_bytes(source.read())


def _main() -> int:
    try:
        fetched = fetch()
    except LookalikeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for library in fetched:
        print(f"fetched {library.name} {library.version}")
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
