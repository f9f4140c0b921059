"""The fixed basis of object cells, the same for all collections.

Mean and principal axes of ResNet-50's fourth stage, learned from open imagery that
`cells_basis_1.json` names (benchmarks/learn_basis.py).  Cells of all collections therefore lie in
one space.  Components are centred but not whitened: evening their scales makes objects harder to
tell apart (docs/objects.md).  They are kept as int8 codes; a component's value is its code times
the component's step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

#: Numbers of a cell.
COMPONENTS = 64
#: Code of a cell without data, in all of its components.
NO_DATA = -128
_FILE = Path(__file__).with_name("cells_basis_1.npz")


@dataclass(frozen=True)
class Basis:
    """The fixed basis of object cells.

    Attributes:
        mean: float32 (1024,), subtracted from the fourth stage.
        axes: float32 (1024, 64), orthonormal.
        steps: float32 (64,), value of one step of each component's code.
        name: Its version and eight digits of its SHA-256.
    """

    mean: np.ndarray
    axes: np.ndarray
    steps: np.ndarray
    name: str


@lru_cache(maxsize=1)
def basis() -> Basis:
    """The basis that is shipped."""
    with np.load(_FILE, allow_pickle=False) as file:
        mean, axes, steps = (file[key].astype(np.float32) for key in ("mean", "axes", "steps"))
    digest = hashlib.sha256()
    for array in (mean, axes, steps):
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    version = _FILE.stem.rpartition("_")[2]
    return Basis(mean, axes, steps, f"{version}-{digest.hexdigest()[:8]}")


def quantise(values: np.ndarray) -> np.ndarray:
    """Codes, int8 (…, 64) within ±127, of components (…, 64)."""
    codes = np.rint(values / basis().steps)
    return np.clip(codes, -127, 127, out=codes).astype(np.int8)
