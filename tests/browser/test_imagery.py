"""Earth Engine in the app: sign-in, a drawing over New York, both roads, a search; no account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.driver import (
    App,
    Visit,
    built,
    chromium,
    click_map,
    live,
    ran,
    results,
    serving,
    unfold,
    visit,
)
from tests.browser.test_area import choose_overlap, draw, opened
from tests.loopback.fixtures import MANHATTAN, Google, google
from tests.loopback.google import TOKEN

__all__ = ["chromium", "visit"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    with (
        pytest.MonkeyPatch.context() as patch,
        google(tmp_path_factory.mktemp("google"), patch) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def app(
    server: Google, module_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_WORKERS", "0")
        with serving(module_home, tmp_path_factory.mktemp("imagery") / "log") as running:
            yield running


def new_york(app: App, visit: Visit):
    """The Area page with Earth Engine chosen and a rectangle drawn over the imagery."""
    page = opened(app, visit)
    west, south, east, north = MANHATTAN
    page.evaluate(
        "([w, s, e, n]) => lookalike.map.leaflet().fitBounds([[s, w], [n, e]], {animate: false})",
        [west, south, east, north],
    )
    draw(page, (west + 0.001, south + 0.0005, east - 0.001, north - 0.0005))
    page.get_by_role("combobox", name="Imagery from").click()
    with ran(page):
        page.get_by_role("option", name="Google Earth Engine").click()
    page.get_by_text("Signed in as lookalike@test-project.iam.gserviceaccount.com").wait_for()
    return page


@pytest.mark.parametrize("road", ["Direct from Earth Engine", "Via Google Drive"])
def test_from_a_drawing_over_new_york_to_hits(
    app: App, visit: Visit, server: Google, road: str
) -> None:
    before = len(server.earth.operations)
    page = new_york(app, visit)
    with ran(page):
        page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("Earth Engine answers lookalike@test-project").wait_for()
    if "Drive" in road:
        unfold(page, "Download options")
        choice = page.locator("[class*='st-key-area-ee-road']").get_by_role("combobox")
        choice.press("ArrowDown")
        with ran(page):
            page.get_by_role("option", name=road).click()
    with ran(page):
        page.get_by_role("button", name="Find images").click()
    page.locator(".lk-map img.leaflet-tile-loaded[src*='/maps/']").first.wait_for()
    choose_overlap(page, "None")
    page.locator(".lk-figures", has_text="Download").wait_for()
    title = f"New York {road.split()[-1]}"
    name = page.get_by_label("Name", exact=True)
    with ran(page):
        name.fill(title)
        name.press("Tab")
    expect(name).to_have_value(title)
    page.get_by_role("button", name="Build").click()
    built(page, title).get_by_role("link", name="Search", exact=True).click()
    live(page)
    count = page.evaluate("() => lookalike.store.state.footprints.total")
    assert count > 1
    click_map(page, (MANHATTAN[0] + MANHATTAN[2]) / 2, (MANHATTAN[1] + MANHATTAN[3]) / 2)
    assert results(page)
    exports = len(server.earth.operations) - before
    assert (exports > 0) == (road == "Via Google Drive")


def test_any_asset_can_be_typed_in(app: App, visit: Visit) -> None:
    page = new_york(app, visit)
    box = page.get_by_role("combobox", name="Image collection")
    box.click()
    box.fill("projects/somebody/assets/town")
    with ran(page):
        box.press("Enter")
    with ran(page):
        page.get_by_label("Dates", exact=True).fill("2016")  # whatever else is done, it stays
        page.keyboard.press("Tab")
    expect(box).to_have_value("projects/somebody/assets/town")


def test_no_secret_is_in_the_servers_log_or_home(
    app: App, visit: Visit, server: Google, module_home: Path
) -> None:
    page = new_york(app, visit)
    with ran(page):
        page.get_by_role("button", name="Find images").click()
    assert server.tokens.issued
    written = app.log.read_bytes() + b"".join(
        path.read_bytes()
        for path in module_home.rglob("*")
        if path.is_file() and path.suffix in (".json", ".jsonl", ".log", ".txt")
    )
    assert TOKEN.encode() not in written
    assert b"PRIVATE KEY" not in written
