"""Findings as a ZIP of chip pictures, each a PNG that a GIS puts in its place."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.export.findings import Finding, Findings
from pipeline.export.tables import write_csv
from pipeline.imagery.render import encode_image
from pipeline.progress import OnProgress, silent

if TYPE_CHECKING:
    from pipeline.imagery.scene import Scene


def write(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """PNG + world file + .prj + .aux.xml a finding, a table of them all, and the provenance."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("provenance.json", json.dumps(findings.provenance.to_dict(), indent=1))
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "chips.csv"
            write_csv(findings, table)
            archive.write(table, "chips.csv")
        for item, picture in findings.pictures(progress):
            stem = f"{item.rank:04d}-{item.hit.id}"
            archive.writestr(f"{stem}.png", encode_image(picture, "PNG"), zipfile.ZIP_STORED)
            scene = findings.scene_of(item)
            archive.writestr(f"{stem}.pgw", world_file(findings, item))
            prj, aux = references(scene)
            archive.writestr(f"{stem}.prj", prj)
            archive.writestr(f"{stem}.png.aux.xml", aux)


def world_file(findings: Findings, item: Finding) -> str:
    """The six lines that place a chip's pixels in its scene's CRS.

    A world file names the centre of the upper left pixel, an affine transform its corner.
    """
    a, b, c, d, e, f = findings.scene_of(item).transform[:6]
    left, top = findings.collection.chips.corner_of(item.hit.row)
    col, row = left + 0.5, top + 0.5
    x, y = a * col + b * row + c, d * col + e * row + f
    return "".join(f"{value!r}\n" for value in (a, d, b, e, float(x), float(y)))


def references(scene: Scene) -> tuple[str, str]:
    """A scene's CRS as a .prj file (ESRI WKT 1) and as GDAL's .aux.xml, which QGIS reads."""
    from xml.sax.saxutils import escape

    from pyproj import CRS
    from pyproj.enums import WktVersion

    crs = CRS.from_user_input(scene.crs)
    aux = f"<PAMDataset>\n  <SRS>{escape(crs.to_wkt())}</SRS>\n</PAMDataset>\n"
    return crs.to_wkt(WktVersion.WKT1_ESRI), aux
