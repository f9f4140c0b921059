"""The Results page in real Chromium: review by key, comparison, export, and what is gone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import (
    DESKTOP,
    PHONE,
    App,
    Visit,
    address,
    app,
    ask,
    at_rest,
    chromium,
    held,
    idle,
    leave_review,
    linked,
    live,
    named,
    pond,
    results,
    state,
    visit,
    wait,
)

__all__ = ["app", "chromium", "visit"]
pytestmark = pytest.mark.browser
LIVE = "() => document.querySelector('.lk-results[data-state=live]')"
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
#: The page has taken on a scheme, light or dark, and no colour is on its way.
SCHEME = (
    "(scheme) => scheme === getComputedStyle("
    "document.querySelector('[data-testid=stApp]')).colorScheme"
    " && !document.getAnimations().some((one) => one instanceof CSSTransition)"
)


@pytest.fixture
def saved(app: App) -> Iterator[dict]:
    """Two saved searches over the same place; taken away afterwards."""
    made = [
        ask(app, "/collections/ponds/searches", {"name": name, "at": pond(app), "k": k})
        for name, k in (("Round ponds", 8), ("Fewer ponds", 5))
    ]
    yield made[0]
    for one in ask(app, "/searches")["searches"]:
        ask(app, f"/collections/ponds/searches/{one['id']}", method="DELETE")


def open_page(app: App, visit: Visit, **fields: str):
    options = {name: fields.pop(name) for name in ("size", "expect") if name in fields}
    query = "&".join(f"{name}={value}" for name, value in fields.items())
    page = visit(f"{app.url}/results?{query}", **options)
    wait(page, LIVE)
    return page


def stop_clock(page: Page) -> None:
    """Time stands still in the page from now on, until `page.clock` moves it."""
    page.clock.install()
    page.clock.pause_at(datetime.now() + timedelta(minutes=10))


def test_without_a_saved_search_it_says_what_to_do(app: App, visit: Visit) -> None:
    page = open_page(app, visit)
    page.get_by_role("heading", name="No saved searches yet").wait_for()
    page.locator(".lk-blank").get_by_role("link", name="Search").click()
    page.wait_for_url("**/search*")


def test_a_saved_search_opens_with_its_hits_and_its_link_reopens_it(app, saved, visit) -> None:
    page = open_page(app, visit)
    page.get_by_role("button", name="Round ponds").first.dblclick()  # one step, not two
    expect(page.locator(".lk-hit")).to_have_count(8)
    linked(page, saved["id"])
    page.reload()
    wait(page, LIVE)
    scores = [f"{hit['score']:.2f}" for hit in saved["hits"]]
    expect(page.locator(".lk-score")).to_have_text(scores)
    page.go_back()
    page.get_by_role("heading", name="Results", exact=True).wait_for()


def test_a_saved_search_opens_on_the_map_with_its_hits_as_they_were(
    app, saved, visit, module_home
) -> None:
    # As if the collection had grown since: other hits than are found now, and one that is gone.
    file = module_home / "collections" / "ponds" / "searches" / f"{saved['id']}.json"
    kept = json.loads(file.read_text())
    hits = [[chip, score - 0.011] for chip, score in kept["hits"][2:]]
    hits[-1][1] = -0.02  # as the score of a refined search's last hit may be
    file.write_text(json.dumps({**kept, "version": "older", "hits": [*hits, ["0" * 16, 0.1]]}))
    page = open_page(app, visit, collection="ponds", search=saved["id"])
    page.get_by_role("link", name="Open on the map").click()
    as_saved = {"id": hits[0][0], "score": pytest.approx(hits[0][1])}
    for _ in range(2):  # and after a reload
        live(page)
        page.get_by_text("“Round ponds” as saved on").wait_for()
        page.get_by_text("6 of 48 chips, as saved").wait_for()
        page.get_by_text("1 hit is missing").wait_for()
        shown = state(page, "shown")
        assert [hit["id"] for hit in shown] == [chip for chip, _ in hits]
        assert shown[0] | as_saved == shown[0]
        linked(page, f"saved={saved['id']}")
        page.reload()
    page.get_by_role("button", name="Search again").click()
    page.locator(".lk-reopened").wait_for(state="hidden")
    assert results(page) == [hit["id"] for hit in saved["hits"]]
    assert "saved=" not in address(page)


def test_review_by_key_is_kept_and_estimates_nothing(app, saved, visit) -> None:
    page = open_page(app, visit, collection="ponds", search=saved["id"], view="review")
    page.get_by_alt_text("Surroundings").wait_for()
    for key in "ggbsg":
        page.keyboard.press(key)
    page.keyboard.press("u")
    page.get_by_text("4 of 8 · 2 good, 1 bad").wait_for()
    leave_review(page)
    page.get_by_text("3 marks from searching and reviewing are no random sample").wait_for()
    page.get_by_text("Nobody knows yet").wait_for()
    kept = ask(app, f"/collections/ponds/searches/{saved['id']}")
    assert sorted(kept["marks"].values()) == ["bad", "good", "good", "skip"]
    assert kept["check"]["judged"] == 0
    expect(page.locator(".lk-is-good")).to_have_count(2)


def test_review_starts_with_the_best_unless_asked_otherwise(app, saved, visit) -> None:
    page = open_page(app, visit, collection="ponds", search=saved["id"], view="review")
    caption = page.locator(".lk-pictures figcaption").first
    expect(caption).to_have_text("Hit 1")
    page.keyboard.press("ArrowRight")
    expect(caption).to_have_text("Hit 2")
    page.get_by_label("Order").select_option("worst")
    expect(caption).to_have_text("Hit 8")


def test_a_reviewed_search_says_so(app, saved, visit) -> None:
    page = open_page(app, visit, collection="ponds", search=saved["id"], view="review")
    for _ in range(8):
        page.keyboard.press("g")
    page.get_by_role("heading", name="All reviewed").wait_for()


def test_a_check_is_judged_blind_by_key_stopped_and_taken_up_again(app, saved, visit) -> None:
    page = open_page(app, visit, collection="ponds", search=saved["id"])
    page.locator(".lk-actions").get_by_role("button", name="Check").click()
    page.get_by_role("heading", name="Check how many are right").wait_for()
    page.get_by_label("Number of hits to judge").select_option("All 8 hits (exact)")
    page.get_by_role("button", name="Start").click()
    progress = page.locator(".lk-review-head [role=status]")
    expect(progress).to_have_text("0 of 8")
    shown = page.locator(".lk-review").inner_text()
    assert not re.search(r"Hit \d|score \d|0\.\d\d", shown)
    for number, key in enumerate("gbg"):
        page.keyboard.press(key)
        expect(progress).to_have_text(f"{number + 1} of 8")
    page.keyboard.press("u")
    expect(progress).to_have_text("2 of 8")
    page.keyboard.press("Escape")
    page.get_by_text("2 of 8 judged").wait_for()
    expect(page.locator(".lk-words")).to_contain_text("about 50% right, between")
    kept = ask(app, f"/collections/ponds/searches/{saved['id']}/check")
    assert list(kept["marks"].values()) == ["good", "bad"]
    page.reload()
    wait(page, LIVE)
    page.get_by_role("button", name="Continue check").click()
    expect(progress).to_have_text("2 of 8")
    page.keyboard.press("u")  # what was judged before the page was left
    expect(progress).to_have_text("1 of 8")
    for _ in range(7):
        page.keyboard.press("g")
    page.get_by_text("100% right (all judged)").wait_for()
    page.get_by_role("button", name="Delete check").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete check").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("Nobody knows yet").wait_for()
    assert ask(app, f"/collections/ponds/searches/{saved['id']}/check")["size"] == 0


def test_judgements_of_a_check_go_by_a_name_and_undo_leaves_those_of_others(
    app, saved, visit
) -> None:
    check = f"/collections/ponds/searches/{saved['id']}/check"
    ask(app, check, {"size": 4})
    [first] = ask(app, f"{check}/next?n=1")
    ask(app, f"{check}/judgements", {"id": first["id"], "mark": "bad", "author": "Ann"})
    page = open_page(app, visit, collection="ponds", search=saved["id"], view="check")
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_disabled()
    page.keyboard.press("g")
    named(page, "Ben")
    page.get_by_role("button", name="as Ben").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("u")
    expect(page.locator(".lk-review-head [role=status]")).to_have_text("2 of 4")
    expect(undo).to_be_enabled()
    page.keyboard.press("u")
    expect(undo).to_be_disabled()
    page.keyboard.press("g")
    page.keyboard.press("Escape")
    page.get_by_text("2 of 4 judged").wait_for()
    given = ask(app, check)["judgements"]
    assert [(each["author"], each["mark"]) for each in given] == [("Ann", "bad"), ("Ben", "good")]
    assert all(each["time"] for each in given)


def test_a_last_judgement_that_is_late_still_counts(app, saved, visit) -> None:
    check = f"/collections/ponds/searches/{saved['id']}/check"
    ask(app, check, {"size": 2})
    page = open_page(app, visit, collection="ponds", search=saved["id"], view="check")
    page.keyboard.press("g")
    idle(page)
    with held(page, "/judgements", lambda: page.keyboard.press("b")):
        expect(page.locator(".lk-results")).to_have_attribute("data-view", "check")
    expect(page.locator(".lk-words")).to_contain_text("about 50% right")
    assert sorted(ask(app, check)["marks"].values()) == ["bad", "good"]


def test_a_name_and_a_note_are_kept(app, saved, visit) -> None:
    page = open_page(app, visit, collection="ponds", search=saved["id"])
    word = page.get_by_text("Saved", exact=True)
    stop_clock(page)  # the word is soon gone
    page.get_by_label("Search name").fill("Ponds by the road")
    page.keyboard.press("Enter")
    word.wait_for()
    page.clock.run_for(1500)
    word.wait_for(state="hidden")
    page.get_by_label("Notes").fill("Ask the water board <b>first</b>")
    page.get_by_label("Notes").blur()
    word.wait_for()
    kept = ask(app, f"/collections/ponds/searches/{saved['id']}")
    told = ("Ponds by the road", "Ask the water board <b>first</b>")
    assert (kept["name"], kept["note"]) == told


def test_an_export_is_downloaded(app, visit, saved, tmp_path) -> None:
    page = open_page(app, visit, collection="ponds", search=saved["id"])
    for title, suffix in (("GeoPackage", "gpkg"), ("CSV", "csv"), ("GeoJSON", "geojson")):
        pressed = page.get_by_role("button", name=title)
        asked = f"/export?format={suffix}"
        with page.expect_download() as started, held(page, asked, pressed.click):
            expect(pressed).to_contain_text("Writing…")  # while it is made, and not twice
            expect(pressed).to_be_disabled()
        expect(pressed).to_be_enabled()
        assert started.value.suggested_filename == f"round-ponds-sites.{suffix}"
        started.value.save_as(path := tmp_path / suffix)
    document = json.loads(path.read_text())
    assert document["provenance"]["recipe"]["k"] == 8
    assert document["features"]


def test_what_lies_below_the_cut_or_is_bad_is_left_out(app, saved, visit) -> None:
    hits = saved["hits"]
    mark = f"/collections/ponds/searches/{saved['id']}/marks"
    ask(app, mark, {"chip": hits[0]["id"], "mark": "bad"})
    page = open_page(app, visit, collection="ponds", search=saved["id"])
    above = saved["check"]["estimates"][0]["hits"]
    assert 1 < above < 8
    page.get_by_role("slider", name="Minimum score").fill("0")
    page.get_by_text(f"{above} of 8 hits at or above").wait_for()
    expect(page.locator(".lk-hit.lk-below")).to_have_count(8 - above)
    page.get_by_text("Hits", exact=True).click()
    page.get_by_text("Not bad").click()
    with page.expect_download() as started:
        page.get_by_role("button", name="GeoJSON").click()
    found = json.loads(started.value.path().read_text())["features"]
    assert [one["id"] for one in found] == [hit["id"] for hit in hits[1:above]]


def test_two_searches_are_compared(app, saved, visit) -> None:
    page = open_page(app, visit)
    for name in ("Round ponds", "Fewer ponds"):
        page.get_by_label(f"Compare {name}").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", name="Both: 5").wait_for()
    page.get_by_text("5 places were found by both (63% of all)").wait_for()


def test_a_search_is_deleted_after_a_question(app, saved, visit) -> None:
    page = open_page(app, visit)
    page.get_by_role("button", name="Delete Fewer ponds").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete Fewer ponds").click()
    page.get_by_role("button", name="Delete", exact=True).dblclick()
    expect(page.locator(".lk-saved-row")).to_have_count(1)
    assert [one["name"] for one in ask(app, "/searches")["searches"]] == ["Round ponds"]


def test_a_search_that_is_gone_is_explained(app, visit) -> None:
    page = visit("about:blank", expect="status of 40")
    for collection, search in (
        ("gone", "0123456789ab"),
        ("ponds", "0123456789ab"),
        ("..%2F..%2Fetc", "passwd"),
    ):
        page.goto(f"{app.url}/results?collection={collection}&search={search}")
        page.get_by_role("heading", name="This saved search cannot be shown").wait_for()
        page.get_by_role("button", name="All results").click()
        page.get_by_role("heading", name="Results", exact=True).wait_for()


def test_on_a_phone_nothing_is_wider_than_the_screen(app, saved, visit) -> None:
    ask(app, f"/collections/ponds/searches/{saved['id']}/check", {"size": 5})
    one = {"search": saved["id"]}
    for fields in ({}, one, {**one, "view": "review"}, {**one, "view": "check"}):
        page = open_page(app, visit, size=PHONE, collection="ponds", **fields)
        widest = page.evaluate(
            "() => Math.max(...[...document.querySelectorAll('.lk-results *')]"
            ".map((e) => e.getBoundingClientRect().right))"
        )
        assert widest <= 390


#: What words a page may show beside those it shows by itself.
SPECIMENS = "".join(
    [
        *(
            f'<div class="lk-finding lk-{kind}"><b>Coverage</b><span>Draw elsewhere.</span></div>'
            for kind in ("info", "warning", "stop")
        ),
        *(
            f'<div class="lk-job"><span class="lk-state lk-{colour}">Running</span></div>'
            for colour in ("blue", "green", "red", "orange", "gray")
        ),
    ]
)


def test_words_stand_out_from_their_ground_on_every_page(app, visit, saved) -> None:
    for hit, mark in zip(saved["hits"], ("good", "bad", "skip"), strict=False):
        body = {"chip": hit["id"], "mark": mark, "note": "By the road"}
        ask(app, f"/collections/ponds/searches/{saved['id']}/marks", body)
    ask(app, f"/collections/ponds/searches/{saved['id']}/check", {"size": 5})
    one = f"collection=ponds&search={saved['id']}"
    shown = {
        "": ".lk-collection",
        "area": ".lk-figures",
        f"search?collection=ponds&saved={saved['id']}&filters=1&heat=1&inside=1": ".lk-legend",
        "changes": "[data-testid=stMain] :is(h1, h2)",
        "results": ".lk-saved-row",
        f"results?{one}": ".lk-hit",
        f"results?{one}&view=review": ".lk-pictures",
        f"results?{one}&view=check": ".lk-pictures",
        "census": ".lk-blank",
        "census?new=1": ".lk-start",
        "collections": ".lk-space[data-state=live]",
        "quality": ".lk-quality",
        "jobs": ".lk-job",
    }
    page = visit(f"{app.url}/")
    found = {}
    for path, sight in shown.items():
        page.goto(f"{app.url}/{path}")
        page.locator(sight).first.wait_for()
        at_rest(page)
        if path == "area":
            page.locator("[data-testid=stMain]").evaluate(
                "(main, html) => main.insertAdjacentHTML('beforeend', html)", SPECIMENS
            )
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            wait(page, SCHEME, arg=scheme)
            for width, height in (DESKTOP, PHONE):
                page.set_viewport_size({"width": width, "height": height})
                if weak := page.evaluate(CONTRAST):
                    found[path, scheme, width] = weak
    assert not found
