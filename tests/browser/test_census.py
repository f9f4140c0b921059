"""A census in real Chromium: started, judged by click and by key, undone, resumed, certified."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from pipeline.census.censuses import Censuses
from pipeline.collection.library import Library
from tests.browser.driver import (
    DESKTOP,
    PHONE,
    POND,
    PONDS,
    App,
    Visit,
    app,
    chromium,
    idle,
    linked,
    visit,
    wait,
)

__all__ = ["app", "chromium", "visit"]
pytestmark = pytest.mark.browser


def ask(app: App, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"{app.url}/api{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def recipe(module_home: Path) -> dict[str, Any]:
    """What finds the ponds."""
    (scene,) = Library(module_home).open("ponds").scenes.values()
    lon, lat = scene.georeference.lonlat(*PONDS[13])
    return {"at": [float(lon), float(lat)], "object_size": POND}


def live(page: Page, view: str) -> None:
    wait(page, f"() => document.querySelector('.lk-census[data-view={view}][data-state=live]')")
    idle(page)


def named(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")


def units_of(home: Path, census: str) -> dict[str, list[tuple[float, float]]]:
    """Of every unit its ponds, each as its place in the unit, 0 to 1."""
    found = {}
    for unit in Censuses(Library(home)).open(census).census.units:
        places = [((x - unit.left) / unit.width, (y - unit.top) / unit.height) for x, y in PONDS]
        found[unit.id] = [(x, y) for x, y in places if 0 <= x < 1 and 0 <= y < 1]
    return found


SHOWN = "document.querySelector('.lk-unit[data-unit]')?.dataset.unit"


def shown(page: Page, but: str = "") -> str:
    """Id of the unit that is shown, once it is another one than `but`; "" if none is left."""
    over = (
        "[...document.querySelectorAll('h2')].some((h) => h.textContent.startsWith('Every unit'))"
    )
    wait(page, f"(but) => {over} || ({SHOWN} && {SHOWN} !== but)", arg=but)
    return page.evaluate(f"() => {SHOWN} ?? ''")


def click(page: Page, at: tuple[float, float], size: tuple[int, int]) -> None:
    """Click a place in the unit that is shown: there are surroundings around it."""
    side = 1.3 if size == PHONE else 1.6
    box = page.locator(".lk-unit").bounding_box()
    assert box
    x, y = (0.5 + (value - 0.5) / side for value in at)
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def count(page: Page, number: int, size: tuple[int, int]) -> None:
    """Answer with a number: by keys, on the phone by the field and the buttons."""
    if size != PHONE:
        page.keyboard.press(str(number))
        if number:
            page.keyboard.press("Enter")
    elif number:
        page.get_by_label("How many").fill(str(number))
        page.get_by_role("button", name="Next").click()
    else:
        page.get_by_role("button", name="None").click()


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_the_story_of_a_census(
    app: App,
    visit: Visit,
    module_home: Path,
    recipe: dict[str, Any],
    size: tuple[int, int],
    dark: bool,
) -> None:
    title = f"Ponds {size[0]}"
    saved = ask(app, "/collections/ponds/object-searches", {**recipe, "name": title})["search"]
    page = visit(f"{app.url}/census", size=size, dark=dark)
    live(page, "list")
    page.get_by_role("button", name="Start a census").click()
    live(page, "start")
    page.get_by_role("combobox", name="What to count").select_option(f"saved:{saved['id']}")
    page.get_by_role("button", name="Start", exact=True).click()
    live(page, "judge")
    named(page, "Ada")
    expect(page.get_by_text("Nothing is judged yet")).to_be_visible()
    unit = shown(page)
    census = page.evaluate("() => new URLSearchParams(location.search).get('census')")
    units = units_of(module_home, census)
    assert len(units) == 16

    while not units[unit]:  # until there is something to click
        count(page, 0, size)
        unit = shown(page, unit)
    idle(page)
    for at in units[unit]:
        click(page, at, size)
    expect(page.locator(".lk-thing")).to_have_count(4)
    click(page, units[unit][0], size)  # a click again takes it away
    expect(page.locator(".lk-thing")).to_have_count(3)
    click(page, units[unit][0], size)
    click(page, (1.1, 0.5), size)
    expect(page.get_by_text("Only things whose centre lies within the border")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".lk-total")).to_be_visible()

    clicked, unit = unit, shown(page, unit)
    count(page, len(units[unit]), size)
    counted, unit = unit, shown(page, unit)
    page.keyboard.press("u")  # that answer, then the one before it
    assert shown(page, unit) == counted
    page.keyboard.press("Control+z")
    if units[counted]:  # the first took the number itself
        page.keyboard.press("Control+z")
    assert shown(page, counted) == clicked
    expect(page.locator(".lk-thing")).to_have_count(4)
    wait(page, "() => localStorage.getItem('lookalike:unsent-answers') === '[]'")
    page.reload()  # with four things clicked and not answered
    live(page, "judge")
    assert shown(page) == clicked
    expect(page.locator(".lk-thing")).to_have_count(4)
    page.get_by_role("button", name="Next").click()

    unit = clicked
    while unit := shown(page, unit):
        count(page, len(units[unit]), size)
    expect(page.get_by_text("Every unit is judged", exact=True)).to_be_visible()
    page.get_by_role("button", name="See the result").click()
    live(page, "census")
    expect(page.locator(".lk-total")).to_have_text("32, exactly")
    over = "() => document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(over), "the page scrolls sideways"

    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open to print").click()
    expect(opened.value.locator("body")).to_contain_text(title)
    with page.expect_download() as download:
        page.get_by_role("link", name="Points").click()
    points = json.loads(Path(download.value.path()).read_text())["features"]
    (scene,) = Library(module_home).open("ponds").scenes.values()
    things = [point for point in points if point["properties"]["kind"] == "thing"]
    assert len(things) == 4
    for lon, lat in (thing["geometry"]["coordinates"] for thing in things):
        col, row = scene.georeference.pixels(lon, lat)
        assert any(max(abs(col - x), abs(row - y)) < 3 for x, y in PONDS), (col, row)
    assert ask(app, f"/censuses/{census}/report")["estimate"] == 32


def test_two_reviewers_and_an_outage(
    app: App, visit: Visit, module_home: Path, recipe: dict[str, Any]
) -> None:
    body = {"collection": "ponds", "recipe": recipe, "title": "Twice", "double": 1, "seed": 1}
    census = ask(app, "/censuses", body)["id"]
    units = units_of(module_home, census)
    answers = {unit: len(ponds) for unit, ponds in units.items()}
    ask(app, f"/censuses/{census}/next", {"reviewer": "Ada", "n": 16})
    ask(app, f"/censuses/{census}/answers", {"reviewer": "Ada", "answers": answers})
    page = visit(f"{app.url}/census?census={census}&view=judge", expect="ERR_FAILED")
    live(page, "judge")
    named(page, "Ben")
    unit = shown(page)
    idle(page)
    page.route("**/answers", lambda route: route.abort())
    page.keyboard.press(str(answers[unit] or 0))
    if answers[unit]:
        page.keyboard.press("Enter")
    second = shown(page, unit)
    expect(page.get_by_text("1 answer not sent yet")).to_be_visible()
    page.keyboard.press("?")  # cannot tell
    shown(page, second)
    expect(page.get_by_text("2 answers not sent yet")).to_be_visible()
    page.unroute("**/answers")
    page.reload()
    live(page, "judge")
    expect(page.get_by_text("not sent yet")).to_be_hidden()
    expect(page.get_by_text("Two reviewers judged 2 units")).to_be_visible()
    given = [each for each in ask(app, f"/censuses/{census}/answers") if each["reviewer"] == "Ben"]
    assert [each["count"] for each in given] == [answers[unit], None]


def test_a_census_is_renamed_deleted_and_restored(
    app: App, visit: Visit, recipe: dict[str, Any]
) -> None:
    body = {"collection": "ponds", "recipe": recipe, "title": "To be renamed"}
    census = ask(app, "/censuses", body)["id"]
    page = visit(f"{app.url}/census?census={census}")
    live(page, "census")
    page.get_by_label("Name of the census").fill("Renamed")
    with page.expect_response(re.compile(f"{census}/report")):
        page.keyboard.press("Enter")
    page.get_by_role("button", name="All censuses").click()
    live(page, "list")
    page.get_by_role("button", name="Delete Renamed").click()
    expect(page.get_by_text("Deleted “Renamed”")).to_be_visible()
    expect(page.get_by_role("button", name="Delete Renamed")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Delete Renamed")).to_be_visible()
    page.go_back()
    linked(page, census)
    live(page, "census")


def test_a_start_is_cancelled_and_leaves_nothing(
    app: App, visit: Visit, recipe: dict[str, Any]
) -> None:
    saved = ask(app, "/collections/ponds/object-searches", {**recipe, "name": "Linked"})["search"]
    before = len(ask(app, "/censuses"))
    page = visit(f"{app.url}/census?collection=ponds&saved={saved['id']}", expect="409")
    live(page, "start")
    expect(page.get_by_role("combobox", name="What to count")).to_have_value(f"saved:{saved['id']}")
    sent: list[Route] = []
    page.route(f"{app.url}/api/censuses", lambda route: sent.append(route))
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Cancel").click()
    sent[0].continue_()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    expect(page.get_by_role("progressbar", name="Progress")).to_be_hidden()
    assert len(ask(app, "/censuses")) == before
