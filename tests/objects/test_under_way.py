"""Object searches report how far they are, and stop when they are cancelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.collection.library import Library
from pipeline.errors import Cancelled
from pipeline.objects import under_way
from pipeline.objects.find import find
from pipeline.objects.places import Example
from pipeline.progress import Progress
from tests.factories import objects
from tests.factories.objects import PLACES, lonlat


def test_search_is_followed_and_cancelled_in_the_midst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.use_standin(monkeypatch)
    yard = objects.collection(tmp_path, Library(tmp_path / "home"))
    example = Example(*lonlat(yard, PLACES[0]), 32, 32)
    seen: list[Progress] = []

    def follow() -> None:
        with under_way.following("search") as report:

            def and_cancel(step: Progress) -> None:
                report(step)
                assert under_way.progress_of("search") == step
                seen.append(step)
                if step.stage == "Scanning":
                    under_way.cancel("search")

            find([yard], [example], progress=and_cancel)

    with pytest.raises(Cancelled):
        follow()
    assert (seen[-1].unit, seen[-1].done) == ("windows", 0)
    assert seen[-1].total == 62 * 62
    assert under_way.progress_of("search") is None
    steps: list[Progress] = []
    find([yard], [example], progress=steps.append)
    assert (steps[-1].stage, steps[-1].done) == ("Scanning", steps[-1].total)


def test_oldest_searches_are_forgotten() -> None:
    for number in range(under_way.KEPT + 1):
        under_way.cancel(f"other-{number}")
    with under_way.following("other-0") as report:
        report(Progress("Scanning", 0, 1, "windows"))
    for number in range(1, under_way.KEPT + 1):
        with under_way.following(f"other-{number}"):
            pass
