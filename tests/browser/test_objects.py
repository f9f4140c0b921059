"""From one object to all of them, in real Chromium: click, judge, keep, apply, export."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import geopandas
import numpy as np
import pytest
import rasterio
from PIL import Image
from playwright.sync_api import Page, Route, expect

from pipeline.collection.library import Library
from tests.browser.driver import (
    DESKTOP,
    PHONE,
    POND,
    PONDS,
    App,
    Visit,
    address,
    built,
    chromium,
    click_map,
    idle,
    ponds,
    serving,
    spot,
    state,
    until,
    visit,
    wait,
)

__all__ = ["chromium", "visit"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(module_home: Path, ponds_home: Path) -> Path:
    """A home with `ponds` and the same imagery as `lakes`."""
    shutil.copytree(ponds_home, module_home, dirs_exist_ok=True)
    shutil.copytree(module_home / "collections/ponds", module_home / "collections/lakes")
    Library(module_home).describe("lakes", title="Lakes")
    return module_home


@pytest.fixture(scope="module")
def app(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with serving(home, tmp_path_factory.mktemp("app") / "log") as running:
        yield running


def lonlat(home: Path, place: tuple[int, int]) -> tuple[float, float]:
    (scene,) = Library(home).open("ponds").scenes.values()
    lon, lat = scene.georeference.lonlat(*place)
    return float(lon), float(lat)


def answered(page: Page, requests: int) -> None:
    """Wait until the newest of so many searches is answered."""
    until(page, "s.answered >= arg && s.answered === s.requestNumber && !s.busy", requests)
    idle(page)


def opened(app: App, visit: Visit, **options: object) -> Page:
    fields = urlencode({"collection": "ponds", "mode": "objects"})
    page = visit(f"{app.url}/search?{fields}", **options)
    wait(page, "() => window.lookalike?.store?.state.size && window.lookalike.map.leaflet()")
    idle(page)
    field = page.get_by_label("Object size")
    field.fill(str(POND))
    field.press("Enter")
    until(page, "s.size === arg", POND)
    return page


def searched(app: App, home: Path, visit: Visit, pond: int) -> Page:
    """The page once a click on a pond is answered."""
    page = opened(app, visit)
    click_map(page, *lonlat(home, PONDS[pond]))
    answered(page, 1)
    return page


def places(page: Page) -> list[tuple[float, float]]:
    """Centres of the objects that are shown, in pixels of the scene."""
    return page.evaluate("() => lookalike.store.state.shown.map((each) => [each.col, each.row])")


def judged(page: Page) -> None:
    """Judge the window that the tray shows, as it is."""
    col, row = page.evaluate(
        "() => { const [each] = lookalike.store.state.asked; return [each.col, each.row]; }"
    )
    right = any(max(abs(col - x), abs(row - y)) < 44 for x, y in PONDS)
    count = page.evaluate("() => lookalike.store.state.judged.length")
    page.keyboard.press("g" if right else "b")
    until(page, "s.judged.length > arg && s.asked.length", count)


def found(page: Page, share: float) -> None:
    """Check that at least this share of the ponds is shown, each once."""
    hits = [
        next((p for p in PONDS if max(abs(p[0] - x), abs(p[1] - y)) < 44), None)
        for x, y in places(page)
    ]
    ponds = [hit for hit in hits if hit]
    assert len(set(ponds)) >= share * len(PONDS), hits
    assert len(ponds) == len(set(ponds))


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_from_one_click_to_a_detector_that_finds_elsewhere(
    app: App, home: Path, visit: Visit, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    page = opened(app, visit, size=size, dark=dark)
    click_map(page, *lonlat(home, PONDS[13]))
    answered(page, 1)
    found(page, 0.6)
    first = page.locator(".lk-object-cards li").first
    expect(first).to_be_visible()
    expect(page.get_by_text("objects like this one")).to_be_visible()

    page.get_by_role("button", name="Judge", exact=True).click()
    until(page, "s.asked.length > 0")
    for _ in range(20):
        judged(page)
    page.get_by_role("button", name="Done").click()
    answered(page, 2)
    assert page.evaluate("() => lookalike.store.state.answer.trained")
    assert state(page, "unsent") == 0
    found(page, 0.8)

    title = f"Ponds {size[0]}"
    page.get_by_role("button", name="Save detector").click()
    page.get_by_label("Name of the detector").fill(title)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Saved as {title}")).to_be_visible()

    for format, suffix in (("Shapefile", ".shp.zip"), ("GeoPackage", ".gpkg")):
        page.locator("summary", has_text="Export").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=format, exact=True).click()
        path = tmp_path / f"ponds{suffix}"
        download.value.save_as(path)
        frame = geopandas.read_file(path)
        assert len(frame) == len(places(page))
        # Outlines at the minimum score, not windows.
        assert frame.count_coordinates().median() > 5
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Score map (GeoTIFF)").click()
    download.value.save_as(tmp_path / "scores.tif")
    with rasterio.open(tmp_path / "scores.tif") as dataset:
        assert (dataset.dtypes[0], dataset.crs.to_epsg()) == ("float32", 32632)

    page.goto(f"{app.url}/search?{urlencode({'collection': 'lakes', 'mode': 'objects'})}")
    wait(page, "() => window.lookalike?.store?.state.detectors.length")
    page.locator("summary", has_text="Detectors").click()
    page.get_by_role("button", name=title, exact=True).click()
    answered(page, 1)
    found(page, 0.8)


def test_minimum_score_cuts_map_and_gallery_without_a_request(
    app: App, home: Path, visit: Visit
) -> None:
    page = searched(app, home, visit, 6)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    range_ = page.locator(".lk-cut-box input")
    range_.fill("0")
    until(page, "s.minScore === 0")
    before = len(places(page))
    assert not page.evaluate("() => lookalike.store.state.outlines.size")
    range_.fill("0.9")
    until(page, "s.minScore === 0.9 && s.outlines.size")
    assert len(places(page)) < before
    assert not [url for url in asked if url.endswith("/objects")]
    range_.fill("1")
    expect(page.get_by_text(f"1 shown, {before - 1} hidden")).to_be_visible()
    assert places(page)  # the example itself, which is marked good


def test_marks_survive_a_server_that_does_not_answer_and_a_reload(
    app: App, home: Path, visit: Visit
) -> None:
    page = opened(app, visit, expect="ERR_FAILED")
    click_map(page, *lonlat(home, PONDS[6]))
    answered(page, 1)
    page.route("**/object-marks/**", lambda route: route.abort())
    page.keyboard.press("ArrowRight")
    page.keyboard.press("g")
    until(page, "s.unsent === 1")
    expect(page.get_by_text("1 mark not sent yet")).to_be_visible()
    page.unroute("**/object-marks/**")
    page.reload()
    wait(page, "() => window.lookalike?.store?.state.answered")
    until(page, "s.unsent === 0 && s.marks.size === 1")


def test_focus_stays_on_the_button_that_marks_or_judges(app: App, home: Path, visit: Visit) -> None:
    page = searched(app, home, visit, 6)
    good = page.get_by_role("button", name="Mark object 2 as good (G)")
    good.focus()
    page.keyboard.press("Enter")
    until(page, "s.marks.size === 1")
    expect(good).to_be_focused()
    page.get_by_role("button", name="Judge").click()
    until(page, "s.asked.length")
    skip = page.get_by_role("button", name="Skip")
    skip.focus()
    for count in (1, 2):
        page.keyboard.press("Enter")
        until(page, "s.judged.length === arg", count)
        expect(skip).to_be_focused()


def test_back_and_forward_keep_the_marks_of_each_search_apart(
    app: App, home: Path, visit: Visit
) -> None:
    page = searched(app, home, visit, 6)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("g")
    until(page, "s.marks.size === 1 && s.unsent === 0")
    click_map(page, *lonlat(home, (200, 300)))  # where no object is to be selected
    answered(page, 2)
    second = address(page)
    page.go_back()
    answered(page, 3)
    assert page.evaluate("() => lookalike.store.state.marks.size") == 1
    page.go_forward()
    answered(page, 4)
    assert page.evaluate("() => lookalike.store.state.marks.size") == 0
    assert address(page) == second


def test_search_is_saved_reviewed_and_reopened_as_it_was(
    app: App, home: Path, visit: Visit
) -> None:
    page = searched(app, home, visit, 13)
    shown = len(state(page, "shown"))
    page.get_by_title("Saved searches").click()
    page.get_by_label("Name of the search").fill("Ponds of the east")
    page.keyboard.press("Enter")
    until(page, "s.saved && s.answered === s.requestNumber")
    cards = page.locator(".lk-object-cards li")
    for place, verdict in ((1, "Good"), (2, "Bad")):
        cards.nth(place).hover()
        cards.nth(place).locator(".lk-verdict[data-kind=" + verdict.lower() + "]").click()
    check = page.get_by_role("link", name="Check how many are right")
    expect(check).to_be_visible()  # the two marks are no random sample
    idle(page)

    page.reload()
    wait(page, "() => window.lookalike?.store?.state.saved")
    until(page, "s.saved && s.shown.length === arg", shown)
    assert state(page, "saved")["name"] == "Ponds of the east"
    assert sorted(page.evaluate("() => [...lookalike.store.state.marks.values()]")) == [
        "bad",
        "good",
    ]
    check.click()
    page.get_by_role("button", name="Start").click()
    progress = page.locator(".lk-review-head [role=status]")
    expect(progress).to_contain_text("0 of ")
    assert not re.search(r"0\.\d\d|Object \d", page.locator(".lk-review").inner_text())
    for number, key in enumerate("gggb"):
        page.keyboard.press(key)
        expect(progress).to_contain_text(f"{number + 1} of ")
    page.keyboard.press("Escape")
    expect(page.locator(".lk-words")).to_contain_text("about 75% right, between")
    page.get_by_role("link", name="Open on the map").click()
    wait(page, "() => window.lookalike?.store?.state.saved")
    expect(page.get_by_role("link", name="About 75% right (")).to_be_visible()

    page.goto(f"{app.url}/results")
    page.get_by_role("link", name="Ponds of the east").click()
    wait(page, "() => window.lookalike?.store?.state.saved")
    page.get_by_title("Saved searches").click()
    page.get_by_role("button", name="Delete Ponds of the east").click()
    until(page, "!s.kept.length && !s.saved")


def test_two_saved_object_searches_are_compared(app: App, home: Path, visit: Visit) -> None:
    page = visit(f"{app.url}/results")
    kept = f"{app.url}/api/collections/ponds/object-searches"
    made = []
    for name, k in (("All ponds", 20), ("Fewer ponds", 8)):
        body = {"at": lonlat(home, PONDS[13]), "object_size": POND, "k": k, "name": name}
        made.append(page.request.post(kept, data=body).json()["search"]["id"])
    found = page.request.get(f"{kept}/{made[0]}/compare?with={made[1]}").json()
    assert found["both"]
    page.reload()
    for name in ("All ponds", "Fewer ponds"):
        page.get_by_label(f"Compare {name}").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    both = page.get_by_role("heading", name=f"Both: {len(found['both'])}")
    expect(both).to_be_visible()
    page.reload()
    expect(both).to_be_visible()
    page.get_by_role("link", name="All ponds").click()
    wait(page, "() => window.lookalike?.store?.state.saved")
    for each in made:
        page.request.delete(f"{kept}/{each}")


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_menus_stay_in_the_window_and_esc_closes_them_alone(
    app: App, home: Path, visit: Visit, size: tuple[int, int], dark: bool
) -> None:
    examples = [
        {"at": lonlat(home, place), "object_size": POND, "label": label}
        for place, label in ((PONDS[0], "good"), (PONDS[5], "good"), ((200, 200), "bad"))
    ]
    page = opened(app, visit, size=size, dark=dark)
    title = f"Pools {size[0]}"
    body = {"title": title, "collection": "ponds", "examples": examples}
    assert page.request.post(f"{app.url}/api/detectors", data=body).ok
    page.reload()
    wait(page, "() => window.lookalike?.store?.state.detectors.length")
    click_map(page, *lonlat(home, PONDS[13]))
    answered(page, 1)
    for menu in ("Export", "Detectors"):
        page.locator("summary", has_text=menu).click()
        sheet = page.locator("details.lk-choice[open] .lk-choices")
        expect(sheet).to_have_count(1)
        place = sheet.bounding_box()
        assert place
        assert place["x"] >= 0
        assert place["y"] >= 0
        assert place["x"] + place["width"] <= size[0]
        assert place["y"] + place["height"] <= size[1]
        page.keyboard.press("Escape")
        expect(sheet).to_have_count(0)
    assert state(page, "objects")

    page.locator("summary", has_text="Detectors").click()
    page.get_by_role("button", name=f"About {title}").click()
    expect(page.get_by_text("2 good, 1 bad")).to_be_visible()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("New name of the detector").fill(f"Lakes {size[0]}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=f"Lakes {size[0]}", exact=True)).to_be_visible()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_role("button", name=f"Lakes {size[0]}", exact=True)).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Score map (H)").click()
    page.get_by_label("Score map opacity").fill("0.4")
    page.reload()
    page.get_by_role("button", name="Score map (H)").click()
    expect(page.get_by_label("Score map opacity")).to_have_value("0.4")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_long_search_shows_its_progress_and_is_cancelled_on_the_server(
    app: App, home: Path, visit: Visit, size: tuple[int, int]
) -> None:
    page = opened(app, visit, size=size)
    step = {"stage": "Scanning", "done": 30, "total": 120, "unit": "windows", "note": ""}
    sent: list[str] = []

    def keep_waiting(route: Route) -> None:
        sent.append(route.request.post_data_json["progress"])

    page.route("**/collections/ponds/objects", keep_waiting)
    page.route("**/objects/progress/*", lambda route: (
        route.fulfill(json=step) if route.request.method == "GET" else route.continue_()
    ))  # fmt: skip
    click_map(page, *lonlat(home, PONDS[13]))
    expect(page.get_by_label("Progress of the search")).to_be_visible()
    assert page.get_by_label("Progress of the search").get_attribute("value") == "0.25"
    with page.expect_request(lambda request: request.method == "DELETE") as cancelled:
        page.get_by_role("button", name="Cancel").click()
    assert cancelled.value.url.endswith(f"/objects/progress/{sent[0]}")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    until(page, "!s.busy && !s.problem")
    page.unroute("**/collections/ponds/objects")
    click_map(page, *lonlat(home, PONDS[13]))
    answered(page, 2)
    assert places(page)


def test_search_that_becomes_a_job_shows_what_it_found_and_stands_on_jobs(
    app: App, home: Path, visit: Visit
) -> None:
    page = opened(app, visit)

    def in_background(route: Route) -> None:
        route.continue_(post_data={**route.request.post_data_json, "background": True})

    page.route("**/collections/ponds/objects", in_background)
    click_map(page, *lonlat(home, PONDS[13]))
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    until(page, "s.saved && s.answered === s.requestNumber && !s.busy && !s.waiting")
    found(page, 0.6)
    saved = state(page, "saved")["id"]

    page.goto(f"{app.url}/jobs")
    page.get_by_role("link", name="Open").click()
    wait(page, "() => window.lookalike?.store?.state.saved")
    assert state(page, "saved")["id"] == saved
    idle(page)
    page.request.delete(f"{app.url}/api/collections/ponds/object-searches/{saved}")


def reloaded(page: Page) -> None:
    """Reload the page and wait for its first answer."""
    page.reload()
    wait(page, "() => window.lookalike?.store?.state.size && window.lookalike.map.leaflet()")
    answered(page, 1)


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_filters_act_before_the_search_and_survive_a_reload(
    app: App, home: Path, visit: Visit, size: tuple[int, int], dark: bool
) -> None:
    lon, lat = lonlat(home, PONDS[13])
    fields = {"collection": "ponds", "mode": "objects", "at": f"{lon},{lat},{POND}"}
    nowhere = urlencode({**fields, "within": "9 9,9.1 9,9.1 9.1"})
    page = visit(f"{app.url}/search?{nowhere}", size=size, dark=dark)
    wait(page, "() => window.lookalike?.store?.state.answered > 0")
    expect(page.get_by_text("No object passes these filters")).to_be_visible()
    page.locator(".lk-query").get_by_role("button", name="Clear filters").click()
    answered(page, 2)
    found(page, 0.6)

    everywhere = len(places(page))
    page.get_by_role("button", name="Filters").click()
    away = page.get_by_label("At least")
    away.fill("4000")
    away.press("Enter")
    answered(page, 3)
    if size == DESKTOP:  # every button is in sight, in one row
        ends = [page.get_by_role("button", name=name) for name in ("Object", "Keyboard shortcuts")]
        first, last = (end.first.bounding_box() for end in ends)
        assert first
        assert last
        assert abs(last["y"] - first["y"]) < first["height"]
        assert last["x"] + last["width"] <= size[0]
    reloaded(page)
    assert state(page, "filters") == {"away": 4000}
    assert 0 < len(places(page)) < everywhere


def test_polygon_is_an_example_and_shift_adds_a_box(app: App, home: Path, visit: Visit) -> None:
    page = opened(app, visit, size=DESKTOP)
    x, y = PONDS[13]
    corners = [(x - 44, y - 44), (x + 44, y - 44), (x + 44, y + 44), (x - 44, y + 44)]
    at = spot(page, *lonlat(home, corners[0]))
    tools = []
    script = "**/leaflet.draw.js"
    page.route(script, lambda route: tools.append(route))  # held back
    page.evaluate("() => document.activeElement?.blur()")
    with page.expect_request(script):
        page.keyboard.press("p")
    until(page, "s.drawing === 'loading'")
    page.mouse.click(*at)
    tools[0].continue_()
    page.unroute(script)
    until(page, "s.drawing === 'outline'")
    page.keyboard.press("Escape")
    until(page, "!s.drawing")
    assert not state(page, "examples")
    page.get_by_role("button", name="Draw a polygon around an object").click()
    until(page, "s.drawing === 'outline'")
    for corner in (*corners, corners[0]):
        click_map(page, *lonlat(home, corner))
    answered(page, 1)
    assert [*state(page, "examples")[0]] == ["polygon", "label"]
    found(page, 0.6)

    x, y = PONDS[2]
    page.get_by_role("button", name="Draw a box around an object").click()
    until(page, "s.drawing === 'box'")
    page.mouse.move(*spot(page, *lonlat(home, (x - 44, y - 44))))
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(*spot(page, *lonlat(home, (x + 44, y + 44))), steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    answered(page, 2)
    assert [("polygon" in each, "box" in each) for each in state(page, "examples")] == [
        (True, False),
        (False, True),
    ]
    expect(page.get_by_text("objects like 2 examples")).to_be_visible()
    reloaded(page)
    assert len(state(page, "examples")) == 2
    found(page, 0.6)


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_label_file_brings_its_marks(
    app: App, home: Path, visit: Visit, size: tuple[int, int], dark: bool
) -> None:
    page = opened(app, visit, size=size, dark=dark, expect="400")
    given = page.get_by_label("File with examples")
    given.set_input_files(
        {"name": "ponds.geojson", "mimeType": "application/geo+json", "buffer": b"{"}
    )
    expect(page.get_by_role("alert")).to_contain_text("The label file is damaged")
    assert page.locator(".lk-problem p").inner_text()  # the remedy
    assert "/" not in page.locator(".lk-problem code").inner_text()
    features = [
        {
            "type": "Feature",
            "properties": {"label": label},
            "geometry": {"type": "Point", "coordinates": lonlat(home, place)},
        }
        for place, label in ((PONDS[0], "good"), (PONDS[13], "good"), ((200, 200), "bad"))
    ]
    content = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    given.set_input_files(
        {"name": "ponds.geojson", "mimeType": "application/geo+json", "buffer": content}
    )
    answered(page, 1)
    # Points take the object size of the page.
    assert page.evaluate("() => lookalike.store.state.answer.query.object_size") == POND
    assert state(page, "problem") is None
    found(page, 0.6)
    labels = "() => [...lookalike.store.state.marks.values()].sort()"
    assert page.evaluate(labels) == ["bad", "good", "good"]
    reloaded(page)
    assert page.evaluate(labels) == ["bad", "good", "good"]
    found(page, 0.6)


def test_picture_is_an_example(app: App, visit: Visit, tmp_path: Path) -> None:
    page = opened(app, visit, expect="400")
    given = page.get_by_label("File with examples")
    given.set_input_files({"name": "pond.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.locator(".lk-problem p").inner_text()  # the remedy
    x, y = PONDS[13]
    pixels = np.moveaxis(ponds(), 0, -1)[y - 44 : y + 44, x - 44 : x + 44].astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "pond.png")
    given.set_input_files(tmp_path / "pond.png")
    answered(page, 1)
    expect(page.get_by_text("objects like your picture")).to_be_visible()
    found(page, 0.5)
    reloaded(page)
    expect(page.get_by_text("objects like your picture")).to_be_visible()
    found(page, 0.5)


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_collection_without_cells_offers_to_make_them(
    app: App, home: Path, visit: Visit, size: tuple[int, int], dark: bool
) -> None:
    name = f"bare-{size[0]}"
    library = Library(home)
    shutil.copytree(home / "collections/ponds", home / "collections" / name)
    library.drop(name, "cells")
    address = f"{app.url}/search?{urlencode({'collection': name, 'mode': 'objects'})}"
    page = visit(address, size=size, dark=dark)
    expect(page.get_by_role("heading", name="Object search needs object cells")).to_be_visible()
    page.get_by_role("button", name="Make object cells").click()
    built(page, name)
    page.goto(address)
    expect(page.get_by_text("an object on the map")).to_be_visible()
    idle(page)


def test_back_leads_from_places_to_the_objects_found_before(
    app: App, home: Path, visit: Visit
) -> None:
    page = searched(app, home, visit, 13)
    found, link = places(page), address(page)
    page.get_by_role("button", name="Place", exact=True).click()
    wait(page, "() => window.lookalike?.store?.state.footprints")
    idle(page)
    page.go_back()
    wait(
        page, "() => window.lookalike?.store?.state.objects?.length && !lookalike.store.state.busy"
    )
    assert places(page) == found
    assert address(page) == link
    page.go_forward()
    wait(page, "() => window.lookalike?.store?.state.footprints")


def test_link_brings_its_object_size(app: App, home: Path, visit: Visit) -> None:
    page = opened(app, visit)
    page.get_by_label("Object size").fill("500")
    page.get_by_label("Object size").press("Enter")
    click_map(page, *lonlat(home, PONDS[13]))
    answered(page, 1)
    again = visit(address(page))
    wait(again, "() => window.lookalike?.store?.state.size")
    answered(again, 1)
    expect(again.get_by_label("Object size")).to_have_value("500")


def test_esc_keeps_a_search_that_has_marks(app: App, home: Path, visit: Visit) -> None:
    page = searched(app, home, visit, 13)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("g")
    until(page, "s.marks.size === 1")
    page.keyboard.press("Escape")
    idle(page)
    assert state(page, "objects")
    page.keyboard.press("u")
    until(page, "![...s.marks.values()].some(Boolean)")


def test_switch_leads_to_places_and_back(app: App, visit: Visit) -> None:
    page = opened(app, visit)
    step = page.get_by_text("Step through objects")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(step).to_be_visible()
    page.keyboard.press("Escape")
    expect(step).to_be_hidden()
    page.keyboard.press("?")
    expect(step).to_be_visible()
    page.keyboard.press("Escape")
    expect(step).to_be_hidden()
    page.get_by_role("button", name="Place", exact=True).click()
    wait(page, "() => window.lookalike?.store?.state.footprints")
    expect(page.get_by_role("button", name="Filters")).to_be_visible()
    page.get_by_role("button", name="Object", exact=True).click()
    wait(page, "() => window.lookalike?.store?.state.size")
    expect(page.get_by_label("Object size")).to_have_value(str(POND))
