"""The files of a graph: descriptors, reduced, and the most similar chips of each.

    graph/<version>/graph.json       description, with the size of every other file; written last
    graph/<version>/components.npz   what reduces a descriptor to 128 numbers
    graph/<version>/reduced.npy      float16 (n, 128), unit vectors: principal components
    graph/<version>/joined.npy       float32 (n, 128): the same with their neighbours added
    graph/<version>/neighbours.npy   int32 (n, 20): rows of the most similar chips, -1 for none
    graph/<version>/weights.npy      float16 (n, 20): their cosines cubed
    graph/<version>/degrees.npy      float32 (n,): sum of each chip's weights in the symmetric graph
    graph/<version>/scann/           ScaNN over the joined vectors of more than 20,000 chips

Components are those of Jégou & Chum (ECCV 2012), partly centred and partly whitened, which docs/
quality.md measures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import DamagedError
from pipeline.files import read_json
from pipeline.vectors import leading_axes, normalise

if TYPE_CHECKING:
    from typing_extensions import Self

SCHEMA = 1
COMPONENTS = 128
#: Share of the mean that is subtracted, and degree of whitening: 0 is none, 1 is full.
CENTRING, EVENING = 0.8, 0.4
#: Neighbours that are added to a chip's vector, of its neighbours in the graph, and of those that
#: are compared to find them.
JOINED, NEIGHBOURS, COMPARED = 5, 20, 32
#: Rounds of subspace iteration: more change mAP on labelled pictures by less than 0.005.
_ROUNDS = 2
_REMEDY = "It is made again from the chips by the next search"
#: Names of the arrays.
ARRAYS = ("reduced", "joined", "neighbours", "weights", "degrees")

Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class Components:
    """What reduces a descriptor to its components.

    Attributes:
        mean: float32 (d,), already multiplied by `CENTRING`.
        axes: float32 (d, c).
        scales: float32 (c,), divisor of each component.
    """

    mean: np.ndarray
    axes: np.ndarray
    scales: np.ndarray

    @classmethod
    def learn(cls, sample: np.ndarray) -> Components:
        """Learn from unit vectors (n, d); there are fewer components if n is small."""
        mean = np.float32(CENTRING) * sample.mean(0)
        centred = sample - mean
        axes = leading_axes(centred, min(COMPONENTS, *centred.shape), _ROUNDS)
        spread = np.linalg.norm(centred @ axes, axis=0)
        kept = spread > 1e-6 * max(float(spread[0]), 1e-12)
        kept[0] = True
        scales = (spread[kept] / max(float(spread[0]), 1e-12)) ** EVENING
        return cls(mean, axes[:, kept], np.maximum(scales, 1e-12).astype(np.float32))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Unit vectors (n, c) of vectors (n, d), of any length."""
        return normalise((normalise(vectors) - self.mean) @ self.axes / self.scales)


@dataclass(frozen=True)
class Description:
    """`graph.json`.

    Attributes:
        chips: Rows.
        learned: Rows when the components were learned.
        described: Whether it was made of descriptors, not of plain vectors.
        parts: Parts that the rows come from, in order: scene id, file name, stamp, rows.
        files: Size of each other file in bytes.
    """

    chips: int
    learned: int
    described: bool
    parts: tuple[Key, ...]
    files: dict[str, int]
    schema: int = SCHEMA


@dataclass
class GraphFiles:
    """The contents of a graph's folder.  Rows are those of the collection's table.

    Attributes:
        folder: Its folder.
        description: What it was made of.
        components: What reduces a descriptor.
        reduced: float16 (n, c), memory-mapped.
        joined: float32 (n, c), memory-mapped.
        neighbours: int32 (n, 20), memory-mapped.
        weights: float16 (n, 20), memory-mapped.
        degrees: float32 (n,), memory-mapped.
    """

    folder: Path
    description: Description
    components: Components
    reduced: np.ndarray = field(repr=False)
    joined: np.ndarray = field(repr=False)
    neighbours: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    degrees: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.joined)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Open a folder; arrays are read when they are used.

        Raises:
            DamagedError: If a file is missing or damaged, or another version wrote it.
        """
        content = read_json(folder / "graph.json", what="The graph", remedy=_REMEDY)
        try:
            if content["schema"] != SCHEMA:
                raise ValueError(f"schema {content['schema']}")
            parts = tuple((str(s), str(f), str(t), int(n)) for s, f, t, n in content["parts"])
            description = Description(**{**content, "parts": parts})
            for name, size in description.files.items():
                if (folder / name).stat().st_size != size:
                    raise ValueError(f"{name} is not {size} bytes long")
            with np.load(folder / "components.npz", allow_pickle=False) as file:
                components = Components(*(file[name] for name in ("mean", "axes", "scales")))
            arrays = [np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in ARRAYS]
            if any(len(array) != description.chips for array in arrays):
                raise ValueError("an array has another number of rows")
            return cls(folder, description, components, *arrays)
        except (TypeError, KeyError, ValueError, OSError) as error:
            raise DamagedError("The graph is damaged", where=folder, remedy=_REMEDY) from error


def weigh(cosines: np.ndarray) -> np.ndarray:
    """Weights of neighbours: their cosines cubed (Radenović, Tolias & Chum, TPAMI 2019)."""
    kept = np.clip(cosines, 0, 1)
    return np.asarray(kept * kept * kept)
