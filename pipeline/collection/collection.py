"""A collection: a folder of the library; see docs/how_it_works.md.

    collections/<name>/
      collection.json            the manifest
      scenes/<scene id>.tif      imagery (COG), with <scene id>.json beside it (STAC Item)
      chips/<scene id>/block-*.parquet
      cells/<scene id>/x<scale>/block-*.tif   object cells
      index/, graph/             derived from the chips; can be rebuilt at any time
      searches/                  saved searches

Every file is written under a temporary name and renamed when it is complete.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import dates
from pipeline.collection import parquet
from pipeline.collection.chip_table import ChipTable
from pipeline.collection.manifest import Manifest, read_manifest
from pipeline.errors import StorageError, storage_errors
from pipeline.files import TEMPORARY, exclusive, is_locked, locked, size_of, write_json
from pipeline.imagery.scene import load_scene

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from pipeline.imagery.scene import Scene


class Collection:
    """One collection on disk.  It is cheap to open; its chip table is read on first use."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest

    @property
    def name(self) -> str:
        """Its name in links and commands, and that of its folder."""
        return self.manifest.name

    @property
    def scenes_folder(self) -> Path:
        """Folder of the imagery."""
        return self.path / "scenes"

    @property
    def index_folder(self) -> Path:
        """Folder of the index, which is derived from the parts."""
        return self.path / "index"

    @property
    def graph_folder(self) -> Path:
        """Folder of the graph, which is derived from the parts, too."""
        return self.path / "graph"

    @property
    def busy(self) -> bool:
        """Whether a build is writing to it."""
        return is_locked(self.path / ".lock")

    @cached_property
    def scenes(self) -> dict[str, Scene]:
        """The scenes by id, in the order they were added."""
        return {scene: load_scene(self.scenes_folder, scene) for scene in self.manifest.scenes}

    def scene_of(self, row: int) -> Scene:
        """The scene that the chip in a row of the table was cut from."""
        return self.scenes[self.chips.scene_id_of(row)]

    def part_files(self, scene_id: str) -> list[Path]:
        """The Parquet files of one scene, in row order."""
        return sorted((self.path / "chips" / scene_id).glob("block-*.parquet"))

    def cell_files(self, scene_id: str) -> list[Path]:
        """The files of a scene's object cells, at all scales."""
        return sorted((self.path / "cells" / scene_id).glob("x*/block-*.tif"))

    @property
    def searchable(self) -> bool:
        """Whether it has chips: those of a finished block can be searched during a build."""
        return self.manifest.complete or any(map(self.part_files, self.manifest.scenes))

    @property
    def dates(self) -> list[str]:
        """Days on which its scenes were taken, `YYYY-MM-DD`, oldest first."""
        return sorted({scene.datetime[:10] for scene in self.scenes.values() if scene.datetime})

    @cached_property
    def parts(self) -> tuple[parquet.Part, ...]:
        """All parts in row order.

        Raises:
            DamagedError: If a part is incomplete or not a part.
        """
        return tuple(
            parquet.read_footer(path, scene)
            for scene in self.manifest.scenes
            for path in self.part_files(scene)
        )

    def descriptors(self, rows: Sequence[int]) -> np.ndarray:
        """Descriptors float16 (m, d) of some rows of the table; d is 0 where chips have none.

        Raises:
            DamagedError: If a part is damaged.
        """
        ends = np.cumsum([part.rows for part in self.parts])
        found = []
        for row in rows:
            number = int(np.searchsorted(ends, row, side="right"))
            part = self.parts[number]
            found.append(parquet.read_descriptors(part)[row - int(ends[number]) + part.rows])
        return np.stack(found)

    @cached_property
    def version(self) -> str:
        """16 hexadecimal digits that change with the chips and the model."""
        import hashlib

        digest = hashlib.sha256(json.dumps(self.manifest.model.to_dict(), sort_keys=True).encode())
        for part in self.parts:
            digest.update(f"{part.scene_id}/{part.path.name}:{part.stamp}\n".encode())
        return digest.hexdigest()[:16]

    @cached_property
    def chips(self) -> ChipTable:
        """The table of all chips, without embeddings.

        Raises:
            DamagedError: If a part is damaged.
        """
        import pyarrow as pa
        import shapely

        columns = ["id", "geometry", "row", "col", "gsd", "nodata_percent", "sharpness"]
        tables = [parquet.read_columns(part, columns) for part in self.parts]
        empty = parquet.schema().empty_table().select(columns)
        table = pa.concat_tables([empty, *(t.replace_schema_metadata(None) for t in tables)])
        rings = shapely.get_coordinates(shapely.from_wkb(table["geometry"].to_numpy()))
        numbers = {scene: number for number, scene in enumerate(self.manifest.scenes)}
        counts = [part.rows for part in self.parts]
        scenes = [numbers[part.scene_id] for part in self.parts]

        def column(name: str) -> np.ndarray:
            return table[name].to_numpy()

        return ChipTable(
            ids=np.array(table["id"].to_pylist(), dtype="S16"),
            scene=np.repeat(np.array(scenes, np.int32), counts),
            scene_ids=self.manifest.scenes,
            corners=np.ascontiguousarray(rings.reshape(-1, 5, 2)[:, :4]),
            cols=column("col"),
            rows=column("row"),
            gsd=column("gsd"),
            nodata_percent=column("nodata_percent"),
            sharpness=column("sharpness"),
            datetimes=tuple(scene.datetime for scene in self.scenes.values()),
        )

    def disk_bytes(self) -> int:
        """Bytes on disk."""
        return size_of(self.path)

    def disk_use(self) -> dict[str, int]:
        """Bytes on disk by part: imagery, chips, cells, index and everything else."""
        folders = {"imagery": "scenes", "chips": "chips", "cells": "cells", "index": "index"}
        use = {part: size_of(self.path / folder) for part, folder in folders.items()}
        use["index"] += size_of(self.graph_folder)
        return {**use, "other": max(self.disk_bytes() - sum(use.values()), 0)}

    def write(self, **changes: Any) -> Collection:
        """Write the manifest with `changes` and return the changed collection."""
        file = self.path / "collection.json"
        with exclusive(self.path / ".manifest"), storage_errors(file):
            # Writers hold this lock, so these files were left by killed processes.
            for abandoned in self.path.glob(f"{TEMPORARY}*-{file.name}"):
                abandoned.unlink(missing_ok=True)
            # Read again: a user may have changed the title since a build began.
            present = read_manifest(self.path) if file.exists() else self.manifest
            manifest = replace(present, **changes, updated=dates.now())
            write_json(file, manifest.to_dict())
        return Collection(self.path, manifest)

    def lock(self) -> AbstractContextManager[None]:
        """The lock of the process that builds this collection.

        Raises:
            StorageError: If another process holds it.
        """
        return build_lock(self.path)


def build_lock(path: Path) -> AbstractContextManager[None]:
    """`Collection.lock` of the collection in a folder, whose manifest need not be readable."""
    busy = StorageError(
        "Another build of this collection is running",
        where=path.name,
        remedy="Wait for it to end, or cancel it",
    )
    return locked(path / ".lock", busy)
