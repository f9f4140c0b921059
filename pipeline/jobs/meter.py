"""Rate and remaining time of a stage."""

from __future__ import annotations

import time


class Meter:
    """Measures the rate of a stage over the last half minute."""

    WINDOW_SECONDS = 30.0

    def __init__(self) -> None:
        self._stage = ""
        self._seen: list[tuple[float, int]] = []

    def read(
        self, stage: str, done: int, total: int, at: float | None = None
    ) -> tuple[float | None, float | None]:
        """(units per second, seconds left), each None while unknown.

        Args:
            stage: Name of the stage; another name resets the meter.
            done: Units finished.
            total: Total units, or 0 if unknown.
            at: The time in seconds, default now.
        """
        at = time.monotonic() if at is None else at
        if stage != self._stage or (self._seen and done < self._seen[-1][1]):
            self._stage, self._seen = stage, []
        if not self._seen or done != self._seen[-1][1]:
            self._seen.append((at, done))
        while len(self._seen) > 2 and at - self._seen[1][0] > self.WINDOW_SECONDS:
            self._seen.pop(0)
        (began, first), last = self._seen[0], self._seen[-1][1]
        if at - began < 1 or last == first:
            return None, None
        rate = (last - first) / (at - began)
        return rate, (total - done) / rate if total else None
