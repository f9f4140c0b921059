"""The figures of a benchmark: each compares ours with a rival."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One comparison, as every benchmark prints it.

    Attributes:
        name: What was measured, and its unit.
        ours: Our figure.
        rival: The rival's, 0 where it has none.
        rival_name: Who or what that is.
        ratio: How many times better ours is.
        spread: How far rounds differ.
        quality: What the figure is worth nothing without: recall, errors, equality.
        more: What else to print as JSON.
    """

    name: str
    ours: float
    rival: float
    rival_name: str
    ratio: float
    spread: float
    quality: Any
    more: Mapping[str, Any] = field(default_factory=dict)

    def show(self, *, as_json: bool) -> None:
        """Print it: one JSON object a line, or a sentence."""
        print(self._json() if as_json else self._sentence(), flush=True)

    def _json(self) -> str:
        plain = asdict(self)
        more = plain.pop("more")
        return json.dumps({**plain, **more}, ensure_ascii=False)

    def _sentence(self) -> str:
        quality = f"quality {self.quality}"
        if isinstance(self.quality, dict):
            quality = ", ".join(f"{key.replace('_', ' ')} {n}" for key, n in self.quality.items())
        return (
            f"{self.name}: {self.ours:g} against {self.rival:g} ({self.rival_name}), "
            f"ratio {self.ratio:g}, spread {self.spread:g}; {quality}"
        )
