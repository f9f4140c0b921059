"""A remote file read by ranges, as if it were on disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipeline.errors import ServiceError
from pipeline.sources.http.client import (
    body_chunks,
    changed_error,
    content_range,
    unreachable_error,
    without_secrets,
)
from pipeline.sources.http.retry import TransientError

if TYPE_CHECKING:
    from pipeline.sources.http.client import Http

BLOCK = 1 << 16  # bytes
CACHED_BLOCKS = 512


class RangeFile:
    """A remote file read by ranges of 64 KiB, the last of them kept in memory; thread-safe.

    Args:
        http: Client.
        href: Address, or a function that gives a freshly signed one.
        size: Bytes, or None to ask the service.
        renew: Called when the service refuses a signature, before one more attempt.
    """

    def __init__(
        self,
        http: Http,
        href: str | Callable[[], str],
        size: int | None = None,
        renew: Callable[[], None] | None = None,
    ) -> None:
        self._http, self._renew = http, renew
        self._href: Callable[[], str] = href if callable(href) else lambda: href
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._tag = ""
        self._size = 0 if size is None else size
        if size is None:
            first, self._size = self._load(0, 0)
            self._blocks.update(first)

    def __len__(self) -> int:
        return self._size

    @property
    def where(self) -> str:
        """The address, fit for messages."""
        return without_secrets(self._href())

    def read_at(self, position: int, count: int = -1) -> bytes:
        """`count` bytes from `position` on, fewer at the end of the file; all if negative.

        Raises:
            ServiceError: If the service refuses, fails, or the file changed meanwhile.
        """
        end = self._size if count < 0 else min(self._size, position + count)
        if end <= position:
            return b""
        first, last = position // BLOCK, (end - 1) // BLOCK
        with self._lock:
            have = {n: self._blocks[n] for n in range(first, last + 1) if n in self._blocks}
        # Not under the lock: threads that read the same file must not wait for each other.
        for low, high in _runs([n for n in range(first, last + 1) if n not in have]):
            have.update(self._load(low, high)[0])
        with self._lock:
            self._blocks.update(have)
            while len(self._blocks) > CACHED_BLOCKS:
                self._blocks.popitem(last=False)
        body = b"".join(have[n] for n in range(first, last + 1))
        start = position - first * BLOCK
        return body[start : start + end - position]

    def _load(self, low: int, high: int) -> tuple[dict[int, bytes], int]:
        """Blocks `low` to `high`, and the size of the whole file."""
        begin, end = low * BLOCK, (high + 1) * BLOCK - 1
        if self._size:
            end = min(end, self._size - 1)
        renewed = False

        def call() -> tuple[bytes, int]:
            nonlocal renewed
            try:
                return self._range(begin, end)
            except ServiceError as error:
                if error.status not in (401, 403) or renewed or self._renew is None:
                    raise
                renewed = True
                self._renew()
                raise TransientError(error) from error

        body, total = self._http.retry(call)
        blocks = {
            low + offset // BLOCK: body[offset : offset + BLOCK]
            for offset in range(0, len(body), BLOCK)
        }
        return blocks, total

    def _range(self, begin: int, end: int) -> tuple[bytes, int]:
        """Bytes `begin` to `end`, both included, and the size of the whole file."""
        url = self._href()
        headers = {"Range": f"bytes={begin}-{end}", "Accept-Encoding": "identity"}
        self._http.check(url)
        with self._http.request_once("GET", url, headers=headers, stream=True) as answer:
            total, start = content_range(answer)
            if answer.status_code != 206 and (total is None or total > end + 1):
                raise ServiceError(
                    "This server cannot send parts of a file",
                    where=without_secrets(url),
                    remedy="Download the file and build from the copy",
                )
            etag = answer.headers.get("ETag", "")
            if self._tag and etag != self._tag:
                raise changed_error(url)
            want = min(end + 1, total if total is not None else end + 1) - begin
            body = bytearray()
            for chunk in body_chunks(answer, url):
                body += chunk
                if len(body) > want:  # a server that never ends must not fill the memory
                    break
            if start != begin or len(body) != want:
                raise TransientError(unreachable_error(url, "the body was cut off or is too long"))
            self._tag = etag
            return bytes(body), total if total is not None else begin + len(body)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, as (first, last)."""
    start = 0
    for index in range(1, len(numbers) + 1):
        if index == len(numbers) or numbers[index] != numbers[index - 1] + 1:
            yield numbers[start], numbers[index - 1]
            start = index
