"""Object searches that are under way, so that whoever waits sees their progress and can cancel.

The client names a search before it begins.  It may cancel it before the search itself arrives:
requests overtake each other.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.errors import Cancelled
from pipeline.progress import OnProgress, Progress

#: Searches that are remembered; the oldest are forgotten.
KEPT = 1_000


@dataclass
class _Search:
    step: Progress | None = None
    cancelled: bool = False


_searches: OrderedDict[str, _Search] = OrderedDict()
_lock = threading.Lock()


@contextmanager
def following(key: str) -> Iterator[OnProgress]:
    """The callback of a search, which others follow and cancel by its key.

    Args:
        key: Name of the search, unique among those under way.

    Raises:
        Cancelled: From the callback, once the search was cancelled.
    """
    search = _search(key)

    def report(step: Progress) -> None:
        if search.cancelled:
            raise Cancelled("The search was cancelled", remedy="Search again")
        search.step = step

    try:
        yield report
    finally:
        with _lock:
            _searches.pop(key, None)


def progress_of(key: str) -> Progress | None:
    """The latest report of a search; None if there is none yet, or it has ended."""
    with _lock:
        found = _searches.get(key)
    return found.step if found else None


def cancel(key: str) -> None:
    """Stop a search within a fraction of a second; nothing happens if it has ended."""
    _search(key).cancelled = True


def _search(key: str) -> _Search:
    with _lock:
        search = _searches.setdefault(key, _Search())
        _searches.move_to_end(key)
        while len(_searches) > KEPT:
            _searches.popitem(last=False)
    return search
