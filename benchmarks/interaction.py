"""From a click on the map to its highlighted hits, in Chromium, beside leafmap and st_folium.

    python benchmarks/interaction.py             1,000, 10,000 and 50,000 chips
    python benchmarks/interaction.py --quick     1,000 chips, under a minute
    python benchmarks/interaction.py --sizes 1000,50000
    python benchmarks/interaction.py --json      one JSON object a line

Ours is the Search page of the real server, with its imagery and its gallery.  The rival is the page
that one writes with leafmap's foliumap and st_folium, in its best form (`support/folium_page.py`):
footprints only, over the same collection and the same index.  Both are open in one browser and are
clicked in turn at the same places.

A click's time runs from the browser's click event to the frame after the one in which the outlines
of all hits were drawn; the first paint's from the navigation to the frame after the footprints were
drawn, in a browser that has nothing cached, on a server that has shown the page before.  Other
machines' addresses, which the rival asks for Leaflet and style sheets, are answered at once with
the Leaflet that is here.  `quality` is the share of the search's hits that were highlighted.

`ratio` above 1 means that ours is better.  Where the rival does not show the chips or answer a
click within its time, its figure is 0 and `rival_name` says how long was waited.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Browser, Error, Frame, Page, Route, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.support import ROOT
from benchmarks.support.figures import Figure
from benchmarks.support.searchable import (
    make_collection,
    server,
    streamlit,
    wait_for,
)
from tests.browser.driver import DESKTOP, FLAGS, LIVE, chromium_path

K = 10
RIVAL = "leafmap.foliumap + st_folium"
SCRIPT = "benchmarks/support/folium_page.py"
LEAFLET = ROOT / "assets" / "vendor" / "leaflet"
#: Seconds after which a page, or a click, is given up, and that the clicks of a round may take.
GIVEN_UP, UNANSWERED, ROUND_SECONDS = 120, 60, 20
#: What a person takes at least from results to the next click.
LOOK_MS = 500
#: The most that the largest collection may take.
LIMIT_MS, LIMIT_PAINT_MS = 300.0, 2000.0

#: Two frames later, what was put on the page is on the screen.
PAINTED = "(then) => requestAnimationFrame(() => requestAnimationFrame(() => then()))"
#: Notes when a condition first holds and was painted, in milliseconds since the navigation began.
FIRST_PAINT = (
    "(() => { const look = () => (%s) ? (" + PAINTED + ")(() => {"
    " window.paintedAt = performance.timeOrigin + performance.now(); })"
    " : setTimeout(look, 8); look(); })()"
)
#: Promises the time from the next click to the hits on the screen, which hits they are, and the
#: place that was clicked.
OURS_NEXT = (
    "() => { window.answer = new Promise((done) => addEventListener('click', (click) => {"
    " const { lng, lat } = lookalike.map.leaflet().mouseEventToLatLng(click), place = [lng, lat];"
    " const drawn = () => document.querySelector('.leaflet-lk-hits-pane path');"
    " const watch = new MutationObserver(() => { if (!drawn()) return; watch.disconnect();"
    " (" + PAINTED + ")(() => done([performance.now() - click.timeStamp,"
    " lookalike.store.state.shown.map(({ id }) => id), place])); });"
    " watch.observe(document.querySelector('.lk-map'), { childList: true, subtree: true });"
    " }, { capture: true, once: true })); }"
)
RIVALS_NEXT = (
    "() => { window.answer = new Promise((done) => addEventListener('click', (click) => {"
    " const { lng, lat } = map.mouseEventToLatLng(click);"
    " const ids = []; const note = ({ layer }) => { const id = layer.feature?.properties?.id;"
    " if (!id) return; ids.push(id); if (ids.length > 1) return;"
    " (" + PAINTED + ")(() => { map.off('layeradd', note);"
    " done([performance.now() - click.timeStamp, ids, [lng, lat]]); }); };"
    " map.on('layeradd', note); }, { capture: true, once: true })); }"
)
#: A place's pixel in the map.
PIXEL = (
    "([lon, lat]) => { const map = window.lookalike?.map.leaflet() ?? window.map;"
    " const at = map.latLngToContainerPoint([lat, lon]); return [at.x, at.y]; }"
)


@dataclass(frozen=True)
class Plan:
    """How often everything is done: visits of a page, the first for nothing, and clicks."""

    visits: int = 4
    rounds: int = 3
    clicks: int = 10


QUICK = Plan(visits=3, rounds=2, clicks=3)
#: Milliseconds to the highlight, the chips highlighted, longitude and latitude of the click.
Answer = tuple[float, list[str], list[float]]


@dataclass
class Seen:
    """What one side's clicks gave.

    Attributes:
        rounds: Milliseconds of each click, by round.
        recalls: Share of the search's hits that each highlighted.
        unanswered: Clicks that led to nothing.
        paints: Milliseconds to the first paint of each visit.
        trouble: Why there is no page, or "".
    """

    rounds: list[list[float]] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    unanswered: int = 0
    paints: list[float] = field(default_factory=list)
    trouble: str = ""

    @property
    def times(self) -> list[float]:
        """Of all rounds."""
        return [one for times in self.rounds for one in times]

    @property
    def recall(self) -> float:
        """Mean share."""
        return round(float(np.mean(self.recalls)), 4) if self.recalls else 0.0

    def quantile(self, share: int) -> float:
        """A percentile of all clicks, or 0 where there was none."""
        return float(np.percentile(self.times, share)) if self.times else 0.0

    def spread(self, share: int) -> float:
        """How far that percentile differs between rounds, relative to it."""
        each = [float(np.percentile(times, share)) for times in self.rounds if times]
        return (max(each) - min(each)) / self.quantile(share)


class Ours:
    """The Search page."""

    def __init__(self, browser: Browser, address: str, name: str) -> None:
        context = browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
        condition = f"({LIVE})() && document.querySelector('.leaflet-lk-grid-pane canvas')"
        context.add_init_script("localStorage.setItem('lookalike:tour', '3')")
        context.add_init_script(FIRST_PAINT % condition)
        self.page = context.new_page()
        self.page.goto(f"{address}/search?collection={name}")
        self.page.wait_for_function("() => window.paintedAt", timeout=GIVEN_UP * 1000)
        self.paint = self.page.evaluate("() => paintedAt - performance.timeOrigin")

    def click(self, lon: float, lat: float) -> Answer:
        """Click a place and wait for its hits."""
        page = self.page
        page.keyboard.press("Escape")
        page.wait_for_function(
            "() => !lookalike.store.state.query && !lookalike.store.state.busy"
            " && !document.querySelector('.leaflet-lk-hits-pane path')"
        )
        at = page.evaluate(PIXEL, [lon, lat])
        page.evaluate(OURS_NEXT)
        press(page, ".lk-map", *at)
        answer = answered(page)
        # A person looks at the results before the next click; so the pictures are there.
        page.wait_for_function(
            "() => [...document.querySelectorAll('.lk-card img')].every((one) => one.complete)"
        )
        return answer


class Rival:
    """The page made with leafmap and st_folium."""

    def __init__(self, browser: Browser, address: str, name: str, chips: int) -> None:
        context = browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
        condition = f"window !== top && Object.keys(window.map?._layers ?? {{}}).length > {chips}"
        context.add_init_script(FIRST_PAINT % condition)
        context.route(lambda url: not url.startswith(address), answered_here)
        self.page = context.new_page()
        self.page.goto(f"{address}/?collection={name}")
        self.frame = self._frame()
        painted = self.frame.evaluate("() => paintedAt")
        self.paint = painted - self.page.evaluate("() => performance.timeOrigin")

    def _frame(self) -> Frame:
        end = time.monotonic() + GIVEN_UP
        while time.monotonic() < end:
            for frame in self.page.frames[1:]:
                try:
                    if frame.evaluate("() => Boolean(window.paintedAt)"):
                        return frame
                except Error:  # it went away between two looks
                    continue
            self.page.wait_for_timeout(100)
        raise TimeoutError(f"no map within {GIVEN_UP} s")

    def click(self, lon: float, lat: float) -> Answer:
        """As that of ours."""
        at = self.frame.evaluate(PIXEL, [lon, lat])
        self.frame.evaluate(RIVALS_NEXT)
        press(self.page, "iframe", *at)
        return answered(self.frame)


def answered(page: Page | Frame) -> Answer:
    """What the click that was just made led to.

    Raises:
        TimeoutError: If it led to nothing.
    """
    late = f"new Promise((done) => setTimeout(done, {UNANSWERED * 1000}))"
    found: Answer | None = page.evaluate(f"() => Promise.race([answer, {late}])")
    if found is None:
        raise TimeoutError
    return found


def answered_here(route: Route) -> None:
    """Answer for another machine: with the Leaflet that is here, else with nothing."""
    file = LEAFLET / Path(route.request.url.partition("?")[0]).name
    kind = "text/css" if file.suffix == ".css" else "text/javascript"
    route.fulfill(body=file.read_text("utf-8") if file.is_file() else "", content_type=kind)


def press(page: Page, map_selector: str, x: float, y: float) -> None:
    """Click a pixel of the map, as a hand does: there first, then pressed."""
    box = page.locator(map_selector).first.bounding_box()
    assert box
    page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    page.wait_for_timeout(100)
    page.mouse.click(box["x"] + x, box["y"] + y)


def measure(
    browser: Browser, ours_at: str, rival_at: str, name: str, chips: int, plan: Plan
) -> tuple[Seen, Seen]:
    """Both sides at one size, in turn."""
    ours, rival = Seen(), Seen()
    west, south, east, north = httpx.get(f"{ours_at}/api/collections/{name}").json()["bounds"]
    rng = np.random.default_rng(0)
    places = [
        (west + across * (east - west), south + up * (north - south))
        for across, up in rng.uniform(0.2, 0.8, (plan.rounds * plan.clicks + 1, 2))
    ]
    our_page = visits(ours, plan, lambda: Ours(browser, ours_at, name))
    rival_page = visits(rival, plan, lambda: Rival(browser, rival_at, name, chips))
    for page in (our_page, rival_page):
        # Once for nothing: the first search of a process opens what later ones find open.
        round_of(Seen(), page, places[-1:], ours_at, name)
    for number in range(plan.rounds):
        turn = places[number * plan.clicks : (number + 1) * plan.clicks]
        round_of(ours, our_page, turn, ours_at, name)
        round_of(rival, rival_page, turn, ours_at, name)
    for page in (our_page, rival_page):
        if page:
            page.page.context.close()
    return ours, rival


def visits(seen: Seen, plan: Plan, visit: Any) -> Any:
    """The page, visited by a browser without a cache; the first visit warms the server.

    Slow ones are visited twice only.
    """
    page = None
    try:
        for number in range(plan.visits):
            if page:
                page.page.context.close()
            started = time.monotonic()
            page = visit()
            if number:
                seen.paints.append(page.paint)
            if number and time.monotonic() - started > ROUND_SECONDS / 4:
                break
    except TimeoutError as late:
        seen.trouble = str(late)
        return None
    return page


def round_of(
    seen: Seen, page: Any, places: list[tuple[float, float]], address: str, name: str
) -> None:
    """Click these places, as many as the time allows."""
    if not page:
        return
    page.page.bring_to_front()
    seen.rounds.append([])
    end = time.monotonic() + ROUND_SECONDS
    for lon, lat in places:
        try:
            took, ids, place = page.click(lon, lat)
        except TimeoutError:
            seen.unanswered += 1
            continue
        seen.rounds[-1].append(took)
        answer = httpx.post(
            f"{address}/api/collections/{name}/search", json={"at": place, "k": K}, timeout=60
        )
        wanted = {hit["id"] for hit in answer.json()["hits"]}
        seen.recalls.append(len(wanted & set(ids)) / len(wanted))
        page.page.wait_for_timeout(LOOK_MS)
        if time.monotonic() > end:
            return


def figures(chips: int, ours: Seen, rival: Seen) -> Iterator[Figure]:
    """The comparisons of one size."""
    rival_name = f"{RIVAL}: {rival.trouble}" if rival.trouble else RIVAL
    quality = {
        "recall": ours.recall,
        "recall_of_rival": rival.recall,
        "clicks": len(ours.times),
        "clicks_of_rival": len(rival.times),
        "unanswered": ours.unanswered,
        "unanswered_by_rival": rival.unanswered,
    }

    def figure(name: str, own: float, other: float, of: str, spread: float) -> Figure:
        values = (round(own, 1), round(other, 1), of, round(other / own, 2), round(spread, 3))
        return Figure(f"{name}, {chips:,} chips", *values, quality)

    for share in (50, 95):
        name = f"click to highlight p{share}, ms"
        own, spread = ours.quantile(share), ours.spread(share)
        yield figure(name, own, rival.quantile(share), rival_name, spread)
    limit = figure(
        "click to results on the map p95, ms", own, LIMIT_MS, f"the limit, {LIMIT_MS:.0f}", spread
    )
    paint = median(ours.paints)
    paint_spread = (max(ours.paints) - min(ours.paints)) / paint
    other = median(rival.paints) if rival.paints else 0.0
    yield limit
    yield figure("first useful paint, ms", paint, other, rival_name, paint_spread)
    yield figure(
        "first useful paint, ms", paint, LIMIT_PAINT_MS, f"the limit, {LIMIT_PAINT_MS:.0f}",
        paint_spread,
    )  # fmt: skip


@contextmanager
def both(home: Path, names: list[str]) -> Iterator[tuple[str, str]]:
    """Addresses of our server and of the rival's, over the same collections."""
    with (
        server(home, *names) as ours,
        streamlit(SCRIPT, {**os.environ, "LOOKALIKE_HOME": str(home)}) as rival,
    ):
        wait_for(f"{rival}/_stcore/health")
        yield ours, rival


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="1,000 chips, a few clicks")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--sizes", default="1000,10000,50000")
    parser.add_argument("--clicks", type=int, default=Plan.clicks, help="a round, of three")
    options = parser.parse_args()
    sizes = [1000] if options.quick else [int(size) for size in options.sizes.split(",")]
    plan = QUICK if options.quick else Plan(clicks=options.clicks)
    names = {size: f"chips-{size}" for size in sizes}
    with tempfile.TemporaryDirectory(prefix="lookalike-interaction-") as folder:
        home = Path(folder) / "home"
        made = {
            size: len(make_collection(home, size, name, pictured=True))
            for size, name in names.items()
        }
        with both(home, list(names.values())) as addresses, sync_playwright() as playwright:
            path = chromium_path(playwright)
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
            for size, name in names.items():
                seen = measure(browser, *addresses, name, made[size], plan)
                for figure in figures(made[size], *seen):
                    figure.show(as_json=options.json)
            browser.close()


if __name__ == "__main__":
    main()
