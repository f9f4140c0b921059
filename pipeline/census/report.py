"""What a census says now: totals, list quality, what is left to do."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from pipeline.census.agreement import Agreement, agreement, noise_of
from pipeline.census.census import Census
from pipeline.census.censuses import Kept
from pipeline.census.estimate import Answers, Estimate, Interval, estimate
from pipeline.census.interval import CONFIDENCE
from pipeline.census.judgements import Answer, State
from pipeline.census.matching import things_matched
from pipeline.census.round_total import prefix_length
from pipeline.census.stop import Stop, stop_rule

#: A district whose interval is wider than this share of its total on either side is called wide.
WIDE = 0.5
#: Seconds above which a reviewer made a break between two units.
_BREAK = 600
#: Judged units below which an estimate is only a first guess.
_FEW = 30
#: Recall of the list below which it is called poor.
_POOR = 0.7


@dataclass(frozen=True, eq=False)
class Report:
    """What a census says now.

    Attributes:
        census: The census.
        state: Its judgements.
        found: The estimate, or None while nothing is known.
        counts: float (n,), things in each unit, NaN where it is not known.
        judged: Units that somebody judged, "cannot tell" included.
        cannot_tell: Units that nobody could judge.
        waiting: Judged units that do not count yet: units handed out before them are unanswered.
        left: Units to judge until the wanted error is reached, or None while that is unknown.
        seconds_left: The time that takes at this pace, or None.
        agreement: Of two reviewers, or None.
        stop: The stop rule.
        changed: Why the collection is not that of the start, or "".
        notes: What to know, sentences without their full stops.
    """

    census: Census
    state: State
    found: Estimate | None
    counts: np.ndarray
    judged: int
    cannot_tell: int
    waiting: int
    left: int | None
    seconds_left: float | None
    agreement: Agreement | None
    stop: Stop
    changed: str
    notes: tuple[str, ...]

    @property
    def total(self) -> Interval | None:
        """The total with its interval."""
        return self.found.total if self.found else None

    @property
    def text(self) -> str:
        """The total in words."""
        total = self.total
        if total is None:
            return "Nothing is judged yet"
        value, low, high = round(total.estimate), round(total.low), round(total.high)
        if low == high:
            return f"{_spaced(value)}, exactly"
        if value == 0:
            return f"0, at most {_spaced(high)}"
        if abs((high - value) - (value - low)) <= max(1, 0.1 * (high - low)):
            return f"{_spaced(value)} ± {_spaced(math.ceil((high - low) / 2))}"
        return f"{_spaced(value)}, between {_spaced(low)} and {_spaced(high)}"

    def to_dict(self, *, geometry: bool = False) -> dict[str, Any]:
        """JSON form.

        Args:
            geometry: Whether districts have their outlines.
        """
        census, found, total = self.census, self.found, self.total
        half = (total.high - total.low) / 2 / total.estimate if total and total.estimate else None
        return {
            "id": census.id,
            "title": census.title,
            "collection": census.collection,
            "date": census.date,
            "estimate": None if total is None else round(total.estimate, 1),
            "low": None if total is None else round(total.low),
            "high": None if total is None else round(total.high),
            "confidence": CONFIDENCE,
            "text": self.text,
            "exact": bool(found and found.exact),
            "at_most": bool(total and round(total.estimate) == 0 and total.high > 0),
            "half_width": None if half is None else round(half, 4),
            "error": census.error,
            "judged": self.judged,
            "units": len(census.units),
            "cannot_tell": self.cannot_tell,
            "waiting": self.waiting,
            "things_seen": round(float(np.nansum(self.counts)), 1),
            "left": self.left,
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left),
            **_quality("recall", found.recall if found else None),
            **_quality("precision", found.precision if found else None),
            "listed": len(census.latest.expectation.items),
            "threshold": census.latest.threshold,
            "agreement": None if self.agreement is None else {
                "double": self.agreement.double,
                "same": round(self.agreement.same, 4),
                "kappa": None if self.agreement.kappa is None else round(self.agreement.kappa, 4),
                "lean": round(self.agreement.lean, 4),
            },
            "stop": {
                "reached": self.stop.reached,
                "recall": 0.95,
                "confidence": 0.95,
                "p": round(self.stop.p, 5),
                "seen": self.stop.seen,
                "random": self.stop.random,
            },
            "rounds": [
                {
                    "number": each.number,
                    "query": each.query,
                    "judged": len(each.judged),
                    "drawn": 0 if mine is None else mine.drawn,
                    "share": 0.0 if mine is None else round(mine.share, 4),
                    **_ends(None if mine is None else mine.total),
                }
                for each, mine in _by_round(census, found, self.state)
            ],
            "districts": self._districts(geometry),
            "changed": self.changed,
            "notes": list(self.notes),
        }  # fmt: skip

    def _districts(self, geometry: bool) -> list[dict[str, Any]]:
        known = np.isfinite(self.counts)
        made = []
        for number, (each, inside) in enumerate(
            zip(self.census.districts, self.census.insides, strict=True)
        ):
            own = self.found.districts[number] if self.found else None
            wide = own is None or own.high - own.low > 2 * WIDE * own.estimate
            made.append(
                {
                    "name": each.name,
                    **_ends(own),
                    "units": len(each.units),
                    "judged": int((inside & known).sum()),
                    "wide": bool(wide),
                    **({"geometry": each.geometry} if geometry else {}),
                }
            )
        return made


def report(kept: Kept) -> Report:
    """What a census says now.

    Raises:
        DamagedError: If its journal cannot be read.
    """
    return report_of(kept.census, kept.judgements.state(), change_since(kept))


def report_of(census: Census, state: State, changed: str = "") -> Report:
    """What judgements say of a census.

    Args:
        census: The census.
        state: The judgements.
        changed: Why the collection is not that of the start.
    """
    agreed = agreement(state.answers)
    answers = _answers(census, state, agreed)
    found = estimate(census.designs, answers, census.insides)
    judged = int(answers.answered.sum())
    cannot_tell = judged - int(np.isfinite(answers.counts).sum())
    latest = census.designs[-1]
    drawn = prefix_length(latest.order, answers.answered)
    waiting = judged - found.used if found else judged
    left = _left(census, found, judged)
    pace = _pace(state)
    return Report(
        census=census,
        state=state,
        found=found,
        counts=answers.counts,
        judged=judged,
        cannot_tell=cannot_tell,
        waiting=waiting,
        left=left,
        seconds_left=left * pace if left is not None and pace is not None else None,
        agreement=agreed,
        stop=stop_rule(latest, drawn, answers.counts),
        changed=changed,
        notes=_notes(census, found, judged, cannot_tell, waiting),
    )


def change_since(kept: Kept) -> str:
    """Why a census's collection is no longer that of its start, or "".

    The numbers do not depend on it; units of a lost scene cannot be shown.
    """
    census, manifest = kept.census, kept.collection.manifest
    said = []
    lost = [scene.title for scene in census.scenes if scene.id not in manifest.scenes]
    if lost:
        said.append(
            f"the collection lost {', '.join(lost[:4])}: units there cannot be shown, and the "
            "estimate is of the imagery at the start"
        )
    more = len(set(manifest.scenes) - set(census.present))
    if more:
        said.append(
            f"the collection has {more} more {'scene' if more == 1 else 'scenes'} now, which the "
            "census does not count; start another to count them"
        )
    if manifest.name != census.collection:
        said.append(f"the collection is called {manifest.name} now, it was {census.collection}")
    text = "; ".join(said)
    return text[:1].upper() + text[1:]


def _answers(census: Census, state: State, agreed: Agreement | None) -> Answers:
    """The judgements as numbers; of two reviewers, their mean."""
    size = len(census.units)
    counts, noise = np.full(size, np.nan), np.full(size, np.nan)
    answered = np.zeros(size, bool)
    for unit, given in state.answers.items():
        row = census.rows.get(unit)
        if row is None:
            continue
        answered[row] = True
        told = [each.count for each in given if each.count is not None]
        if told:
            counts[row] = float(np.mean(told))
        if unit in census.judged_twice:
            noise[row] = noise_of(given)
    matched = things_matched(census, state, counts)
    lean = agreed.lean if agreed else 0.0
    return Answers(counts, answered, matched, noise, census.double, lean)


def _left(census: Census, found: Estimate | None, judged: int) -> int | None:
    """Units still to judge for the wanted error: half-widths shrink as 1/n - 1/N."""
    if found is None or found.total.estimate <= 0:
        return None
    half = (found.total.high - found.total.low) / 2
    wanted = census.error * found.total.estimate
    if half <= wanted:
        return 0
    units = len(census.units)
    if judged >= units:
        return 0
    ratio = (half / wanted) ** 2
    enough = 1 / (1 / units + (1 / judged - 1 / units) / ratio)
    return max(min(math.ceil(enough), units) - judged, 1)


def _pace(state: State) -> float | None:
    """Median seconds of a unit, or None while it is unknown."""
    given = [each.seconds for each in state.order if each.seconds is not None]
    if not given:
        # Answers that were given together share the time since those before.
        together = Counter((each.reviewer, each.time) for each in state.order)
        last: dict[str, datetime] = {}
        for (reviewer, time), count in together.items():
            when = datetime.fromisoformat(time.replace("Z", "+00:00"))
            if reviewer in last:
                between = (when - last[reviewer]).total_seconds()
                given += [between / count] * count if 0 < between < _BREAK else []
            last[reviewer] = when
    return float(np.median(given)) if given else None


def _notes(
    census: Census, found: Estimate | None, judged: int, cannot_tell: int, waiting: int
) -> tuple[str, ...]:
    notes = [*census.notes, *census.latest.notes]
    if found and not found.exact and judged < _FEW:
        notes.append(f"A first guess: judge at least {_FEW} units before you rely on it")
    if found and found.total.estimate < 0.5 and not found.exact:
        notes.append("Nothing was seen; so many may be there all the same, if no score shows them")
    if found and found.missed and not census.designs[-1].plain:
        notes.append(
            f"The scores miss things: {found.missed:.0f} were seen where they show nothing. Few "
            "such units are judged, so that the interval is wide: begin a round with a better "
            "detector"
        )
    elif found and found.recall and judged >= _FEW and found.recall.estimate < _POOR:
        notes.append(
            "The list misses many things: a lower threshold, or a round with a better detector, "
            "would find more of them"
        )
    if cannot_tell:
        told, them = ("1 unit", "it") if cannot_tell == 1 else (f"{cannot_tell:,} units", "them")
        notes.append(
            f"{told} could not be judged; the interval takes {them} for empty at one end and for "
            "twice what is expected at the other"
        )
    if waiting:
        told = "1 judged unit counts" if waiting == 1 else f"{waiting:,} judged units count"
        notes.append(f"{told} once those handed out before are judged")
    return tuple(notes)


def _by_round(census: Census, found: Estimate | None, state: State) -> list[tuple[Any, Any]]:
    made = list(found.rounds) if found else []
    # A round without a sample has no estimate; only the last can be one.
    return [
        (_RoundFacts(each.number, each.query, _answers_of(state, each.number)),
         made[number] if number < len(made) else None)
        for number, each in enumerate(census.rounds)
    ]  # fmt: skip


@dataclass(frozen=True)
class _RoundFacts:
    number: int
    query: str
    judged: tuple[Answer, ...]


def _answers_of(state: State, number: int) -> tuple[Answer, ...]:
    units: dict[str, Answer] = {}
    for each in state.order:
        if each.round == number:
            units.setdefault(each.unit, each)
    return tuple(units.values())


def _quality(name: str, value: Interval | None) -> dict[str, Any]:
    ends = (None, None, None) if value is None else (value.estimate, value.low, value.high)
    return {
        key: None if end is None else round(end, 4)
        for key, end in zip((name, f"{name}_low", f"{name}_high"), ends, strict=True)
    }


def _ends(value: Interval | None) -> dict[str, Any]:
    if value is None:
        return {"estimate": None, "low": None, "high": None}
    return {
        "estimate": round(value.estimate, 1),
        "low": round(value.low),
        "high": round(value.high),
    }


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", "\u2009")
