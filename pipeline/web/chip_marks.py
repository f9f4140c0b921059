"""Marks of chip searches over REST."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from pipeline.collection import marks as mark_sets
from pipeline.collection.collection import Collection
from pipeline.collection.marks import Mark
from pipeline.web.bodies import Body, read, request_body
from pipeline.web.dependencies import Opened, Person
from pipeline.web.object_marks import Author, MarksAnswer, SetId

router = APIRouter(prefix="/api/collections/{name}", tags=["Search"])


class ChipMarkBody(Body):
    """One judgement of a chip."""

    key: str = Field(max_length=64, description="Made by the client, unique in the set.")
    chip: str = Field(min_length=1, max_length=200, description="Id of the chip.")
    label: Literal["good", "bad", ""] = Field(description="Empty to undo.")
    time: str = Field(default="", max_length=40, description="ISO 8601; by default now.")
    author: Author = ""


class ChipMarksBody(Body):
    """Judgements to add to a set, in order."""

    marks: list[ChipMarkBody] = Field(max_length=1_000)


@router.put(
    "/chip-marks/{set}",
    summary="Add marks on chips to a set",
    openapi_extra=request_body(ChipMarksBody),
)
def add_chip_marks(
    collection: Opened,
    person: Person,
    set_id: SetId,
    body: Annotated[ChipMarksBody, Depends(read(ChipMarksBody))],
) -> MarksAnswer:
    """Kept in the order given; a mark that is sent again counts once.

    Nobody replaces the marks of another: the last of each author stands, and the later is shown.
    Marks on chips that are gone are kept, too.
    """
    given = [_mark(collection, person, mark) for mark in body.marks]
    return MarksAnswer.of(collection, mark_sets.append(collection, set_id, given))


@router.get("/chip-marks/{set}", summary="Get a set of marks on chips")
def get_chip_marks(collection: Opened, set_id: SetId) -> MarksAnswer:
    """The marks that are shown, those of others on the same chips, and which chips are gone."""
    return MarksAnswer.of(collection, mark_sets.read(collection, set_id))


def _mark(collection: Collection, person: str, given: ChipMarkBody) -> Mark:
    """A mark as it is kept, with the place of its chip: the chip may be gone one day."""
    table = collection.chips
    row = table.find(given.chip)
    lon, lat = (0.0, 0.0) if row is None else table.corners[row].mean(axis=0).tolist()
    scene = "" if row is None else table.scene_id_of(row)
    fields = {"lon": lon, "lat": lat, "scene_id": scene}
    return Mark.from_dict({**dict(given), **fields, "author": person or given.author})
