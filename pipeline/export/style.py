"""Colours and pop-ups of findings, shared by the formats that draw a map."""

from __future__ import annotations

from html import escape

from pipeline.export.findings import Finding, Findings

#: The light half of matplotlib's inferno, best first; legible to the colour-blind.
RAMP = ("#fcffa4", "#fac228", "#f57d15", "#d44842", "#9f2a63")


def colour_class(findings: Findings, item: Finding) -> int:
    """Index in `RAMP` by rank, so that every colour has about the same number of findings."""
    return min((item.rank - 1) * len(RAMP) // len(findings.items), len(RAMP) - 1)


def pop_up(item: Finding, picture: str, size: int) -> str:
    """HTML of a finding's pop-up: its picture and its facts.

    Args:
        item: The finding.
        picture: URL of its picture.
        size: Side of the picture in CSS pixels.
    """
    rows = "".join(
        f"<tr><th align='left'>{label}</th><td>{escape(text)}</td></tr>"
        for label, text in item.facts.items()
    )
    image = f"<img src='{picture}' width='{size}' height='{size}' alt=''>"
    return f"{image}<table>{rows}</table>"
