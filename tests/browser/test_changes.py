"""The Changes page in Chromium: a pond that came between two dates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.driver import (
    PHONE,
    App,
    Visit,
    address,
    build,
    chromium,
    click_map,
    linked,
    live,
    results,
    serving,
    state,
    until,
    visit,
    wait,
)
from tests.factories.rasters import ground, write

__all__ = ["chromium", "visit"]
pytestmark = pytest.mark.browser
READY = (
    "() => window.lookalike?.map?.leaflet() && "
    "lookalike.store.state.footprints && !lookalike.store.state.busy"
)


@pytest.fixture(scope="module")
def app(module_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app with one place on two days: a bright pond came in the lower right corner."""
    folder = tmp_path_factory.mktemp("changes")
    fields = ground(768, 768, seed=5)
    flooded = fields.copy()
    for band, level in enumerate((20, 60, 200)):
        flooded[band, 530:750, 530:750] = level
    first = write(folder / "field_20090818.tif", fields)
    second = write(folder / "field_20160816.tif", flooded)
    build(module_home, first, "field", "--scene", str(second), "--stride", "256")
    with serving(module_home, folder / "log") as running:
        yield running


def test_a_pond_that_came_is_found_shown_and_linked(app: App, visit: Visit) -> None:
    page = visit(f"{app.url}/changes")
    page.get_by_role("heading", name="Click something on the map").wait_for()
    wait(page, READY)
    corner = page.evaluate("() => Array.from(lookalike.store.state.footprints.centres)")
    (lon, lat) = corner[16:18]  # the ninth of nine chips of either date
    page.evaluate("([lon, lat]) => lookalike.actions.pick(lon, lat)", [lon, lat])
    card = page.locator("[data-kind=appeared] .lk-pair")
    card.first.wait_for()
    expect(page.locator("[data-kind=disappeared] .lk-pair")).to_have_count(0)
    page.get_by_role("button", name="2009-08-18").click()
    card.first.click()
    wait(page, "() => lookalike.store.state.pictured === '2016-08-16'")
    day = page.get_by_role("button", name="2016-08-16")
    expect(day).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    assert saved.value.suggested_filename == "field_2009-08-18_2016-08-16.geojson"
    page.get_by_label("Any orientation").check()
    linked(page, "turned=1")
    wait(page, READY)
    card.first.wait_for()
    page.goto(address(page))
    card.first.wait_for()
    expect(page.get_by_label("Any orientation")).to_be_checked()
    expect(page.get_by_label("Any scale")).not_to_be_checked()
    before = page.locator(".lk-field", has_text="Before").locator("select")
    before.select_option("2016-08-16")
    wait(page, READY)
    expect(before).to_have_value("2009-08-18")  # with two days there is no other choice


def test_the_visual_map_compares_with_the_chip_of_the_date_clicked(app: App, visit: Visit) -> None:
    page = visit(f"{app.url}/collections?collection=field")
    wait(page, "() => window.lookalike?.store?.state.points && lookalike.store.state.footprints")
    plot = page.locator(".lk-plot")
    plot.scroll_into_view_if_needed()
    place = page.evaluate(
        "() => { const p = lookalike.store.state.points;"
        " const at = p.findIndex((row, k) => k % 4 === 0 && row === 17);"  # the pond's
        " const c = document.querySelector('.lk-plot');"
        " return { x: c.clientWidth / 2 + p[at + 1] * (c.clientWidth / 2 - 18),"
        " y: c.clientHeight / 2 - p[at + 2] * (c.clientHeight / 2 - 18) }; }"
    )
    plot.click(position=place)
    wait(page, "() => lookalike.store.state.like?.row === 17")
    own, other = page.evaluate("() => [17, 8].map((row) => lookalike.store.state.like.scores[row])")
    assert own == pytest.approx(1, abs=0.01)
    assert other < own


def test_a_search_keeps_to_the_dates_and_scenes_chosen(app: App, visit: Visit) -> None:
    page = live(visit(f"{app.url}/search?collection=field&filters=1"))
    west, south, east, north = page.evaluate(
        "() => { const b = lookalike.map.leaflet().getBounds();"
        " return [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()]; }"
    )
    click_map(page, (west + east) / 2, (south + north) / 2)
    results(page)
    eligible = page.locator(".lk-eligible")

    def days() -> set[str]:
        until(page, "s.summary && !s.busy")
        return {hit["datetime"][:10] for hit in state(page, "hits")}

    page.get_by_label("Hide overlaps").uncheck()
    until(page, "s.hits.length === 10 && !s.busy")
    assert days() == {"2009-08-18", "2016-08-16"}
    page.get_by_label("From", exact=True).fill("2012-01-01")
    expect(eligible).to_contain_text("9 of 18 chips eligible")
    assert days() == {"2016-08-16"}
    page.get_by_label("From", exact=True).fill("")
    page.get_by_label("To", exact=True).fill("2009-08-18")  # that day is among them
    expect(eligible).to_contain_text("8 of 18 chips eligible")  # without the query's own
    assert days() == {"2009-08-18"}
    page.get_by_label("From", exact=True).fill("2010-01-01")
    expect(eligible).to_contain_text("0 of 18 chips eligible")
    assert days() == set()
    page.get_by_role("button", name="Clear filters").click()
    expect(eligible).to_contain_text("17 of 18")
    page.get_by_text("All scenes").click()
    page.locator(".lk-choices").get_by_label("field_20090818").uncheck()
    expect(eligible).to_contain_text("9 of 18")
    assert days() == {"2016-08-16"}
    shown = results(page)
    linked(page, "scenes=field-20160816")
    again = live(visit(address(page), size=PHONE))
    assert results(again) == shown
    again.get_by_text("1 of 2 scenes").click()
    box = again.locator(".lk-choices label").nth(1).bounding_box()
    assert box
    assert box["x"] + box["width"] <= 390
