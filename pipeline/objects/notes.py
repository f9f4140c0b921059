"""Notes on an object search: what its answer cannot say by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeline.model.cells import BEST_WIDTH, scale_for
from pipeline.objects.calibration import FEWEST

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.objects.open_cells import MappedCells

#: Ratio to the best width, as the network sees it, from which on a thing is badly seen.
_BADLY_SEEN = 2.2


def calibration_note(good: int, bad: int) -> str:
    """Why a ranking that marks trained gives no probabilities."""
    if min(good, bad) < FEWEST:
        return (
            f"Probabilities need {FEWEST} good and {FEWEST} bad examples; there are {good} good "
            f"and {bad} bad, so these are scores"
        )
    return "These are scores: the marks contradict each other too much for probabilities"


def width_notes(
    searched: Iterable[tuple[Collection, MappedCells]], size_m: float
) -> tuple[str, ...]:
    """Collections whose cells show a thing too small or too large, and how to get others.

    Args:
        searched: Scenes with the cells that were compared.
        size_m: Size of the thing in metres.
    """
    notes: dict[str, str] = {}
    for collection, mapped in searched:
        size = size_m / mapped.scene.gsd
        seen = size * mapped.scale
        ratio = max(seen / BEST_WIDTH, BEST_WIDTH / seen)
        if ratio >= _BADLY_SEEN and scale_for(size) != mapped.scale:
            notes[collection.name] = (
                f"In {collection.manifest.title} the object is seen {seen:.0f} pixels wide, "
                "60 to 120 are best: `python -m pipeline build "
                f"{collection.name} --object-size {size_m:.3g}` makes cells for it"
            )
    return tuple(notes.values())
