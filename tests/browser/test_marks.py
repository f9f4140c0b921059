"""Marks in real Chromium and of several people at once: kept with their authors, and hidden."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
    chromium,
    click_map,
    held,
    idle,
    leave_review,
    linked,
    live,
    named,
    pond,
    results,
    state,
    until,
    visit,
    wait,
)

__all__ = ["app", "chromium", "visit"]
pytestmark = pytest.mark.browser

PONDS = "/collections/ponds"


def searched(app: App, visit: Visit, **options: Any) -> tuple[Page, list[str]]:
    """The Search page with the results of a click on a pond."""
    page = live(visit(f"{app.url}/search?collection=ponds", **options))
    click_map(page, *pond(app))
    return page, results(page)


def authors(app: App, page: Page) -> dict[str, tuple[str, str]]:
    """Label and author of each mark that the server shows, by chip."""
    kept = ask(app, f"{PONDS}/chip-marks/{state(page, 'markSet')}")
    return {mark["chip"]: (mark["label"], mark["author"]) for mark in kept["marks"]}


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_a_mark_is_there_after_a_reload_with_its_author(
    app: App, visit: Visit, size: tuple[int, int], dark: bool
) -> None:
    page, ids = searched(app, visit, size=size, dark=dark)
    first, second = (page.locator(".lk-card").nth(at) for at in (0, 1))
    first.get_by_role("button", name="Good").click()
    until(page, "!s.unsent")
    named(page, "  Ann of the   survey ")
    second.get_by_role("button", name="Bad").click()
    expect(page.get_by_role("form", name="Who marks")).to_be_hidden()  # asked once
    until(page, "!s.unsent && Object.keys(s.marks).length === 2")
    for _ in range(2):  # and after a reload
        expect(first.get_by_role("button", name="Good")).to_have_attribute(
            "title", "Good, by Ann of the survey"
        )
        expect(page.get_by_role("button", name="as Ann of the survey")).to_be_visible()
        expect(page.get_by_text("1 good · 1 bad")).to_be_visible()
        kept = authors(app, page)
        assert kept == {
            ids[0]: ("good", "Ann of the survey"),
            ids[1]: ("bad", "Ann of the survey"),
        }
        page.reload()
        live(page)
        until(page, "Object.keys(s.marks).length === 2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("g")  # taken back
    until(page, "!s.unsent && Object.keys(s.marks).length === 1")
    assert list(authors(app, page)) == [ids[1]]


def test_who_skips_the_question_has_a_name_that_can_be_changed(app: App, visit: Visit) -> None:
    page, ids = searched(app, visit)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("g")
    page.get_by_role("button", name="Stay a guest").click()
    until(page, "!s.unsent")
    label, guest = authors(app, page)[ids[0]]
    assert (label, guest[:6]) == ("good", "Guest ")
    page.get_by_role("button", name=f"as {guest}").click()
    named(page, "Ben")
    until(page, "!s.unsent && Object.values(s.authors).every((author) => author === 'Ben')")
    assert authors(app, page) == {ids[0]: ("good", "Ben")}


def test_two_people_mark_one_search_and_both_marks_are_kept(app: App, visit: Visit) -> None:
    ann, ids = searched(app, visit)
    ann.keyboard.press("ArrowRight")
    ann.keyboard.press("g")
    named(ann, "Ann")
    until(ann, "!s.unsent")
    linked(ann, "marks=")
    ben = live(visit(address(ann)))
    results(ben)
    until(ben, "Object.keys(s.marks).length === 1")
    card = ben.locator(".lk-card").first
    expect(card.get_by_role("button", name="Good")).to_have_attribute("title", "Good, by Ann")
    card.get_by_role("button", name="Bad").click()
    named(ben, "Ben")
    ben.locator(".lk-card").nth(1).get_by_role("button", name="Good").click()
    until(ben, "!s.unsent")
    assert authors(app, ben) == {ids[0]: ("bad", "Ben"), ids[1]: ("good", "Ben")}
    others = ask(app, f"{PONDS}/chip-marks/{state(ben, 'markSet')}")["others"]
    assert [(mark["label"], mark["author"]) for mark in others] == [("good", "Ann")]
    # What Ann marks next brings what Ben has marked meanwhile.
    ann.locator(".lk-card").nth(2).get_by_role("button", name="Good").click()
    until(ann, "!s.unsent && Object.keys(s.marks).length === 3")
    assert state(ann, "marks") == {ids[0]: "bad", ids[1]: "good", ids[2]: "good"}
    # Ben takes his mark back: Ann's is there as it was.
    card.get_by_role("button", name="Bad").click()
    until(ben, "!s.unsent && s.authors[arg] === 'Ann'", ids[0])
    assert state(ben, "marks")[ids[0]] == "good"


def test_marks_given_while_a_request_hangs_are_kept(app: App, visit: Visit) -> None:
    page, ids = searched(app, visit)

    def mark(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    with held(page, "chip-marks", lambda: mark("ArrowRight", "g", "ArrowRight", "b")):
        mark("ArrowRight", "g")
        expect(page.get_by_text("3 marks not sent yet")).to_be_visible()
        page.reload()  # the request never ends
        live(page)
        page.evaluate("() => { window.letGo = () => {}; }")
        until(page, "!s.unsent && Object.keys(s.marks).length === 3")
    kept = {chip: label for chip, (label, _) in authors(app, page).items()}
    assert kept == {ids[0]: "good", ids[1]: "bad", ids[2]: "good"}


def test_what_is_marked_is_hidden_by_a_switch_and_good_hits_stay_below_the_minimum(
    app: App, visit: Visit
) -> None:
    page, ids = searched(app, visit)
    page.locator(".lk-card").nth(4).get_by_role("button", name="Good").click()
    page.locator(".lk-card").first.get_by_role("button", name="Bad").click()
    until(page, "!s.unsent")
    page.get_by_label("Minimum score").fill("1")
    until(page, "s.minScore === 1 && s.shown.length < 10")
    shown = state(page, "shown")
    assert ids[4] in {hit["id"] for hit in shown}
    assert all(hit["score"] >= 1 or hit["id"] == ids[4] for hit in shown)
    page.get_by_label("Minimum score").fill("0")
    page.get_by_role("button", name="Hide marked").click()
    linked(page, "hide=1")
    for _ in range(2):  # and after a reload
        until(page, "s.shown.length === 8")
        left = [chip for at, chip in enumerate(ids) if at not in (0, 4)]
        assert [hit["id"] for hit in state(page, "shown")] == left
        # Ranks are those of the search, whatever is hidden.
        expect(page.locator(".lk-card .lk-rank")).to_have_text(["2", "3", "4", *"678", "9", "10"])
        page.reload()
        live(page)
    page.get_by_role("button", name="Hide marked").click()
    until(page, "s.shown.length === 10")


def test_a_link_of_before_opens_and_marks_of_chips_that_are_gone_are_told(
    app: App, visit: Visit
) -> None:
    page, ids = searched(app, visit)
    query = state(page, "query")["chip"]
    fields = f"chip={query}&good={ids[3]},{'0' * 16}&g={ids[5]}&b={'f' * 16}&k=10"
    page = live(visit(f"{app.url}/search?collection=ponds&{fields}"))
    found = results(page)
    assert found[0] == ids[3]
    expect(page.get_by_text("1 mark is on a chip that is no longer")).to_be_visible()
    page.keyboard.press("r")  # with what is left
    until(page, "s.good.length === 2 && !s.busy")
    expect(page.get_by_text("1 mark is on a chip that is no longer")).to_be_visible()
    assert state(page, "marks") == {ids[3]: "good", ids[5]: "good"}
    assert state(page, "bad") == []
    assert set(results(page)[:2]) == {ids[3], ids[5]}


def test_marks_of_objects_keep_their_authors_and_can_be_hidden(app: App, visit: Visit) -> None:
    ann = visit(f"{app.url}/search?collection=ponds&mode=objects")
    wait(ann, "() => window.lookalike?.store?.state.size && window.lookalike.map.leaflet()")
    idle(ann)
    click_map(ann, *pond(app))
    until(ann, "s.answered === 1 && s.shown.length > 2 && !s.busy")
    ann.get_by_role("button", name="Mark object 2 as bad").click()
    named(ann, "Ann")
    until(ann, "!s.unsent && [...s.authors.values()].includes('Ann')")
    linked(ann, "marks=")
    ben = visit(address(ann))
    bad = ben.get_by_role("button", name="Mark object 2 as bad")
    expect(bad).to_have_attribute("title", "Mark object 2 as bad (B), by Ann")
    shown = len(state(ben, "shown"))
    ben.get_by_role("button", name="Hide marked").click()
    linked(ben, "hide=1")
    until(ben, "s.shown.length < arg", shown)
    ranks = [found["rank"] for found in state(ben, "shown")]
    assert 2 not in ranks
    assert ranks == sorted(ranks)


def test_two_clients_at_once_lose_no_mark(app: App) -> None:
    chips = ids_of(app)
    labels = {"Ann": "good", "Ben": "bad"}

    def judge(author: str) -> None:
        for number, chip in enumerate(chips[:12]):
            mark = {"key": f"{author}-{number}", "chip": chip, "label": labels[author]}
            body = {"marks": [{**mark, "author": author}]}
            ask(app, f"{PONDS}/chip-marks/together1", body, "PUT")

    with ThreadPoolExecutor(2) as people:
        list(people.map(judge, labels))
    kept = ask(app, f"{PONDS}/chip-marks/together1")
    both = {(mark["chip"], mark["author"]) for mark in (*kept["marks"], *kept["others"])}
    assert both == {(chip, author) for chip in chips[:12] for author in labels}
    assert kept["count"] == 12
    assert all(mark["time"] for mark in kept["marks"])


def test_two_reviewers_at_once_lose_no_mark(app: App) -> None:
    chips = ids_of(app)
    saved = ask(app, f"{PONDS}/searches", {"name": "Both", "chip": chips[-1], "k": 8})
    one = f"{PONDS}/searches/{saved['id']}"
    hits = [hit["id"] for hit in saved["hits"]]

    def judge(author: str) -> None:
        for hit in hits:
            mark = "good" if author == "Ann" else "bad"
            ask(app, f"{one}/marks", {"chip": hit, "mark": mark, "author": author})

    with ThreadPoolExecutor(2) as people:
        list(people.map(judge, ("Ann", "Ben")))
    review = ask(app, one)
    given = {(each["id"], each["author"], each["mark"]) for each in review["judgements"]}
    assert given == {
        (hit, author, mark) for hit in hits for author, mark in (("Ann", "good"), ("Ben", "bad"))
    }
    assert set(review["marks"]) == set(hits)
    for hit in hits:  # what Ben takes back leaves Ann's
        ask(app, f"{one}/marks", {"chip": hit, "mark": None, "author": "Ben"})
    assert set(ask(app, one)["marks"].values()) == {"good"}
    ask(app, one, method="DELETE")


def test_a_review_says_who_marked_and_hides_what_is_marked(app: App, visit: Visit) -> None:
    chips = ids_of(app)
    saved = ask(app, f"{PONDS}/searches", {"name": "Whose", "chip": chips[-1], "k": 6})
    first = saved["hits"][0]["id"]
    one = f"{PONDS}/searches/{saved['id']}"
    ask(app, f"{one}/marks", {"chip": first, "mark": "good", "author": "Ann"})
    fields = f"collection=ponds&search={saved['id']}"
    page = visit(f"{app.url}/results?{fields}&view=review")
    page.get_by_alt_text("Surroundings").wait_for()
    page.keyboard.press("b")
    named(page, "Ben")
    leave_review(page)
    given = ask(app, one)["judgements"]
    assert [(each["mark"], each["author"]) for each in given] == [("good", "Ann"), ("bad", "Ben")]
    expect(page.get_by_title("Good, by Ann")).to_be_visible()
    page.get_by_role("button", name="Hide marked").click()
    linked(page, "hide=1")
    page.reload()
    expect(page.locator(".lk-hit:visible")).to_have_count(4)
    page.get_by_role("button", name="Hide marked").click()
    expect(page.locator(".lk-hit:visible")).to_have_count(6)
    ask(app, one, method="DELETE")


def ids_of(app: App) -> list[str]:
    """Ids of the chips like some place, best first."""
    bounds = ask(app, PONDS)["bounds"]
    at = [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2]
    found = ask(app, f"{PONDS}/search", {"at": at, "k": 20, "suppress": False})
    return [hit["id"] for hit in found["hits"]]
