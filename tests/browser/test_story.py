"""The whole story in one window: from nothing to a GeoPackage, and found again the next day.

One person who has never seen the app, at a desk and with a phone.  The steps are the same; each is
done as the screen lets one do it, by mouse and keys or by fingers.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from tests.browser.driver import (
    DESKTOP,
    PHONE,
    Visit,
    at_rest,
    built,
    chromium,
    live,
    ponds,
    ran,
    results,
    serving,
    spot,
    swipe,
    visit,
    wait,
)
from tests.factories.rasters import write

__all__ = ["chromium", "visit"]
pytestmark = pytest.mark.browser

#: West, south, east, north of most of the scene: fields in its west, ponds in its east.
AREA = (6.400, 46.392, 6.524, 46.468)
POND = (6.4895, 46.4323)
#: No chip whose centre lies east of it shows any field.
MIDDLE = 6.4634
#: Round the ponds.
POND_COUNTRY = ((6.466, 46.384), (6.466, 46.478), (6.537, 46.478), (6.537, 46.384))
STANDING = re.compile(r"^Embedding · (\d+) of (\d+) chips")
HITS = "s.shown.map(({ id, score, lon, lat }) => ({ id, score, lon, lat }))"

JUDGED = re.compile("5 marks from searching and reviewing are no random sample")

Hits = list[dict[str, Any]]


class Server:
    """A server process over one home, which can be ended and begun again."""

    def __init__(self, home: Path, folder: Path) -> None:
        self._home, self._folder, self._starts = home, folder, 0
        self._running = ExitStack()
        self.start()

    def start(self) -> None:
        """Begin a process on a port of its own."""
        self._starts += 1
        self.log = self._folder / f"log-{self._starts}"
        self.url = self._running.enter_context(serving(self._home, self.log)).url

    def stop(self) -> None:
        """End it, as at the end of a day."""
        self._running.close()
        assert "Traceback" not in self.log.read_text()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raster in a folder that the server may read; no two ponds of it are quite alike."""
    picture = ponds()
    shade = np.linspace(0.7, 1, picture.shape[1])[:, None]
    return write(tmp_path_factory.mktemp("imagery") / "ponds.tif", (picture * shade).astype("u1"))


@pytest.fixture(scope="module")
def server(
    module_home: Path, scene: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The app with nothing built; it builds in the runner's own process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_WORKERS", "0")
        patch.setenv("LOOKALIKE_FOLDERS", str(scene.parent))
        running = Server(module_home, tmp_path_factory.mktemp("story"))
        yield running
        running.stop()


@dataclass
class Person:
    """Who uses a page, by mouse and keys or by fingers."""

    page: Page
    phone: bool

    def press(self, name: str | re.Pattern[str], role: Any = "button", **found: Any) -> None:
        """Press what has this name."""
        self.touch(self.page.get_by_role(role, name=name, **found).first)

    def touch(self, what: Locator) -> None:
        """Press it; nothing may ever be wider than the screen."""
        assert self.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        if self.phone:
            what.tap()
        else:
            what.click()

    def touch_map(self, place: tuple[float, float]) -> None:
        """Press a place on the Search page's map."""
        at = spot(self.page, *place)
        if self.phone:
            self.page.touchscreen.tap(*at)
        else:
            self.page.mouse.click(*at)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one place in the window to another."""
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        if not self.phone:
            self.page.mouse.move(*start)
            self.page.mouse.down()
            for spot in (middle, end):
                self.page.mouse.move(*spot, steps=3)
            self.page.mouse.up()
            return
        swipe(self.page, start, middle, end)

    def until(self, condition: str, value: Any = None) -> None:
        """Wait for a condition on the Search page's state `s`."""
        wait(
            self.page,
            f"(value) => {{ const s = lookalike.store.state; return {condition}; }}",
            arg=value,
        )

    def hits(self) -> Hits:
        """The results on the Search page, once a search has ended."""
        results(self.page)
        found: Hits = self.page.evaluate(
            f"() => {{ const s = lookalike.store.state; return {HITS}; }}"
        )
        return found

    def go(self, title: str) -> None:
        """To another page, by the navigation."""
        if self.phone:
            self.touch(self.page.get_by_test_id("stExpandSidebarButton"))
        self.press(title, "link")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_whole_story(
    server: Server, scene: Path, visit: Visit, size: tuple[int, int], tmp_path: Path
) -> None:
    person = Person(visit(server.url, size=size), phone=size == PHONE)
    name = "By phone" if person.phone else "At the desk"
    choose_imagery(person, scene)
    draw_the_area(person)
    chips = preflight(person, name)
    person.press("Build")
    card = watch_the_build(person, name, chips)
    # of this job, not of one before it
    person.touch(card.get_by_role("link", name="Search", exact=True))
    refine(person, search(person, chips))
    found = narrow(person)
    save(person, name)
    review(person, len(found))
    export(person, found, tmp_path, name)
    reload(person, found)
    person.page.context.close()
    server.stop()
    server.start()
    person.page = visit(server.url, size=size)
    reopen(person, found, name)


def choose_imagery(person: Person, scene: Path) -> None:
    """From Home, where a newcomer starts, to a raster of one's own on the map."""
    page = person.page
    person.press("Draw an area", "link")
    page.locator(".lk-area[data-state=live]").wait_for()
    person.touch(page.locator("[class*='st-key-area-kind']").get_by_role("combobox"))
    person.press("My raster", "option")
    if person.phone:
        page.locator("[class*='st-key-area-raster'] input[type=file]").set_input_files(scene)
    else:
        person.press("Server path", "radio")
        page.get_by_role("textbox", name="Path to a raster").fill(str(scene))
        page.keyboard.press("Enter")
    page.get_by_text("1 scene, 10 m/pixel").wait_for()
    wait(
        page,
        "() => [...document.querySelectorAll('.lk-area img.leaflet-tile')]"
        ".some((tile) => tile.src.includes('/api/looks/') && tile.naturalWidth === 256)",
    )


def draw_the_area(person: Person) -> None:
    west, south, east, north = AREA
    person.press("Draw a rectangle")
    corners = ((west, north), (east, south))
    person.drag(*(spot(person.page, *at) for at in corners))
    person.page.locator("h2.lk-step", has_text="Area").filter(has_text="km²").wait_for()


def preflight(person: Person, name: str) -> int:
    """Read what the build takes, and name it; gives the number of chips."""
    page = person.page
    heading = page.locator("h2.lk-step", has_text="Pre-flight")
    heading.filter(has=page.get_by_text("ready to build", exact=True)).wait_for()
    title = page.get_by_label("Name", exact=True)
    at_rest(page)
    with ran(page):
        title.fill(name)
        title.press("Tab")
    listed = page.locator(".lk-figures")
    words, values = (listed.locator(kind).all_inner_texts() for kind in ("dt", "dd"))
    figures = dict(zip(words, values, strict=True))
    assert figures["Coverage"].startswith("100% of 80")
    assert figures["Time"].startswith("about")
    assert "free" in figures["Disk"]
    return int(figures["Chips"])


def watch_the_build(person: Person, name: str, chips: int) -> Locator:
    """Follow the job; what it says must be true at every moment."""
    page = person.page
    page.evaluate(
        "() => { window.said = []; new MutationObserver(() => {"
        " const words = document.querySelector('[data-testid=stProgress]')?.innerText;"
        " if (words && words !== said.at(-1)) said.push(words);"
        " }).observe(document.body, { subtree: true, childList: true, characterData: true }); }"
    )
    card = built(page, name)
    card.get_by_text(f"{chips} chips · in").wait_for()
    said = page.evaluate("() => said")
    assert said, "no progress was seen"
    standings = [tuple(map(int, found.groups())) for found in map(STANDING.match, said) if found]
    assert standings == sorted(standings)
    assert all(total == chips for _, total in standings)
    return card


def search(person: Person, chips: int) -> Hits:
    """Press a pond: ten ranked places appear, on the map and beside it."""
    page = live(person.page)
    person.touch_map(POND)
    found = person.hits()
    # The order follows more than the score.
    assert all(hit["score"] > 0.9 and hit["lon"] > MIDDLE for hit in found[:3])
    assert page.locator(".lk-card .lk-score").count() == 10
    assert page.locator(".leaflet-marker-pane .lk-rank").count() == 10
    assert f"10 of {chips - 1} chips" in page.locator(".lk-summary").inner_text()
    return found


def refine(person: Person, found: Hits) -> None:
    """Two are good, the last is bad: it goes."""
    page = person.page
    if person.phone:
        for rank, verdict in ((1, "good"), (2, "good"), (10, "bad")):
            person.press(re.compile(f"^Mark result {rank} as {verdict}"))
    else:
        for key in ("ArrowRight", "g", "ArrowRight", "g", *["ArrowRight"] * 8, "b"):
            page.keyboard.press(key)
    page.get_by_text("2 good · 1 bad").wait_for()
    person.press("Refine", exact=True)
    person.until("s.bad.length === 1 && s.summary && !s.busy")
    refined = person.hits()
    assert refined
    assert found[9]["id"] not in [hit["id"] for hit in refined]


def narrow(person: Person) -> Hits:
    """Only within a polygon round the ponds."""
    person.press(re.compile("^Filters"))
    person.press("Draw", exact=True)
    person.until("s.drawing === 'polygon'")
    for corners, place in enumerate(POND_COUNTRY, 1):
        person.touch_map(place)
        wait(
            person.page,
            "(n) => document.querySelectorAll('.leaflet-editing-icon').length === n",
            arg=corners,
        )
    person.touch_map(POND_COUNTRY[0])
    person.until("s.filters.within && s.summary && !s.busy && s.hits.length")
    found = person.hits()
    corners = person.page.evaluate("() => lookalike.store.state.filters.within.coordinates[0]")
    assert len(corners) == len(POND_COUNTRY) + 1
    west = min(lon for lon, _ in corners)
    assert all(hit["lon"] >= west for hit in found)
    assert person.page.evaluate("() => lookalike.store.state.bad.length") == 1
    return found


def save(person: Person, name: str) -> None:
    page = person.page
    person.press("Save search (S)")
    page.get_by_label("Search name").fill(f"{name}: ponds")
    person.press("Save", exact=True)
    person.press("Review and export in Results", "link")
    page.locator(".lk-hit").first.wait_for()


def review(person: Person, hits: int) -> None:
    """Judge four more, by key or by button; two were called good in the search itself."""
    page = person.page
    assert page.locator(".lk-hit").count() == hits
    person.press("Review", exact=True)
    page.get_by_alt_text("Surroundings").wait_for()
    for letter, verdict in (("g", "Good"), ("g", "Good"), ("b", "Bad"), ("s", "Skip")):
        if person.phone:
            person.press(re.compile(f"^{verdict}"))
        else:
            page.keyboard.press(letter)
    page.get_by_text(f"6 of {hits} · 4 good, 1 bad").wait_for()
    person.touch(page.locator(".lk-review-head .lk-link"))
    page.get_by_text(JUDGED).wait_for()


def export(person: Person, found: Hits, folder: Path, name: str) -> None:
    """A GeoPackage of every hit, which a GIS opens and which says how it came about."""
    person.touch(person.page.get_by_text("Hits", exact=True))
    with person.page.expect_download() as started:
        person.press(re.compile("^GeoPackage"))
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    rows = geopandas.read_file(path, layer="lookalikes").sort_values("rank")
    assert list(rows["id"]) == [hit["id"] for hit in found]
    assert sorted(mark for mark in rows["mark"] if mark) == ["bad", *["good"] * 4, "skip"]
    with sqlite3.connect(path) as database:
        (about,) = database.execute("SELECT metadata FROM gpkg_metadata").fetchone()
    provenance = json.loads(about)
    assert provenance["title"] == name
    assert len(provenance["recipe"]["good"]) == 2


def reload(person: Person, found: Hits) -> None:
    """The Results page and the map keep everything."""
    page = person.page
    page.reload()
    page.get_by_text(JUDGED).wait_for()
    person.press("Open on the map", "link")
    for _ in range(2):
        live(page)
        assert person.hits() == found
        page.reload()
    live(page)


def reopen(person: Person, found: Hits, name: str) -> None:
    """The next day, in another browser, from another process: the same places in the same order."""
    person.go("Results")
    person.press(re.compile(f"{name}: ponds"))
    person.page.get_by_text(JUDGED).wait_for()
    shown = person.page.locator(".lk-hit .lk-score").all_inner_texts()
    assert shown == [f"{hit['score']:.2f}" for hit in found]
    person.press("Open on the map", "link")
    live(person.page)
    assert person.hits() == found
