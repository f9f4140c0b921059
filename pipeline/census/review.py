"""Reviewing: units are handed out, answered, put off and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import dates
from pipeline.census.census import Census
from pipeline.census.censuses import Kept
from pipeline.census.judgements import (
    ASKED,
    SKIPPED,
    UNDONE,
    Answer,
    Conflict,
    State,
    note,
)
from pipeline.census.units import Unit
from pipeline.errors import NotFoundError, QueryError
from pipeline.geo import antimeridian
from pipeline.geo.footprint import Georeference

#: Name of a reviewer who gives none.
SOMEBODY = "reviewer"
LONGEST_NAME = 80
#: Things in one unit above which an answer is taken for a slip.
MOST_THINGS = 10_000
#: Units handed out at a time.
MOST_ASKED = 1_000
#: Pixels beyond a unit's edge that a click may lie: the edge itself is drawn this wide.
_EDGE = 1.0


@dataclass(frozen=True)
class Handed:
    """Units to judge.

    Attributes:
        units: The units.
        left: Units that nobody judged yet, these included.
    """

    units: tuple[Unit, ...]
    left: int


def hand_out(kept: Kept, count: int, reviewer: str = SOMEBODY) -> Handed:
    """The next units for a reviewer, who keeps them for half an hour.

    First those that the reviewer has in hand, then second reviews that are due, then new ones in
    the order of the design; two reviewers get different ones, unless a second review is due.

    Raises:
        QueryError: If the count or the name is out of range.
        NotFoundError: If the collection lost the scene of a unit.
    """
    reviewer = checked_name(reviewer)
    if not 1 <= count <= MOST_ASKED:
        raise QueryError(
            f"n must be between 1 and {MOST_ASKED:,}", where=count, remedy="For instance 10"
        )
    journal = kept.judgements
    with journal.lock():
        state = journal.state()
        chosen = _chosen(kept.census, state, count, reviewer)
        units = tuple(kept.census.units[kept.census.rows[unit]] for unit in chosen)
        for unit in units:
            _check_shown(kept, unit)
        if chosen:
            journal.append([note(ASKED, reviewer, chosen)])
    return Handed(units, len(kept.census.units) - len(state.answers))


def answer(
    kept: Kept,
    given: Mapping[str, Any],
    reviewer: str = SOMEBODY,
    *,
    seconds: Mapping[str, float] | None = None,
    key: str = "",
) -> int:
    """Keep a reviewer's answers, all or none; returns their number.

    Args:
        kept: The census.
        given: For each unit a whole number, None for "cannot tell", or (longitude, latitude) of
            each thing.
        reviewer: Who answers.
        seconds: How long each took.
        key: Of the request: the same one sent again counts once.

    Raises:
        QueryError: If a unit was never asked, or an answer is negative, absurd or none.
        Conflict: If somebody answered already.
    """
    reviewer = checked_name(reviewer)
    if not given:
        raise QueryError("There is no answer", remedy='For instance {"3f2a91c07b": 2}')
    census, journal = kept.census, kept.judgements
    with journal.lock():
        state = journal.state()
        if key and key in state.keys:
            return len(given)
        now, lines = dates.now(), []
        for unit, value in given.items():
            _check_asked(census, state, unit, reviewer)
            count, points = _read(census, unit, value)
            took = (seconds or {}).get(unit, 0.0)
            spent = round(took, 1) if 0 < took < 1e6 else None
            made = Answer(unit, reviewer, count, now, points, census.latest.number, spent)
            lines.append({**made.to_line(), **({"key": key} if key else {})})
        journal.append(lines)
    return len(lines)


def undo(kept: Kept, reviewer: str = SOMEBODY, unit: str = "") -> Answer:
    """Take back a reviewer's last answer, or that of a unit, which is in hand again.

    Raises:
        NotFoundError: If there is no answer of this reviewer.
    """
    reviewer = checked_name(reviewer)
    journal = kept.judgements
    with journal.lock():
        mine = [
            each
            for each in journal.state().order
            if each.reviewer == reviewer and unit in ("", each.unit)
        ]
        if not mine:
            raise NotFoundError(
                "This reviewer has no answer to take back",
                where=f"{reviewer} {unit}".strip()[:80],
                remedy="Only who gave an answer takes it back: name that reviewer",
            )
        journal.append([note(UNDONE, reviewer, [mine[-1].unit])])
    return mine[-1]


def skip(kept: Kept, unit: str, reviewer: str = SOMEBODY) -> None:
    """Put a unit off: it comes again after the others that the reviewer has in hand.

    Raises:
        QueryError: If the reviewer does not have it in hand.
    """
    reviewer = checked_name(reviewer)
    journal = kept.judgements
    with journal.lock():
        state = journal.state()
        if unit not in state.in_hand(reviewer):
            raise QueryError(
                "This unit is not in hand", where=unit[:40], remedy="Ask for the next units first"
            )
        journal.append([note(SKIPPED, reviewer, [unit])])


def checked_name(reviewer: str) -> str:
    """The name of a reviewer.

    Raises:
        QueryError: If it is none.
    """
    name = " ".join(reviewer.split()) or SOMEBODY
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise QueryError(
            f"A reviewer's name is printable text of at most {LONGEST_NAME} characters",
            where=repr(name[:40]),
            remedy="Give a shorter name without control characters",
        )
    return name


def _chosen(census: Census, state: State, count: int, reviewer: str) -> list[str]:
    hand = state.in_hand(reviewer)
    # What another reviewer answered meanwhile, because it was kept too long, is settled.
    hand = [unit for unit in hand if _open_to(census, state, unit, reviewer)]
    chosen = dict.fromkeys(hand[:count])
    held = state.held_by_others(reviewer)
    for unit in state.answers:
        if len(chosen) == count:
            break
        if unit in census.rows and unit not in held and _open_to(census, state, unit, reviewer):
            chosen[unit] = None
    for row in census.designs[-1].order:
        if len(chosen) == count:
            break
        unit = census.units[int(row)].id
        if unit not in state.answers and unit not in held:
            chosen[unit] = None
    return list(chosen)


def _open_to(census: Census, state: State, unit: str, reviewer: str) -> bool:
    """Whether a reviewer may judge a unit: nobody did, or the second review is due."""
    given = state.answers.get(unit, [])
    if any(each.reviewer == reviewer for each in given):
        return False
    return not given or (len(given) == 1 and unit in census.judged_twice)


def _check_asked(census: Census, state: State, unit: str, reviewer: str) -> None:
    if unit not in census.rows:
        raise QueryError(
            "This census has no such unit",
            where=unit[:40],
            remedy="Answer the units that `census next` hands out",
        )
    if not _open_to(census, state, unit, reviewer):
        given = state.answers[unit]
        own = [each for each in given if each.reviewer == reviewer]
        first = (own or given)[0]
        told = "cannot tell" if first.count is None else str(first.count)
        who = "You answered" if own else f"{first.reviewer} answered"
        raise Conflict(
            f"{who} this unit already" if own else f"{who} this unit",
            where=f"{unit}: {told}, by {first.reviewer} at {first.time}",
            remedy="Take that answer back first (`census undo`), then answer again"
            if own
            else "Only a second review, if the census has one, is judged by two",
        )
    if unit not in state.ever.get(reviewer, set()):
        raise QueryError(
            "This unit was never asked of this reviewer",
            where=f"{unit}, {reviewer}",
            remedy="Answer the units that `census next` hands out: others are no random sample",
        )


def _read(
    census: Census, unit: str, value: Any
) -> tuple[int | None, tuple[tuple[float, float], ...] | None]:
    """The count and the points of an answer.

    Raises:
        QueryError: If it is none.
    """
    if value is None:
        return None, None
    if isinstance(value, (list, tuple)):
        points = _points(census, unit, value)
        value = len(points)
    else:
        points = None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise _no_answer(unit, value)
    if value < 0:
        raise QueryError(
            "A unit cannot hold fewer than 0 things",
            where=f"{unit}: {str(value)[:40]}",
            remedy="Answer 0 for none, or null if you cannot tell",
        )
    if value > MOST_THINGS:
        raise QueryError(
            f"More than {MOST_THINGS:,} things in one unit are taken for a slip",
            where=f"{unit}: {str(value)[:40]}",
            remedy="Check the number, or start a census with smaller units",
        )
    return value, points


def _points(census: Census, unit: str, value: Sequence[Any]) -> tuple[tuple[float, float], ...]:
    import shapely

    try:
        points = np.array([[float(lon), float(lat)] for lon, lat in value]).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise _no_answer(unit, value) from error
    if not (np.isfinite(points).all() and (np.abs(points) <= (540, 90)).all()):
        raise _no_answer(unit, value)
    row = census.units[census.rows[unit]]
    scene = next(each for each in census.scenes if each.id == row.scene_id)
    place = Georeference(scene.crs, scene.transform)
    middle = float(place.lonlat(scene.width / 2, scene.height / 2)[0])
    cols, rows = place.pixels(antimeridian.wrap_longitude(points[:, 0], middle), points[:, 1])
    off = shapely.distance(shapely.points(cols, rows), row.outline) > _EDGE
    if off.any():
        lon, lat = points[np.flatnonzero(off)[0]]
        raise QueryError(
            "A thing lies outside its unit",
            where=f"{unit}: {lon:.6f}, {lat:.6f}",
            remedy="Only things whose centres lie within the border count",
        )
    return tuple((round(float(lon), 7), round(float(lat), 7)) for lon, lat in points)


def _check_shown(kept: Kept, unit: Unit) -> None:
    if unit.scene_id not in kept.collection.manifest.scenes:
        raise NotFoundError(
            "The collection lost the scene of the next unit, so that it cannot be shown",
            where=unit.scene_id,
            remedy="Add the scene again, or start another census; what was judged is kept, and "
            "`census report` tells the total at the start",
        )


def _no_answer(unit: str, value: Any) -> QueryError:
    return QueryError(
        "This is no answer",
        where=f"{unit}: {str(value)[:40]}",
        remedy="Give a whole number, null for cannot tell, or a list of [longitude, latitude]",
    )
