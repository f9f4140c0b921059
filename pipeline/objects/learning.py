"""What a ranking learns from besides the examples: windows drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.model.basis import COMPONENTS
from pipeline.objects import scan
from pipeline.objects.training import UNMARKED_WINDOWS

if TYPE_CHECKING:
    from pipeline.objects.open_cells import MappedCells

#: Marks from which a model is trained on them; fewer find less than a click does
#: (docs/objects.md) and only say what is looked for.
FEWEST_MARKS = 16


def unmarked_windows(maps: Sequence[MappedCells]) -> np.ndarray:
    """Unit vectors, float32 (n, 64), of windows drawn at random from scenes; about 2,000."""
    if not maps:
        return np.empty((0, COMPONENTS), np.float32)
    cells = np.array([mapped.inverse.size for mapped in maps], float)
    counts = np.ceil(UNMARKED_WINDOWS * cells / max(cells.sum(), 1)).astype(int)
    return np.concatenate(
        [_drawn(mapped, int(count)) for mapped, count in zip(maps, counts, strict=True)]
    )


def _drawn(mapped: MappedCells, count: int) -> np.ndarray:
    found = mapped.drawn.get(count)
    if found is None:
        found = scan.random_windows(mapped.cells, count)
        mapped.drawn.clear()
        mapped.drawn[count] = found
    return found
