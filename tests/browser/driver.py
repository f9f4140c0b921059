"""The real app in a real browser: a Streamlit server of its own and headless Chromium.

A test module imports the fixtures it uses.  `visit` opens pages that fail the test afterwards if
the browser logged an error or asked any other machine for anything.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests import ROOT, ends_with_us
from tests.cli.test_app import run

DESKTOP, PHONE = (1440, 900), (390, 844)
#: Where a test does not depend on the size: fewer pixels than a desktop's are drawn sooner.
WINDOW = (1200, 720)
#: Streamlit's navigation looks at it, not at the size of the window.
PHONE_AGENT = "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/130.0.0.0 Mobile Safari/537.36"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    # Every window loads two pages of Chromium's own for its address bar: half a second of a core.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup",
]
#: Long, because a test machine may be busy; nothing waits when it need not.
PATIENCE_MS = 60_000
#: How often a page is asked whether what a test waits for has come.
POLL_MS = 50
#: What Chromium drops its requests with when a network interface of the machine comes or goes, as
#: those of containers beside it do.
DISTURBANCE = "ERR_NETWORK_CHANGED"
expect.set_options(timeout=PATIENCE_MS)
#: A script that gives the page one message of the server after the other, as a slow line does.
PIECEMEAL = """
const listen = WebSocket.prototype.addEventListener;
WebSocket.prototype.addEventListener = function (name, handle, ...rest) {
  let last = Promise.resolve();
  const shown = () => new Promise((done) => setTimeout(done, 20));
  const later = (event) => { last = last.then(() => handle(event)).then(shown); };
  listen.call(this, name, name === 'message' ? later : handle, ...rest);
};
"""
#: How often the server has run the page to its end, as the page has it.
RUNS = "Number(document.querySelector('.lk-run')?.dataset.run ?? 0)"
#: Whether a run of the page ended in an error that nobody expected.
BROKEN = (
    "[...document.querySelectorAll('[data-testid=stAlert]')]"
    ".some((box) => box.textContent.includes('Something went wrong'))"
)
#: Until it is idle; after so long it tells what it waits for.
IDLE = (
    "(limit) => window.lookalike && Promise.race([lookalike.idle(), new Promise((_, fail) => "
    "setTimeout(() => fail(new Error(`waits for ${lookalike.waitingFor()}`)), limit))])"
)
LIVE = (
    "() => window.lookalike?.store?.state.footprints && window.lookalike.map.leaflet() && "
    "document.querySelector('.lk-explorer[data-state=live]')"
)


def chromium_path(playwright: Playwright) -> str:
    """A Chromium that runs, as `.ci/chromium.sh` looks for it: on PATH, else Playwright's own."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"):
        found = shutil.which(name)
        if found and not subprocess.run([found, "--version"], capture_output=True).returncode:
            return found
    own = playwright.chromium.executable_path
    assert Path(own).is_file(), "Chromium is missing: run `make test`, which installs it"
    return own


@dataclass(frozen=True)
class App:
    """A running app."""

    url: str
    log: Path


@contextmanager
def serving(home: Path, log: Path, *options: str, base: str = "") -> Iterator[App]:
    """The app with its own home, on a port that it finds itself, until the block ends.

    What it and its runner printed must hold no traceback.
    """
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    flags = ["--server.port", "0", "--server.address", "127.0.0.1", "--server.headless=true"]
    if base:
        flags += ["--server.baseUrlPath", base.strip("/")]
    process = subprocess.Popen(
        [*command, *flags, *options],
        cwd=ROOT,
        env={**os.environ, "LOOKALIKE_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=ends_with_us,
    )
    address: Future[str] = Future()
    reader = threading.Thread(target=_keep, args=(process, log, address))
    reader.start()
    try:
        url = address.result() + base
        assert url != base, f"the app did not start:\n{log.read_text()}"
        yield App(url, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
            reader.join()
            end_jobs(home)
    for printed in (log, home / "jobs" / "runner.log"):
        told = printed.read_text() if printed.exists() else ""
        assert "Traceback" not in told, told


def end_jobs(home: Path) -> None:
    """Cancel what is still being built and wait for its runner, which outlives the app."""
    from pipeline.errors import QueryError
    from pipeline.files import is_locked
    from pipeline.jobs.queue import Jobs

    jobs = Jobs(home)
    for job in jobs.all():
        if job.active:
            with suppress(QueryError):  # it has just ended
                jobs.cancel(job.id)

    def at_rest() -> None:
        assert not any(job.active for job in jobs.all()), "a job goes on after it was cancelled"
        assert not is_locked(jobs.root / ".runner"), "the runner does not end"

    eventually(at_rest)


def _keep(process: subprocess.Popen[bytes], log: Path, address: Future[str]) -> None:
    """Write what the app prints to its log; its address is "" where it ends before it serves."""
    assert process.stdout
    with log.open("wb", buffering=0) as kept:
        for line in process.stdout:
            kept.write(line)
            found = re.search(rb"URL: (http://127\.0\.0\.1:\d+)", line)
            if found and not address.done():
                address.set_result(found[1].decode())
    if not address.done():
        address.set_result("")


def build(home: Path, scene: Path, name: str, *options: str) -> None:
    """Build a collection with the command line's own main, in this process as `run` does."""
    from pipeline.settings import settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_HOME", str(home))
        done = run("build", "--scene", str(scene), "--name", name, *options)
    settings.cache_clear()
    assert done.returncode == 0, done.stdout + done.stderr


def ponds(size: int = 1024) -> np.ndarray:
    """Two kinds of country in one scene: fields in the west, round ponds in the east."""
    from tests.factories.rasters import ground

    picture = ground(size, size, seed=7)
    y, x = np.mgrid[:size, :size]
    inside = ((x % 128 - 64) ** 2 + (y % 128 - 64) ** 2 < 44**2) & (x >= size // 2)
    for band, level in enumerate((20, 70, 140)):
        picture[band][x >= size // 2] = 190 - 20 * band
        picture[band][inside] = level
    return picture


#: Width of a pond in metres, and where the 32 ponds lie in pixels of the scene.
POND = 880
PONDS = [(x, y) for y in range(64, 1024, 128) for x in range(576, 1024, 128)]


@pytest.fixture(scope="module")
def app(
    module_home: Path, ponds_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """The app with one collection, `ponds`, of 49 chips, in `module_home`."""
    shutil.copytree(ponds_home, module_home, dirs_exist_ok=True)
    with serving(module_home, tmp_path_factory.mktemp("app") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module's tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(playwright), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a page's browser complained about, and whom it asked."""

    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    disturbed: bool = False

    def open(self, context: BrowserContext, url: str) -> Page:
        """Open an address; a page that was disturbed as it loaded gives way to another."""
        while True:
            page = context.new_page()
            self._listen(page)
            try:
                page.goto(url)
            except Error as error:
                if DISTURBANCE not in error.message:
                    raise
                self.disturbed = True
            if not self.disturbed:
                return page
            page.close()
            self.complaints.clear()
            self.disturbed = False

    def _listen(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._on_request)

    def _on_console(self, message: Any) -> None:
        if DISTURBANCE in message.text:
            self.disturbed = True
        elif message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def _on_request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.outside.append(request.url)


Visit = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens an address in a fresh browser session: `visit(url, size=WINDOW, dark=False)`.

    Tests that provoke a refusal pass `expect="…"`, the part of the complaint that is meant.
    """
    opened: list[tuple[BrowserContext, Watch, str]] = []

    def open_page(
        url: str, *, size: tuple[int, int] = WINDOW, dark: bool = False, expect: str = ""
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            has_touch=size == PHONE,
            is_mobile=size == PHONE,
            user_agent=PHONE_AGENT if size == PHONE else None,
        )
        context.set_default_timeout(PATIENCE_MS)
        watch = Watch()
        opened.append((context, watch, expect))
        return watch.open(context, url)

    yield open_page
    for context, watch, refusal in opened:
        context.close()
        if watch.disturbed:
            print(f"{DISTURBANCE} after a page was loaded")  # shown with a failure only
        meant = [line for line in watch.complaints if not (refusal and refusal in line)]
        assert not meant, meant
        assert not watch.outside, watch.outside


def wait(page: Page, condition: str, arg: Any = None) -> None:
    """Wait until a condition holds in the page; `arg` is what it is given.

    Polls every `POLL_MS`.  Playwright polls at every frame by default, which costs drawing them.
    """
    page.wait_for_function(condition, arg=arg, polling=POLL_MS)


def live(page: Page) -> Page:
    """The page once its map is drawn and can be clicked."""
    wait(page, LIVE)
    idle(page)
    return page


def idle(page: Page) -> None:
    """Wait until the page has nothing under way and its map stays where it is."""
    wait(page, "() => window.lookalike?.idle")
    page.evaluate(IDLE, PATIENCE_MS)


def spot(page: Page, lon: float, lat: float) -> tuple[float, float]:
    """Where in the window a place on the map is, once the map has come to rest."""
    idle(page)
    x, y = page.evaluate(
        "([lon, lat]) => { const map = lookalike.map.leaflet();"
        " const box = map.getContainer().getBoundingClientRect();"
        " const at = map.latLngToContainerPoint([lat, lon]);"
        " return [at.x + box.x, at.y + box.y]; }",
        [lon, lat],
    )
    return x, y


def click_map(page: Page, lon: float, lat: float) -> None:
    """Click a place on the map."""
    page.mouse.click(*spot(page, lon, lat))


def swipe(page: Page, *spots: tuple[float, float]) -> None:
    """Draw a finger over these places in the window.

    It may take long: Leaflet.draw takes the touch for itself, so that it never is a long press.
    """
    session = page.context.new_cdp_session(page)
    kinds = ["touchStart", *["touchMove"] * (len(spots) - 1), "touchEnd"]
    for kind, at in zip(kinds, [*spots, None], strict=True):
        points = [{"x": at[0], "y": at[1]}] if at else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.detach()


def state(page: Page, name: str) -> Any:
    """One value of the explorer's state."""
    return page.evaluate("(name) => lookalike.store.state[name]", name)


def until(page: Page, condition: str, arg: Any = None) -> None:
    """Wait for a condition on the explorer's state `s`; `arg` is what it is given."""
    wait(page, f"(arg) => {{ const s = lookalike.store.state; return {condition}; }}", arg=arg)


def linked(page: Page, *parts: str) -> None:
    """Wait until the address holds these parts; `page.url` may lag behind it."""
    wait(page, "(parts) => parts.every((part) => location.href.includes(part))", arg=list(parts))


def address(page: Page) -> str:
    """The address as the page itself sees it now."""
    return page.evaluate("() => location.href")


@contextmanager
def ran(page: Page) -> Iterator[None]:
    """Wait until what is done in the block has reached the server and it has run the page since.

    The run before it has ended when the block begins: else its end could be taken for this one's.
    """
    at_rest(page)
    before = page.evaluate(f"() => {RUNS}")
    yield
    at_rest(page, before)


def at_rest(page: Page, after: int = 0) -> None:
    """Wait until the server has run the page to its end and the page shows what came of it.

    Args:
        page: A page of the app.
        after: Number of a run; a later one must have ended.
    """
    wait(
        page,
        f"(after) => {BROKEN} || {RUNS} > after && document.querySelector('[data-testid=stApp]')"
        ".dataset.testScriptState === 'notRunning'",
        arg=after,
    )
    assert not page.evaluate(f"() => {BROKEN}"), "the page failed; the server's log says why"
    page.evaluate(IDLE, PATIENCE_MS)


def unfold(page: Page, title: str) -> None:
    """Open an expander and wait until it has: a click on what still slides misses it."""
    folded = page.locator("details", has=page.locator("summary", has_text=title))
    folded.locator("summary").click()
    expect(folded).to_have_attribute("open", "")
    expect(folded).not_to_have_attribute("style", re.compile("height"))


def built(page: Page, title: str) -> Locator:
    """The card of a job, once it has ended well; what it says, where it has not."""
    page.wait_for_url("**/jobs")
    card = page.locator("[class*='st-key-job-2']", has=page.get_by_role("heading", name=title))
    card.wait_for()
    ended = card.locator(".lk-state", has_text=re.compile("Done|Failed|Cancelled"))
    ended.wait_for(timeout=240_000)
    assert ended.inner_text() == "Done", page.locator("body").inner_text()
    return card


def eventually(check: Callable[[], None]) -> None:
    """Repeat a check until it holds, as what it looks at may still be on its way."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while True:
        try:
            return check()
        except (AssertionError, LookupError, ValueError):
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


@contextmanager
def held(page: Page, part: str, act: Callable[[], None]) -> Iterator[None]:
    """Act, and keep what the page then asks the server for until the block ends.

    Args:
        page: A page of the app.
        part: What the address asked for has in it.
        act: What makes the page ask.
    """
    page.evaluate(
        "(part) => { const real = window.fetch; window.fetch = async (...asked) => {"
        " if (String(asked[0]).includes(part)) await new Promise((go) => (window.letGo = go));"
        " return real(...asked); }; }",
        part,
    )
    act()
    wait(page, "() => window.letGo")
    yield
    page.evaluate("() => letGo()")


def results(page: Page) -> list[str]:
    """Ids of the results shown, once a search has ended."""
    until(page, "s.requestNumber && s.answered === s.requestNumber && s.summary")
    return page.evaluate("() => lookalike.store.state.shown.map((hit) => hit.id)")


def ask(app: App, path: str, body: Any = None, method: str = "") -> Any:
    """What the server answers, as one of its clients."""
    request = urllib.request.Request(
        f"{app.url}/api{path}",
        data=None if body is None else json.dumps(body).encode(),
        method=method or ("GET" if body is None else "POST"),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        content = answer.read()
    return json.loads(content) if content else None


def pond(app: App) -> tuple[float, float]:
    """Longitude and latitude of a pond at the eastern edge of the collection of ponds."""
    west, south, east, north = ask(app, "/collections/ponds")["bounds"]
    return west * 0.15 + east * 0.85, (south + north) / 2


def named(page: Page, name: str) -> None:
    """Answer the question that the first mark of a browser brings."""
    question = page.get_by_role("form", name="Who marks")
    question.get_by_label("Your name").fill(name)
    question.get_by_role("button", name="Save").click()
    expect(question).to_be_hidden()


def leave_review(page: Page) -> None:
    """From the review or check of a saved search back to the search."""
    page.keyboard.press("Escape")
    page.locator(".lk-results[data-view=search][data-state=live]").wait_for()
