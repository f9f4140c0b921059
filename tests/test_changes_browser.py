"""The Changes page in Chromium: a pond that came between two dates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import App, Visit, build, chromium, serving, visit
from tests.rasters import ground, write

__all__ = ["chromium", "visit"]
pytestmark = pytest.mark.browser
READY = (
    "() => window.lookalikeChanges?.map.leaflet() && "
    "lookalikeChanges.store.state.footprints && !lookalikeChanges.store.state.busy"
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
    page.get_by_role("heading", name="Click a thing on the map").wait_for()
    page.wait_for_function(READY)
    corner = page.evaluate("() => Array.from(lookalikeChanges.store.state.footprints.centres)")
    (lon, lat) = corner[16:18]  # the ninth of nine chips of either date
    page.evaluate("([lon, lat]) => lookalikeChanges.actions.pick(lon, lat)", [lon, lat])
    card = page.locator("[data-kind=appeared] .lk-pair")
    card.first.wait_for()
    assert page.locator("[data-kind=disappeared] .lk-pair").count() == 0
    page.get_by_role("button", name="2009-08-18").click()
    card.first.click()
    assert page.evaluate("() => lookalikeChanges.store.state.pictured") == "2016-08-16"
    assert page.get_by_role("button", name="2016-08-16").get_attribute("aria-pressed") == "true"
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    assert saved.value.suggested_filename == "field_2009-08-18_2016-08-16.geojson"
    page.goto(page.url)
    card.first.wait_for()
    before = page.locator(".lk-field", has_text="Before").locator("select")
    before.select_option("2016-08-16")
    page.wait_for_function(READY)
    assert before.input_value() == "2009-08-18"  # with two days there is no other choice
