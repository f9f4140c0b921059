"""Marked objects as COCO JSON, to train another network with.

The format is that of Lin et al., Microsoft COCO: common objects in context, ECCV 2014, as
https://cocodataset.org/#format-data describes it for object detection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pipeline.dates import now
from pipeline.errors import QueryError
from pipeline.export.findings import Finding, Findings
from pipeline.geo.polygons import polygons_of
from pipeline.objects.objects import outline_in_pixels
from pipeline.progress import OnProgress, silent

if TYPE_CHECKING:
    from shapely.geometry import Polygon

    from pipeline.imagery.scene import Scene

GOOD, BAD = 1, 2
_NOTE = (
    "Boxes and outlines are in pixels of the scene files, from the upper left corner. An object "
    "without an outline has an empty segmentation. An image shows all objects that were marked in "
    "it, not all that there are."
)
_WITH_BAD = " Category 2 holds what was marked bad: things that look alike but are not meant."


def write(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write the objects marked good, with the scenes that they lie in.

    Raises:
        QueryError: If none is marked good.
    """
    _write(findings, path, ("good",))


def write_with_bad(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """As `write`, and the objects marked bad as a second category.

    Raises:
        QueryError: If none is marked good.
    """
    _write(findings, path, ("good", "bad"))


def _write(findings: Findings, path: Path, marks: Sequence[str]) -> None:
    if not any(item.values["mark"] == "good" for item in findings.items):
        raise QueryError(
            "No object is marked good", remedy="Mark some objects as good, then export"
        )
    marked = [item for item in findings.items if item.values["mark"] in marks]
    path.write_text(json.dumps(document(findings, marked), ensure_ascii=False) + "\n", "utf-8")


def document(findings: Findings, marked: Sequence[Finding]) -> dict[str, Any]:
    """The COCO document of marked findings.

    Args:
        findings: Whose provenance and name it states.
        marked: Those marked good or bad.
    """
    name = findings.name or "object"
    categories = [{"id": GOOD, "name": name, "supercategory": "object"}]
    bad = any(item.values["mark"] == "bad" for item in marked)
    if bad:
        categories.append({"id": BAD, "name": f"not {name}", "supercategory": "object"})
    images = {item.scene.path: item.scene for item in marked}
    licences = sorted({scene.license for scene in images.values()})
    image_ids = {path: number for number, path in enumerate(images, 1)}
    return {
        "info": _info(findings, _NOTE + (_WITH_BAD if bad else "")),
        "licenses": [
            {"id": number, "name": name or "unknown", "url": ""}
            for number, name in enumerate(licences, 1)
        ],
        "images": [
            _image(scene, image_ids[path], licences.index(scene.license) + 1)
            for path, scene in images.items()
        ],
        "annotations": [
            _annotation(item, number, image_ids[item.scene.path])
            for number, item in enumerate(marked, 1)
        ],
        "categories": categories,
    }


def _info(findings: Findings, note: str) -> dict[str, Any]:
    about, created = findings.provenance, now()
    return {
        "description": f"Objects marked in {about.title}: {about.query}",
        "url": "",
        "version": about.version,
        "year": int(created[:4]),
        "contributor": about.software,
        "date_created": created,
        "note": note,
        "provenance": about.to_dict(),
    }


def _image(scene: Scene, number: int, licence: int) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": PurePosixPath(scene.path).name,
        "width": scene.width,
        "height": scene.height,
        "license": licence,
        "date_captured": scene.datetime or "",
        "coco_url": scene.source_url,
        "flickr_url": "",
        "scene": scene.id,
        "gsd_m": round(scene.gsd, 4),
    }


def _annotation(item: Finding, number: int, image: int) -> dict[str, Any]:
    import shapely

    found, scene = item.object, item.scene
    assert found is not None
    whole = shapely.box(0, 0, scene.width, scene.height)
    outline = outline_in_pixels(found, scene)
    shape = (outline or shapely.box(*found.box)).intersection(whole)
    left, upper, right, lower = shape.bounds
    return {
        "id": number,
        "image_id": image,
        "category_id": BAD if item.values["mark"] == "bad" else GOOD,
        "bbox": [round(value, 2) for value in (left, upper, right - left, lower - upper)],
        "area": round(float(shape.area), 2),
        "segmentation": [_ring(part) for part in polygons_of(shape)] if outline else [],
        "iscrowd": 0,
        "object": found.id,
        "score": item.score,
    }


def _ring(polygon: Polygon) -> list[float]:
    """x1, y1, x2, y2, … of the exterior, which COCO does not close; it knows no holes."""
    return [round(value, 2) for point in list(polygon.exterior.coords)[:-1] for value in point[:2]]
