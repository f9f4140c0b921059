"""Parts: the GeoParquet files of a collection, one per block of a scene.

A part is both record and checkpoint: it appears under its name only when complete.  The format is
GeoParquet 1.1 (https://geoparquet.org/releases/v1.1.0/), which geopandas, DuckDB and QGIS open.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import DamagedError
from pipeline.files import check_schema, replacing
from pipeline.model.identity import DIMENSIONS, ModelIdentity

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.imagery.chips import Chips
    from pipeline.imagery.scene import Scene

#: Version of a part's columns and metadata.
SCHEMA = 1
#: Columns of vectors, which do not compress.
_VECTORS = ("embedding", "descriptor")
REMEDY = "Run the same build command again, which rebuilds the damaged block"


@dataclass(frozen=True)
class Part:
    """One Parquet file and the content of its footer.

    Attributes:
        path: The file.
        scene_id: Scene its chips belong to.
        rows: Chips in it.
        left_out: Chips of the block that were left out, by reason.
        stamp: SHA-256 of the file's footer and size: changes whenever the content does.
        descriptor: Length of the chips' descriptors, 0 if there are none.
    """

    path: Path
    scene_id: str
    rows: int
    left_out: dict[str, int]
    stamp: str
    descriptor: int = 0

    @property
    def size(self) -> int:
        """Chips that progress counts: those kept and those skipped for no-data."""
        return self.rows + sum(n for why, n in self.left_out.items() if why != "area")


def schema(descriptor: int = 0) -> pa.Schema:
    """Arrow schema of a part; see docs/how_it_works.md for each column.

    Args:
        descriptor: Length of the descriptors; without them there is no such column.
    """
    import pyarrow as pa

    corner = [(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")]
    described = [("descriptor", pa.list_(pa.field("element", pa.float16()), descriptor))]
    return pa.schema(
        [
            ("id", pa.string()),
            ("embedding", pa.list_(pa.field("element", pa.float16()), DIMENSIONS)),
            ("geometry", pa.binary()),
            ("bbox", pa.struct(corner)),
            ("datetime", pa.timestamp("us", tz="UTC")),
            ("scene_id", pa.string()),
            ("source_url", pa.string()),
            ("row", pa.int32()),
            ("col", pa.int32()),
            ("pixel_bbox", pa.list_(pa.field("element", pa.int32()), 4)),
            ("crs", pa.string()),
            ("gsd", pa.float32()),
            ("nodata_percent", pa.float32()),
            ("sharpness", pa.float32()),
            *(described if descriptor else []),
        ]
    )


def write_part(
    path: Path,
    scene: Scene,
    chips: Chips,
    embeddings: np.ndarray,
    model: ModelIdentity,
    *,
    stride: int,
    descriptors: np.ndarray | None = None,
) -> None:
    """Write one block's chips as a GeoParquet file, completely or not at all.

    Args:
        path: Destination.
        scene: The scene the chips were cut from.
        chips: The n chips to keep; n may be 0.
        embeddings: Float array (n, 2048), not normalised.
        model: Model that made the embeddings.
        stride: Pixels between the starts of neighbouring chips, recorded in the file's metadata.
        descriptors: Float array (n, d) by which the chips are ranked, or None.

    Raises:
        StorageError: If the disk is full or not writable; nothing is left behind.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    length = 0 if descriptors is None else descriptors.shape[1]
    columns = _columns(scene, chips, embeddings)
    if descriptors is not None:
        columns["descriptor"] = _vectors(descriptors, length)
    table = pa.table(columns, schema=schema(length))
    table = table.replace_schema_metadata(_metadata(chips, model, stride, length))
    with replacing(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression={
                name: "none" if name in _VECTORS else "zstd" for name in _leaves(table.schema)
            },
            use_dictionary=["scene_id", "source_url", "crs"],
            write_page_checksum=True,
            store_schema=True,
        )


def read_footer(path: Path, scene_id: str) -> Part:
    """Read a part's footer, a few kilobytes.

    Raises:
        NewerError: If a newer version wrote it.
        DamagedError: If the file is incomplete or not a part.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(max(size - 8, 0))
            tail = handle.read(8)
            handle.seek(max(size - 8 - int.from_bytes(tail[:4], "little"), 0))
            footer = handle.read()
        metadata = pq.read_metadata(path)
        ours = dict(json.loads(metadata.metadata[b"lookalike"]))
        check_schema(ours.get("schema", 1), SCHEMA, what="A block of chips", where=path)
        left_out = dict(ours["left_out"])
        descriptor = int(ours.get("descriptor", 0))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DamagedError("A block of chips is damaged", where=path, remedy=REMEDY) from error
    stamp = hashlib.sha256(footer + size.to_bytes(8, "little")).hexdigest()
    return Part(path, scene_id, metadata.num_rows, left_out, stamp, descriptor)


def made_by(path: Path) -> tuple[ModelIdentity, int]:
    """The model and the stride in a part's metadata.

    Raises:
        DamagedError: If the file is incomplete or not a part.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = json.loads(pq.read_metadata(path).metadata[b"emb"])
        return ModelIdentity.from_dict(about["model"]), int(about["stride"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DamagedError("A block of chips is damaged", where=path, remedy=REMEDY) from error


def verify(path: Path, scene_id: str) -> Part:
    """Read a part's footer after verifying the checksum of every page.

    Raises:
        DamagedError: If a single byte of the file was altered.
    """
    part = read_footer(path, scene_id)
    read_columns(part, schema(part.descriptor).names)
    return part


def read_columns(part: Part, columns: list[str]) -> pa.Table:
    """Read columns of a part and verify their checksums.

    Raises:
        DamagedError: If a page does not match its checksum.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(
            part.path, columns=columns, page_checksum_verification=True, partitioning=None
        )
    except (pa.ArrowException, OSError) as error:
        raise DamagedError("A block of chips is damaged", where=part.path, remedy=REMEDY) from error


def read_embeddings(part: Part) -> np.ndarray:
    """Read a part's embeddings, float16 (rows, 2048).

    Raises:
        DamagedError: If the file is damaged.
    """
    return _read_vectors(part, "embedding", DIMENSIONS)


def read_descriptors(part: Part) -> np.ndarray:
    """Read a part's descriptors, float16 (rows, d); d is 0 without them.

    Raises:
        DamagedError: If the file is damaged.
    """
    if not part.descriptor:
        return np.empty((part.rows, 0), np.float16)
    return _read_vectors(part, "descriptor", part.descriptor)


def _read_vectors(part: Part, name: str, length: int) -> np.ndarray:
    column = read_columns(part, [name]).column(0).combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(-1, length)


def _columns(scene: Scene, chips: Chips, embeddings: np.ndarray) -> dict[str, Any]:
    import pyarrow as pa
    import shapely

    n = len(chips.ids)
    xy = chips.corners.reshape(n, 4, 2)
    polygons = shapely.polygons(np.concatenate([xy, xy[:, :1]], axis=1)) if n else []
    low, high = (xy.min(axis=1), xy.max(axis=1)) if n else (np.empty((0, 2)), np.empty((0, 2)))
    pixels = np.stack([chips.cols, chips.rows, chips.cols + 256, chips.rows + 256], axis=1)
    moment = (
        datetime.fromisoformat(scene.datetime.replace("Z", "+00:00")) if scene.datetime else None
    )
    names = ("xmin", "ymin", "xmax", "ymax")
    edges = (low[:, 0], low[:, 1], high[:, 0], high[:, 1])
    return {
        "id": chips.ids,
        "embedding": _vectors(embeddings, DIMENSIONS),
        "geometry": pa.array(list(shapely.to_wkb(polygons)) if n else [], pa.binary()),
        "bbox": pa.StructArray.from_arrays([pa.array(edge) for edge in edges], names),
        "datetime": pa.array([moment] * n, pa.timestamp("us", tz="UTC")),
        "scene_id": [scene.id] * n,
        "source_url": [scene.source_url] * n,
        "row": np.asarray(chips.rows, np.int32),
        "col": np.asarray(chips.cols, np.int32),
        "pixel_bbox": pa.FixedSizeListArray.from_arrays(
            pa.array(pixels.astype(np.int32).ravel()), type=schema().field("pixel_bbox").type
        ),
        "crs": [scene.crs] * n,
        "gsd": np.full(n, scene.gsd, np.float32),
        "nodata_percent": np.asarray(chips.nodata_percent, np.float32),
        "sharpness": np.asarray(chips.sharpness, np.float32),
    }


def _vectors(vectors: np.ndarray, length: int) -> pa.Array:
    """Vectors (n, length) as a column of float16."""
    import pyarrow as pa

    half = np.ascontiguousarray(vectors, dtype=np.float16)
    kind = pa.list_(pa.field("element", pa.float16()), length)
    return pa.FixedSizeListArray.from_arrays(pa.array(half.ravel()), type=kind)


def _metadata(chips: Chips, model: ModelIdentity, stride: int, descriptor: int) -> dict[str, str]:
    from pyproj import CRS

    corners = np.asarray(chips.corners).reshape(-1, 2)
    bbox = [*corners.min(axis=0), *corners.max(axis=0)] if len(corners) else [0.0, 0.0, 0.0, 0.0]
    covering = {"bbox": {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}}
    geometry = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": CRS.from_epsg(4326).to_json_dict(),
        "covering": covering,
    }
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {**geometry, "bbox": [float(edge) for edge in bbox]}},
    }
    emb = {
        "model": model.to_dict(),
        "dimensions": DIMENSIONS,
        "dtype": "float16",
        "chip_size": 256,
        "stride": stride,
        "distance": "cosine",
    }
    ours = {"schema": SCHEMA, "left_out": chips.left_out, "descriptor": descriptor}
    return {"geo": json.dumps(geo), "emb": json.dumps(emb), "lookalike": json.dumps(ours)}


def _leaves(schema: pa.Schema) -> list[str]:
    """Column paths in Parquet's notation, except for those of vectors, which are their names."""
    import pyarrow as pa

    found = []
    for column in schema:
        if pa.types.is_struct(column.type):
            found += [f"{column.name}.{child.name}" for child in column.type]
        elif pa.types.is_fixed_size_list(column.type) and column.name not in _VECTORS:
            found.append(f"{column.name}.list.element")
        else:
            found.append(column.name)
    return found
