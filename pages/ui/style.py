"""Our style sheets, each set with the names of `shared/tokens.css` before it."""

from __future__ import annotations

from pipeline.frontend import ASSETS


def sheets(*names: str) -> str:
    """The text of these style sheets of ours, one after another."""
    return "\n".join((ASSETS / name).read_text("utf-8") for name in ("shared/tokens.css", *names))
