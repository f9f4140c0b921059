"""The stop rule: reached when nearly all are seen, hardly ever before."""

from __future__ import annotations

import numpy as np

from pipeline.census.stop import stop_rule
from tests.census.populations import UNITS, detected, drawn

COUNTS = np.random.default_rng(4).poisson(0.1, UNITS).astype(float)


def seen(number: int, seed: int) -> tuple[bool, float]:
    """Whether the rule is reached, and the share of units with things that were judged."""
    made = drawn(detected(COUNTS), seed)
    known = np.full(UNITS, np.nan)
    known[made.order[:number]] = COUNTS[made.order[:number]]
    recall = (np.nan_to_num(known) > 0).sum() / (COUNTS > 0).sum()
    return stop_rule(made, number, known).reached, float(recall)


def test_all_units_judged_reaches_it() -> None:
    assert seen(UNITS, 0) == (True, 1.0)


def test_few_units_do_not() -> None:
    assert not any(seen(40, seed)[0] for seed in range(40))


def test_it_is_reached_before_the_end_and_seldom_too_early() -> None:
    found = [seen(390, seed) for seed in range(80)]
    assert any(reached for reached, _ in found)
    early = [reached for reached, recall in found if recall < 0.95]
    assert sum(early) <= 0.1 * len(found)
