"""Reports in a browser: quiet, alone, harmless, and usable by keyboard, by ear, on paper and without scripts."""

import re
from typing import Any

import pytest

from tests.reports.browser import LAPTOP, chromium
from tests.reports.histories import history_pages
from tests.reports.samples import pages

pytest.importorskip("playwright", reason="it drives the browser")
pytestmark = pytest.mark.skipif(
    chromium() is None, reason="there is no Chromium; JITSU_BACKUP_TEST_CHROMIUM may name one"
)

PAGES = {**pages(), **history_pages()}
PHONE = {"width": 390, "height": 844}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_every_page_is_quiet_alone_harmless_and_never_wider_than_the_screen(
    watch: Any, scheme: str, size: Any
) -> None:
    watched = watch(viewport=size, color_scheme=scheme)
    for name, text in PAGES.items():
        if "large" in name and scheme == "dark":
            continue
        page = watched.show(text)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        page.mouse.move(200, 400)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
        assert page.evaluate("document.querySelectorAll('script, style, h1, main, footer').length") == 5, name
        assert (
            page.evaluate("document.querySelectorAll('img, iframe, base, object, [onerror], [style]').length")
            == 0
        )
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert (watched.said, watched.dialogs) == ([], [])
    assert {url.partition(":")[0] for url in watched.asked} == {"file"}
    assert {url.rpartition("/")[2] for url in watched.asked} == {"page.html"}


def test_the_policy_stops_what_would_get_in_all_the_same(watch: Any) -> None:
    evil = (
        '<script>document.title = "owned"</script><img src=x onerror="document.title = 1">'
        '<a id=evil style="color: red" href="javascript:document.title=2">x</a><style>main { display: none }</style>'
        '<script src="https://evil.example/x.js"></script><iframe src="https://evil.example/"></iframe>'
    )
    watched = watch()
    page = watched.show(PAGES["recorded"].replace("<main>", f"{evil}<main>"))
    page.click("#evil")
    assert page.title() == "Snapshot: acme-staging"
    assert page.locator("main").is_visible()
    assert sum("Content Security Policy" in line for line in watched.said) >= 5
    assert {url for url in watched.asked if url.startswith("http")} <= {
        url for url, why in watched.refused if why == "csp"
    }


def test_the_search_filters_dims_counts_and_clears_by_keyboard_alone(watch: Any) -> None:
    page = watch().show(PAGES["large"])
    hits, folded = page.get_by_role("status"), page.locator("details:not(.miss)")
    assert hits.text_content() == "300 entities"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.keyboard.type("billing nordics SITE")
    found = folded.count()
    assert 0 < found < 30
    assert hits.text_content() == f"{found} of 300 match"
    assert hits.get_attribute("aria-live") == "polite"
    assert page.locator(".picture .node:not(.dim), .others .node:not(.dim)").count() == found
    assert page.locator(".group:not(.miss)").count() < page.locator(".group").count()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.parentElement.matches('details[open]:not(.miss)')")
    page.keyboard.press("Escape")
    assert (hits.text_content(), folded.count()) == ("300 entities", 300)
    page.keyboard.press("/")
    page.keyboard.type("step_7 no such thing")
    assert (hits.text_content(), folded.count()) == ("0 of 300 match", 0)


def test_tab_reaches_every_node_and_enter_opens_its_details(watch: Any) -> None:
    page = watch().show(PAGES["recorded"])
    wanted = page.locator("a.node").count()
    seen: list[str] = []
    for _ in range(wanted + 10):
        page.keyboard.press("Tab")
        one = page.evaluate("document.activeElement.matches('a.node') ? document.activeElement.id : ''")
        seen += [one] if one else []
        if len(seen) == wanted:
            break
    assert len(set(seen)) == wanted
    number = seen[-1].removeprefix("n")
    page.keyboard.press("Enter")
    assert page.locator(f"details[data-item='{number}']").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert page.url.endswith(f"#entity-{number}")
    page.keyboard.press("Enter")  # and folds them again
    assert page.locator(f"details[data-item='{number}']").get_attribute("open") is None


def test_a_screen_reader_is_told_types_names_marks_and_places(watch: Any) -> None:
    page = watch().show(PAGES["diff"])
    for role in ("banner", "main", "contentinfo", "search"):
        assert page.get_by_role(role).count() == 1
    for name in (
        "destination Warehouse, postgres, changed", "stream Mobile app, added", "notification Ops, removed",
        "connection from Web 3 to Warehouse, without functions, removed", "sync 0 0 * * * from CRM to Warehouse, without functions, unchanged",
        "connection from Web site to Warehouse, with functions Enrich, unchanged",
    ):  # fmt: skip
        assert page.get_by_role("link", name=name, exact=True).count() == 1, name
    assert page.get_by_label("Search").count() == 1
    regions = page.get_by_role("region")
    assert regions.count() > 3
    assert page.locator("svg:not([aria-hidden=true])").count() == 0


def test_without_scripts_all_is_there_and_links_still_unfold(watch: Any) -> None:
    page = watch(java_script_enabled=False).show(PAGES["recorded"])
    assert not page.locator("#search").is_visible()
    assert not page.locator("#entity-1").is_visible()
    page.locator("#n1").click()
    page.locator("#entity-1").wait_for(state="visible", timeout=3000)
    assert page.locator(".gap path").count() == 14


def test_on_paper_everything_is_unfolded_and_the_search_is_gone(watch: Any) -> None:
    watched = watch(color_scheme="dark")
    page = watched.show(PAGES["recorded"])
    page.keyboard.press("/")
    page.keyboard.type("warehouse")
    page.emulate_media(media="print")
    assert not page.locator("#search").is_visible()
    inside = page.locator(".inside")
    assert inside.count() == 23
    assert all(inside.nth(n).is_visible() and inside.nth(n).bounding_box()["height"] > 20 for n in range(23))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert re.match(rb"%PDF-", page.pdf(format="A4"))


def test_nothing_moves_for_those_who_ask_for_that(watch: Any) -> None:
    page = watch(reduced_motion="reduce").show(PAGES["recorded"])
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_what_belongs_together_lights_up(watch: Any) -> None:
    page = watch().show(PAGES["recorded"])
    page.get_by_role("link", name="destination Warehouse, postgres", exact=True).focus()
    assert page.locator(".card.on").count() == 4
    assert page.locator(".gap path.on").count() == 8
    page.keyboard.press("Tab")
    assert page.locator(".card.on").count() == 0
