"""A collection of nothing but vectors, and the parts that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.collection.collection import Collection
from pipeline.collection.manifest import Manifest
from pipeline.collection.parquet import Part
from pipeline.model.identity import DIMENSIONS, ModelIdentity

PART = 8_192
MODEL = ModelIdentity("benchmark", "", "", "", "chip")


class Vectors(Collection):
    """Parts with embeddings and a place for the index: all that an index needs."""

    def __init__(self, folder: Path, parts: Sequence[Part]) -> None:
        super().__init__(folder, Manifest("benchmark", "Benchmark", 64, MODEL))
        self.parts = tuple(parts)


def written(vectors: Iterator[np.ndarray], folder: Path, prefix: str) -> list[Part]:
    """Parts on disk that hold these vectors, about 8,192 in each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    found: list[Part] = []
    waiting: list[np.ndarray] = []

    def flush() -> None:
        half = np.concatenate(waiting)
        waiting.clear()
        column = pa.FixedSizeListArray.from_arrays(pa.array(half.ravel()), DIMENSIONS)
        path = folder / f"block-{prefix}{len(found):05d}.parquet"
        pq.write_table(
            pa.table({"embedding": column}), path, compression="none", use_dictionary=False
        )
        found.append(Part(path, "scene", len(half), {}, path.name))

    for piece in vectors:
        waiting.append(piece)
        if sum(map(len, waiting)) >= PART:
            flush()
    if waiting:
        flush()
    return found
