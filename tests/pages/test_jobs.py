"""What the Jobs page says above its list."""

from __future__ import annotations

import pytest

from pages.ui.jobs.queue import headline
from pipeline.jobs.job import CANCELLING, QUEUED, RUNNING, Job


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([], "No jobs running · 2 finished"),
        ([RUNNING], "1 job running; it continues if you close this page"),
        ([QUEUED], "1 job waiting; it continues if you close this page"),
        ([RUNNING, QUEUED], "1 job running, 1 waiting; they continue if you close this page"),
        ([CANCELLING], "1 job stopping"),
        ([CANCELLING, QUEUED], "1 job stopping, 1 waiting; they continue if you close this page"),
    ],
)
def test_the_headline_counts_jobs_by_what_they_do(states: list[str], words: str) -> None:
    active = [Job(str(n), "bay", "Bay", {}, state=state) for n, state in enumerate(states)]
    assert headline(active, finished=2) == words
