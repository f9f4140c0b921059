"""A file server with ranges, entity tags and redirects, as object stores are."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from tests.loopback.server import Answer, Loopback, Request


def ranged(data: bytes, request: Request, tag: str = "") -> Answer:
    """The whole of `data`, or the part that the Range header asks for."""
    headers = {"Content-Type": "image/tiff", "Accept-Ranges": "bytes"}
    if tag:
        headers["ETag"] = tag
    span = re.fullmatch(r"bytes=(\d+)-(\d*)", request.header("range"))
    condition = request.header("if-range")
    if not span or (condition and condition != tag):
        return Answer(data, 200, headers)
    first = int(span[1])
    last = min(int(span[2] or len(data) - 1), len(data) - 1)
    if first >= len(data):
        return Answer(b"", 416, {"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Answer(data[first : last + 1], 206, headers)


@dataclass
class Files:
    """Serves a folder below a prefix.

    Attributes:
        folder: What is served.
        prefix: Path it is served below.
        redirects: Path → address that it redirects to.
        signature: Value the query parameter `sig` must have, or None; change it and every address
            signed before has expired.
        ranges: Whether ranges are honoured.
    """

    folder: Path
    prefix: str = "/files/"
    redirects: dict[str, str] = field(default_factory=dict)
    signature: str | None = None
    ranges: bool = True

    def handle(self, request: Request, server: Loopback) -> Answer | None:
        if request.path in self.redirects:
            return Answer(b"", 302, {"Location": self.redirects[request.path]})
        if not request.path.startswith(self.prefix):
            return None
        path = self.folder / request.path.removeprefix(self.prefix)
        if self.signature is not None and request.query.get("sig") != self.signature:
            return Answer.refusal(403, "Signature has expired", "PERMISSION_DENIED")
        if not path.is_file():
            return Answer.refusal(404, "no such file", "NOT_FOUND")
        stat = path.stat()
        data, tag = _content(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if not self.ranges:
            request.headers.pop("range", None)
        return ranged(data, request, tag)


@lru_cache(maxsize=4)
def _content(path: Path, *_: int) -> tuple[bytes, str]:
    """A file and its tag, read once however many ranges of it are asked for."""
    data = path.read_bytes()
    return data, f'"{hashlib.md5(data).hexdigest()}"'
