"""Small pictures of candidates, before anything is fetched."""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from pipeline.errors import LookalikeError
from pipeline.sources.candidates import Candidate

log = logging.getLogger(__name__)
MOST = 24  # candidates that get a picture; a list shows the others by their words
AT_ONCE = 8


@runtime_checkable
class Pictured(Protocol):
    """A source that makes pictures of its candidates itself."""

    def thumbnail(self, candidate: Candidate, size: int = 160) -> bytes:
        """A PNG of one candidate."""


def thumbnails(source: object, candidates: Sequence[Candidate], size: int = 96) -> dict[str, str]:
    """Address of a small picture by the candidate's id, of the first candidates.

    A catalogue gives the address with the candidate.  Earth Engine's pictures need its sign-in, so
    they come as `data:` addresses: no token leaves the server.  One that fails is left out.

    Args:
        source: Where the candidates come from.
        candidates: Those of a list, in its order.
        size: Pixels on the longer side.
    """
    given = {one.id: one.thumbnail for one in candidates if one.thumbnail}
    if not isinstance(source, Pictured):
        return given

    def made(one: Candidate) -> tuple[str, str]:
        try:
            picture = source.thumbnail(one, size)
        except LookalikeError as error:
            log.info("no picture of %s: %s", one.id, error)
            return one.id, ""
        return one.id, "data:image/png;base64," + base64.b64encode(picture).decode()

    wanted = [one for one in candidates if one.id not in given][:MOST]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {**given, **{name: address for name, address in pool.map(made, wanted) if address}}
