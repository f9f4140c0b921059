"""Make the screenshots of every page, in both themes and both sizes (`make screenshots`).

They go to `docs/screenshots/` as JPEG, and one of object search to `assets/screenshot.png` for the
README; words after the script's name choose pages (`search results`).  The app runs over your
own collections and needs the sample collections, and for Changes one with
scenes of two days; what is saved for the Results page is deleted afterwards.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.settings import settings
from tests.browser.driver import (
    DESKTOP,
    FLAGS,
    PHONE,
    chromium_path,
    live,
    results,
    serving,
    until,
)

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "screenshots"
README = ROOT / "assets" / "screenshot.png"
NAME = "san-francisco-bay"
FOREST = "yellowstone-forest"
#: A standing dead tree, 9 m wide.
TREE = "-110.643431,44.963398,9"
PONDS = {"at": [-122.14, 37.63], "k": 12}
LARGEST, LARGEST_README = 150_000, 700_000
SIZES = {"desktop": DESKTOP, "phone": PHONE}
SETTLE_MS = 1500


def main() -> None:
    """Make them all."""
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(settings().home, Path(folder) / "log") as app,
        sync_playwright() as playwright,
        saved(app.url) as search,
    ):
        browser = playwright.chromium.launch(executable_path=chromium_path(playwright), args=FLAGS)
        for shot, (address, ready) in {**shots(search), **dated(app.url)}.items():
            if sys.argv[1:] and shot.partition("-")[0] not in sys.argv[1:]:
                continue
            for size, viewport in SIZES.items():
                for theme in ("light", "dark"):
                    with page(browser, viewport, theme) as opened:
                        opened.goto(app.url + address)
                        ready(opened)
                        opened.wait_for_timeout(SETTLE_MS)
                        name = f"{shot}-{size}-{theme}.jpg"
                        print(name, write_jpeg(opened.screenshot(), PICTURES / name))
                        if (shot, size, theme) == ("objects", "desktop", "light"):
                            print(README.name, write_png(opened.screenshot(), README))
        browser.close()


def shots(search: dict[str, Any]) -> dict[str, tuple[str, Callable[[Page], None]]]:
    """Address of each page, and what to wait for, by the picture's name."""
    collection = f"collection={NAME}"
    chip = f"/search?{collection}&chip={search['recipe']['chip']}"
    objects = f"/search?collection={FOREST}&mode=objects"
    one = f"/results?{collection}&search={search['id']}"
    return {
        "home": ("/", seen(".lk-collection img")),
        "area": ("/area", seen(".lk-area[data-state=live]")),
        "objects": (f"{objects}&at={TREE}&min=0.9", objects_found),
        "objects-scores": (f"{objects}&at={TREE}&min=0.9", scores_shown),
        "objects-judge": (f"{objects}&at={TREE}&min=0.9", judging),
        "search": (f"{chip}&k=12", searched),
        "search-heatmap": (f"{chip}&k=12&heat=1&inside=1&filters=1", searched_inside),
        "search-sites": (f"{chip}&k=100&sites=1&min=0.74", searched),
        "results": ("/results", seen(".lk-saved-row")),
        "results-search": (one, seen(".lk-hit img")),
        "results-review": (f"{one}&view=review", seen(".lk-results img")),
        "census": ("/census?new=1", seen(".lk-start")),
        "collections": ("/collections", seen("[data-testid=stMainBlockContainer] h1")),
        "quality": ("/quality", seen("[data-testid=stMainBlockContainer] h1")),
        "jobs": ("/jobs", seen("[data-testid=stMainBlockContainer] h1")),
    }


def dated(url: str) -> dict[str, tuple[str, Callable[[Page], None]]]:
    """The same of Changes, if some collection has scenes of several days."""
    for one in ask(f"{url}/api/collections", method="GET"):
        days = {(scene["datetime"] or "")[:10] for scene in one.get("scenes", ())} - {""}
        if len(days) > 1:
            west, south, east, north = one["bounds"]
            at = f"lon={(west + east) / 2}&lat={(south + north) / 2}"
            chip = ask(f"{url}/api/collections/{one['name']}/chip?{at}", method="GET")["id"]
            return {"changes": (f"/changes?collection={one['name']}&chip={chip}", compared)}
    print("no picture of Changes: no collection here has scenes of two days")
    return {}


def compared(page: Page) -> None:
    """Waits until the dates are compared and their pictures there."""
    seen(".lk-changes[data-state=live]")(page)
    found = "lookalike.store.state.found && !lookalike.store.state.busy"
    page.wait_for_function(f"() => {found}")
    page.wait_for_load_state("networkidle")


def seen(selector: str) -> Callable[[Page], None]:
    """Waits until something is on the page and the network is at rest."""

    def wait(page: Page) -> None:
        page.locator(selector).first.wait_for()
        page.wait_for_load_state("networkidle")

    return wait


def searched(page: Page) -> None:
    """Waits until the results are there with their pictures."""
    live(page)
    results(page)
    page.wait_for_load_state("networkidle")


def objects_found(page: Page) -> None:
    """Waits until the objects are there with their pictures."""
    page.wait_for_function(
        "() => { const s = window.lookalike?.store?.state; return s?.objects.length && !s.busy; }"
    )
    page.locator(".lk-object-cards img").first.wait_for()
    page.wait_for_load_state("networkidle")


def scores_shown(page: Page) -> None:
    """Waits until the score map is drawn."""
    objects_found(page)
    page.get_by_role("button", name="Score map (H)").click()
    page.locator(".leaflet-lk-scores-pane canvas").first.wait_for()
    page.wait_for_load_state("networkidle")


def judging(page: Page) -> None:
    """Waits until there is something to judge."""
    objects_found(page)
    page.get_by_role("button", name="Judge", exact=True).click()
    until(page, "s.asked.length && !s.busy")
    page.locator(".lk-tray img").first.wait_for()
    page.wait_for_load_state("networkidle")


def searched_inside(page: Page) -> None:
    """Waits until the places inside the results are there too."""
    searched(page)
    page.locator(".lk-inside").first.wait_for()
    page.wait_for_load_state("networkidle")


@contextmanager
def page(browser: Browser, viewport: tuple[int, int], theme: str) -> Iterator[Page]:
    """A page in a session of its own that has seen the hints."""
    context = browser.new_context(
        viewport={"width": viewport[0], "height": viewport[1]},
        color_scheme="dark" if theme == "dark" else "light",
        has_touch=viewport == PHONE,
        is_mobile=viewport == PHONE,
    )
    context.set_default_timeout(120_000)
    context.add_init_script("localStorage.setItem('lookalike:tour', '3')")
    yield context.new_page()
    context.close()


@contextmanager
def saved(url: str) -> Iterator[dict[str, Any]]:
    """A saved search for salt ponds with a few marks, until the block ends."""
    searches = f"{url}/api/collections/{NAME}/searches"
    chip = ask(f"{url}/api/collections/{NAME}/search", PONDS)["query"]["chip"]
    made = ask(searches, {"name": "Salt ponds", "chip": chip, "k": 40})
    try:
        for place, hit in enumerate(made["hits"][:12]):
            mark = "bad" if place in (5, 9, 10) else "good"
            ask(f"{searches}/{made['id']}/marks", {"chip": hit["id"], "mark": mark})
        yield made
    finally:
        ask(f"{searches}/{made['id']}", method="DELETE")


def ask(url: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
    """The answer of a route, decoded."""
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        content = answer.read()
    return json.loads(content) if content else None


def write_jpeg(png: bytes, path: Path) -> int:
    """Keep a picture as JPEG, at the best quality that stays small; returns its bytes."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    small = picture.resize(
        (picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.LANCZOS
    )
    for shown, quality in [(picture, 84), (picture, 72), (picture, 60), (small, 72), (small, 50)]:
        buffer = io.BytesIO()
        shown.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= LARGEST:
            break
    path.write_bytes(buffer.getvalue())
    return buffer.tell()


def write_png(png: bytes, path: Path) -> int:
    """Keep a picture as PNG, with 256 colours if it is large; returns its bytes."""
    content = png
    if len(content) > LARGEST_README:
        buffer = io.BytesIO()
        few = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(buffer, "PNG", optimize=True)
        content = buffer.getvalue()
    path.write_bytes(content)
    return len(content)


if __name__ == "__main__":
    main()
