"""The page of a history in a browser: through time by slider, keys and clicks; by ear, by keyboard, without scripts."""

import re
from typing import Any

import pytest

from jitsu_backup.reports.history_page import history_page
from tests.reports.browser import chromium
from tests.reports.histories import command, history_of, history_pages, ill_willed, recorded

pytest.importorskip("playwright", reason="it drives the browser")
pytestmark = pytest.mark.skipif(
    chromium() is None, reason="there is no Chromium; JITSU_BACKUP_TEST_CHROMIUM may name one"
)

HISTORY = recorded()
PAGES = history_pages()
PAGE = PAGES["history"]
LAST = len(HISTORY.steps)


def place(page: Any) -> int:
    """The state that the page shows."""
    return int(page.locator(".place").first.text_content().partition(" of ")[0]) - 1


def visible(page: Any, selector: str) -> int:
    return page.locator(f"{selector}:visible").count()


def marks_of(state: int) -> list[str]:
    """The kinds of change that led to a state, as the values have them."""
    return sorted(one.change.kind.value for one in HISTORY.steps[LAST - state].changes) if state else []


def listed(page: Any, box: str) -> list[str]:
    return sorted(
        page.locator(f".{box} [data-mark]").evaluate_all("all => all.map((one) => one.dataset.mark)")
    )


def test_it_begins_with_the_newest_state_and_keys_go_through_time(watch: Any) -> None:
    page = watch().show(PAGE)
    assert place(page) == LAST
    assert page.locator(".still").is_hidden()
    for state in range(LAST - 1, LAST - 6, -1):
        page.keyboard.press("ArrowLeft")
        assert place(page) == state
        assert (listed(page, "just"), listed(page, "soon")) == (marks_of(state), marks_of(state + 1))
    page.keyboard.press("ArrowRight")
    assert place(page) == LAST - 4
    page.keyboard.press("/")
    page.keyboard.press("ArrowLeft")  # in the search, it moves the cursor
    assert place(page) == LAST - 4


def test_the_slider_has_a_moment_s_words_and_its_own_keys(watch: Any) -> None:
    page = watch().show(PAGE)
    slider = page.get_by_role("slider", name="Moment")
    slider.focus()
    page.keyboard.press("Home")
    assert place(page) == 0
    assert page.get_by_role("button", name="Earlier change").is_disabled()
    assert "nothing: the history begins here" in page.locator(".just").text_content()
    page.keyboard.press("ArrowUp")
    assert place(page) == 1
    words = slider.get_attribute("aria-valuetext")
    assert re.match(
        rf"2026-09-01 07:00:00 UTC.* · 2 of {LAST + 1} · snapshot acme-staging/\w+ · \d just changed, \d about to change",
        words,
    )
    page.keyboard.press("End")
    assert place(page) == LAST
    assert page.get_by_role("button", name="Later change").is_disabled()
    page.get_by_role("button", name="Earlier change").click()
    assert place(page) == LAST - 1


def test_a_moment_between_two_snapshots_shows_the_last_known_state(watch: Any) -> None:
    page = watch().show(PAGE)
    second = page.evaluate("Number(document.querySelector('[data-step=\"5\"]').dataset.at) - 1")
    page.evaluate(
        "(second) => { const one = document.querySelector('input[type=range]'); one.value = second;"
        " one.dispatchEvent(new Event('input', { bubbles: true })); }",
        second,
    )
    assert place(page) == 4


def test_the_picture_marks_what_happened_and_what_will(watch: Any) -> None:
    page = watch().show(PAGE)
    for state in range(LAST, -1, -1):
        drawn = (".picture", ".others")
        counts = {
            kind: sum(visible(page, f"{part} a.{kind}") for part in drawn)
            for kind in ("added", "changed", "removed")
        }
        assert counts == {kind: marks_of(state).count(kind) for kind in counts}, state
        soon = sum(visible(page, f"{part} a .sign.soon") for part in drawn)
        assert soon == (len(marks_of(state + 1)) if state < LAST else 0), state
        page.keyboard.press("ArrowLeft")


def test_a_screen_reader_hears_what_happened_to_an_entity(watch: Any) -> None:
    page = watch().show(PAGE)
    heard: set[str] = set()
    for _ in range(LAST):
        page.keyboard.press("ArrowLeft")
        labels = page.locator(".picture a:visible").evaluate_all(
            "all => all.map((one) => one.getAttribute('aria-label'))"
        )
        heard |= {label.rpartition(", ")[2] for label in labels}
    assert heard >= {"just changed", "about to change", "just added", "about to be removed"}
    status = page.locator(".moment")
    assert (status.get_attribute("role"), status.get_attribute("aria-live")) == ("status", "polite")
    assert page.get_by_role("img", name="Changes per day").count() == 1


def test_a_click_on_a_day_and_on_a_step_goes_there(watch: Any) -> None:
    page = watch().show(PAGE)
    box = page.locator(".chart svg").bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] - 3)
    first = HISTORY.archives[0].taken_at.date()
    assert HISTORY.steps[LAST - place(page)].after.taken_at.date() == first
    assert HISTORY.steps[LAST - place(page) - 1].after.taken_at.date() > first
    page.locator(".go").first.click()
    assert place(page) == LAST


def test_a_chip_leads_to_its_change_and_the_keyboard_continues_there(watch: Any) -> None:
    page = watch().show(PAGE)
    chip = page.locator(".just [data-mark]").first
    chip.focus()
    page.keyboard.press("Enter")
    target = chip.get_attribute("href").removeprefix("#")
    assert page.evaluate("document.activeElement.id") == target
    assert page.locator(f"#{target}").is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate(f"document.getElementById('{target}').contains(document.activeElement)")


def test_code_gets_its_colours_and_restore_lines_their_buttons(watch: Any) -> None:
    watched = watch()
    watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = watched.show(PAGE)
    entity = page.locator("details[data-item]:has(.diff)").first
    text = entity.locator(".diff").first.text_content()
    entity.locator("summary").first.click()
    entity.locator(".fold summary").first.click()
    entity.locator(".diff .plus").first.wait_for(state="visible")
    assert entity.locator(".diff").first.text_content().rstrip("\n") == text.rstrip("\n")
    entity.get_by_role("button", name="Copy").first.click()
    entity.get_by_role("button", name="Copied").wait_for(state="visible")
    line = page.evaluate("navigator.clipboard.readText()")
    assert line == entity.locator(".restore code").first.text_content()
    assert line.startswith("jitsu-backup restore acme-staging/")


def test_a_line_with_what_nobody_sees_is_never_offered_for_copying(watch: Any) -> None:
    page = watch().show(history_page(ill_willed(), lambda *_: "restore '\u202edetcelfer'"))
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.locator(".restore .unseen").first.wait_for(state="visible")
    assert page.locator(".restore button").count() == 0


def test_the_search_finds_what_a_change_says_and_dims_the_rest(watch: Any) -> None:
    page = watch().show(PAGE)
    page.keyboard.press("/")
    page.keyboard.type("defaultSchema events_4")
    found = page.locator("details[data-item]:not(.miss)").count()
    assert 0 < found < 5
    assert page.locator("#hits").text_content().startswith(f"{found} of ")
    assert visible(page, ".picture a.node:not(.dim)") <= found
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.matches('details[open] > summary')")


def test_without_scripts_every_change_can_be_read(watch: Any) -> None:
    page = watch(java_script_enabled=False).show(PAGE)
    assert page.locator(".still").is_visible()
    assert not page.locator(".control").is_visible()
    assert visible(page, ".picture a.node") > 10
    day = page.locator("details.day").nth(1)
    day.locator("summary").click()
    chip = day.locator("[data-mark]").first
    assert chip.is_visible()
    chip.click()
    target = page.locator(chip.get_attribute("href"))
    target.wait_for(state="visible", timeout=3000)
    assert "jitsu-backup restore" in target.text_content()


def test_workspaces_on_one_page_move_each_on_its_own(watch: Any) -> None:
    page = watch().show(PAGES["history-two"])
    sliders = page.get_by_role("slider", name="Moment")
    assert sliders.count() == 2
    sliders.nth(1).focus()
    page.keyboard.press("ArrowLeft")
    places = page.locator(".place").all_text_contents()
    assert places == [f"{LAST + 1} of {LAST + 1}", "3 of 4"]


def test_on_paper_are_the_picture_and_every_change_without_the_slider(watch: Any) -> None:
    page = watch().show(PAGE)
    page.emulate_media(media="print")
    assert not page.locator(".drive").is_visible()
    assert page.locator(".change").first.is_visible()


def test_one_snapshot_alone_has_a_page(watch: Any) -> None:
    newest = HISTORY.newest
    assert newest is not None
    watched = watch()
    page = watched.show(history_page(history_of([newest]), command))
    assert page.get_by_text("Nothing changed. The picture shows the newest snapshot.").is_visible()
    assert visible(page, ".picture a.node") > 10
    assert watched.said == []
