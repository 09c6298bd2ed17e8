"""Plans, reports and differences as Markdown: short enough, the same each time, and nothing of a workspace is live."""

import json
import re
import stat
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cmarkgfm import github_flavored_markdown_to_html
from cmarkgfm.cmark import Options
from hypothesis import example, given, strategies as st
from markdown_it import MarkdownIt

from jitsu_backup.model import Key, printable
from jitsu_backup.operations.apply_plan import ActionOutcome, Status
from jitsu_backup.operations.taken_back import FlagsListed
from jitsu_backup.planning import (
    Action,
    ActionKind,
    ChangeKind,
    Changes,
    EntityChange,
    FieldChange,
    Plan,
    PlanOptions,
    Residue,
    Since,
    compare,
    make_plan,
)
from jitsu_backup.planning.plan import Overwrite
from jitsu_backup.reports import RestoreReport
from jitsu_backup.reports.markdown import _bullet, changes_markdown, plan_markdown, restore_markdown
from jitsu_backup.reports.markdown_text import block, code, flags_in, html_code, html_prose, marker, prose
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, known_schemas, running
from tests.reports.samples import CANARY, HOSTILE, changes, hostile, planned, promoted
from tests.support import OWNER, STAGING, cli, make_snapshot

LIMIT = 65_000
ELEMENTS = {"h2", "h3", "ul", "li", "p", "strong", "code", "pre", "details", "summary"}
LIVE = re.compile(
    r"[@#!$%&~:^\[\]{}|<>_*`/\\]\S|\b[0-9a-f]{7,}\b|\d{7}|\w\.\w|[A-Z]-\d", re.IGNORECASE
)  # in text that is no code: mentions, references, labels, emoji, commits, addresses, tickets
TEXTS = (
    "@octocat", "@acme/everyone", "see #123", "acme/app#7", "GH-12", "ABC-123", "!42", "$42", "%12", "&3", "~bug", '~"a bug"',
    ":tada:", "deadbeef", "0123456789abcdef0123456789abcdef01234567", "https://evil.example/?q", "www.evil.example",
    "me@evil.example", "mailto:me@evil.example", "[click](https://evil.example)", "![x](https://evil.example/x.png)",
    "[x]: https://evil.example", "<https://evil.example>", "<img src=x onerror=alert(1)>", "</details></summary>", "<!--", "-->",
    "*em* **strong** _em_ ~~gone~~", "`", "``", "```", "````\n/close", "~~~", "$`x`$", "\\", "\\`x`", "a|b|c", "|--|--|", "---",
    "# Title", "> quote", ">>> quote", "- [ ] task", "1. one", "/close", "/assign @me", "fixes #1", "&#64;me", "&commat;me",
    "a\n\n# b", "a\r# b", "a\x0b# b", "a\u2028# b", "\u202eevil", "[[wiki]]", "[^1]", "{+ x +}", "::include{file=x}",
    "[TOC]", "@\u200dme", "'@me' said", "\"#1\"", "'a' 'b", "target's own isn't", "C:\\x", "e-mail", " @me ", "",
)  # fmt: skip
ODD = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="`@#!*_~[]()<>|\\/:.'\"&$%-+= \n\r\tabcdef0123", max_size=60),
    st.lists(st.sampled_from(TEXTS), max_size=4).map(" ".join),
    st.lists(st.sampled_from(TEXTS), max_size=4).map("".join),
)


class Rendered(HTMLParser):
    """What GitHub's Markdown makes of a text: its elements, what stands in code, and what does not."""

    def __init__(self, markdown: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: Counter[str] = Counter()
        self.attributes: set[tuple[str, str]] = set()
        self.coded: list[str] = []
        self.live = ""
        self._inside: list[str] = []
        self.feed(github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE))
        self.close()
        assert not self._inside

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements[tag] += 1
        self.attributes |= {(tag, name) for name, _ in attrs}
        self._inside.append(tag)
        if tag == "code":
            self.coded.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_data(self, text: str) -> None:
        if "code" in self._inside:
            self.coded[-1] += text
        else:
            self.live += text


def checked(markdown: str) -> Rendered:
    """What a whole document becomes, in which nothing may be live."""
    found = Rendered(markdown)
    assert found.elements.keys() <= ELEMENTS
    assert found.attributes <= {("code", "class"), ("pre", "lang")}
    prose_of_ours = re.sub(r"\d\d:\d\d:\d\d", "", found.live.replace("\n", " "))
    assert not LIVE.search(prose_of_ours), LIVE.search(prose_of_ours)
    assert not [line for line in markdown.splitlines() if line.startswith("/")]  # nor is it a command
    assert len(markdown.encode()) <= LIMIT
    return found


def every(markdown: str, *kinds: str) -> list[Any]:
    """The tokens of some kinds that a second parser finds."""
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(markdown)
    inner = [token for outer in tokens for token in (outer, *(outer.children or ()))]
    return [token for token in inner if not kinds or token.type in kinds]


def shown(text: str) -> str:
    return printable(text) if text.strip() else "(blank)"


@given(ODD)
@example("`")
def test_a_code_span_shows_any_text_as_it_is_and_nothing_else(text: str) -> None:
    line = f"- one {code(text)}: two"
    found = checked(line)
    blank = not text.strip()
    assert found.live.replace("\n", "") == f"one {'(blank)' if blank else ''}: two"
    assert found.coded == ([] if blank else [printable(text)])
    assert [token.content for token in every(line, "code_inline")] == found.coded


@given(ODD)
@example("1. one")
@example("commit 1234567, or 12345678")
def test_a_sentence_keeps_its_words_and_none_of_them_is_live(text: str) -> None:
    line = f"- one {prose(text)} two"
    found = checked(line)
    assert found.elements.keys() <= {"ul", "li", "code"}
    assert checked(f"- {prose(text)}").elements["li"] == 1  # also where a line begins with it
    told = re.sub("<[^>]*>", "", re.sub("<code>|</code>", "", github_flavored_markdown_to_html(line)))
    assert not every(
        line, "link_open", "image", "html_inline", "html_block", "em_open", "strong_open", "s_open"
    )
    assert "".join(told.split())[:3] == "one"
    whole = "".join("".join(found.coded).split()) + "".join(found.live.split())
    assert Counter(whole) == Counter("one" + "".join(printable(" ".join(text.split())).split()) + "two")


def test_plain_sentences_stay_plain() -> None:
    for text in (
        "its destination, destination 'Alerts webhook', was deleted in the target",
        "enable it in the UI when it shall run",
        "the target's own, 12 of them; (really) gone!",
    ):
        assert prose(text) == text
    assert prose("settle it with --take 'source:function/Only known users'") == (
        "settle it with `--take 'source:function/Only known users'`"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "settle it with --take=source:function/Enrich or --take='target:function/Only one'; owner@example.com changed it",
            "settle it with `--take=source:function/Enrich` or `--take=target:function/Only one`; `owner@example.com` changed it",
        ),
        (
            "protected by 'stream/*' in the setting protect: use --unprotect='stream/Backend events' to delete it",
            "protected by `'stream/*'` in the setting protect: use `--unprotect=stream/Backend events` to delete it",
        ),
        ("--take=a:b --take=c:d", "`--take=a:b` `--take=c:d`"),
        ("since then (--take=source)", "since then (`--take=source`)"),
        (
            "'stream/Bulk 1' does not exist; did you mean 'Bulk 11'?",
            "`'stream/Bulk 1'` does not exist; did you mean `'Bulk 11'`?",
        ),
    ],
)
def test_a_flag_is_a_span_of_its_own_that_can_be_copied(text: str, shown: str) -> None:
    assert prose(text) == shown


@given(ODD, ODD)
def test_a_summary_shows_any_text_as_code(name: str, kind: str) -> None:
    found = checked(
        f"<details><summary>{html_prose(kind)} {html_code(name)}: update</summary>\n\n- x\n\n</details>\n"
    )
    assert found.elements["details"] == found.elements["summary"] == found.elements["li"] == 1
    assert found.coded[-1] == shown(name)


@given(st.lists(st.tuples(st.sampled_from("+- @"), ODD.map(lambda text: text.replace("\n", " ")))))
def test_no_line_of_a_program_ends_its_block(lines: list[tuple[str, str]]) -> None:
    diff = [mark + text for mark, text in lines]
    text = f"before\n\n{block(diff, 'diff')}\n\nafter"
    found = checked(text)
    (fence,) = every(text, "fence")
    assert (found.elements["pre"], found.elements["p"], fence.info) == (1, 2, "diff")
    expected = "\n".join(printable(line.replace("\t", "    ")) for line in diff)
    assert found.coded[0].rstrip("\n") == expected.rstrip("\n")
    assert fence.content.rstrip("\n") == expected.rstrip("\n")


@given(ODD)
def test_the_first_line_is_one_invisible_comment_whatever_the_name(name: str) -> None:
    line = marker(name)
    assert re.fullmatch(r"<!-- jitsu-backup: [A-Za-z0-9._~%-]* -->", line)
    assert "--" not in line[4:-3]
    found = Rendered(f"{line}\n## Plan\n")
    assert (found.elements, found.live.strip()) == (Counter(h2=1), "Plan")


def test_a_plain_name_stands_in_the_first_line_as_it_is() -> None:
    assert marker("acme-production") == "<!-- jitsu-backup: acme-production -->"


def everything(texts: tuple[str, ...]) -> list[str]:
    """A plan, a report and differences of a workspace with such texts."""
    snapshot = hostile(texts)
    plan, wanted, live = planned(snapshot)
    outcomes = [
        ActionOutcome(
            action, (Status.DONE, Status.FAILED, Status.NOT_ATTEMPTED)[n % 3], "x", texts[n % len(texts)]
        )
        for n, action in enumerate(plan.writes)
    ]
    residue = [Residue(a.key, a.name, texts[n % len(texts)], texts[-1]) for n, a in enumerate(plan.actions)]
    return [
        plan_markdown(plan, wanted, live),
        plan_markdown(*planned(snapshot, blocked=True)),
        plan_markdown(*promoted(texts)),
        restore_markdown(RestoreReport(plan, outcomes, residue, wanted, live, (), *texts[:2])),
        changes_markdown(changes(snapshot)),
    ]


@pytest.mark.parametrize("texts", [HOSTILE, TEXTS[:30], TEXTS[30:]])
def test_nothing_of_a_hostile_workspace_is_live_in_any_document(texts: tuple[str, ...]) -> None:
    for text in everything(texts):
        found = checked(text)
        assert found.elements["details"] == found.elements["summary"] > 0
        assert found.elements["h2"] == 1
        assert CANARY not in text
        assert {token.tag for token in every(text) if token.tag} <= {*ELEMENTS, "hr"} - {"hr"}


@example(["A:", "", "", ""])
@example(["A!", "", "", ""])
@given(st.lists(ODD, min_size=4, max_size=6))
def test_nothing_of_any_workspace_is_live_in_its_differences(texts: list[str]) -> None:
    fields = (
        FieldChange(texts[0], texts[1], [texts[2]]),
        FieldChange("code", "", "", code=tuple(f"+{line}" for line in texts[3].split("\n"))),
    )
    change = EntityChange(
        ChangeKind.CHANGED, texts[0], texts[1], Key("a", "b"), Key("a", "b"), texts[2], fields
    )
    added = EntityChange(
        ChangeKind.ADDED, texts[3], texts[0], None, Key("a", "c"), body={"code": texts[1], texts[2]: texts[3]}
    )
    side = make_snapshot({})
    checked(changes_markdown(Changes(side, side, (change, added), (), tuple(texts))))


def conflict(number: int, text: str) -> Action:
    fields = (
        FieldChange("name", text, f"{text}s", base=f"{text}b"),
        FieldChange(
            "code", "", "", code=tuple(f"+{line}" for line in text.split("\n")), own_code=("-x", "+y")
        ),
    )
    key = Key("function", f"f{number}")
    return Action(ActionKind.BLOCKED, key, text[:300], "t", text, fields=fields, conflicts=("name", "code"))


@pytest.mark.parametrize("word", ["x", "```\n", "👩‍👩‍👧", "ע ", "&<"])
def test_a_comment_holds_it_whatever_the_workspace_and_counts_what_it_cuts(word: str) -> None:
    code_of_megabytes = f"{word * 40}\n" * 30_000
    kinds = (ActionKind.CREATE, ActionKind.UPDATE, ActionKind.DELETE, ActionKind.SKIPPED)
    updated = (FieldChange("code", "", "", code=tuple(f"+{line}" for line in code_of_megabytes.split("\n"))),)
    actions = [
        Action(
            kinds[n % 4], Key("function", f"f{n}"), f"{word * 50} {n}", "t", word * 9_000, {"name": f"n{n}", "text": word * 90},
            fields=updated if n % 4 == 1 else (),
        )
        for n in range(10_000)
    ]  # fmt: skip
    decisions = [conflict(n, code_of_megabytes[:9_000]) for n in range(50)]
    side = make_snapshot({}, slug="acme-production")
    source = side.manifest.source
    plan = Plan(source, source, (*decisions, *actions), {}, notes=(word * 9_000,) * 300)
    for text in (
        plan_markdown(plan, side, side),
        restore_markdown(
            RestoreReport(
                plan, [ActionOutcome(a, Status.FAILED, None, word * 999) for a in actions], [], side, side
            )
        ),
    ):
        checked(text)
        assert len(text.encode()) > LIMIT * 0.8
        shown = len(
            re.findall(r"^- \*\*", text.partition("### Changes")[2].partition("###")[0], re.MULTILINE)
        )
        cut = re.findall(r"… and ([\d,]+) more changes: see `--html`", text)
        if "Plan" in text:
            assert shown + int(cut[0].replace(",", "")) == 7_500
            assert "more lines: see `--html`" in text
            assert "more details: see `--html`" in text
        assert "more notes: see" in text


def small() -> tuple[Plan, Any, Any]:
    code_before = "export default async function(event) {\n  return event\n}"
    live = make_snapshot(
        {
            "stream": [{"id": "s1", "name": "Web site"}],
            "destination": [],
            "function": [
                {"id": "f1", "name": "Enrich", "code": code_before},
                {"id": "f9", "name": "@octocat", "code": ""},
            ],
        }
    )
    wanted = make_snapshot(
        {
            "stream": [{"id": "s1", "name": "Web `site` #1"}],
            "function": [
                {"id": "f1", "name": "Enrich", "code": code_before.replace("event\n", "null // ```\n")}
            ],
            "destination": [
                {"id": "d1", "name": "Hook", "destinationType": "webhook", "url": "https://hook.example"}
            ],
        }
    )
    return make_plan(wanted, live, PlanOptions(prune=True, check_schemas=False)), wanted, live


def test_a_small_plan_reads_as_it_always_did() -> None:
    assert plan_markdown(*small()) == GOLDEN_PLAN


def test_a_small_difference_reads_as_it_always_did() -> None:
    _, wanted, live = small()
    assert changes_markdown(compare(live, wanted, known_schemas())) == GOLDEN_DIFFERENCE


def test_a_conflict_shows_three_values_and_both_differences_of_the_code() -> None:
    text = plan_markdown(*promoted())
    checked(text)
    assert "- **Needs a decision:** 2 conflicts\n" in text
    assert "- **Kept in the target:** 1 changed there, 2 deleted there, 1 only there\n" in text
    target = '{"id": ["staging", "production"]}'
    assert f'- `project`\n  - source: `"staging"`\n  - last clone: `"acme"`\n  - target: `{target}`\n' in text
    source, target = (
        text.index("- `code`, changed in the source since the last clone:"),
        text.index("- `code`, changed in the target since"),
    )
    assert "\n+// staging\n" in text[source:target]
    assert "\n+staging\n+production\n```" in text[target:]
    assert "- function `Enrich`: keeps the target's code\n" in text
    taken = "--take=source:destination/BigQuery\n--take=target:destination/BigQuery\n"
    assert f"as it is; a shell needs quotation marks around spaces:\n\n```\n{taken}" in text


def test_what_an_undo_changes_is_shown_in_groups() -> None:
    sides = [
        make_snapshot({"function": [{"id": f"f{n}", "name": f"F{n}", "code": code} for n in range(3)]})
        for code in ("// of the run", "// before")
    ]
    plan = make_plan(sides[1], sides[0], PlanOptions(check_schemas=False))
    assert "- **update** function `F0`: changes code\n" in plan_markdown(plan, *sides)
    undone = replace(plan, since=Since.RUN)
    report = RestoreReport(undone, [ActionOutcome(a, Status.DONE) for a in undone.actions], [], *sides)
    for text in (plan_markdown(undone, *sides), restore_markdown(report)):
        assert "### Changes (3)\n\n- **update** 3 function: `F0, F1, F2`: changes code\n" in text


def test_a_name_with_backquotes_is_one_span_of_code_in_the_lines_at_the_top() -> None:
    plan, *sides = promoted()
    lost = Overwrite("code", "--take=source", "since the last clone")
    key = Key("function", "f")
    action = Action(
        ActionKind.UPDATE, key, "Use `geo` and `x` of it", "f", "changes code", overwrites=(lost,)
    )
    text = plan_markdown(replace(plan, actions=(action,)), *sides)
    assert "1 entity: function ``'Use `geo` and `x` of it'`` (code)\n" in text
    checked(text)


def test_flags_to_settle_and_to_promote_again_stand_unquoted_and_one_a_line_to_be_copied() -> None:
    assert flags_in("settle it (--take='target:function/Only known users'); ada") == [
        "--take=target:function/Only known users"
    ]
    assert flags_in("""use --unprotect='stream/Ada'"'"'s' or 'x --skip=a/b', then --prune --take='x""") == [
        "--unprotect=stream/Ada's"
    ]
    assert flags_in("'--rebind' (or --rebind), else --skip=a/b; add --accept-shrink, or --prune-own; leave out --prune") == [
        "--rebind", "--skip=a/b", "--accept-shrink", "--prune-own",
    ]  # fmt: skip
    again = _bullet(
        FlagsListed("to promote again all that the undo took back: --take='source:a/b c' --take=source:d")
    )
    assert again.endswith("took back:\n\n  ```\n  --take=source:a/b c\n  --take=source:d\n  ```\n")
    assert checked(again).coded == ["--take=source:a/b c\n--take=source:d\n"]


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}

        def run(*words: str) -> Any:
            return cli(*words, env=env, cwd=tmp_path)

        run.state = state  # type: ignore[attr-defined]
        yield run


def test_each_command_writes_its_markdown_and_updates_it(ask: Any, tmp_path: Path) -> None:
    path = tmp_path / "comment.md"

    def title() -> str:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        checked(path.read_text(encoding="utf-8"))
        first, second, *_ = path.read_text(encoding="utf-8").splitlines()
        assert first == "<!-- jitsu-backup: acme-staging -->"
        return second

    markdown = ("--markdown", "comment.md")
    assert ask("backup", "acme-staging").returncode == 0
    ask.state.objects["enrich-0001"].config["code"] += "\n// more"
    assert ask("diff", "latest", *markdown, "--exit-code").returncode == 4
    assert title() == "## What changed: `acme-staging`"
    done = ask("restore", "latest", "--dry-run", *markdown)
    assert (done.returncode, title()) == (0, "## Plan: `acme-staging`")
    assert "report written to comment.md" in done.stderr
    assert ask("restore", "latest", "--plan-out", "plan.json", *markdown).returncode == 0
    assert ask("restore", "--plan", "plan.json", "--yes", *markdown, "--html", "page.html").returncode == 0
    assert title() == "## Restore: `acme-staging`"
    assert "- **Done:** 1 of 1 change applied" in path.read_text()
    path.unlink()
    assert ask("clone", "acme-staging", "acme-production", *markdown).returncode == 7
    assert "### Needs a decision" in path.read_text()


def test_markdown_of_somebody_else_is_never_overwritten(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    for command in (
        ("diff", "live:acme-staging", "live:acme-production"),
        ("clone", "acme-staging", "acme-production"),
    ):
        done = ask(*command, "--markdown", "README.md")
        assert (done.returncode, (tmp_path / "README.md").read_text()) == (2, "# Mine\n")
        assert "--markdown README.md: the file exists and was not written by jitsu-backup" in done.stderr
        assert ask(*command, "--markdown", "x.md", "--html", "./x.md").returncode == 2


def test_the_exit_code_of_a_plan_says_whether_there_is_something_to_do(ask: Any, tmp_path: Path) -> None:
    assert ask("backup", "acme-staging").returncode == 0
    plan = ("restore", "latest", "--exit-code")
    assert ask(*plan, "--dry-run").returncode == 0
    assert ask(*plan, "--plan-out", "nothing.json").returncode == 0
    ask.state.objects["enrich-0001"].config["code"] += "\n// more"
    assert ask(*plan, "--dry-run").returncode == 4
    assert ask("restore", "latest", "--dry-run").returncode == 0
    assert ask(*plan, "--plan-out", "plan.json").returncode == 4
    assert ask("restore", "--plan", "plan.json", "--dry-run", "--exit-code").returncode == 4
    shown = ask(
        "--json",
        "clone",
        "acme-staging",
        "acme-production",
        "--dry-run",
        "--exit-code",
        "--allow-missing-secrets",
    )
    assert shown.returncode == 4
    assert json.loads(shown.stdout)["plan"]["counts"]["create"] > 10
    assert ask("clone", "acme-staging", "acme-production", "--dry-run", "--exit-code").returncode == 7
    refused = ask(*plan, "--yes")
    assert refused.returncode == 2
    assert "--exit-code is about a plan; add --dry-run or --plan-out FILE" in refused.stderr


GOLDEN_PLAN = """\
<!-- jitsu-backup: acme-staging -->
## Plan: `acme-staging`

- **Will change:** 1 to create, 2 to update, 1 to delete
- **Kept in the target:** nothing
- **Needs a decision:** nothing

Snapshot `7441638a435a`, taken 2026-11-23 19:00:00 UTC, into `https://jitsu.example.com`

### Changes (4)

- **create** destination `Hook`: deleted since the backup; re-created with a new id
- **update** function `Enrich`: changes code
- **update** stream ``Web `site` #1``: changes name
- **delete** function `@octocat`: not in the snapshot

### Details (3)

<details><summary>destination <code>Hook</code>: create</summary>

- `destinationType`: → `"webhook"`
- `name`: → `"Hook"`
- `url`: secret set

</details>
<details><summary>function <code>Enrich</code>: update</summary>

- `code`:

````diff
@@ -1,3 +1,3 @@
 export default async function(event) {
-  return event
+  return null // ```
 }
````

</details>
<details><summary>stream <code>Web `site` #1</code>: update</summary>

- `name`: `"Web site"` → ``"Web `site` #1"``

</details>
"""

GOLDEN_DIFFERENCE = """\
<!-- jitsu-backup: acme-staging -->
## What changed: `acme-staging`

- **Differences:** 1 added, 1 removed, 2 changed
- From `https://jitsu.example.com`, 2026-11-23 19:00:00 UTC
- To `https://jitsu.example.com`, 2026-11-23 19:00:00 UTC

### Changes (4)

- **added** destination `Hook`
- **removed** function `@octocat`
- **changed** function `Enrich`: code
- **changed** stream ``Web `site` #1`` (was `Web site`): name

### Details (4)

<details><summary>destination <code>Hook</code>: added</summary>

- `name`: → `"Hook"`
- `destinationType`: → `"webhook"`
- `url`: → `"***"`

</details>
<details><summary>function <code>@octocat</code>: removed</summary>

- `name`: `"@octocat"` → nothing

</details>
<details><summary>function <code>Enrich</code>: changed</summary>

- `code`:

````diff
@@ -1,3 +1,3 @@
 export default async function(event) {
-  return event
+  return null // ```
 }
````

</details>
<details><summary>stream <code>Web `site` #1</code>: changed</summary>

- `name`: `"Web site"` → ``"Web `site` #1"``

</details>
"""
