"""Chips as files: pictures that a GIS puts in their place, with a manifest of them all."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.collection.chip_pictures import read_chips
from pipeline.errors import QueryError
from pipeline.export.chip_zip import references
from pipeline.export.tables import safe_cell
from pipeline.files import replacing
from pipeline.geo.footprint import polygon
from pipeline.imagery import geotiff
from pipeline.imagery.render import encode_image
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    import numpy as np

    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.sources.google.files import Drive

SIDE = 256
MOST_ZIPPED = 20_000  # chips of one ZIP; more are for `export`, which resumes
#: Suffix of the picture, suffix of its world file, media type.
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
    """What an export made.

    Attributes:
        folder: Where the files are.
        chips: Chips in the manifest.
        written: Chips written by this run; the others were there before.
        uploaded: Files brought to Drive.
    """

    folder: Path
    chips: int
    written: int
    uploaded: int = 0


@dataclass(frozen=True)
class _Chip:
    row: int
    id: str
    scene: Scene
    col: int
    line: int

    @property
    def transform(self) -> tuple[float, ...]:
        """Six affine coefficients of the chip's upper left corner."""
        a, b, c, d, e, f = self.scene.transform[:6]
        return (
            a, b, a * self.col + b * self.line + c,
            d, e, d * self.col + e * self.line + f,
        )  # fmt: skip


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

    Pictures show what the collection shows: red, green and blue after the scene's stretch.  A
    GeoTIFF chip carries its place itself, PNG and JPEG have a world file and a `.prj` beside them.
    The same call after an interruption writes only what is missing.

    Args:
        collection: Whose chips.
        folder: Where to; made if new.
        format: Key of `FORMATS`.
        chips: Ids, or empty for all.
        drive: Upload everything to this Drive folder as well.
        progress: Told the chips; may cancel.

    Raises:
        QueryError: If there is no such format.
        NotFoundError: If there is no such chip.
        StorageError: If the disk is full.
        ServiceError: If Drive refuses.
    """
    _check_format(format)
    wanted = _wanted(collection, chips)
    written = 0
    for done, (chip, pixels) in enumerate(_read(collection, _missing(wanted, folder, format))):
        progress(Progress("Writing chips", done, len(wanted), "chips", chip.id))
        for name, content in _files(chip, pixels, format):
            with replacing(folder / name) as temporary:
                temporary.write_bytes(content)
        written += 1
    for name, content in _manifest(collection, wanted, format):
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
    progress(Progress("Writing chips", len(wanted), len(wanted), "chips"))
    uploaded = 0
    if drive is not None:
        uploaded = _upload(drive, wanted, folder, format, progress)
    return ChipFiles(folder, len(wanted), written, uploaded)


def archive(
    collection: Collection, path: Path, *, format: str = "png", progress: OnProgress = silent
) -> int:
    """Write all chips into one ZIP, with the same files as `export`; returns how many.

    Args:
        collection: Whose chips.
        path: The ZIP; replaced when whole.
        format: Key of `FORMATS`.
        progress: Told the chips; may cancel.

    Raises:
        QueryError: If there is no such format, or there are more chips than `MOST_ZIPPED`.
        StorageError: If the disk is full.
    """
    _check_format(format)
    wanted = _wanted(collection, ())
    if len(wanted) > MOST_ZIPPED:
        raise QueryError(
            f"{len(wanted)} chips are more than one download may have ({MOST_ZIPPED})",
            where=collection.name,
            remedy=f"Use `python -m pipeline chips export {collection.name} --to FOLDER`",
        )
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as whole:
        for name, content in _manifest(collection, wanted, format):
            whole.writestr(f"{collection.name}/{name}", content, zipfile.ZIP_DEFLATED)
        for done, (chip, pixels) in enumerate(_read(collection, wanted)):
            progress(Progress("Writing chips", done, len(wanted), "chips", chip.id))
            for name, content in _files(chip, pixels, format):
                whole.writestr(f"{collection.name}/{name}", content)
    progress(Progress("Writing chips", len(wanted), len(wanted), "chips"))
    return len(wanted)


def _check_format(format: str) -> None:
    if format not in FORMATS:
        raise QueryError(
            "There is no such picture format", where=format, remedy=f"One of {', '.join(FORMATS)}"
        )


def _wanted(collection: Collection, ids: Sequence[str]) -> list[_Chip]:
    table = collection.chips
    rows = [table.row_of(chip) for chip in ids] if ids else range(len(table))
    return [
        _Chip(row, table.id_of(row), collection.scene_of(row), *table.corner_of(row))
        for row in rows
    ]


def _names(chip: _Chip, format: str) -> list[str]:
    """Files of a chip; the picture comes last, so that where it is the others are."""
    picture, world, _ = FORMATS[format]
    beside = [chip.id + world, chip.id + ".prj"] if world else []
    return [*beside, chip.id + picture]


def _missing(wanted: Sequence[_Chip], folder: Path, format: str) -> list[_Chip]:
    """Chips whose picture is not there yet."""
    return [chip for chip in wanted if not (folder / _names(chip, format)[-1]).exists()]


def _read(collection: Collection, wanted: Sequence[_Chip]) -> Iterator[tuple[_Chip, np.ndarray]]:
    """Chips, scene by scene, with their pixels uint8 (256, 256, 3)."""
    left = sorted(wanted, key=lambda chip: (chip.scene.id, chip.line, chip.col))
    yield from zip(left, read_chips(collection, [chip.row for chip in left], SIDE), strict=True)


def _files(chip: _Chip, pixels: np.ndarray, format: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files of a chip, the picture last."""
    for name in _names(chip, format):
        if name.endswith(".prj"):
            yield name, references(chip.scene)[0].encode()
        elif name.endswith("gw"):
            yield name, _world(chip.transform).encode()
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


def _world(transform: Sequence[float]) -> str:
    """The six lines of a world file, which names the centre of the upper left pixel."""
    a, b, c, d, e, f = transform
    centre = (c + (a + b) / 2, f + (d + e) / 2)
    return "".join(f"{float(value)!r}\n" for value in (a, d, b, e, *centre))


def _manifest(
    collection: Collection, wanted: Sequence[_Chip], format: str
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the table of all chips and of their footprints."""
    table = collection.chips
    rows = [_described(chip, table, format) for chip in wanted]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    yield "manifest.csv", text.getvalue().encode()
    features = [
        {"type": "Feature", "geometry": polygon(table.corners[chip.row]), "properties": row}
        for chip, row in zip(wanted, rows, strict=True)
    ]
    content = {"type": "FeatureCollection", "features": features}
    yield "manifest.geojson", json.dumps(content).encode()


def _described(chip: _Chip, table: Any, format: str) -> dict[str, Any]:
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
    drive: Drive, wanted: Sequence[_Chip], folder: Path, format: str, progress: OnProgress
) -> int:
    names = [name for chip in wanted for name in _names(chip, format)]
    names += ["manifest.csv", "manifest.geojson"]
    kinds = {FORMATS[format][0]: FORMATS[format][2], ".csv": "text/csv"}
    parent = drive.make_folder()
    for done, name in enumerate(names):
        progress(Progress("Uploading to Drive", done, len(names), "files", name))
        drive.put(folder / name, parent, kinds.get(Path(name).suffix, "text/plain"))
    progress(Progress("Uploading to Drive", len(names), len(names), "files"))
    return len(names)
