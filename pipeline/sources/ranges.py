"""A remote file read by ranges, as if it lay on the disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipeline.errors import ServiceError
from pipeline.sources.http import (
    TransientError,
    changed,
    extent,
    pieces,
    retry,
    shown,
    unreachable,
)

if TYPE_CHECKING:
    from pipeline.sources.http import Http

BLOCK = 1 << 16  # bytes
KEPT = 512  # blocks


class RangeFile:
    """A remote file read by ranges of 64 KiB, the last of them kept in memory; thread-safe.

    Args:
        http: Client.
        href: Gives the address, freshly signed where that is needed.
        size: Bytes, or None to ask.
    """

    def __init__(self, http: Http, href: Callable[[], str], size: int | None = None) -> None:
        self._http, self._href = http, href
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.RLock()
        self._tag = ""
        self.requests = 0
        if size is None:
            self._size = 0
            size = self._load(0, 0)
        self._size = size

    def __len__(self) -> int:
        return self._size

    def close(self) -> None:
        """Forget what was read."""
        self._blocks.clear()

    def read_at(self, position: int, count: int = -1) -> bytes:
        """`count` bytes from `position` on, fewer at the end of the file; all if negative.

        Raises:
            ServiceError: If the service refuses, fails, or the file changed meanwhile.
        """
        with self._lock:
            end = self._size if count < 0 else min(self._size, position + count)
            if end <= position:
                return b""
            first, last = position // BLOCK, (end - 1) // BLOCK
            missing = [n for n in range(first, last + 1) if n not in self._blocks]
            for low, high in _runs(missing):
                self._load(low, high)
            body = b"".join(self._blocks[n] for n in range(first, last + 1))
            for old in list(self._blocks)[: max(0, len(self._blocks) - KEPT)]:
                del self._blocks[old]
            start = position - first * BLOCK
            return body[start : start + end - position]

    def _load(self, low: int, high: int) -> int:
        """Fetch blocks `low` to `high`; returns the size of the whole file."""
        begin, end = low * BLOCK, (high + 1) * BLOCK - 1
        if self._size:
            end = min(end, self._size - 1)

        def call() -> tuple[bytes, int]:
            url = self._href()
            headers = {"Range": f"bytes={begin}-{end}", "Accept-Encoding": "identity"}
            self.requests += 1
            self._http.check(url)
            answer = self._http.once(
                "GET", url, headers={**self._http.headers, **headers}, stream=True
            )
            with answer:
                total, start = extent(answer)
                if answer.status_code != 206 and (total is None or total > end + 1):
                    raise ServiceError(
                        "This server cannot send parts of a file",
                        where=shown(url),
                        remedy="Download the file and build from the copy",
                    )
                etag = answer.headers.get("ETag", "")
                if self._tag and etag != self._tag:
                    raise changed(url)
                body = b"".join(pieces(answer, url))
                want = min(end + 1, total if total is not None else end + 1) - begin
                if start != begin or len(body) != want:
                    raise TransientError(unreachable(url, "the body was cut off"))
                self._tag = etag
                return body, total if total is not None else begin + len(body)

        body, total = retry(call, attempts=self._http.attempts, base=self._http.base)
        for offset in range(0, len(body), BLOCK):
            self._blocks[low + offset // BLOCK] = body[offset : offset + BLOCK]
        return total


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring numbers as (first, last)."""
    start = 0
    for index in range(1, len(numbers) + 1):
        if index == len(numbers) or numbers[index] != numbers[index - 1] + 1:
            yield numbers[start], numbers[index - 1]
            start = index
