"""The Collections page in real Chromium: names, trash, the embedding space."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.driver import PHONE, App, Visit, app, at_rest, chromium, ran, visit, wait

__all__ = ["app", "chromium", "visit"]
pytestmark = pytest.mark.browser
SPACE = "() => document.querySelector('.lk-space[data-state=live]')"


@pytest.fixture
def own_ponds(app: App, module_home: Path, tmp_path: Path) -> Iterator[None]:
    """The collections may be changed: once the test's pages are closed, they are put back."""
    folder, kept = module_home / "collections", tmp_path / "kept"
    shutil.copytree(folder, kept)
    yield
    folder.rename(tmp_path / "changed")
    kept.rename(folder)
    shutil.rmtree(module_home / "trash", ignore_errors=True)


def open_page(app: App, visit: Visit, **options):
    page = visit(f"{app.url}/collections?collection=ponds", **options)
    wait(page, SPACE)
    at_rest(page)
    return page


def on_plot(page, share_x: float, share_y: float) -> tuple[float, float]:
    box = page.locator(".lk-plot").bounding_box()
    return box["x"] + share_x * box["width"], box["y"] + share_y * box["height"]


def test_facts_and_the_embedding_space_are_shown(app, visit) -> None:
    page = open_page(app, visit)
    expect(page.locator(".lk-about")).to_contain_text("49")
    page.get_by_text("49 chips; similar ones are close together").wait_for()


@pytest.mark.usefixtures("own_ponds")
def test_a_name_and_a_description_are_kept(app, visit) -> None:
    page = open_page(app, visit)
    page.get_by_label("Name", exact=True).fill("Ponds *and* fields")
    page.get_by_label("Description").fill("Two kinds of country")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved", exact=True).wait_for()
    page.reload()
    wait(page, SPACE)
    expect(page.get_by_label("Name", exact=True)).to_have_value("Ponds *and* fields")
    expect(page.get_by_label("Description")).to_have_value("Two kinds of country")


@pytest.mark.usefixtures("own_ponds")
def test_the_name_in_links_changes_and_the_old_link_says_so(app, visit) -> None:
    page = open_page(app, visit)
    field = page.get_by_label("URL name", exact=True)
    field.fill("Not a name")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Try 'not-a-name'").wait_for()
    with ran(page):
        field.fill("waters")
        page.get_by_role("button", name="Save", exact=True).click()
        page.wait_for_url("**/collections?collection=waters")
    wait(page, SPACE)
    old = visit(f"{app.url}/search?collection=ponds")
    old.get_by_text("This collection was renamed").wait_for()
    old.get_by_text("Open waters instead").wait_for()
    old.goto(f"{app.url}/jobs")
    main = old.get_by_test_id("stMain")
    main.get_by_role("link", name="Search", exact=True).first.click()
    old.wait_for_url("**/search?collection=waters")
    old.close()  # else it asks for tiles under the name that now ends
    page.get_by_label("URL name", exact=True).fill("ponds")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/collections?collection=ponds")


def test_a_lasso_shows_its_chips_on_the_map_and_escape_ends_it(app, visit) -> None:
    page = open_page(app, visit)
    page.locator(".lk-plot").scroll_into_view_if_needed()
    page.mouse.move(*on_plot(page, 0.5, 0.01))
    page.mouse.down()
    for corner in ((0.5, 0.99), (0.99, 0.99), (0.99, 0.01)):
        page.mouse.move(*on_plot(page, *corner), steps=4)
    page.mouse.up()
    page.get_by_text("of 49 chips are shown on the map").wait_for()
    held = page.evaluate("() => lookalike.store.state.shown.size")
    assert 0 < held < 49
    page.locator(".lk-plot").focus()
    page.keyboard.press("Escape")
    page.get_by_text("49 chips; similar ones are close together").wait_for()


def test_a_click_colours_by_similarity(app, visit) -> None:
    page = open_page(app, visit)
    page.locator(".lk-plot").scroll_into_view_if_needed()
    place = page.evaluate(
        "() => { const p = lookalike.store.state.points;"
        " const c = document.querySelector('.lk-plot');"
        " return [p[1], p[2]].map((v, i) => { const size = i ? c.clientHeight : c.clientWidth;"
        " return (size / 2 + (i ? -v : v) * (size / 2 - 18)) / size; }); }"
    )
    page.mouse.click(*on_plot(page, *place))
    page.get_by_text("Coloured by similarity to the selected chip").wait_for()
    best = page.evaluate("() => Math.max(...lookalike.store.state.like.scores)")
    assert best == pytest.approx(1, abs=0.01)


@pytest.mark.usefixtures("own_ponds")
def test_deleting_asks_goes_to_the_trash_and_can_be_undone(app, visit) -> None:
    page = open_page(app, visit)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("heading", name="Trash").wait_for()
    page.get_by_role("heading", name="No collection yet").wait_for()
    page.get_by_role("button", name="Restore").click()
    wait(page, SPACE)
    expect(page.get_by_role("heading", name="Trash")).to_have_count(0)


def test_settings_are_taken_to_the_area_page(app, visit) -> None:
    page = open_page(app, visit)
    page.get_by_role("button", name="Add imagery").click()
    page.wait_for_url("**/area*")
    page.get_by_text("only new chips are computed").wait_for()
    page.get_by_role("button", name="Build a new collection instead").click()
    page.get_by_label("Name", exact=True).wait_for()


def describe_scene(home: Path, **properties) -> None:
    """Change what the collection says of its scene."""
    folder = home / "collections" / "ponds"
    (sidecar,) = (folder / "scenes").glob("*.json")
    item = json.loads(sidecar.read_text())
    item["properties"].update(properties)
    sidecar.write_text(json.dumps(item))
    (folder / "collection.json").touch()


@pytest.mark.usefixtures("own_ponds")
def test_the_map_credits_its_imagery(app, visit, module_home) -> None:
    describe_scene(module_home, license="CC-BY 4.0 Somebody")
    page = open_page(app, visit)
    page.locator(".lk-space .lk-credit", has_text="CC-BY 4.0 Somebody").wait_for()


@pytest.mark.usefixtures("own_ponds")
def test_a_duplicate_begins_with_the_same_imagery_and_colours(app, visit, module_home) -> None:
    levels = [[10, 20, 30], [200, 210, 220]]
    describe_scene(
        module_home,
        **{
            "lookalike:bands": [3, 2, 1],
            "lookalike:stretch": levels,
            "lookalike:stretch_from": "given",
        },
    )
    page = visit(f"{app.url}/area")
    at_rest(page)
    page.get_by_text("Three quarters", exact=True).click()  # an older draft
    wait(page, "() => Object.values(sessionStorage).join().includes('\"stride\":64')")
    page.goto(f"{app.url}/collections?collection=ponds")
    wait(page, SPACE)
    page.get_by_role("button", name="Duplicate settings").click()
    page.wait_for_url("**/area*")
    page.locator("h2.lk-step", has_text="bands 3, 2, 1").wait_for()
    page.get_by_text("Display range: 10–200, 20–210, 30–220").wait_for(state="attached")
    page.get_by_role("radio", name="Half", checked=True).wait_for()
    page.locator(".lk-sum", has_text="49 chips").wait_for()
    wait(page, "() => Object.values(sessionStorage).join().includes('\"stride\":128')")
    page.reload()
    page.get_by_role("radio", name="Half", checked=True).wait_for()
    page.locator(".lk-sum", has_text="49 chips").wait_for()


@pytest.mark.usefixtures("own_ponds")
def test_a_collection_of_0_1_0_says_so_and_takes_the_new_brightness(
    app, visit, module_home
) -> None:
    manifest = module_home / "collections" / "ponds" / "collection.json"
    levels = {"lookalike:stretch": [[20, 30, 40], [200, 210, 220]]}
    describe_scene(module_home, **levels, **{"lookalike:stretch_from": "scene"})
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "stretches": None}))
    page = open_page(app, visit)
    expect(page.locator(".lk-about")).to_contain_text("one stretch per scene, as version 0.1.0")
    page.get_by_role("button", name="Update brightness").click()
    page.wait_for_url("**/jobs")
    page.get_by_text("No jobs running").wait_for(timeout=240_000)
    again = open_page(app, visit)
    expect(again.locator(".lk-about")).to_contain_text("as stored")
    expect(again.get_by_role("button", name="Update brightness")).to_have_count(0)


def test_on_a_phone_nothing_is_wider_than_the_screen(app, visit) -> None:
    page = open_page(app, visit, size=PHONE)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
