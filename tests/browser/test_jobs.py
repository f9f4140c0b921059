"""The Jobs page, in real Chromium against the real server, with jobs in every state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pipeline.build.request import BuildRequest
from pipeline.dates import now
from pipeline.jobs.job import CANCELLED, DONE, FAILED, Job
from pipeline.jobs.queue import Jobs
from tests.browser.driver import PHONE, App, Visit, chromium, end_jobs, serving, visit

__all__ = ["chromium", "visit"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(module_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app with nothing in it."""
    with serving(module_home, tmp_path_factory.mktemp("jobs") / "log") as running:
        yield running


@pytest.fixture
def jobs(module_home: Path) -> Iterator[Jobs]:
    """The app's jobs, none; those that a test makes are forgotten after it."""
    jobs = Jobs(module_home)
    yield jobs
    end_jobs(module_home)
    for job in jobs.all():
        jobs.remove(job.id)


def ended(jobs: Jobs, name: str, state: str, **facts: object) -> Job:
    """A job that has ended as told."""
    job = jobs.submit(BuildRequest(name, title=name.title(), stride=256), start=False)
    job = replace(job, state=state, started=now(), ended=now(), attempts=1, **facts)
    jobs.write(job)
    jobs.tell(job.id, f"{state} in the test")
    return job


def card(page, title: str):
    return page.locator("[class*='st-key-job-2']", has=page.get_by_role("heading", name=title))


def test_an_empty_page_says_what_a_job_is_and_leads_on(app: App, visit: Visit, jobs: Jobs) -> None:
    page = visit(f"{app.url}/jobs")
    page.get_by_role("heading", name="No job yet").wait_for()
    page.get_by_role("link", name="Draw an area").click()
    page.get_by_text("Pre-flight").wait_for()


def test_every_state_says_what_happened_and_what_can_be_done(app, jobs, visit) -> None:
    reason = {"block": "fields-1/r0001-c0000", "reason": "A worker ran out of memory", "tries": 3}
    told = {"kind": "X", "what": "1 of 9 blocks could not be made", "where": "", "remedy": "Retry"}
    ended(jobs, "broken", FAILED, error=told, failures=(reason,))
    ended(jobs, "stopped", CANCELLED)
    ended(jobs, "gone", DONE, summary={"chips": 1234, "seconds": 75.0, "left_out": {"area": 5}})
    page = visit(f"{app.url}/jobs")
    page.get_by_text("No jobs running · 3 finished").wait_for()
    broken = card(page, "Broken")
    for words in ("1 of 9 blocks could not be made", "A worker ran out of memory", "3 attempts"):
        expect(broken).to_contain_text(words)
    broken.get_by_role("button", name="Retry failed blocks").wait_for()
    stopped = card(page, "Stopped")
    expect(stopped).to_contain_text("Finished blocks are kept")
    stopped.get_by_role("button", name="Resume").wait_for()
    gone = card(page, "Gone")
    expect(gone).to_contain_text("1\u2009234 chips")
    expect(gone).to_contain_text("The collection was deleted")
    gone.get_by_role("button", name="Remove from list").click()
    page.get_by_text("No jobs running · 2 finished").wait_for()
    stopped.get_by_text("Log").click()
    page.get_by_text("cancelled in the test").wait_for()


def test_the_page_follows_a_job_that_is_resumed_and_fails(app, jobs, visit) -> None:
    ended(jobs, "stopped", CANCELLED)
    page = visit(f"{app.url}/jobs")
    page.get_by_role("button", name="Resume").click()
    # It has no imagery and no collection: it starts, fails by itself, and the page follows.
    page.get_by_role("alert").filter(has_text="no collection of this name").wait_for(
        timeout=120_000
    )
    expect(card(page, "Stopped")).to_contain_text("Failed")
    page.get_by_role("button", name="Resume").wait_for()


def test_a_phone_shows_a_job_without_sideways_scroll(app, jobs, visit) -> None:
    ended(jobs, "a-rather-long-name-of-a-collection-somewhere", CANCELLED)
    page = visit(f"{app.url}/jobs", size=PHONE)
    page.get_by_role("button", name="Resume").wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
