"""From a drawn area to a search, in real Chromium against the real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pipeline.files import exclusive
from pipeline.jobs.queue import Jobs
from tests.browser.driver import (
    DESKTOP,
    PHONE,
    PIECEMEAL,
    App,
    Visit,
    at_rest,
    build,
    built,
    chromium,
    end_jobs,
    eventually,
    idle,
    linked,
    live,
    ran,
    serving,
    spot,
    unfold,
    visit,
    wait,
)
from tests.factories.rasters import write_raster

__all__ = ["chromium", "visit"]
pytestmark = pytest.mark.browser

#: West, south, east, north over the sample scene of San Francisco Bay: nine chips side by side.
OAKLAND = (-122.35, 37.75, -122.15, 37.90)
READY = "() => document.querySelector('.lk-area[data-state=live]')"
KM2 = "() => document.querySelector('h2.lk-step span')?.textContent.includes('km²')"

#: Notes what the panel shows twice at any moment: its titles, buttons, figures and findings.
TWICE = """() => {
  window.twice = [];
  const words = (part) => (part.matches('h2') ? part.childNodes[1] : part).textContent;
  const look = () => {
    const panel = document.querySelector('.st-key-area-panel');
    const parts = panel.querySelectorAll('h2, dl, button, [role=status]');
    const said = [...parts].map(words).filter(Boolean);
    const again = said.filter((one, place) => said.indexOf(one) !== place);
    if (again.length) twice.push(again.join());
  };
  new MutationObserver(look).observe(
    document.body, { childList: true, subtree: true, characterData: true });
}"""


@pytest.fixture(scope="module")
def app(module_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app with nothing built; it builds in the runner's own process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_WORKERS", "0")
        with serving(module_home, tmp_path_factory.mktemp("area") / "log") as running:
            yield running


@pytest.fixture
def harbour(module_home: Path, tmp_path: Path) -> str:
    """A collection of the nine chips, built where the app's are."""
    from shapely import box, to_geojson

    from pipeline.sources.sample import samples

    area = tmp_path / "harbour.geojson"
    area.write_text(to_geojson(box(*OAKLAND)))
    sample = samples()["san-francisco-bay"].path
    options = ("--title", "Harbour", "--aoi", str(area), "--stride", "256")
    build(module_home, sample, "harbour", *options)
    return "harbour"


def opened(app: App, visit: Visit, **options):
    page = visit(f"{app.url}/area", **options)
    wait(page, READY)
    at_rest(page)
    expect(page.locator(".lk-figures")).to_be_visible()
    return page


def draw(page, bounds: tuple[float, float, float, float] = OAKLAND) -> None:
    """Drag a rectangle over the map."""
    west, south, east, north = bounds
    page.get_by_role("button", name="Draw a rectangle").click()
    (x, y), (right, bottom) = spot(page, west, north), spot(page, east, south)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move((x + right) / 2, (y + bottom) / 2, steps=3)
    page.mouse.move(right, bottom, steps=3)
    page.mouse.up()
    wait(page, KM2)
    at_rest(page)


def figures(page) -> dict[str, str]:
    """The pre-flight's figures."""
    names = page.locator(".lk-figures dt").all_inner_texts()
    return dict(zip(names, page.locator(".lk-figures dd").all_inner_texts(), strict=True))


def choose_overlap(page, name: str) -> None:
    with ran(page):
        page.get_by_role("radio", name=name).click()


def test_an_area_is_drawn_checked_built_and_searched(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    draw(page)
    choose_overlap(page, "None")
    page.locator(".lk-sum", has_text="9 chips").wait_for()

    def as_expected() -> None:
        found = figures(page)
        assert found["Coverage"].startswith("100% of 29")
        assert found["Chips"] == "9"
        assert "rough estimate" in found["Time"]
        assert "free" in found["Disk"]

    eventually(as_expected)
    expect(page.locator(".lk-map .lk-credit")).to_contain_text("Landsat")
    standard = figures(page)["Time"]
    with ran(page):
        page.get_by_role("radio", name="Thorough").click()
    page.get_by_text("finds more of the same, takes about 5.6 times as long").wait_for()
    expect(page.locator(".lk-figures")).not_to_contain_text(standard)
    with ran(page):
        page.get_by_placeholder("San Francisco Bay").fill("Oakland")
        page.keyboard.press("Tab")
    page.get_by_role("button", name="Build").click()
    card = built(page, "Oakland")
    page.reload()
    page.get_by_role("link", name="Area", exact=True).first.click()
    wait(page, KM2)  # what the browser kept is taken in
    at_rest(page)
    expect(page.get_by_role("radio", name="Thorough")).to_be_checked()
    expect(page.get_by_placeholder("San Francisco Bay")).to_have_value("")  # it was for that one
    page.go_back()
    card.get_by_text("9 chips · in").wait_for()
    card.get_by_role("link", name="Search", exact=True).click()
    live(page)
    linked(page, "collection=oakland")
    assert page.evaluate("() => lookalike.store.state.footprints.total") == 9


def test_an_area_is_enlarged_and_only_what_is_new_is_computed(
    app: App, visit: Visit, harbour: str
) -> None:
    page = visit(f"{app.url}/collections?collection={harbour}")
    page.get_by_role("button", name="Add imagery").click()
    page.get_by_text("Adding to Harbour; only new chips are computed").wait_for()
    page.get_by_role("radio", name="None", checked=True).wait_for()
    with ran(page):
        page.get_by_role("radio", name="Text").click()
    west, south, east, north = OAKLAND
    box = f"{west - 0.08}, {south}, {east}, {north}"
    with ran(page):
        page.get_by_label("Bounding box, coordinates or GeoJSON").fill(box)
        page.get_by_role("button", name="Set area", exact=True).click()
    page.locator(".lk-sum", has_text="12 chips").wait_for()
    page.get_by_role("button", name="Build", exact=True).click()
    page.wait_for_url("**/jobs")
    page.get_by_text("12 chips · 3 new").wait_for(timeout=240_000)
    page.get_by_text("Log", exact=True).first.click()
    page.get_by_text("3 new chips, 9 existing").wait_for()


def test_a_drawing_survives_other_pages_and_a_reload(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    draw(page)
    before = page.locator(".lk-sum").inner_text()
    choose_overlap(page, "Three quarters")
    page.get_by_text("finds and locates small objects best").wait_for()
    wait(
        page,
        "(old) => document.querySelector('.lk-sum')?.innerText.split(' chips')[0]"
        " !== old.split(' chips')[0]",
        arg=before,
    )
    chips = page.locator(".lk-sum").inner_text().split(" chips")[0]
    drawn = page.evaluate("() => JSON.stringify(lookalike.outline.geometry())")
    page.get_by_role("link", name="Jobs").first.click()
    page.get_by_role("heading", name="Jobs").wait_for()
    page.get_by_role("link", name="Area").first.click()
    wait(page, KM2)
    for _ in range(2):
        wait(page, READY)
        wait(page, "() => lookalike.outline.geometry()")

        def still_there() -> None:
            now = page.evaluate("() => lookalike.outline.geometry()")
            assert _near(now, json.loads(drawn))

        eventually(still_there)
        page.get_by_role("radio", name="Three quarters", checked=True).wait_for()
        page.reload()
        wait(page, KM2)
    page.locator(".lk-sum", has_text=f"{chips} chips").wait_for()


def test_the_map_stays_where_it_is_when_the_page_runs_anew(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    page.evaluate(
        "() => { window.gone = 0; new MutationObserver((changes) => { for (const { removedNodes }"
        " of changes) for (const node of removedNodes) gone += node.nodeType === 1"
        " && (node.matches('.lk-area') || !!node.querySelector('.lk-area')); })"
        ".observe(document.body, { subtree: true, childList: true }); }"
    )
    draw(page)
    choose_overlap(page, "None")
    assert page.evaluate("() => gone") == 0


def test_what_was_just_drawn_outlives_a_reload_at_once(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    draw(page)
    for _ in range(3):
        drawn = page.evaluate("() => JSON.stringify(lookalike.outline.geometry())")
        page.reload()  # begins a session, which takes in what the browser kept
        wait(page, READY)
        wait(page, KM2)
        at_rest(page)
        now = page.evaluate("() => lookalike.outline.geometry()")
        assert _near(now, json.loads(drawn))
        page.get_by_role("button", name="Use map view").click()


def test_back_leads_off_the_page_whatever_its_map_still_tells(app: App, visit: Visit) -> None:
    page = visit(app.url + "/jobs")
    at_rest(page)
    page.get_by_role("link", name="Area", exact=True).first.click()
    wait(page, READY)
    at_rest(page)
    take = page.get_by_role("button", name="Use map view")
    with ran(page):
        take.evaluate(
            "(button) => { addEventListener('popstate', () => setTimeout(() => button.click()));"
            " history.back(); }"
        )
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    linked(page, "/jobs")


def test_a_name_being_typed_outlives_another_suggestion(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    name = page.get_by_label("Name", exact=True)
    page.locator("[class*='st-key-area-sample']").get_by_role("combobox").press("ArrowDown")
    with ran(page):
        page.get_by_role("option", name="Great Salt Lake").click()
        name.fill("Shore")  # while the server reads the other scene
    expect(name).to_have_attribute("placeholder", "Great Salt Lake")
    expect(name).to_have_value("Shore")
    with ran(page):
        page.keyboard.press("Tab")
    expect(name).to_have_value("Shore")


def test_deleting_the_drawing_means_whole_scenes(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    draw(page)
    page.get_by_role("button", name="Delete the area").click()
    page.get_by_text("whole scenes", exact=True).wait_for()
    assert page.evaluate("() => lookalike.outline.isEmpty()")


def test_a_double_click_on_build_builds_once(app: App, visit: Visit, module_home: Path) -> None:
    page = opened(app, visit)
    draw(page)
    choose_overlap(page, "Three quarters")  # takes longer than it is let
    jobs = Jobs(module_home)
    before = len(jobs.all())
    with exclusive(jobs.root / ".mutex"):  # until then the first click's job is not queued
        page.get_by_role("button", name="Build").click()
        wait(page, "() => document.querySelector('[data-test-script-state=running]')")
        page.get_by_role("button", name="Build").click()
    page.wait_for_url("**/jobs")
    at_rest(page)
    made = len(jobs.all()) - before
    end_jobs(module_home)
    assert made == 1


def test_the_size_follows_a_dragged_corner(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    draw(page)
    before = page.locator(".lk-area-size").inner_text()
    idle(page)
    corner = page.locator(".lk-area .leaflet-edit-resize").nth(1).bounding_box()
    assert corner
    page.mouse.move(corner["x"] + 6, corner["y"] + 6)
    page.mouse.down()
    page.mouse.move(corner["x"] + 60, corner["y"] + 40, steps=4)
    expect(page.locator(".lk-area-size")).not_to_have_text(before)
    page.mouse.up()
    wait(
        page,
        "(before) => { const t = document.querySelector('h2.lk-step span').textContent;"
        " return t.includes('km²') && t !== before; }",
        arg=before,
    )


def test_a_pasted_box_and_a_pasted_nonsense(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    with ran(page):
        page.get_by_role("radio", name="Text").click()
    words = page.get_by_label("Bounding box, coordinates or GeoJSON")
    use = page.get_by_role("button", name="Set area", exact=True)
    for given in ("-122.35, 37.75, -122.15, 37.90", "somewhere nice"):
        with ran(page):
            words.fill(given)
            use.click()
    alert = page.get_by_role("alert").first
    alert.wait_for()
    assert "Traceback" not in page.locator("body").inner_text()
    expect(page.locator("h2.lk-step").first).to_contain_text("km²")
    page.get_by_role("radio", name="Draw").click()
    expect(alert).to_have_count(0)  # of an input that is no longer shown


def test_no_step_is_shown_twice_while_another_grows_or_shrinks(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    page.add_init_script(PIECEMEAL)
    page.reload()
    wait(page, READY)
    at_rest(page)
    page.evaluate(TWICE)
    for way in ("Text", "File", "Draw"):
        with ran(page):
            page.get_by_role("radio", name=way).click()
    draw(page)
    for kind in ("My raster", "Sample scenes"):
        _choose_kind(page, kind)
    assert page.evaluate("() => twice") == []


def test_an_uploaded_outline_that_misses_the_imagery_cannot_be_built(
    app: App, visit: Visit, tmp_path: Path
) -> None:
    spike = [[7.2, 46.1], [7.1, 46.1]]
    ring = [[7.0, 46.0], [7.1, 46.0], [7.1, 46.1], *spike, [7.0, 46.1], [7.0, 46.0]]
    outline = tmp_path / "valley.geojson"
    outline.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    page = opened(app, visit)
    with ran(page):
        page.get_by_role("radio", name="File").click()
    page.locator("[class*='st-key-area-file'] input[type=file]").set_input_files(outline)
    stop = page.locator(".lk-finding.lk-stop")
    expect(stop).to_contain_text("does not touch the area")
    expect(stop).to_contain_text("Draw the area on the imagery")
    told = page.locator(".lk-finding", has_text="crossed itself")  # once, at the outline
    imagery = page.locator("h2.lk-step", has_text="Imagery")
    assert told.bounding_box()["y"] < imagery.bounding_box()["y"]
    expect(page.get_by_role("button", name="Build")).to_be_disabled()


def test_an_uploaded_raster_is_shown_with_its_bands(app: App, visit: Visit, tmp_path: Path) -> None:
    raster = write_raster(tmp_path / "fields.tif", 512, 400)
    page = opened(app, visit)
    _use_raster(page, raster)
    page.locator(".lk-sum", has_text="chips").wait_for()
    wait(
        page,
        "() => [...document.querySelectorAll('.lk-area img.leaflet-tile')]"
        ".some((tile) => tile.src.includes('/api/looks/') && tile.naturalWidth === 256)",
    )
    unfold(page, "Bands and brightness")
    page.get_by_text("Display range: 0–255, as stored").wait_for()
    before = page.locator(".lk-area img.leaflet-tile").first.get_attribute("src")
    page.get_by_role("radio", name="2–98%").click()
    wait(
        page,
        "(before) => ![...document.querySelectorAll('.lk-area img.leaflet-tile')]"
        ".some((tile) => tile.src === before)",
        arg=before,
    )
    page.get_by_text(re.compile("Display range: [1-9].*, ")).wait_for()
    expect(page.get_by_role("button", name="Build")).to_be_enabled()


def test_a_text_file_named_tif_is_refused_in_words(app: App, visit: Visit, tmp_path: Path) -> None:
    fake = tmp_path / "notes.tif"
    fake.write_text("these are only words")
    page = opened(app, visit)
    _use_raster(page, fake)
    page.get_by_text("This is not a raster in a known format").wait_for()
    expect(page.get_by_role("button", name="Build")).to_be_disabled()


def test_an_address_inside_the_network_is_refused(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    _choose_kind(page, "My raster")
    with ran(page):
        page.get_by_role("radio", name="Web address").click()
    for address, words in (
        ("http://169.254.169.254/latest", "https"),
        ("https://127.0.0.1/x.tif", "private"),
        ("/etc/passwd", "not a web address"),
    ):
        page.get_by_label("GeoTIFF URL").fill(address)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text(words)


def test_on_a_phone_the_panel_lies_under_the_map(app: App, visit: Visit) -> None:
    page = opened(app, visit, size=PHONE)
    page.get_by_role("button", name="Use map view").click()
    wait(page, KM2)

    def stacked() -> None:
        map_box = page.locator(".lk-area .lk-map").bounding_box()
        heading = page.locator("h2.lk-step").first.bounding_box()
        button = page.get_by_role("button", name="Build").bounding_box()
        assert map_box
        assert heading
        assert button
        assert map_box["width"] == pytest.approx(390, abs=1)
        assert heading["y"] >= map_box["y"] + map_box["height"]
        assert button["y"] + button["height"] <= 844
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390

    eventually(stacked)


def test_the_map_and_the_panel_fill_the_window(app: App, visit: Visit) -> None:
    page = opened(app, visit, size=DESKTOP)

    def filled() -> None:
        map_box = page.locator(".lk-area .lk-map").bounding_box()
        assert map_box
        assert map_box["y"] + map_box["height"] == pytest.approx(DESKTOP[1], abs=1)
        assert not page.evaluate(
            "() => { const main = document.querySelector('[data-testid=stMain]');"
            " return main.scrollHeight > main.clientHeight + 1; }"
        )

    eventually(filled)


def _near(a: dict, b: dict) -> bool:
    flat = [sorted(map(tuple, one["coordinates"][0])) for one in (a, b)]
    return all(
        abs(x - y) < 1e-4
        for first, second in zip(*flat, strict=True)
        for x, y in zip(first, second, strict=True)
    )


def _choose_kind(page, title: str) -> None:
    page.locator("[class*='st-key-area-kind']").get_by_role("combobox").click()
    with ran(page):
        page.get_by_role("option", name=title).click()


def _use_raster(page, path: Path) -> None:
    _choose_kind(page, "My raster")
    page.locator("[class*='st-key-area-raster'] input[type=file]").set_input_files(path)
