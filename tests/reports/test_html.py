"""Reports as pages: whole, the same each time, without secrets, and whatever a workspace says is text in them."""

import base64
import hashlib
import html
import json
import re
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jitsu_backup.archive import digest, encode
from jitsu_backup.reports.diagram import GAP, NODE, _spread
from jitsu_backup.reports.html import changes_page, snapshot_page
from jitsu_backup.reports.page_rendering import plain, shown
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.generate import Generator
from tests.reports.histories import history_pages
from tests.reports.parsed import ATTRIBUTES, ELEMENTS, Parsed
from tests.reports.samples import CANARY, HOSTILE, altered, changes, hostile, pages, three_hundred
from tests.support import OWNER, STAGING, cli, console_of, make_snapshot, read, recorded_snapshot, run

PAGES = {**pages(), **history_pages()}


@pytest.fixture(params=sorted(PAGES))
def text(request: pytest.FixtureRequest) -> str:
    return PAGES[request.param]


@pytest.fixture
def parsed(text: str) -> Parsed:
    return Parsed(text)


def test_no_element_and_no_attribute_comes_from_data(parsed: Parsed) -> None:
    assert {tag for tag, _ in parsed.elements} <= ELEMENTS
    assert {name for _, attributes in parsed.elements for name in attributes} <= ATTRIBUTES
    counted = Counter(tag for tag, _ in parsed.elements)
    assert [counted[tag] for tag in ("html", "head", "body", "main", "h1", "script", "style", "title")] == [
        1
    ] * 8
    assert parsed._open == []
    ours = {**dict.fromkeys(("id", "class", "data-item", "data-ends", "d"), r"[\w .-]*")}
    for name, pattern in ours.items():
        assert all(re.fullmatch(pattern, value) for value in parsed.values(name)), name


def test_nothing_is_fetched_and_only_our_own_script_and_styles_may_run(text: str, parsed: Parsed) -> None:
    assert set(parsed.values("href")) - {"data:,"} <= {f"#{one}" for one in parsed.values("id")}
    policy = next(
        a["content"] for tag, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for rule, tag in (("script-src", "script"), ("style-src", "style")):
        wanted = base64.b64encode(hashlib.sha256(parsed.inside[tag].encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{wanted}'"
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    assert not re.search(r"url\(|@import|https?:", parsed.inside["style"] + parsed.inside["script"])
    assert text.index("Content-Security-Policy") < text.index("<title")


def test_links_lead_somewhere_ids_are_unique_headings_in_order(parsed: Parsed) -> None:
    ids = list(parsed.values("id"))
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "aria-describedby", "for"):
        assert set(parsed.values(name)) <= set(ids)
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert next(a["lang"] for tag, a in parsed.elements if tag == "html") == "en"


def test_no_secret_is_in_any_page(text: str) -> None:
    assert CANARY not in text
    assert "secret1" not in text


def test_pages_are_the_same_each_time() -> None:
    assert {**pages(), **history_pages()} == PAGES


@pytest.mark.parametrize(
    "snapshot", [recorded_snapshot(), three_hundred(), hostile()], ids=["recorded", "large", "hostile"]
)
def test_everything_is_in_the_page_of_a_snapshot_under_its_whole_name(snapshot: Any) -> None:
    page = Parsed(snapshot_page(snapshot, digest(snapshot)))
    assert len(page.names) == len(snapshot.entities)
    names = Counter(page.names)
    assert all(names[visible(e.name)] for e in snapshot.entities if e.key.type != "link")
    nodes = [a for tag, a in page.elements if tag == "a" and "node" in a.get("class", "").split()]
    assert len(nodes) == len(snapshot.entities)


def visible(text: str) -> str:
    parsed = Parsed(str(shown(text)))
    assert {tag for tag, _ in parsed.elements} <= {"bdi", "span"}
    return parsed._dd


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_stays_text_and_can_be_written(text: str) -> None:
    for one in (str(shown(text)), plain(text)):
        one.encode()
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u0000-\u0008\u001b\ufeff]", one)
    back = re.sub(r'<span class="unseen">U\+(\w+)</span>', lambda m: chr(int(m[1], 16)), str(shown(text)))
    assert html.unescape(back.removeprefix("<bdi>").removesuffix("</bdi>")) == text or not text.strip()


@given(st.lists(st.none() | st.floats(-5, 500)))
def test_nothing_in_a_column_lies_over_anything_else(wishes: list[float | None]) -> None:
    wishes.sort(key=lambda wish: float("inf") if wish is None else wish)
    tops = _spread(wishes)
    assert len(tops) == len(wishes)
    assert all(top >= 0 for top in tops)
    assert all(after - before >= NODE + GAP - 1e-6 for before, after in pairwise(tops))


def test_every_value_of_the_template_is_escaped_and_every_attribute_quoted() -> None:
    ours = [
        one for one in files("jitsu_backup.reports").iterdir() if one.name.endswith((".j2", ".css", ".js"))
    ]
    texts = {one.name: one.read_text(encoding="utf-8") for one in ours}
    assert len(texts) == 11
    for name, text in texts.items():
        wrong = (
            r"\|\s*safe|autoescape|=\s*\{\{|='" if name.endswith(".j2") else "</|innerHTML|eval|localStorage"
        )
        assert not re.search(wrong, text), name


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_contrast(scheme: int) -> None:
    style = files("jitsu_backup.reports").joinpath("page.css").read_text(encoding="utf-8")
    colours = dict(
        re.findall(r"--([\w-]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme])
    )
    pairs = [
        (one, "ground")
        for one in ("text", "quiet", "link", "added", "changed", "removed", "blocked", "kept", "skipped")
    ]
    pairs += [(one, "raised") for one in ("text", "quiet", "link")]
    for mark in ("added", "changed", "removed", "blocked", "kept", "skipped"):
        pairs += [
            ("text", f"{mark}-ground"),
            (mark, f"{mark}-ground"),
            ("quiet", f"{mark}-ground"),
            ("ground", mark),
        ]
    poor = {pair: round(contrast(*(colours[one] for one in pair)), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in poor.items() if ratio < 4.5} == {}
    assert contrast(colours["curve"], colours["ground"]) >= 3


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_a_diff_shows_marks_fields_and_code_and_what_stayed() -> None:
    page = PAGES["diff"]
    parsed = Parsed(page)
    marks = Counter(a["class"].split()[0] for tag, a in parsed.elements if tag == "details")
    assert marks == {"plain": 18, "changed": 3, "added": 2, "removed": 2}
    assert ">+// later" in page or "+// later" in parsed.inside["bdi"]
    assert "secret set" in page
    assert "db.new.example" in page


def test_a_plan_shows_what_is_and_what_will_be_and_everything_folds_out() -> None:
    page = PAGES["plan"]
    assert 'data-label="Before"' in page
    assert "db.new.example" in page
    details = page.split("<details ")[1:]
    assert all("<pre" in one or 'data-label="After"' in one for one in details)


def test_the_page_of_chosen_changes_has_only_them_and_what_they_connect() -> None:
    from jitsu_backup.catalogue import Selector
    from jitsu_backup.planning import chosen

    found = chosen(changes(recorded_snapshot()), [Selector("link/Mobile app*")])
    assert sorted(Parsed(changes_page(found, only=("link/Mobile app*",))).names) == [
        "ClickHouse", "Mobile app", "Mobile app → ClickHouse",
    ]  # fmt: skip


def test_random_workspaces_and_their_changes_make_pages() -> None:
    for seed in range(6):
        state = default_state()
        generator = Generator(state, seed)
        generator.fill(STAGING, 40)
        before = run(read(console_of(Sandbox(state, rate_limit=False)), STAGING))
        assert len(Parsed(snapshot_page(before, "0" * 64)).names) == len(before.entities)
        generator.mutate(STAGING, 10)
        after = run(read(console_of(Sandbox(state, rate_limit=False)), STAGING))
        from jitsu_backup.planning import compare
        from jitsu_backup.sandbox import known_schemas

        Parsed(changes_page(compare(before, after, known_schemas())))


def test_bodies_of_any_shape_make_a_page() -> None:
    odd: list[Any] = [
        None,
        1,
        "x",
        [],
        {},
        [1, None, {}],
        {"functions": 3},
        {"functions": {"a": 1}, "schedule": {"b": []}},
    ]
    links = [
        {"id": f"l{n}", "type": one, "fromId": one, "toId": one, "data": one} for n, one in enumerate(odd)
    ]
    others = [
        {"id": f"d{n}", "name": one, "code": one, "destinationType": one, "package": one}
        for n, one in enumerate(odd)
    ]
    lists = {"link": links, "destination": others, "function": others, "service": others, "stream": others}
    snapshot = make_snapshot(lists)
    assert len(Parsed(snapshot_page(snapshot, "0" * 64)).names) == 5 * len(odd)
    none = snapshot_page(recorded_snapshot(), "0" * 64, only=[])
    assert (Parsed(none).names, "hidden by Jitsu (" in none) == ([], False)


def test_hostile_names_are_in_the_page_as_they_are() -> None:
    names = set(Parsed(PAGES["hostile"]).names)
    assert {visible(text) for text in HOSTILE} <= names
    assert "x" * 10_000 in names
    assert altered(hostile()) is not None


def test_the_template_engine_is_loaded_for_pages_alone() -> None:
    code = "import sys, jitsu_backup.cli.restore, jitsu_backup.cli.diff; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- the command line --------------------------------------------------------------------


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Any]:
    state = default_state()
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}

        def ask(*arguments: str) -> Any:
            return cli(*arguments, env=env, cwd=tmp_path)

        ask.sandbox = sandbox  # type: ignore[attr-defined]
        yield ask


def title(path: Path) -> str:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return Parsed(path.read_text(encoding="utf-8")).inside["title"]


def test_a_conflict_shows_source_last_clone_and_target_side_by_side() -> None:
    text = PAGES["promotion"]
    row = text[text.index('<th scope="row" class="code"><bdi>project</bdi>') :].partition("</tr>")[0]
    shown = [html.unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<td.*?</td>", row, re.DOTALL)]
    source, base, target = shown
    assert (source, base, json.loads(target)) == ('"staging"', '"acme"', {"id": ["staging", "production"]})
    (sides,) = re.findall('<div class="sides">.*?</div>\n</div>', text, re.DOTALL)
    assert (
        sides.index("Changed in the source since the last clone")
        < sides.index("+// staging")
        < sides.index("Changed in the target since")
    )
    assert "+production" in sides


def test_what_the_target_keeps_of_its_own_precedes_the_picture() -> None:
    text = PAGES["promotion"]
    kept = text[text.index("Kept in the target, changed") :].partition("</table>")[0]
    assert text.index("Blocked: decide") < text.index(kept) < text.index("The workspace")
    for words in (
        "changed: code",
        "it stays deleted",
        "created in the target",
        "Alerts webhook",
        "production only",
    ):
        assert words in kept


def test_each_command_writes_its_page(ask: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert ask("backup", "acme-staging").returncode == 0
    done = ask("show", "latest", "--html", "page.html")
    assert (done.returncode, title(page)) == (0, "Snapshot: acme-staging")
    assert "report written to page.html" in done.stderr
    assert ask("show", "latest", "destination/*", "--html", "page.html").returncode == 0
    assert "chosen" in page.read_text()
    assert ask("show", "latest", "--secrets", "--html", "page.html").returncode == 2
    ask.sandbox.state.objects["enrich-0001"].config["code"] += "\n// more"
    changed = ask("--json", "diff", "latest", "--exit-code", "--html", "page.html")
    assert (changed.returncode, title(page)) == (4, "What changed: acme-staging")
    assert json.loads(changed.stdout)["counts"] == {"function": {"changed": 1}}
    assert ask("restore", "latest", "--dry-run", "--html", "page.html").returncode == 0
    assert title(page) == "Plan: acme-staging → acme-staging"
    assert ask("restore", "latest", "--plan-out", "plan.json", "--html", "two.html").returncode == 0
    assert title(tmp_path / "two.html") == "Plan: acme-staging → acme-staging"
    assert ask("restore", "--plan", "plan.json", "--yes", "--html", "page.html").returncode == 0
    assert title(page) == "Restore: acme-staging → acme-staging"
    assert "the target matches the snapshot, except for what Jitsu hides" in page.read_text()
    assert ask("restore", "latest", "--yes", "--html", "page.html").returncode == 0
    assert "nothing to change" in page.read_text()


def test_a_clone_reports_what_was_left_out_and_no_write_key(ask: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert ask("clone", "acme-staging", "acme-production", "--html", "page.html").returncode == 7
    assert "Blocked: decide about these first" in page.read_text()
    flags = ("--yes", "--allow-missing-secrets", "--html", "page.html")
    done = ask("--json", "clone", "acme-staging", "acme-production", *flags)
    assert done.returncode == 3
    keys = json.loads(done.stdout)["stream_keys"]
    text = page.read_text()
    assert keys
    assert not any(key["write_key"] in text for key in keys)
    assert text.index("Still different in the target") < text.index("The workspace")


@pytest.mark.parametrize("where", ["nowhere/page.html", "x" * 300, ".", ""])
def test_a_page_that_cannot_be_written_stops_before_anything_is_asked(
    ask: Any, tmp_path: Path, where: str
) -> None:
    for command in (
        ("show", "latest"), ("diff", "latest"), ("restore", "latest", "--yes"),
        ("clone", "acme-staging", "acme-production", "--yes"),
    ):  # fmt: skip
        failed = ask(*command, "--html", where)
        assert failed.returncode == (2 if where in (".", "") else 1)
        assert re.search("cannot write (nowhere|xxx)|--html is empty", failed.stderr)
    assert ask.sandbox.requests == []


def test_a_page_of_somebody_else_is_never_overwritten(tmp_path: Path) -> None:
    page = tmp_path / "mine.html"
    page.write_text("<!doctype html><h1>mine</h1>")
    (tmp_path / "a.json.gz").write_bytes(encode(recorded_snapshot()))
    done = cli("show", "a.json.gz", "--html", "mine.html", cwd=tmp_path)
    assert done.returncode == 2
    assert "was not written by jitsu-backup" in done.stderr
    assert page.read_text() == "<!doctype html><h1>mine</h1>"
