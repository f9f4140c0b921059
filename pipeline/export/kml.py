"""Findings as KMZ: outlines with embedded pictures for Google Earth."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pipeline.export.findings import Finding, Findings
from pipeline.export.style import RAMP, colour_class, pop_up
from pipeline.geo.polygons import polygons_of
from pipeline.imagery.render import encode_image
from pipeline.progress import OnProgress, silent

if TYPE_CHECKING:
    from shapely import LinearRing


def write(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write a zip of `doc.kml`, a JPEG per finding, and the provenance."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doc.kml", document(findings))
        archive.writestr("provenance.json", json.dumps(findings.provenance.to_dict(), indent=1))
        for item, picture in findings.pictures(progress):
            archive.writestr(picture_name(item), encode_image(picture, "JPEG"), zipfile.ZIP_STORED)


def document(findings: Findings) -> bytes:
    """The KML document in UTF-8."""
    about = findings.provenance
    root = ElementTree.Element("kml", xmlns="http://www.opengis.net/kml/2.2")
    top = ElementTree.SubElement(root, "Document")
    _text(top, "name", f"{findings.noun.capitalize()} in {about.title}")
    _text(top, "description", f"Similar to {about.query}. {about.software}, {about.created}.")
    for number, colour in enumerate(RAMP):
        style = ElementTree.SubElement(top, "Style", id=f"c{number}")
        line = ElementTree.SubElement(style, "LineStyle")
        _text(line, "color", f"ff{colour[5:7]}{colour[3:5]}{colour[1:3]}")
        _text(line, "width", "2")
        fill = ElementTree.SubElement(style, "PolyStyle")
        _text(fill, "color", f"33{colour[5:7]}{colour[3:5]}{colour[1:3]}")
    for item in findings.items:
        _placemark(top, findings, item)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def picture_name(item: Finding) -> str:
    """Path of a finding's picture inside the archive."""
    return f"pictures/{item.rank:04d}-{item.id}.jpg"


def _placemark(parent: ElementTree.Element, findings: Findings, item: Finding) -> None:
    mark = ElementTree.SubElement(parent, "Placemark", id=f"f{item.rank}")
    _text(mark, "name", f"#{item.rank}")
    _text(mark, "description", pop_up(item, picture_name(item), 256))
    _text(mark, "styleUrl", f"#c{colour_class(findings, item)}")
    if date := item.values["date"]:
        _text(ElementTree.SubElement(mark, "TimeStamp"), "when", date)
    extended = ElementTree.SubElement(mark, "ExtendedData")
    for name, value in item.values.items():
        _text(
            ElementTree.SubElement(extended, "Data", name=name),
            "value",
            "" if value is None else str(value),
        )
    shapes = ElementTree.SubElement(mark, "MultiGeometry")
    if item.geometry.geom_type == "Point":
        _coordinates(ElementTree.SubElement(shapes, "Point"), item.geometry.coords)
    for polygon in polygons_of(item.geometry):
        shape = ElementTree.SubElement(shapes, "Polygon")
        _ring(ElementTree.SubElement(shape, "outerBoundaryIs"), polygon.exterior)
        for hole in polygon.interiors:
            _ring(ElementTree.SubElement(shape, "innerBoundaryIs"), hole)


def _ring(parent: ElementTree.Element, ring: LinearRing) -> None:
    _coordinates(ElementTree.SubElement(parent, "LinearRing"), ring.coords)


def _coordinates(parent: ElementTree.Element, points: Iterable[tuple[float, float]]) -> None:
    _text(parent, "coordinates", " ".join(f"{x:.7f},{y:.7f}" for x, y in points))


def _text(parent: ElementTree.Element, tag: str, text: str) -> None:
    # XML forbids control characters, escaped ones too.
    ElementTree.SubElement(parent, tag).text = "".join(
        character for character in text if character.isprintable() or character in "\n\t"
    )
