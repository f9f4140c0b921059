"""KML documents; entities are refused and links are not followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import AreaError
from pipeline.geo.area_files.features import FORMATS, Feature

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from shapely.geometry.base import BaseGeometry


def read_kml(document: bytes, where: str) -> list[Feature]:
    """Polygons of a KML document; links to other documents are not followed.

    Args:
        document: The file's content, in the encoding that it declares.
        where: The file, for messages.

    Raises:
        AreaError: If it is not KML, declares entities, or holds no polygon.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(document, forbid_dtd=True)
    except DefusedXmlException as error:
        raise AreaError(
            "This KML declares XML entities, which are not allowed",
            where=where,
            remedy="Save it again from the program that made it",
        ) from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise AreaError(
            "This is not valid KML in its declared encoding",
            where=where,
            remedy="Save it again, in UTF-8",
        ) from error
    if _tag(root) != "kml":
        raise AreaError("This XML is not KML", where=where, remedy=f"Upload {FORMATS}")
    features: list[Feature] = []
    others = 0
    for placemark in (element for element in root.iter() if _tag(element) == "Placemark"):
        name = next((child.text or "" for child in placemark if _tag(child) == "name"), "")
        for element in placemark.iter():
            if _tag(element) == "Polygon":
                features.append(Feature(_polygon(element, where), name.strip()))
            others += _tag(element) in ("Point", "LineString")
    if not features:
        linked = any(_tag(element) == "NetworkLink" for element in root.iter())
        content = "only points and lines" if others else "no polygon"
        raise AreaError(
            "This KML only links to another document" if linked else f"This KML has {content}",
            where=where,
            remedy="Save the linked document itself" if linked else "Draw a polygon in it",
        )
    return features


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _polygon(polygon: Element, where: str) -> BaseGeometry:
    import shapely

    shell: list[tuple[float, float]] = []
    holes: list[list[tuple[float, float]]] = []
    for boundary in polygon:
        rings = [item for item in boundary.iter() if _tag(item) == "coordinates"]
        if _tag(boundary) == "outerBoundaryIs" and rings:
            shell = _ring(rings[0].text or "", where)
        elif _tag(boundary) == "innerBoundaryIs":
            holes.extend(_ring(ring.text or "", where) for ring in rings)
    if len(shell) < 3:
        raise AreaError("A polygon in this KML has no outer boundary", where=where)
    return shapely.Polygon(shell, [hole for hole in holes if len(hole) >= 3])


def _ring(text: str, where: str) -> list[tuple[float, float]]:
    try:
        pairs = [item.split(",") for item in text.split()]
        return [(float(pair[0]), float(pair[1])) for pair in pairs]
    except (IndexError, ValueError) as error:
        raise AreaError(
            "A coordinate in this KML is not longitude,latitude", where=where
        ) from error
