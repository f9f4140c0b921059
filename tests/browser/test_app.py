"""The app as people use it, in real Chromium against the real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pipeline.collection.library import Library
from pipeline.collection.manifest import Manifest
from tests.browser.driver import (
    DESKTOP,
    PHONE,
    App,
    Visit,
    address,
    app,
    at_rest,
    chromium,
    click_map,
    eventually,
    idle,
    linked,
    live,
    ran,
    results,
    serving,
    spot,
    state,
    until,
    visit,
    wait,
)
from tests.factories.synthetic import MODEL

__all__ = ["app", "chromium", "visit"]
pytestmark = pytest.mark.browser


def place(page, side: str) -> tuple[float, float]:
    """Longitude and latitude of a place well inside the west (fields) or the east (ponds)."""
    west, south, east, north = page.evaluate(
        "() => { const s = lookalike.store.state.footprints.centres;"
        " const x = [...s].filter((_, i) => i % 2 === 0), y = [...s].filter((_, i) => i % 2);"
        " return [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)]; }"
    )
    share = 0.85 if side == "east" else 0.15
    return west + share * (east - west), south + 0.5 * (north - south)


def search(app: App, visit: Visit, side: str = "east", **options):
    page = live(visit(f"{app.url}/search?collection=ponds", **options))
    click_map(page, *place(page, side))
    return page, results(page)


def test_home_shows_the_collection_and_leads_to_its_search(app: App, visit: Visit) -> None:
    page = visit(app.url)
    page.get_by_role("heading", name="Fields and ponds").wait_for()
    expect(page.locator(".lk-collection")).to_contain_text("49 chips")
    wait(page, "() => document.querySelector('.lk-collection img').naturalWidth > 100")
    page.get_by_role("link", name="Search Fields and ponds").click()
    live(page)
    linked(page, "collection=ponds")


def test_a_click_ranks_the_lookalikes_on_the_map_and_in_the_gallery(app, visit) -> None:
    page, ids = search(app, visit)
    assert len(ids) == 10
    expect(page.locator(".lk-cards .lk-card")).to_have_count(10)
    expect(page.locator(".lk-map .lk-rank")).to_have_count(10)
    ranks = page.locator(".lk-card .lk-rank").all_inner_texts()
    assert ranks == [str(n) for n in range(1, 11)]
    scores = page.locator(".lk-score").all_inner_texts()
    # Similarities, which do not order the hits alone.
    assert all(re.fullmatch(r"[-−]?[01]\.\d\d", score) for score in scores)
    wait(
        page,
        "() => [...document.querySelectorAll('.lk-card img')].every((i) => i.naturalWidth === 256)",
    )


def test_ponds_find_ponds_and_fields_find_fields(app, visit) -> None:
    for side in ("east", "west"):
        page, _ = search(app, visit, side)
        hits = state(page, "hits")[:3]
        middle = (place(page, "east")[0] + place(page, "west")[0]) / 2
        assert all((hit["lon"] > middle) == (side == "east") for hit in hits)


def test_pointing_at_a_card_marks_it_on_the_map(app, visit) -> None:
    page, _ = search(app, visit)
    page.locator(".lk-card").nth(2).hover()
    expect(page.locator(".lk-map .lk-rank")).to_have_count(11)
    page.mouse.move(700, 20)
    until(page, "s.hovered === -1")
    expect(page.locator(".lk-map .lk-rank")).to_have_count(10)


def test_pointing_at_a_result_on_the_map_marks_its_card(app, visit) -> None:
    page, _ = search(app, visit)
    hit = state(page, "hits")[0]
    page.mouse.move(*spot(page, hit["lon"], hit["lat"]), steps=3)
    page.locator(".lk-card.lk-hovered").wait_for()
    click_map(page, hit["lon"], hit["lat"])
    page.locator(".lk-card.lk-selected").wait_for()


def test_keys_step_search_and_clear(app, visit) -> None:
    page, ids = search(app, visit)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    columns = page.evaluate(
        "() => getComputedStyle(document.querySelector('.lk-cards'))"
        ".gridTemplateColumns.split(' ').length"
    )
    chosen = columns
    until(page, "s.selected === arg", chosen)
    page.keyboard.press("Enter")
    until(page, "s.query?.chip === arg", ids[chosen])
    assert results(page) != ids
    page.keyboard.press("Escape")
    until(page, "s.query === null")
    expect(page.locator(".lk-card")).to_have_count(0)
    assert "chip=" not in address(page)


def test_a_search_needs_no_mouse(app, visit) -> None:
    page = live(visit(f"{app.url}/search?collection=ponds"))
    page.keyboard.press("ArrowRight")
    until(page, "s.cursor !== null")
    first = state(page, "cursor")
    page.keyboard.press("ArrowRight")
    until(page, "![null, arg].includes(s.cursor)", first)
    page.keyboard.press("Enter")
    assert len(results(page)) == 10
    assert state(page, "query")["row"] == state(page, "cursor")


def test_zooming_to_a_result_and_back_restores_the_view(app, visit) -> None:
    page, _ = search(app, visit)
    view = (
        "() => { const m = lookalike.map.leaflet(); const c = m.getCenter();"
        " return [c.lng, c.lat, m.getZoom()].map((n) => n.toFixed(4)).join(); }"
    )
    idle(page)
    before = page.evaluate(view)
    page.get_by_role("button", name="Zoom to result 3").click()
    wait(page, f"(before) => ({view})() !== before", arg=before)
    page.get_by_role("button", name="Back", exact=True).click()
    wait(page, f"(before) => ({view})() === before", arg=before)
    idle(page)
    page.keyboard.press("z")
    page.get_by_role("button", name="Back", exact=True).wait_for()
    idle(page)
    assert page.evaluate(view) != before
    page.keyboard.press("z")
    idle(page)
    assert page.evaluate(view) == before
    page.evaluate(
        "() => [1, 2].forEach(() => document.body.dispatchEvent("
        "new KeyboardEvent('keydown', { key: 'z', bubbles: true })))"
    )
    idle(page)
    assert page.evaluate(view) == before, "two keys within a frame"


def test_number_of_results_least_score_and_overlaps(app, visit) -> None:
    page, ids = search(app, visit)
    page.get_by_label("Results", exact=True).fill("3")
    page.keyboard.press("Tab")
    until(page, "s.shown.length === 3")
    assert results(page) == ids[:3]
    linked(page, "k=3")
    middle = state(page, "hits")[1]["score"]
    page.get_by_label("Minimum score").fill(f"{middle - 0.005:.2f}")
    until(page, "s.minScore > 0")
    assert all(hit["score"] >= state(page, "minScore") for hit in state(page, "shown"))
    page.get_by_label("Minimum score").fill("0")
    page.get_by_label("Hide overlaps").uncheck()
    until(page, "s.options.suppress === false")
    assert len(results(page)) == 3
    linked(page, "overlaps=1")


def test_a_late_answer_to_save_says_nothing_of_another_search(app, visit) -> None:
    page, first = search(app, visit)
    page.keyboard.press("s")
    page.get_by_label("Search name").fill("The first")
    held = []
    page.route("**/searches", lambda route: held.append(route))
    with page.expect_request("**/searches"):
        page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Search from result 2", exact=True).click()
    until(page, "s.summary && !s.busy && s.query.chip")
    assert results(page) != first
    (route,) = held
    with page.expect_response("**/searches"):
        route.fulfill(json={"id": "1", "name": "The first"})
    idle(page)
    assert state(page, "saved") is None


def test_a_link_reopens_the_same_search(app, visit) -> None:
    page, ids = search(app, visit)
    page.reload()
    live(page)
    assert results(page) == ids
    other = live(visit(address(page)))
    assert results(other) == ids


def test_an_uploaded_picture_is_searched_and_its_link_reopens(app, visit, tmp_path) -> None:
    from PIL import Image

    from tests.browser.driver import ponds

    picture = tmp_path / "pond.png"
    Image.fromarray(ponds()[:, 256:512, 640:896].transpose(1, 2, 0)).save(picture)
    page = live(visit(f"{app.url}/search?collection=ponds"))
    page.get_by_label("Picture to search by").set_input_files(picture)
    until(page, "s.query?.picture")
    ids = results(page)
    assert len(ids) == 10
    page.get_by_role("img", name="Your picture").wait_for()
    linked(page, "picture=")
    assert results(live(visit(address(page)))) == ids


def test_a_text_file_named_png_is_refused_in_words(app, visit, tmp_path) -> None:
    page = live(visit(f"{app.url}/search?collection=ponds", expect="400"))
    fake = tmp_path / "notes.png"
    fake.write_text("these are only words")
    page.get_by_label("Picture to search by").set_input_files(fake)
    expect(page.get_by_role("alert")).to_contain_text("cannot be read as an image")
    expect(page.get_by_role("alert")).to_contain_text("notes.png")
    page.get_by_role("button", name="Dismiss").click()
    click_map(page, *place(page, "east"))
    assert len(results(page)) == 10


def test_an_unknown_chip_in_a_link_is_explained(app, visit) -> None:
    page = live(visit(f"{app.url}/search?collection=ponds&chip=nosuchchip", expect="404"))
    expect(page.get_by_role("alert")).to_contain_text("No such chip")


def test_an_unknown_collection_in_a_link_is_explained(app, visit) -> None:
    page = visit("about:blank")
    for name in ("nowhere", "../../etc", "<b>x</b>"):
        page.goto(f"{app.url}/search?collection={name}")
        expect(page.get_by_role("alert")).to_contain_text("collection", ignore_case=True)
        assert "Traceback" not in page.locator("body").inner_text()
        page.get_by_test_id("stMain").get_by_role("link", name="Home").click()
        page.locator(".lk-collection").first.wait_for()


def test_a_collection_of_one_date_has_no_changes_and_says_what_to_do(app, visit) -> None:
    page = visit(f"{app.url}/changes?collection=ponds")
    page.get_by_role(
        "heading", name="Fields and ponds does not cover more than one date"
    ).wait_for()
    page.get_by_role("link", name="Open in Collections").click()
    page.get_by_role("button", name="Add imagery").wait_for()
    page.goto(f"{app.url}/changes?collection=nowhere")
    expect(page.get_by_role("alert")).to_contain_text("There is no collection of this name")


def test_an_address_where_no_page_is_says_so(app, visit) -> None:
    page = visit("about:blank", expect="status of 404")
    for path in ("nonsense", "search/deeper?collection=ponds"):
        page.goto(f"{app.url}/{path}")
        page.get_by_role("heading", name="There is nothing at this address").wait_for()
        page.get_by_role("link", name="Open Lookalike").click()
        page.locator(".lk-collection").first.wait_for()
    page.goto(f"{app.url}/search/?collection=ponds")
    live(page)


def test_leaving_the_page_and_coming_back_keeps_the_search(app, visit) -> None:
    page, ids = search(app, visit)
    page.get_by_role("link", name="Home").first.click()
    page.get_by_role("heading", name="Fields and ponds").wait_for()
    page.get_by_role("link", name="Search", exact=True).first.click()
    live(page)
    assert results(page) == ids


#: A line that keeps what the server says between `line.held = []` and `line.free()`: a slow one.
KEPT_LINE = """
window.line = { held: null };
line.free = () => {
  const held = line.held;
  line.held = null;
  for (const tell of held) tell();
};
const { addEventListener: listen } = WebSocket.prototype;
WebSocket.prototype.addEventListener = function (name, handle, ...rest) {
  const take = (event) => {
    if (!line.held) return handle(event);
    // The shortest of all messages says that a run of the page has ended.
    line.ended ||= event.data.byteLength === 2;
    return line.held.push(() => handle(event));
  };
  listen.call(this, name, name === 'message' ? take : handle, ...rest);
};
"""


def test_a_page_left_at_once_for_one_seen_before_is_shown(app: App, visit: Visit) -> None:
    page = visit(app.url)
    page.add_init_script(KEPT_LINE)
    page.reload()
    at_rest(page)

    def link(name: str):
        return page.get_by_role("link", name=name, exact=True).first

    for name in ("Search", "Home"):
        with ran(page):
            link(name).click()
        at_rest(page)
    page.evaluate("() => Object.assign(line, { held: [], ended: false })")
    link("Jobs").click()
    wait(page, "() => line.ended")
    link("Search").click()
    page.evaluate("() => line.free()")
    live(page)
    at_rest(page)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_map_and_gallery_fill_the_window_without_page_scroll(app, visit) -> None:
    page, _ = search(app, visit, size=DESKTOP)

    def filled() -> None:
        scrolls, map_box, gallery = _layout(page)
        assert not scrolls
        assert gallery["x"] >= map_box["x"] + map_box["width"] - 1
        assert map_box["y"] + map_box["height"] == pytest.approx(DESKTOP[1], abs=1)
        assert map_box["width"] + gallery["width"] == pytest.approx(DESKTOP[0], abs=2)

    eventually(filled)


def test_on_a_phone_the_gallery_lies_under_the_map(app, visit) -> None:
    page, _ = search(app, visit, size=PHONE)

    def stacked() -> None:
        scrolls, map_box, gallery = _layout(page)
        assert not scrolls
        assert gallery["y"] >= map_box["y"] + map_box["height"] - 1
        assert map_box["width"] == pytest.approx(390, abs=1)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390

    eventually(stacked)


def test_the_dark_theme_is_ours_too(app, visit) -> None:
    page, _ = search(app, visit, dark=True)
    expect(page.locator(".lk-explorer")).to_have_css("background-color", "rgb(15, 23, 42)")


def test_an_empty_home_leads_to_a_first_area(chromium, visit, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with serving(empty, tmp_path / "log", base="/tools/lookalike") as bare:
        page = visit(f"{bare.url}/")
        page.get_by_role("heading", name="No collection yet").wait_for()
        page.get_by_role("link", name="Search", exact=True).first.click()
        page.wait_for_url("**/tools/lookalike/search")
        page.get_by_role("heading", name="No collection yet").wait_for()
        page.get_by_role("link", name="Draw an area").click()
        page.wait_for_url("**/tools/lookalike/area")
        Library(empty).create(Manifest("bay", "The bay", 128, MODEL, scenes=()))
        page.goto(f"{bare.url}/")
        page.get_by_role("link", name="See the build of The bay").wait_for()
        for link in ("search?collection=bay", "search"):
            page.goto(f"{bare.url}/{link}")
            page.get_by_role("heading", name="The bay is not built yet").wait_for()
        page.get_by_role("link", name="See its build").click()
        page.wait_for_url("**/tools/lookalike/jobs")
        page.context.close()


def test_the_app_works_under_a_base_path(app, module_home, visit, tmp_path: Path) -> None:
    with serving(module_home, tmp_path / "log", base="/tools/lookalike") as prefixed:
        page = live(visit(f"{prefixed.url}/search?collection=ponds"))
        click_map(page, *place(page, "east"))
        assert len(results(page)) == 10
        wait(
            page,
            "() => [...document.querySelectorAll('.lk-card img')].every((i) => i.naturalWidth)",
        )
        page.context.close()


def _layout(page) -> tuple[bool, dict[str, float], dict[str, float]]:
    scrolls = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]');"
        " return m.scrollHeight > m.clientHeight + 1; }"
    )
    return (
        scrolls,
        page.locator(".lk-map-pane").bounding_box(),
        page.locator(".lk-gallery").bounding_box(),
    )
