"""Checks of saved searches over REST: a random sample, judged blind, and what it estimates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from starlette.responses import Response

from pipeline.objects.saved import ObjectSearches
from pipeline.search.check import Checked, CheckStore, drawn, judge, size_choices
from pipeline.search.estimates import half_width
from pipeline.search.saved import Searches
from pipeline.web.bodies import Body, read, request_body
from pipeline.web.dependencies import Opened, Person
from pipeline.web.object_marks import Author, JudgementAnswer
from pipeline.web.responses import Answer, GeoJson

router = APIRouter(
    prefix="/api/collections/{name}/{kind}/{search}/check", tags=["Checks of saved searches"]
)

SearchId = Annotated[str, Path(description="Id of the saved search.")]


class EstimateAnswer(Answer):
    """Precision and recall of the hits at or above a score, estimated from the check."""

    threshold: float = Field(description="Minimum score.")
    hits: int = Field(description="Hits at or above it.")
    judged: int = Field(description="Of those, drawn and judged good or bad.")
    unsure: int = Field(description="Of those, drawn, and nobody could tell.")
    good: int = Field(description="Of those, drawn and judged good.")
    precision: float | None = Field(description="Share of good ones, or null if none is judged.")
    low: float = Field(description="Lower end of its exact 95% interval.")
    high: float = Field(description="Upper end of its exact 95% interval.")
    recall: float | None = Field(
        description="Share of the good ones of the list that lie at or above the score, or null if "
        "none below it is judged."
    )
    recall_low: float = Field(description="Lower end of its 95% interval.")
    recall_high: float = Field(description="Upper end of its 95% interval.")


class SizeAnswer(Answer):
    """A sample size to choose."""

    size: int = Field(description="Number of hits to judge.")
    error: float = Field(description="Error of the precision of the whole list, at worst.")


class CheckProgress(Answer):
    """How far a check is."""

    size: int = Field(description="Number of hits drawn; 0 before any is.")
    judged: int = Field(description="Of those, judged so far, in the order they were drawn.")
    left: int = Field(description="Of those, still to judge.")
    population: int = Field(description="Number of hits as they were saved.")

    @staticmethod
    def facts(checked: Checked) -> dict[str, int]:
        """The fields of a check."""
        return {
            "size": checked.check.size if checked.check else 0,
            "judged": len(checked.judged),
            "left": len(checked.next()),
            "population": len(checked.hits),
        }


class CheckAnswer(CheckProgress):
    """The check of a saved search as it stands."""

    created: str | None = Field(description="When it was drawn, ISO 8601.")
    seed: str | None = Field(description="Recomputes the sample, with the strata and the ids.")
    strata: list[int] = Field(description="Number of hits in each stratum, highest scores first.")
    marks: dict[str, str] = Field(
        description="good, bad or skip, by id; where authors disagree, the later."
    )
    judgements: list[JudgementAnswer] = Field(
        description="The last judgement of each author on each hit, in order."
    )
    estimates: list[EstimateAnswer] = Field(description="Highest threshold first.")
    choices: list[SizeAnswer] = Field(description="Sample sizes to choose from.")

    @classmethod
    def of(cls, checked: Checked) -> CheckAnswer:
        """A check."""
        check, population = checked.check, len(checked.hits)
        return cls(
            **cls.facts(checked),
            created=check.created if check else None,
            seed=check.seed if check else None,
            strata=list(check.strata) if check else [],
            marks=check.marks if check else {},
            judgements=JudgementAnswer.all(check.standing if check else ()),
            estimates=[
                EstimateAnswer(**{**asdict(each), "threshold": round(each.threshold, 6)})
                for each in checked.estimates
            ],
            choices=[
                SizeAnswer(size=size, error=round(half_width(size, population), 4))
                for size in size_choices(population)
            ],
        )


class CheckItemAnswer(Answer):
    """A hit to judge; neither its score nor its rank, which would sway the judgement."""

    id: str
    collection: str
    scene_id: str
    geometry: GeoJson
    col: float = Field(description="Centre in pixels of the scene.")
    row: float = Field(description="Centre in pixels of the scene.")
    width: float = Field(description="Size in pixels of the scene.")
    height: float = Field(description="Size in pixels of the scene.")


class DrawBody(Body):
    """How many hits to judge."""

    size: int | None = Field(default=None, description="Number of hits; 50 if left out.", ge=1)
    error: float | None = Field(
        default=None,
        description="Instead of a size: the error wanted for the whole list, such as 0.1.",
        ge=0,
        lt=1,
    )
    seed: str | None = Field(
        default=None,
        description="Draws a known sample; random if left out.",
        pattern="^[0-9a-f]{1,16}$",
    )


class JudgeBody(Body):
    """A judgement of a hit that the check drew."""

    id: str = Field(description="Id of the hit.")
    mark: Literal["good", "bad", "skip"] | None = Field(
        description="skip if nobody can tell; null takes back the author's judgement."
    )
    author: Author = ""


def store_of(
    collection: Opened,
    kind: Annotated[
        Literal["searches", "object-searches"], Path(description="Kind of the saved search.")
    ],
) -> CheckStore:
    """The saved searches of a kind."""
    return Searches(collection) if kind == "searches" else ObjectSearches(collection)


Store = Annotated[CheckStore, Depends(store_of)]


@router.get("", summary="Get the check of a saved search, and what it estimates")
def get_check(store: Store, search: SearchId) -> CheckAnswer:
    """Its progress, and precision and recall at each threshold from its judgements alone."""
    return CheckAnswer.of(store.checked(search))


@router.post("", summary="Draw a check", openapi_extra=request_body(DrawBody))
def draw_check(
    store: Store, search: SearchId, body: Annotated[DrawBody, Depends(read(DrawBody))]
) -> CheckAnswer:
    """Draw a random sample of the hits, or more of them for the check that there is."""

    def change(checked: Checked) -> Any:
        return drawn(checked, body.size, body.error, body.seed)

    return CheckAnswer.of(store.change_check(search, change))


@router.get("/next", summary="Get the hits to judge next")
def get_next_of_check(
    store: Store,
    search: SearchId,
    count: Annotated[int, Query(alias="n", description="How many; 0 for all.", ge=0)] = 0,
) -> list[CheckItemAnswer]:
    """In the order to judge them, without score and rank."""
    ids = store.checked(search).next(count or None)
    return [CheckItemAnswer(**asdict(item)) for item in store.check_items(search, ids)]


@router.post(
    "/judgements", summary="Judge a hit of the check", openapi_extra=request_body(JudgeBody)
)
def judge_hit(
    store: Store,
    search: SearchId,
    person: Person,
    body: Annotated[JudgeBody, Depends(read(JudgeBody))],
) -> CheckProgress:
    """Judge a hit that was drawn, or take a judgement back. The estimate is not told meanwhile.

    Nobody replaces the judgement of another: the last of each author stands, the later counts.
    """

    def change(checked: Checked) -> Any:
        return judge(checked, {body.id: body.mark}, person or body.author)

    return CheckProgress(**CheckProgress.facts(store.change_check(search, change)))


@router.delete("", status_code=204, response_class=Response, summary="Delete a check")
def delete_check(store: Store, search: SearchId) -> None:
    """Delete the sample and its judgements permanently; the next one is drawn anew."""
    store.change_check(search, lambda _: None)
