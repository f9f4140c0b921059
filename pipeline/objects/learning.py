"""From examples in the imagery to a ranking of windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.model import loader
from pipeline.model.basis import COMPONENTS, basis
from pipeline.objects import scan
from pipeline.objects.calibration import Calibration, calibrate
from pipeline.objects.query import framed, turned_vectors, vectors_of
from pipeline.objects.training import UNMARKED_WINDOWS, Examples

if TYPE_CHECKING:
    from pipeline.objects.open_cells import MappedCells
    from pipeline.objects.places import Spot

#: Marks from which a model is trained on them; fewer find less than a click does
#: (docs/objects.md) and only say what is looked for.
FEWEST_MARKS = 16
#: Marked windows whose vectors are kept: the same marks come again with each one added.
_KEPT = 4_096


def example_vectors(
    spots: Sequence[Spot], scales: Sequence[float], picture: np.ndarray | None = None
) -> Examples:
    """The examples as vectors, each turned four ways.

    Args:
        spots: The examples; one is good, unless there is a picture.
        scales: The scale at which each is seen.
        picture: A picture that a good example fills, uint8 (h, h, 3).

    Raises:
        QueryError: If there is no good example.
    """
    seen = [_turned(spot, scale) for spot, scale in zip(spots, scales, strict=True)]
    good = [views for spot, views in zip(spots, seen, strict=True) if spot.good]
    bad = [views for spot, views in zip(spots, seen, strict=True) if not spot.good]
    if picture is not None:
        good.append(vectors_of(framed(picture)[None], loader.cells(), basis().steps)[0])
    if not good:
        raise QueryError(
            "There is no good example to search from",
            remedy="Mark or draw at least one object that is what you look for",
        )
    none = np.zeros((0, 4, COMPONENTS), np.float32)
    return Examples(np.stack(good), np.stack(bad) if bad else none)


@lru_cache(maxsize=_KEPT)
def _turned(spot: Spot, scale: float) -> np.ndarray:
    return turned_vectors([spot], scale, loader.cells(), basis().steps)[0]


def unmarked_windows(maps: Sequence[MappedCells]) -> np.ndarray:
    """Unit vectors, float32 (n, 64), of windows drawn at random from scenes; about 2,000."""
    if not maps:
        return np.empty((0, COMPONENTS), np.float32)
    cells = np.array([mapped.inverse.size for mapped in maps], float)
    counts = np.ceil(UNMARKED_WINDOWS * cells / max(cells.sum(), 1)).astype(int)
    return np.concatenate(
        [_drawn(mapped, int(count)) for mapped, count in zip(maps, counts, strict=True)]
    )


@lru_cache(maxsize=512)
def _drawn(mapped: MappedCells, count: int) -> np.ndarray:
    return scan.random_windows(mapped.cells, count)


def probabilities(examples: Examples, unmarked: np.ndarray) -> Calibration | None:
    """The calibration of a model that these marks train, if they are enough."""
    return calibrate(examples, unmarked)
