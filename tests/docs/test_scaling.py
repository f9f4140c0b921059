"""The arithmetic of docs/scaling.md, and that the page shows what it prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from docs import scaling_arithmetic as arithmetic
from docs.scaling_arithmetic import Estimate, Inputs


def test_the_page_shows_what_the_script_prints() -> None:
    page = (Path(arithmetic.HERE) / "scaling.md").read_text("utf-8")
    assert arithmetic.table(Inputs()) in page


def test_twice_the_chips_or_half_the_rate_is_twice_the_work() -> None:
    once = Estimate.of(1e8, Inputs())
    for twice in (Estimate.of(2e8, Inputs()), Estimate.of(1e8, replace(Inputs(), rate=10))):
        assert twice.machine_hours == pytest.approx(2 * once.machine_hours)
        assert twice.build_dollars == pytest.approx(2 * once.build_dollars)
    assert once.machines * Inputs().hours >= once.machine_hours


def test_one_worker_for_an_hour_makes_its_rate() -> None:
    alone = Inputs(rate=20, efficiency=1, cores=1, hours=1)
    assert Estimate.of(20 * 3600, alone).machine_hours == pytest.approx(1)
    assert Estimate.of(20 * 3600, alone).machines == 1
