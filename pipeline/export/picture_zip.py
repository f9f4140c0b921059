"""Findings as a ZIP of georeferenced pictures."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path

from pipeline.export.findings import Findings
from pipeline.export.tables import write_csv
from pipeline.export.world_file import crs_files, window_transform, world_file
from pipeline.imagery.render import encode_image
from pipeline.progress import OnProgress, silent


def write(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write a zip: PNG, world file, `.prj` and `.aux.xml` per finding, a table, the provenance.

    A picture has the pixels of its scene; a very large one is reduced.
    """
    table = f"{findings.kind}.csv"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("provenance.json", json.dumps(findings.provenance.to_dict(), indent=1))
        with tempfile.TemporaryDirectory() as folder:
            csv = Path(folder) / table
            write_csv(findings, csv)
            archive.write(csv, table)
        for item, picture in findings.pictures(progress, None):
            prj, aux = crs_files(item.scene.crs)
            col, row, width, _ = item.window
            transform = window_transform(item.scene.transform, col, row, width / len(picture))
            stem = f"{item.rank:04d}-{item.id}"
            archive.writestr(f"{stem}.png", encode_image(picture, "PNG"), zipfile.ZIP_STORED)
            archive.writestr(f"{stem}.pgw", world_file(transform))
            archive.writestr(f"{stem}.prj", prj)
            archive.writestr(f"{stem}.png.aux.xml", aux)
