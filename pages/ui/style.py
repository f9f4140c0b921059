"""Our style sheets, each preceded by the variables of `shared/tokens.css`."""

from __future__ import annotations

from pipeline.frontend import ASSETS


def sheets(*names: str) -> str:
    """The text of these style sheets of ours, one after another."""
    return "\n".join((ASSETS / name).read_text("utf-8") for name in ("shared/tokens.css", *names))
