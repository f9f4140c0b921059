"""Thumbnails of candidates, before anything is fetched."""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from pipeline.errors import LookalikeError
from pipeline.sources.candidates import Candidate

log = logging.getLogger(__name__)
MOST = 24  # candidates with a thumbnail; a list shows the others as text
WORKERS = 8


@runtime_checkable
class DrawsThumbnails(Protocol):
    """A source that draws the thumbnails of its candidates itself."""

    def thumbnail(self, candidate: Candidate, size: int = 160) -> bytes:
        """A PNG of one candidate."""


def thumbnails(source: object, candidates: Sequence[Candidate], size: int = 96) -> dict[str, str]:
    """Thumbnail addresses by candidate id; a source that draws them draws at most `MOST`.

    A catalogue gives the address with the candidate.  Earth Engine's thumbnails need its sign-in,
    so they are sent as `data:` addresses: no token leaves the server.  One that fails is left out.

    Args:
        source: Where the candidates come from.
        candidates: Those of a list, in its order.
        size: Pixels on the longer side.
    """
    by_id = {candidate.id: candidate.thumbnail for candidate in candidates if candidate.thumbnail}
    if not isinstance(source, DrawsThumbnails):
        return by_id

    def drawn(candidate: Candidate) -> tuple[str, str]:
        try:
            png = source.thumbnail(candidate, size)
        except LookalikeError as error:
            log.info("no thumbnail of %s: %s", candidate.id, error)
            return candidate.id, ""
        return candidate.id, "data:image/png;base64," + base64.b64encode(png).decode()

    missing = [candidate for candidate in candidates if candidate.id not in by_id][:MOST]
    with ThreadPoolExecutor(WORKERS) as pool:
        return {**by_id, **{name: address for name, address in pool.map(drawn, missing) if address}}
