"""Marks of object searches over REST."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from pipeline.collection import marks as mark_sets
from pipeline.collection.collection import Collection
from pipeline.collection.marks import Judgement
from pipeline.errors import QueryError
from pipeline.objects import labels
from pipeline.objects.marks import of_examples
from pipeline.web.bodies import Body, body_up_to, read, request_body
from pipeline.web.dependencies import Opened, Person
from pipeline.web.responses import Answer

router = APIRouter(prefix="/api/collections/{name}", tags=["Objects"])

SetId = Annotated[str, Path(alias="set", description="Id of a set of marks.")]


#: Who judges.
Author = Annotated[
    str,
    Field(
        max_length=mark_sets.LONGEST_AUTHOR,
        description="Who judges; the signed-in person where there is one.",
    ),
]
#: A number, which may be a whole one, but neither text nor true.
Plain = Annotated[float, Field(strict=True)]


class MarkBody(Body):
    """One judgement."""

    model_config = ConfigDict(strict=False, extra="forbid")

    key: str = Field(max_length=64, description="Made by the client, unique in the set.")
    lon: Plain
    lat: Plain
    width_m: Plain = 0
    height_m: Plain = 0
    label: Literal["good", "bad", "skip", ""] = Field(description="Empty to undo.")
    scene_id: str = Field(default="", max_length=200)
    time: str = Field(default="", max_length=40, description="ISO 8601; by default now.")
    author: Author = ""


class MarksBody(Body):
    """Judgements to add to a set, in order."""

    marks: list[MarkBody] = Field(max_length=1_000)


class MarksAnswer(Answer):
    """A set of marks."""

    count: int = Field(description="Number of things that are marked.")
    good: int
    bad: int
    marks: list[dict[str, Any]] = Field(
        description="The marks that are shown, in order: the last on each thing."
    )
    others: list[dict[str, Any]] = Field(
        description="What other authors last judged of these things, in order."
    )
    missing: list[str] = Field(description="Ids of marked chips and scenes that are gone.")
    notes: list[str] = Field(default=[], description="What to know of a label file.")

    @classmethod
    def of(cls, collection: Collection, every: tuple[mark_sets.Mark, ...]) -> MarksAnswer:
        """Of all marks of a set."""
        held = mark_sets.present(every)
        shown = {mark.key for mark in held}
        labels = [mark.label for mark in held]
        stand = mark_sets.standing_marks(every)
        return cls(
            count=len(held),
            good=labels.count("good"),
            bad=labels.count("bad"),
            marks=[dict(vars(mark)) for mark in held],
            others=[dict(vars(mark)) for mark in stand if mark.key not in shown],
            missing=mark_sets.missing(collection, held),
        )


class JudgementAnswer(Answer):
    """The last mark of one author on one result."""

    id: str = Field(description="Id of the chip or object.")
    mark: Literal["good", "bad", "skip"]
    author: str = Field(description="Empty if nobody knows.")
    time: str = Field(description="ISO 8601; empty if nobody knows.")

    @classmethod
    def all(cls, judgements: Iterable[Judgement]) -> list[JudgementAnswer]:
        """Of judgements, in their order."""
        return [
            cls.model_validate(
                {"id": each.id, "mark": each.label, "author": each.author, "time": each.time}
            )
            for each in judgements
        ]


@router.put(
    "/object-marks/{set}", summary="Add marks to a set", openapi_extra=request_body(MarksBody)
)
def add_marks(
    collection: Opened,
    person: Person,
    set_id: SetId,
    body: Annotated[MarksBody, Depends(read(MarksBody))],
) -> MarksAnswer:
    """Kept in the order given; a mark that is sent again counts once.

    Nobody replaces the marks of another: the last of each author stands, and the later is shown.
    """
    given = [
        mark_sets.Mark.from_dict({**dict(mark), "author": person or mark.author})
        for mark in body.marks
    ]
    return MarksAnswer.of(collection, mark_sets.append(collection, set_id, given))


@router.get("/object-marks/{set}", summary="Get a set of marks")
def get_marks(collection: Opened, set_id: SetId) -> MarksAnswer:
    """The marks that are shown, and those of others on the same things."""
    return MarksAnswer.of(collection, mark_sets.read(collection, set_id))


@router.post("/object-marks/{set}/labels", summary="Add the labels of a file to a set of marks")
async def add_labels(
    collection: Opened,
    person: Person,
    set_id: SetId,
    request: Request,
    file: Annotated[str, Query(max_length=200, description="Name of the file: its kind.")],
    author: Annotated[
        str,
        Query(
            max_length=mark_sets.LONGEST_AUTHOR,
            description="Whose labels they are; the signed-in person where there is one.",
        ),
    ] = "",
) -> MarksAnswer:
    """The body is a vector file; a file that is sent again counts once."""
    large = QueryError(
        f"A label file has at most {labels.MAX_BYTES >> 20} MB",
        where=file[:80],
        remedy="Keep the labels of the scenes that you search",
    )
    content = await body_up_to(request, labels.MAX_BYTES, large)
    who = mark_sets.author_of(person or author)
    return await run_in_threadpool(_keep_labels, collection, set_id, content, file, who)


def _keep_labels(
    collection: Collection, set_id: str, content: bytes, name: str, author: str
) -> MarksAnswer:
    notes: list[str] = []
    examples = labels.parse_labels(content, name, notes.append)
    labels.check_examples(examples, name)
    given = of_examples(examples, hashlib.sha256(content).hexdigest()[:16], author)
    answer = MarksAnswer.of(collection, mark_sets.append(collection, set_id, given))
    return answer.model_copy(update={"notes": notes})
