"""Retries and waits of every outside service, and their limits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import ServiceError
from pipeline.progress import OnProgress, Progress

Result = TypeVar("Result")

ATTEMPTS = 6
#: Seconds before the second attempt; each further wait may be twice as long.
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
#: Requests at once to one service, and connections kept open to it.
CONNECTIONS = 40
#: HTTP statuses of failures that pass.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
#: A wait is cut into steps of this length, so that it can be cancelled.
_STEP_SECONDS = 0.5


class TransientError(Exception):
    """A failure worth another attempt.

    Args:
        error: What to raise when no attempt is left.
        wait: Seconds the service asked to wait, or None.
    """

    def __init__(self, error: ServiceError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.wait = error, wait


def retry(
    call: Callable[[], Result],
    *,
    attempts: int = ATTEMPTS,
    base: float = FIRST_WAIT,
    pause: Callable[[float], None] = time.sleep,
) -> Result:
    """Call until it succeeds; wait longer after each `TransientError`, with full jitter.

    Jitter keeps forty workers that were refused together from coming back together.

    Raises:
        ServiceError: The last failure, when `attempts` are used up.
    """
    for attempt in range(attempts):
        try:
            return call()
        except TransientError as failure:
            if attempt + 1 == attempts:
                raise failure.error from failure
            wait = random.uniform(0, min(LONGEST_WAIT, base * 2**attempt))
            pause(max(wait, min(LONGEST_WAIT, failure.wait or 0.0)))
    raise AssertionError("attempts must be at least 1")


def wait(seconds: float, report: Callable[[float], None]) -> None:
    """Wait in short steps, each reported with the seconds left; `report` may raise to stop."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        report(left)
        time.sleep(min(_STEP_SECONDS, left))


def reporting(progress: OnProgress) -> Callable[[float], None]:
    """A wait between two attempts that is reported, and that the user can cancel."""

    def report(left: float) -> None:
        note = f"trying again in {left:.0f} s"
        progress(Progress("Waiting for the service", 0, 0, "tries", note))

    return lambda seconds: wait(seconds, report)


def retry_after(text: str) -> float | None:
    """Seconds of a `Retry-After` header, or None where it gives none."""
    return float(text) if text.isdecimal() else None
