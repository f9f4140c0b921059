"""Findings as a ZIP of georeferenced chip pictures."""

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
    """Write a zip: PNG, world file, `.prj` and `.aux.xml` per finding, a table, the provenance."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("provenance.json", json.dumps(findings.provenance.to_dict(), indent=1))
        with tempfile.TemporaryDirectory() as folder:
            csv = Path(folder) / "chips.csv"
            write_csv(findings, csv)
            archive.write(csv, "chips.csv")
        for item, picture in findings.pictures(progress):
            scene = findings.scene_of(item)
            prj, aux = crs_files(scene.crs)
            corner = findings.collection.chips.corner_of(item.hit.row)
            transform = window_transform(scene.transform, *corner)
            stem = f"{item.rank:04d}-{item.hit.id}"
            archive.writestr(f"{stem}.png", encode_image(picture, "PNG"), zipfile.ZIP_STORED)
            archive.writestr(f"{stem}.pgw", world_file(transform))
            archive.writestr(f"{stem}.prj", prj)
            archive.writestr(f"{stem}.png.aux.xml", aux)
