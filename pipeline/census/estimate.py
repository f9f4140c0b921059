"""The estimators of a census: totals, districts, recall and precision, from all rounds.

*Total.*  What a recalibrated detector expects in all units, plus the Horvitz-Thompson estimate of
what it is wrong by (the difference estimator: Särndal, Swensson and Wretman, Model Assisted Survey
Sampling, 1992, chapter 6).  The detector is recalibrated from judged units in five folds, and what
a unit is expected to hold comes from the other folds (cross-fitting, as in Zrnic and Candès, PNAS
121, 2024), so that judgements do not praise themselves.

*Rounds.*  A round draws from the units that no round before judged; those are known.  Given the
rounds before, its estimate is unbiased, so errors of rounds are uncorrelated, and rounds are
averaged, each with the number of units it had judged times the number judged until its end as its
weight.  The weights do not depend on what was found.

*Unknown units* (cannot tell, or handed out and not answered) count as expected in the estimate.
The low end of the interval takes them for empty; the high end gives each twice what is expected
there, rounded up, and one at least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.census.design import Design
from pipeline.census.interval import Unseen, share_interval, total_interval
from pipeline.census.round_total import RoundTotal, round_total


@dataclass(frozen=True, eq=False)
class Answers:
    """What is known of each unit.

    Attributes:
        counts: float (n,), NaN where it is not known.
        answered: bool (n,), whether somebody judged it, "cannot tell" included.
        matched: float (n,), things of the list that are right, NaN where it is not known.
        noise: float (n,), variance of a single reviewer's count, where two judged; NaN elsewhere.
        double: float, share of units that a second reviewer judges.
        lean: float, how far the reviewers' totals lie from their mean, as a share of it.
    """

    counts: np.ndarray
    answered: np.ndarray
    matched: np.ndarray
    noise: np.ndarray | None = None
    double: float = 0.0
    lean: float = 0.0


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class RoundEstimate:
    """The estimate of one round.

    Attributes:
        drawn: Units of its sample.
        share: Its weight in the average.
        total: Its own total.
    """

    drawn: int
    share: float
    total: Interval


@dataclass(frozen=True, eq=False)
class Estimate:
    """What all rounds say.

    Attributes:
        total: Things in the area.
        variance: Of the total; what unknown units add is not in it.
        districts: The same of each district.
        recall: Share of all things that the list has, or None while nothing is known.
        precision: Share of the list that is right, or None.
        rounds: The rounds.
        seen: Things seen in judged units.
        used: Units judged that count; the others wait for units that were handed out before them.
        unknown: Units of the samples that count and are unknown.
        missed: Things seen in units of which scores show next to nothing.
        expected: float (n,), things expected in each unit.
        exact: Whether every unit is known.
    """

    total: Interval
    variance: float
    districts: tuple[Interval, ...]
    recall: Interval | None
    precision: Interval | None
    rounds: tuple[RoundEstimate, ...]
    seen: float
    used: int
    unknown: int
    missed: float
    expected: np.ndarray
    exact: bool


def estimate(
    rounds: Sequence[Design], answers: Answers, districts: Sequence[np.ndarray] = ()
) -> Estimate | None:
    """What the judged units say of all.

    Args:
        rounds: The designs, in the order of the rounds.
        answers: What is known.
        districts: For each, bool (n,), the units that lie in it.

    Returns:
        The estimate; None while nobody judged a unit of a sample.
    """
    middle = _averaged(rounds, answers)
    if middle is None:
        return None
    parts, shares, whole = middle
    known = np.isfinite(answers.counts)
    touched = known.copy()
    for part in parts:
        touched[part.sampled] = True
    unknown = touched & ~known
    ends = [whole, whole]
    if unknown.any():
        most = np.maximum(1.0, np.ceil(2 * whole.expected))
        ends = [
            _filled(parts, shares, whole, unknown, values)
            for values in (np.zeros(len(known)), most)
        ]
    seen_by_unit = np.where(known, answers.counts, 0.0)
    noise = _noise(answers, whole)
    judged = int(known.sum())

    def interval(inside: np.ndarray, weight: float, spread: float) -> Interval:
        seen = float(seen_by_unit[inside].sum())
        found = []
        for end in ends:
            total = float(end.totals[inside].sum())
            variance = max(float(end.variances[inside].sum()), spread)
            more = noise * float(inside.mean()) + (answers.lean * total) ** 2
            found.append(_ends(whole, inside, total, variance, seen, weight, judged, more))
        # Nothing was seen anywhere: what a model expects is no estimate.
        middle = max(float(whole.totals[inside].sum()), seen) if seen_by_unit.any() else 0.0
        return Interval(middle, min(found[0][0], middle), max(found[1][1], middle))

    everything = np.ones(len(known), bool)
    total = interval(everything, whole.weight, 0.0)
    areas = tuple(interval(*_of_district(inside, whole, known)) for inside in districts)
    recall, precision = _list_quality(rounds, parts, shares, answers, total)
    return Estimate(
        total=total,
        variance=float(whole.variances.sum()),
        districts=areas,
        recall=recall,
        precision=precision,
        rounds=tuple(
            RoundEstimate(part.drawn, share, _alone(part, seen_by_unit, judged))
            for part, share in zip(parts, shares, strict=True)
        ),
        seen=float(seen_by_unit.sum()),
        used=int((touched & answers.answered).sum()),
        unknown=int(unknown.sum()),
        missed=float(whole.missed.sum()),
        expected=whole.expected,
        exact=bool(known.all()) and noise == 0 and answers.lean == 0,
    )


def _averaged(
    rounds: Sequence[Design], answers: Answers
) -> tuple[list[RoundTotal], np.ndarray, RoundTotal] | None:
    """The rounds that have a sample, their shares, and their average."""
    parts = []
    for number, each in enumerate(rounds):
        answered = answers.answered
        if number + 1 < len(rounds):
            # What a later round had judged is no part of this round's sample.
            answered = answered.copy()
            answered[rounds[number + 1].order] = False
        if (part := round_total(each, answers.counts, answered)) is not None:
            parts.append(part)
    if not parts:
        return None
    # A later round knows the units of those before: it rests on all that were judged until its end.
    drawn = np.array([part.drawn for part in parts], float)
    worth = drawn * np.cumsum(drawn)
    shares = worth / worth.sum() if worth.any() else np.full(len(parts), 1 / len(parts))

    def mean(values: list[np.ndarray], by: np.ndarray) -> np.ndarray:
        return np.tensordot(by, np.stack(values), axes=1)

    whole = replace(
        parts[-1],
        totals=mean([part.totals for part in parts], shares),
        variances=mean([part.variances for part in parts], shares**2),
        hidden=mean([part.hidden for part in parts], shares),
        hidden_variances=mean([part.hidden_variances for part in parts], shares**2),
        missed=np.max([part.missed for part in parts], axis=0),
        expected=mean([part.expected for part in parts], shares),
        weights=mean([part.weights for part in parts], shares),
        weight=float(shares @ [part.weight for part in parts]),
        scored_weight=float(shares @ [part.scored_weight for part in parts]),
        floor_weight=float(shares @ [part.floor_weight for part in parts]),
        wrong=float(shares @ [part.wrong for part in parts]),
    )
    return parts, shares, whole


def _filled(
    parts: Sequence[RoundTotal],
    shares: np.ndarray,
    whole: RoundTotal,
    unknown: np.ndarray,
    values: np.ndarray,
) -> RoundTotal:
    """The average if unknown units held so many things; what is expected elsewhere stays."""
    totals, variances = whole.totals.copy(), whole.variances.copy()
    for part, share in zip(parts, shares, strict=True):
        at = unknown[part.sampled]
        units, chances = part.sampled[at], part.chances[at]
        wrong = values[units] - part.expected[units]
        totals[units] += share * wrong / chances
        variances[units] += share**2 * wrong**2 * (1 - chances) / chances**2
    return replace(whole, totals=totals, variances=variances)


def _noise(answers: Answers, whole: RoundTotal) -> float:
    """Variance of the total from reviewers who count the same unit differently.

    The sampling variance holds what differs in the sample; that of all units comes on top (Särndal
    et al., chapter 16).
    """
    if answers.noise is None or not answers.double:
        return 0.0
    given = np.isfinite(answers.noise)
    return float((answers.noise[given] * whole.weights[given]).sum() / answers.double)


def _of_district(
    inside: np.ndarray, whole: RoundTotal, known: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """A district, the weight of one more thing in it, and the least variance of its total.

    Where few units of a district are judged, their spread says little; that of all units by what is
    expected in the district is then the least.
    """
    judged, units = int((inside & known).sum()), int(inside.sum())
    weight = (units - judged) / judged if judged else float(units)
    left = inside & ~known
    return (
        inside,
        min(weight, whole.weight) if judged else weight,
        float(whole.wrong * whole.expected[left].sum()),
    )


def _list_quality(
    rounds: Sequence[Design],
    parts: Sequence[RoundTotal],
    shares: np.ndarray,
    answers: Answers,
    whole: Interval,
) -> tuple[Interval | None, Interval | None]:
    """Recall and precision of the list: ratio estimates, their variances by linearisation.

    The recall is no higher at its low end than if the total were at its high end.
    """
    total = whole.estimate
    listed = rounds[-1].listed
    long = float(listed.sum())
    known = np.isfinite(answers.matched) & np.isfinite(answers.counts)
    matched = np.where(known, answers.matched, 0.0)
    counts = np.where(known, answers.counts, 0.0)
    right = variance = both = 0.0
    for part, share in zip(parts, shares, strict=True):
        weights = np.where(known, part.weights, 0.0)
        judged = float(weights @ listed)
        precise = float(weights @ matched) / judged if judged else 0.0
        right += share * precise * long
        off = (matched - precise * listed)[part.sampled] * known[part.sampled]
        spread = (1 - part.chances) / part.chances**2
        variance += share**2 * float(off**2 @ spread)
        held = right / total if total else 0.0
        off = off - held * ((counts - part.expected)[part.sampled] * known[part.sampled])
        both += share**2 * float(off**2 @ spread)
    precision = recall = None
    if long and (tried := float(listed[known].sum())):
        share = min(right / long, 1.0)
        precision = Interval(share, *share_interval(share, variance / long**2, tried))
    if total > 0 and (seen := float(counts.sum())):
        share = min(right / total, 1.0)
        low, high = share_interval(share, both / total**2, seen)
        recall = Interval(share, min(low, right / whole.high), high)
    return recall, precision


def _alone(part: RoundTotal, seen: np.ndarray, judged: int) -> Interval:
    everything = np.ones(len(seen), bool)
    total, own = float(part.totals.sum()), float(seen[part.weights > 0].sum())
    variance = float(part.variances.sum())
    low, high = _ends(part, everything, total, variance, own, part.weight, judged)
    return Interval(max(total, own), low, high)


def _ends(
    part: RoundTotal,
    inside: np.ndarray,
    total: float,
    variance: float,
    seen: float,
    weight: float,
    judged: int,
    noise: float = 0.0,
) -> tuple[int, int]:
    """The interval of a total: what units with scores and what floor units hide."""
    unseen = max(total - seen, 0.0)
    hidden = min(max(float(part.hidden[inside].sum()), 0.0), unseen)
    of_hidden = float(part.hidden_variances[inside].sum())
    # Of a district, as if what the scores miss were spread over all floor units.
    here = float(part.floor_left[inside].sum()) / max(float(part.floor_left.sum()), 1.0)
    return total_interval(
        seen,
        Unseen(unseen - hidden, max(variance - of_hidden, 0.0), min(part.scored_weight, weight)),
        Unseen(hidden, of_hidden, here * part.floor_weight),
        weight,
        judged,
        missed=bool(part.missed[inside].any()),
        noise=noise,
    )
