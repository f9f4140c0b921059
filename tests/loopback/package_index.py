"""A package index as pip asks it (PEP 503), for one wheel."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

import pytest

from tests.loopback.server import Answer, Loopback, Request


def wheel(package: str, version: str, files: Mapping[str, bytes]) -> bytes:
    """A wheel of plain files that pip accepts."""
    info = f"{package}-{version}.dist-info"
    about = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nRequires-Python: >=4\n"
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", about)
        archive.writestr(f"{info}/WHEEL", kind)
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


class PackageIndex:
    """The index.

    Args:
        package: Name of its one package.
        version: Version of its one wheel.
        content: The wheel.
    """

    def __init__(self, package: str, version: str, content: bytes) -> None:
        self.package = package
        self.file = f"{package}-{version}-py3-none-any.whl"
        self.content = content

    def handle(self, request: Request, server: Loopback) -> Answer | None:
        if request.path == f"/simple/{self.package}/":
            digest = hashlib.sha256(self.content).hexdigest()
            link = f'<a href="/files/{self.file}#sha256={digest}">{self.file}</a>'
            return Answer(link.encode(), headers={"Content-Type": "text/html"})
        if request.path == f"/files/{self.file}":
            return Answer(self.content, headers={"Content-Type": "application/octet-stream"})
        return None


def use_index(patch: pytest.MonkeyPatch, url: str) -> None:
    """Have pip ask the index at `url` and no other, once."""
    patch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CONSTRAINT"):
        patch.delenv(f"PIP_{name}", raising=False)
    patch.setenv("PIP_INDEX_URL", f"{url}/simple")
    patch.setenv("PIP_NO_CACHE_DIR", "1")
    patch.setenv("PIP_RETRIES", "0")
