"""COCO JSON as https://cocodataset.org/#format-data defines it for object detection."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import shapely

from pipeline.errors import QueryError
from pipeline.export.formats import export
from tests.export.test_objects import BOXES, CORNERS, findings_of, made, objects

__all__ = ["made", "objects"]


def checked(path: Path) -> dict:
    """The document, every rule of the format asserted."""
    document = json.loads(path.read_text("utf-8"))
    assert set(document) == {"info", "licenses", "images", "annotations", "categories"}
    info = document["info"]
    for key in ("description", "url", "version", "contributor", "date_created"):
        assert isinstance(info[key], str)
    assert isinstance(info["year"], int)
    ids = {}
    for part in ("licenses", "images", "annotations", "categories"):
        numbers = [entry["id"] for entry in document[part]]
        assert all(isinstance(number, int) and number > 0 for number in numbers)
        ids[part] = set(numbers)
        assert len(ids[part]) == len(numbers) > 0
    for licence in document["licenses"]:
        assert isinstance(licence["name"], str)
        assert isinstance(licence["url"], str)
    for category in document["categories"]:
        assert category["name"]
        assert isinstance(category["supercategory"], str)
    sizes = {}
    for image in document["images"]:
        assert image["license"] in ids["licenses"]
        assert "/" not in image["file_name"]
        sizes[image["id"]] = image["width"], image["height"]
        assert all(isinstance(side, int) and side > 0 for side in sizes[image["id"]])
    for one in document["annotations"]:
        assert one["image_id"] in ids["images"]
        assert one["category_id"] in ids["categories"]
        assert one["iscrowd"] == 0
        left, upper, width, height = one["bbox"]
        across, down = sizes[one["image_id"]]
        assert 0 <= left < left + width <= across
        assert 0 <= upper < upper + height <= down
        assert 0 < one["area"] <= width * height * 1.01
        for ring in one["segmentation"]:
            assert len(ring) >= 6
            assert len(ring) % 2 == 0
            assert all(left - 0.01 <= x <= left + width + 0.01 for x in ring[::2])
            assert all(upper - 0.01 <= y <= upper + height + 0.01 for y in ring[1::2])
    return document


def test_good_marks_become_boxes_and_outlines_in_pixels(made, objects, tmp_path):
    found = findings_of(made, objects, name="aircraft")
    document = checked(export(found, "coco", tmp_path / "planes"))
    (scene,) = made.scenes.values()
    (image,) = document["images"]
    assert image["file_name"] == Path(scene.path).name
    assert (image["width"], image["height"]) == (640, 640)
    assert [category["name"] for category in document["categories"]] == ["aircraft"]
    outlined, boxed = document["annotations"]
    (ring,) = outlined["segmentation"]
    drawn = shapely.Polygon(list(zip(ring[::2], ring[1::2], strict=True)))
    assert drawn.symmetric_difference(shapely.Polygon(CORNERS)).area < 2
    assert outlined["area"] == pytest.approx(drawn.area, abs=1)
    assert outlined["bbox"] == pytest.approx([90, 100, 35, 40], abs=0.1)
    col, row, width, height = BOXES[1]
    assert boxed["bbox"] == pytest.approx([col - width / 2, row - height / 2, width, height])
    assert boxed["segmentation"] == []


def test_its_origin_and_licence_are_told(made, objects, tmp_path):
    document = checked(export(findings_of(made, objects), "coco", tmp_path / "x"))
    assert [licence["name"] for licence in document["licenses"]] == ["CC-BY 4.0 Somebody"]
    assert document["info"]["provenance"]["collection"] == "bay"
    assert document["categories"][0]["name"] == "object"
    assert "bad" not in document["info"]["note"]


def test_bad_marks_are_a_second_category_if_asked(made, objects, tmp_path):
    found = findings_of(made, objects, name="aircraft")
    document = checked(export(found, "coco-all", tmp_path / "x"))
    assert [one["name"] for one in document["categories"]] == ["aircraft", "not aircraft"]
    assert [one["category_id"] for one in document["annotations"]] == [1, 1, 2]
    assert "Category 2 holds what was marked bad" in document["info"]["note"]
    # It reaches over the scene's edge at column 640, and its box ends there.
    assert document["annotations"][2]["bbox"] == pytest.approx([588, 268, 52, 64])


def test_without_good_marks_there_is_nothing_to_train_with(made, objects, tmp_path):
    unmarked = [replace(one, mark="bad") for one in objects]
    with pytest.raises(QueryError, match="No object is marked good"):
        export(findings_of(made, unmarked), "coco-all", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
