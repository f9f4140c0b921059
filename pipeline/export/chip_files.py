"""A collection's chips as georeferenced picture files with a manifest."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.collection.chip_pictures import read_chips
from pipeline.errors import QueryError, StorageError
from pipeline.export.tables import safe_cell
from pipeline.export.world_file import crs_files, window_transform, world_file
from pipeline.files import replacing
from pipeline.geo.footprint import polygon
from pipeline.imagery import geotiff
from pipeline.imagery.chips import CHIP
from pipeline.imagery.render import encode_image
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.sources.google.drive import Drive

#: Maximum number of chips in one ZIP; `export` takes any number, since it resumes.
MAX_ZIPPED = 20_000
#: Suffix of the picture, suffix of its world file, and media type.
FORMATS = {
    "png": (".png", ".pgw", "image/png"),
    "jpeg": (".jpg", ".jgw", "image/jpeg"),
    "geotiff": (".tif", "", "image/tiff"),
}
COLUMNS = (
    "file", "id", "scene", "datetime", "lon", "lat", "col", "row", "gsd", "crs",
    "nodata_percent", "sharpness", "source", "license",
)  # fmt: skip


@dataclass(frozen=True)
class ChipFiles:
    """Summary of an export.

    Attributes:
        folder: The folder of the files.
        chips: Number of chips in the manifest.
        written: Number of chips that this run wrote; earlier runs wrote the others.
        uploaded: Number of files uploaded to Drive.
    """

    folder: Path
    chips: int
    written: int
    uploaded: int = 0


@dataclass(frozen=True)
class _Chip:
    """A chip to export: its row in the table, and its column and line in the scene's pixels."""

    row: int
    id: str
    scene: Scene
    col: int
    line: int

    @property
    def transform(self) -> tuple[float, ...]:
        """The six affine coefficients of the chip."""
        return window_transform(self.scene.transform, self.col, self.line)


def export(
    collection: Collection,
    folder: Path,
    *,
    format: str = "png",
    chips: Sequence[str] = (),
    drive: Drive | None = None,
    progress: OnProgress = silent,
) -> ChipFiles:
    """Write chips as files, with `manifest.csv` and `manifest.geojson`.

    Pictures are as displayed: red, green and blue with the scene's stretch.  A GeoTIFF is
    georeferenced itself; PNG and JPEG come with a world file and a `.prj` file.  After an
    interruption the same call writes only what is missing.

    Args:
        collection: The collection.
        folder: Destination; created if it does not exist.
        format: Key of `FORMATS`.
        chips: Chip ids; empty for all chips.
        drive: Drive folder to upload the files to as well.
        progress: Called for each chip; may cancel.

    Raises:
        QueryError: If the format is unknown.
        NotFoundError: If a chip does not exist.
        StorageError: If the disk is full, or the folder cannot be created.
        ServiceError: If Drive refuses the upload.
    """
    _check_format(format)
    selected = _select(collection, chips)
    _make(folder)
    written = 0
    missing = _missing(selected, folder, format)
    for done, (chip, pixels) in enumerate(_read(collection, missing), len(selected) - len(missing)):
        progress(Progress("Writing chips", done, len(selected), "chips", chip.id))
        for name, content in _files(chip, pixels, format):
            with replacing(folder / name) as temporary:
                temporary.write_bytes(content)
        written += 1
    for name, content in _manifest(collection, selected, format):
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
    progress(Progress("Writing chips", len(selected), len(selected), "chips"))
    uploaded = 0
    if drive is not None:
        uploaded = _upload(drive, selected, folder, format, progress)
    return ChipFiles(folder, len(selected), written, uploaded)


def archive(
    collection: Collection, path: Path, *, format: str = "png", progress: OnProgress = silent
) -> int:
    """Write all chips into one ZIP, the same files as `export`; return their number.

    Args:
        collection: The collection.
        path: The ZIP; replaced once it is complete.
        format: Key of `FORMATS`.
        progress: Called for each chip; may cancel.

    Raises:
        QueryError: If the format is unknown, or there are more than `MAX_ZIPPED` chips.
        StorageError: If the disk is full.
    """
    _check_format(format)
    selected = _select(collection, ())
    if len(selected) > MAX_ZIPPED:
        raise QueryError(
            f"A download has at most {MAX_ZIPPED:,} chips; this collection has {len(selected):,}",
            where=collection.name,
            remedy=f"Use `python -m pipeline chips export {collection.name} --to FOLDER`",
        )
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as whole:
        for name, content in _manifest(collection, selected, format):
            whole.writestr(f"{collection.name}/{name}", content, zipfile.ZIP_DEFLATED)
        for done, (chip, pixels) in enumerate(_read(collection, selected)):
            progress(Progress("Writing chips", done, len(selected), "chips", chip.id))
            for name, content in _files(chip, pixels, format):
                whole.writestr(f"{collection.name}/{name}", content)
    progress(Progress("Writing chips", len(selected), len(selected), "chips"))
    return len(selected)


def _check_format(format: str) -> None:
    if format not in FORMATS:
        raise QueryError(
            "Unknown picture format", where=format, remedy=f"Use one of {', '.join(FORMATS)}"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The folder cannot be created ({error.strerror})",
            where=folder,
            remedy="Choose another folder",
        ) from error


def _select(collection: Collection, ids: Sequence[str]) -> list[_Chip]:
    table = collection.chips
    rows = [table.row_of(chip) for chip in ids] if ids else range(len(table))
    return [
        _Chip(row, table.id_of(row), collection.scene_of(row), *table.corner_of(row))
        for row in rows
    ]


def _names(chip: _Chip, format: str) -> list[str]:
    """Names of a chip's files; the picture is written last and marks the chip as complete."""
    picture, world, _ = FORMATS[format]
    beside = [chip.id + world, chip.id + ".prj"] if world else []
    return [*beside, chip.id + picture]


def _missing(chips: Sequence[_Chip], folder: Path, format: str) -> list[_Chip]:
    """Chips whose picture does not exist yet."""
    return [chip for chip in chips if not (folder / _names(chip, format)[-1]).exists()]


def _read(collection: Collection, chips: Sequence[_Chip]) -> Iterator[tuple[_Chip, np.ndarray]]:
    """Chips scene by scene with their pixels, uint8 (256, 256, 3)."""
    ordered = sorted(chips, key=lambda chip: (chip.scene.id, chip.line, chip.col))
    pixels = read_chips(collection, [chip.row for chip in ordered], CHIP)
    yield from zip(ordered, pixels, strict=True)


def _files(chip: _Chip, pixels: np.ndarray, format: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a chip's files, the picture last."""
    for name in _names(chip, format):
        if name.endswith(".prj"):
            yield name, crs_files(chip.scene.crs)[0].encode()
        elif name.endswith("gw"):
            yield name, world_file(chip.transform).encode()
        elif format == "geotiff":
            yield (
                name,
                geotiff.to_bytes(
                    pixels.transpose(2, 0, 1),
                    crs=chip.scene.crs,
                    transform=chip.transform,
                    photometric="RGB",
                ),
            )
        else:
            yield name, encode_image(pixels, format.upper(), quality=92)


def _manifest(
    collection: Collection, chips: Sequence[_Chip], format: str
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the manifests: a table of the chips, and their footprints."""
    table = collection.chips
    rows = [_row(chip, table, format) for chip in chips]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    yield "manifest.csv", text.getvalue().encode()
    features = [
        {"type": "Feature", "geometry": polygon(table.corners[chip.row]), "properties": row}
        for chip, row in zip(chips, rows, strict=True)
    ]
    content = {"type": "FeatureCollection", "features": features}
    yield "manifest.geojson", json.dumps(content).encode()


def _row(chip: _Chip, table: ChipTable, format: str) -> dict[str, Any]:
    lon, lat = table.centres[chip.row]
    scene = chip.scene
    values = (
        _names(chip, format)[-1], chip.id, scene.id, scene.datetime or "",
        round(float(lon), 7), round(float(lat), 7), chip.col, chip.line,
        round(float(table.gsd[chip.row]), 4), scene.crs,
        round(float(table.nodata_percent[chip.row]), 2),
        round(float(table.sharpness[chip.row]), 2), scene.source_url, scene.license,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _upload(
    drive: Drive, chips: Sequence[_Chip], folder: Path, format: str, progress: OnProgress
) -> int:
    names = [name for chip in chips for name in _names(chip, format)]
    names += ["manifest.csv", "manifest.geojson"]
    kinds = {FORMATS[format][0]: FORMATS[format][2], ".csv": "text/csv"}
    parent = drive.make_folder()
    for done, name in enumerate(names):
        progress(Progress("Uploading to Drive", done, len(names), "files", name))
        drive.put(folder / name, parent, kinds.get(Path(name).suffix, "text/plain"))
    progress(Progress("Uploading to Drive", len(names), len(names), "files"))
    return len(names)
