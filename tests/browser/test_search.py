"""The Search page's tools in real Chromium: marks, examples, boxes, filters, layers, saving."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.driver import (
    DESKTOP,
    PHONE,
    RUNS,
    App,
    Visit,
    address,
    app,
    chromium,
    click_map,
    eventually,
    held,
    idle,
    linked,
    live,
    ran,
    results,
    spot,
    state,
    swipe,
    until,
    visit,
)

__all__ = ["app", "chromium", "visit"]
pytestmark = pytest.mark.browser


def share(page, x: float, y: float = 0.5) -> tuple[float, float]:
    """Longitude and latitude at shares of the collection's width and height."""
    west, south, east, north = page.evaluate(
        "() => { const c = lookalike.store.state.footprints.centres;"
        " const x = [...c].filter((_, i) => i % 2 === 0), y = [...c].filter((_, i) => i % 2);"
        " return [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)]; }"
    )
    return west + x * (east - west), south + y * (north - south)


def opened(app: App, visit: Visit, fields: str = "", **options):
    return live(visit(f"{app.url}/search?collection=ponds{fields}", **options))


def searched(app: App, visit: Visit, fields: str = "", **options):
    page = opened(app, visit, fields, **options)
    click_map(page, *share(page, 0.85))
    return page, results(page)


def marked(page, *ids: str) -> None:
    """Wait until the first of these is marked good, the second bad, and nothing else."""
    given = [ids[0], ids[1]]
    until(page, "s.marks[arg[0]] === 'good' && s.marks[arg[1]] === 'bad'", given)
    until(page, "Object.keys(s.marks).length === 2")


def test_marks_refine_undo_and_reopen_by_key_alone(app, visit) -> None:
    page, ids = searched(app, visit)
    for key in ("ArrowRight", "g", "ArrowRight", "b"):
        page.keyboard.press(key)
    marked(page, *ids)
    page.keyboard.press("r")
    until(page, "s.bad.length === 1 && s.summary && !s.busy")
    refined = results(page)
    assert ids[1] not in refined
    page.reload()
    live(page)
    assert results(page) == refined
    marked(page, *ids)
    page.locator(".lk-card").first.get_by_role("button", name="Bad").click()
    until(page, "s.past.length")
    page.keyboard.press("u")
    marked(page, *ids)


def test_shift_and_a_click_add_an_example_and_undo_takes_it_back(app, visit) -> None:
    page, ids = searched(app, visit)
    page.keyboard.down("Shift")
    click_map(page, *share(page, 0.1))
    page.keyboard.up("Shift")
    until(page, "s.good.length === 1 && !s.busy")
    expect(page.locator(".lk-example")).to_have_count(1)
    linked(page, "good=")
    page.get_by_role("button", name="Undo", exact=True).click()
    until(page, "s.good.length === 0 && !s.busy")
    assert results(page) == ids


def test_a_search_is_saved_and_leads_to_its_results(app, visit) -> None:
    page, _ = searched(app, visit)
    for key in ("ArrowRight", "g", "s"):
        page.keyboard.press(key)
    page.get_by_label("Search name").fill("Round ponds")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Review and export in Results").click()
    page.locator(".lk-hit").nth(9).wait_for()
    linked(page, "/results?collection=ponds&search=")
    expect(page.locator(".lk-hit.lk-is-good")).to_have_count(1)


def test_back_and_forward_lead_from_search_to_search_and_then_off_the_page(app, visit) -> None:
    page = visit(app.url)
    page.get_by_role("link", name="Search", exact=True).first.click()
    live(page)
    click_map(page, *share(page, 0.85))
    first = results(page)
    centre = page.evaluate("() => lookalike.map.centre()")
    page.evaluate("() => { document.querySelector('.lk-explorer').lkSame = true; }")
    page.keyboard.press("m")  # what adjusts a search is no step of its own
    until(page, "s.sites && !s.busy")
    page.keyboard.press("m")
    until(page, "!s.sites && !s.busy")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    second = results(page)
    assert second != first
    page.keyboard.press("ArrowRight")
    page.keyboard.press("b")
    page.keyboard.press("r")
    until(page, "s.bad.length === 1 && !s.busy")
    refined = results(page)
    before = page.evaluate(f"() => {RUNS}")
    for go, ids in (
        (page.go_back, second),
        (page.go_back, first),
        (page.go_forward, second),
        (page.go_forward, refined),
        (page.go_back, second),
        (page.go_back, first),
    ):
        go()
        eventually(lambda ids=ids: _shown(page, ids))
    assert page.evaluate("() => lookalike.map.centre()") == centre
    assert page.evaluate("() => document.querySelector('.lk-explorer').lkSame")
    page.go_back()
    page.get_by_text("Click something on the map").wait_for()
    with ran(page):
        page.go_back()
    assert page.evaluate(f"() => {RUNS}") == before + 1, "steps among searches ran the page anew"
    page.locator(".lk-collection").first.wait_for()
    page.go_forward()
    live(page)
    page.get_by_text("Click something on the map").wait_for()  # as it was left


def test_back_pressed_quickly_leaves_the_way_forward(app, visit) -> None:
    page = visit(app.url)
    with ran(page):
        page.get_by_role("link", name="Search", exact=True).first.click()
    live(page)
    click_map(page, *share(page, 0.85))
    first = results(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    second = results(page)
    page.go_back()
    page.go_back()
    page.go_back()
    page.locator("article.lk-collection").first.wait_for()
    page.go_forward()
    live(page)
    page.go_forward()
    eventually(lambda: _shown(page, first))
    page.go_forward()
    eventually(lambda: _shown(page, second))


@pytest.fixture
def twins(app, module_home) -> Iterator[None]:
    """Another collection, which holds what `ponds` does."""
    folder = module_home / "collections" / "twins"
    shutil.copytree(folder.with_name("ponds"), folder)
    yield
    shutil.rmtree(folder)


@pytest.mark.usefixtures("twins")
def test_another_collection_is_chosen_and_back_leads_to_the_search_before(app, visit) -> None:
    page = visit(f"{app.url}/search?collection=ponds")
    live(page)
    click_map(page, *share(page, 0.85))
    first = results(page)
    choice = page.locator(".lk-collection select")
    with ran(page):
        choice.select_option("twins")
    linked(page, "collection=twins")
    live(page)
    with ran(page):
        page.go_back()
    live(page)
    eventually(lambda: _shown(page, first))
    expect(choice).to_have_value("ponds")


def _shown(page, ids: list[str]) -> None:
    assert results(page) == ids


def test_a_picture_that_cannot_be_read_leaves_the_search_as_it_is(app, visit, tmp_path) -> None:
    page, ids = searched(app, visit, expect="400 (Bad Request)")
    linked(page, "chip=")
    before = address(page)
    false = tmp_path / "notes.tif"
    false.write_text("no picture")
    page.locator("input[type=file]").set_input_files(false)
    until(page, "s.problem && !s.busy")
    assert results(page) == ids
    assert state(page, "query")["kind"] == "chip"
    assert len(state(page, "past")) == 1
    assert address(page) == before
    expect(page.locator(".lk-card img")).to_have_count(10)


def test_filters_come_first_and_the_map_stays_where_it_is(app, visit) -> None:
    page, _ = searched(app, visit, size=DESKTOP)
    hit = state(page, "hits")[0]
    before = spot(page, hit["lon"], hit["lat"])
    page.get_by_role("button", name="Filters").click()
    page.locator(".lk-filters").wait_for()
    assert spot(page, hit["lon"], hit["lat"]) == pytest.approx(before, abs=1)
    page.get_by_role("button", name="Draw", exact=True).click()
    until(page, "s.drawing === 'polygon'")
    ring = [share(page, x, y) for x, y in ((-0.1, -0.1), (0.35, -0.1), (0.35, 1.1), (-0.1, -0.1))]
    for lon, lat in ring:
        page.mouse.click(*spot(page, lon, lat))
    until(page, "s.filters.within && s.summary && !s.busy && s.hits.length")
    left = state(page, "summary")["eligible"]
    assert 0 < left < 30
    assert all(hit["lon"] <= share(page, 0.36)[0] for hit in state(page, "hits"))
    expect(page.locator(".lk-eligible")).to_contain_text(f"{left} of 49 chips eligible")
    ids = results(page)
    page.reload()
    live(page)
    assert results(page) == ids


def test_a_link_with_open_filters_shows_the_whole_collection(app, visit) -> None:
    page = opened(app, visit, "&filters=1", size=PHONE)
    page.locator(".lk-filters").wait_for()
    idle(page)
    bounds = page.evaluate(
        "() => { const b = lookalike.map.leaflet().getBounds();"
        " return [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()]; }"
    )
    (west, south), (east, north) = share(page, 0, 0), share(page, 1, 1)
    assert bounds[0] < west < east < bounds[2]
    assert bounds[1] < south < north < bounds[3]


def test_a_drawn_box_is_searched(app, visit) -> None:
    page = opened(app, visit)
    page.get_by_role("button", name="Draw a search box").click()
    until(page, "s.drawing === 'box'")
    page.mouse.move(*spot(page, *share(page, 0.7, 0.6)))
    page.mouse.down()
    page.mouse.move(*spot(page, *share(page, 0.9, 0.4)), steps=4)
    page.mouse.up()
    until(page, "s.query?.kind === 'box'")
    assert len(results(page)) == 10
    for option, name in (("Any orientation", "any_orientation"), ("Any scale", "any_scale")):
        page.get_by_label(option).check()
        until(page, "s.options[arg] && s.summary && !s.busy", name)
    linked(page, "turned=1", "scaled=1")
    ids = results(page)
    page.reload()
    live(page)
    assert results(page) == ids
    assert page.get_by_label("Any orientation").is_checked()


def test_a_box_is_drawn_by_touch(app, visit) -> None:
    page = opened(app, visit, size=PHONE)
    page.get_by_role("button", name="Draw a search box").tap()
    page.get_by_text("Drag to draw a box").wait_for()
    swipe(page, *(spot(page, *share(page, *at)) for at in ((0.7, 0.6), (0.8, 0.5), (0.9, 0.4))))
    until(page, "s.query?.kind === 'box'")
    assert len(results(page)) == 10


def test_a_box_is_drawn_and_searched_by_keys_alone(app, visit) -> None:
    page = opened(app, visit)
    side = "(b) => { const at = lookalike.map.box().keyBounds(); return at && at[b]; }"
    page.keyboard.press("x")
    until(page, "s.drawing === 'keys'")
    west, _, east, north = (page.evaluate(side, i) for i in range(4))
    page.keyboard.press("ArrowRight")
    moved = [page.evaluate(side, i) for i in (0, 2)]
    assert moved[0] > west
    assert moved[1] - moved[0] == pytest.approx(east - west)
    page.keyboard.press("Shift+ArrowUp")
    assert page.evaluate(side, 3) > north
    page.keyboard.press("Escape")
    until(page, "!s.drawing && !s.query")
    page.keyboard.press("x")
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".lk-key-box")).to_contain_text("km")
    page.keyboard.press("Enter")
    until(page, "s.query?.kind === 'box' && s.summary && !s.busy")
    assert len(results(page)) == 10
    page.keyboard.press("?")
    page.get_by_text("Draw a search box").wait_for()


def test_heatmap_sites_and_inside(app, visit) -> None:
    page, _ = searched(app, visit)
    page.keyboard.press("h")
    page.locator(".lk-legend").wait_for()
    until(page, "s.scores?.length === 49")
    page.wait_for_selector(".leaflet-lk-heat-pane canvas", state="attached")
    page.keyboard.press("i")
    page.locator(".lk-inside").first.wait_for()
    told = page.locator(".lk-summary").inner_text()
    with held(page, "/search?sites=1", lambda: page.keyboard.press("m")):
        assert page.locator(".lk-summary").inner_text() == told  # until the sites are there
    until(page, "s.sites && !s.busy")
    expect(page.locator(".lk-summary")).to_contain_text("site")
    sites = state(page, "shown")
    assert sum(site["count"] for site in sites) == len(state(page, "hits"))
    expect(page.locator(".lk-card")).to_have_count(len(sites))
    linked(page, "heat=1", "inside=1", "sites=1")


def test_the_keys_are_listed_and_escape_only_closes_the_list(app, visit) -> None:
    page, ids = searched(app, visit)
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keyboard shortcuts").wait_for()
    page.keyboard.press("Escape")
    until(page, "!s.help")
    assert results(page) == ids


def test_the_hints_come_once(app, visit) -> None:
    page, _ = searched(app, visit, size=PHONE)
    tour = page.locator(".lk-tour")
    expect(tour).to_contain_text("1 of 2 Mark good or bad results, then")  # no keys on a phone
    below = page.locator(".lk-map").bounding_box()
    assert tour.bounding_box()["y"] >= below["y"] + below["height"]
    page.get_by_role("button", name="Hide hints").click()
    expect(page.locator(".lk-tour")).to_be_hidden()
    page.reload()
    live(page)
    results(page)
    expect(page.locator(".lk-tour")).to_be_hidden()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
