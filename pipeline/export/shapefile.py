"""Findings as a zipped Shapefile, for programs that open nothing newer.

A Shapefile's table is a dBASE file: a name has at most ten characters and a text at most 254 bytes.
Columns with longer names get short ones, longer texts are cut, and the README in the zip says so.
`provenance.json` beside it holds query and parameters whole.
"""

from __future__ import annotations

import errno
import json
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.export.findings import Findings
from pipeline.export.frame import frame_of
from pipeline.progress import OnProgress, silent

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

#: Names of fields that differ from their columns.
SHORT = {"scene_title": "title", "probability": "prob"}
#: Maximum length of a text in bytes of UTF-8.
MOST_BYTES = 254
#: Ends a text that was cut.
CUT = "…"
_SUFFIXES = (".shp", ".shx", ".dbf", ".prj", ".cpg")


def write(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write a zip of `.shp`, `.shx`, `.dbf`, `.prj`, `.cpg`, a README and the provenance.

    Texts are UTF-8, coordinates longitude and latitude (EPSG:4326).

    Raises:
        OSError: If the disk is full.
    """
    frame = frame_of(findings)
    texts = [name for name, (kind, _) in findings.columns.items() if kind is str]
    shortened = [name for name in texts if any(map(_too_long, frame[name]))]
    for name in shortened:
        frame[name] = [cut(text) for text in frame[name]]
    with tempfile.TemporaryDirectory(prefix="lookalike-shapefile-") as folder:
        stem = Path(folder) / findings.noun
        _write_layer(frame.rename(columns=SHORT), stem.with_suffix(".shp"))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for suffix in _SUFFIXES:
                archive.write(stem.with_suffix(suffix), f"{findings.noun}{suffix}")
            archive.writestr("README.txt", _readme(findings, shortened))
            provenance = json.dumps(findings.provenance.to_dict(), ensure_ascii=False, indent=1)
            archive.writestr("provenance.json", provenance)


def cut(text: str) -> str:
    """A text of at most `MOST_BYTES` bytes; one that was cut ends in `CUT`."""
    if not _too_long(text):
        return text
    room = MOST_BYTES - len(CUT.encode())
    return text.encode()[:room].decode(errors="ignore") + CUT


def _too_long(text: str) -> bool:
    return len(text.encode()) > MOST_BYTES


def _write_layer(frame: GeoDataFrame, path: Path) -> None:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        pyogrio.write_dataframe(frame, path, driver="ESRI Shapefile", encoding="UTF-8")
        written = len(pyogrio.read_dataframe(path))
    except (DataLayerError, DataSourceError) as error:
        # Everything is written by us to a new folder, so what fails is the disk.
        raise OSError(errno.ENOSPC, "No space left on device") from error
    if written != len(frame):
        raise OSError(errno.ENOSPC, "No space left on device")


def _readme(findings: Findings, shortened: Iterable[str]) -> str:
    about = findings.provenance
    fields = [
        f"{SHORT.get(name, name):<11}{words}" + (f" (column {name})" if name in SHORT else "")
        for name, (_, words) in findings.columns.items()
    ]
    names = ", ".join(SHORT.get(name, name) for name in shortened)
    note = (
        f"Texts of more than {MOST_BYTES} bytes were cut and end in {CUT}: {names}."
        if names
        else "No text was cut."
    )
    return "\n".join(
        [
            f"{len(findings.items)} {findings.noun} of {about.query} in {about.title}",
            f"{about.software}, {about.created}",
            "",
            "Longitude and latitude, EPSG:4326; texts are UTF-8.",
            f"A Shapefile's field names have at most ten characters. {note}",
            "provenance.json holds the origin, the query and its parameters whole.",
            "",
            "Fields",
            *fields,
            "",
        ]
    )
