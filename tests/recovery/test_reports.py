"""What is told of a recovery: one page of 80 columns, JSON, Markdown and HTML, whatever a workspace says."""

import io
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from rich.console import Console as Screen

from jitsu_backup.cli.recovery_progress import RecoveryProgress
from jitsu_backup.errors import BackupError
from jitsu_backup.model import lasting, lasting_between
from jitsu_backup.operations.recovery import LeftOut, PassedOver, RecoveryPlan, RecoveryRun
from jitsu_backup.planning import Since
from jitsu_backup.reports.recovery import missing_overlay, plan_summary, run_summary
from jitsu_backup.reports.recovery_documents import recovery_document, recovery_plan_document
from jitsu_backup.reports.recovery_keys import planned_keys
from jitsu_backup.reports.recovery_markdown import recovery_markdown
from jitsu_backup.reports.recovery_page import recovery_page
from jitsu_backup.reports.recovery_values import Listing, NextStep, RecoveryReport, RecoverySummary
from jitsu_backup.reports.terminal_layout import Command
from tests.recovery.golden import FOLDER, goldens, shown
from tests.recovery.samples import CANARY, ended, many, planned, recovery, snapshot
from tests.reports.parsed import ATTRIBUTES, ELEMENTS, Parsed
from tests.reports.samples import HOSTILE

PAGE = (Path(__file__).parents[2] / "docs" / "recovery-json.md").read_text(encoding="utf-8")


def summaries(*names: str) -> dict[str, RecoverySummary]:
    run = ended(*names)
    assert run.run is not None
    return {"plan": plan_summary(planned(*names)), "report": run_summary(run, run.run)}


@pytest.mark.parametrize("name", sorted(goldens()))
def test_a_terminal_of_80_columns_shows_it_as_the_golden_file_does(name: str) -> None:
    assert goldens()[name] == (FOLDER / name).read_text(encoding="utf-8")


def test_the_plan_for_300_workspaces_is_one_page_that_names_what_is_wrong_first() -> None:
    lines = shown(plan_summary(many(300))).split("\n")
    assert len(lines) < 60
    assert max(map(len, lines)) <= 80
    assert lines.index("Blocked: nothing is written to these workspaces (270)") < lines.index(
        "Workspaces (300)"
    )
    assert sum("is in use" in line for line in lines) == 3


@pytest.mark.parametrize("lacks", ["", "1 secret, 2 grants, 3 features"])
def test_the_state_of_a_workspace_and_a_clause_of_the_first_line_stay_whole_at_80_columns(lacks: str) -> None:
    columns = ("Workspace", "Ended", "Backed up", "Written", "New keys", "Missing")
    row = ("acme-production-eu-1", "restored (new)", "12 minutes ago", "1,021", "", lacks)
    state = "1 of 6 workspaces restored completely; 1 failed, 2 blocked, 1 partly restored, 2 left out"
    rows = (row, row, (row[0], "partly restored", *row[2:]))
    lines = shown(
        RecoverySummary("Recovery", "x", state, False, (), (Listing("Workspaces", columns, rows),))
    ).split("\n")
    assert "2 left out." in lines
    assert sum("restored (new)   12 minutes ago" in line for line in lines) == 2
    assert not any("New keys" in line for line in lines), "a column without any value"


def test_nothing_is_claimed_about_write_keys_of_workspaces_that_are_not_recovered() -> None:
    keyless = recovery(replace(snapshot("team-blue"), entities=()))
    unplanned = replace(recovery(snapshot("team-red"), problem=BackupError("no answer")), prepared=None)
    plan = RecoveryPlan("https://lost.example", "https://new.example", (keyless, unplanned))
    assert planned_keys(plan) == "no new keys so far; unknown for 1 workspace not recovered"
    alone = planned_keys(replace(plan, workspaces=(keyless,)))
    assert alone == "no new keys; senders need no change if this console has the hash secret of the old one"


def test_a_target_with_the_slug_on_another_console_may_be_a_clone_or_a_recovery() -> None:
    (one, *_) = planned().plan.workspaces
    assert one.prepared is not None
    assert one.prepared.plan.since is Since.EITHER


def test_the_new_id_of_a_created_workspace_is_in_every_report() -> None:
    report = ended()
    assert report.run is not None
    summary = run_summary(report, report.run)
    (step,) = [one.text for one in summary.next_steps if "have new ids" in one.text]
    assert "2 workspaces (under 'Workspaces with a new id')" in step
    assert "nblue" not in shown(summary).partition("To undo")[0]
    for text in (shown(summary, verbose=True), recovery_markdown(summary), recovery_page(summary)):
        assert re.search(
            r"cteam-blue\b.*\bnblue\b", text.partition("Workspaces with a new id (")[2], re.DOTALL
        )
    assert {one["workspace_id"]: one["target_id"] for one in recovery_document(report)["workspaces"]}[
        "cteam-blue"
    ] == "nblue"


def test_owner_and_members_are_one_step() -> None:
    (step,) = [one for one in summaries()["report"].next_steps if "nvite" in one.text]
    assert step.text == (
        "Invite an owner to team-blue, because nobody is a member yet; that person then invites 2 members with their previous"
        " roles. Jitsu of summer 2026 answers this request with the link to open"
    )
    assert shlex.split(step.command)[-1] == "https://new.example/api/workspace/team-blue/users"


def test_a_step_never_speaks_of_a_flag_that_a_page_lacks() -> None:
    assert "-v lists" not in recovery_page(summaries()["report"])


def test_with_v_every_workspace_loss_and_member_is_listed() -> None:
    assert shown(plan_summary(many(300)), verbose=True).count("team-299") >= 4
    told = shown(summaries()["report"], verbose=True)
    for text in ("bob@example.com", "jitsu-backup undo ncteam-green", "data-retention"):
        assert text in told
    assert "With -v:" not in told


@pytest.mark.parametrize("names", [(), HOSTILE], ids=["plain", "hostile"])
@pytest.mark.parametrize("kind", ["plan", "report"])
def test_a_page_is_inert_and_fetches_nothing_whatever_a_workspace_says(
    kind: str, names: tuple[str, ...]
) -> None:
    for text in names or ("",):
        page = recovery_page(summaries(*([text] if text else []))[kind])
        parsed = Parsed(page)
        assert {tag for tag, _ in parsed.elements} <= ELEMENTS
        assert {name for _, attributes in parsed.elements for name in attributes} <= ATTRIBUTES
        assert parsed._open == []
        assert parsed.inside.get("script", "") == ""
        assert not re.search(r"url\(|@import|https?:", parsed.inside["style"])
        ids = list(parsed.values("id"))
        assert len(ids) == len(set(ids))
        assert set(parsed.values("aria-labelledby")) <= set(ids)
        assert CANARY not in page


def test_a_page_counts_what_says_the_same_of_many_and_folds_the_whole_list() -> None:
    page = recovery_page(plan_summary(many(300)))
    assert "(and 266 more like this)" in page
    assert "Blocked: nothing is written to these workspaces: all 270" in page
    assert page.count("<details") == 2
    assert "team-299" in page


@pytest.mark.parametrize("kind", ["plan", "report"])
@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_and_the_terminal_keep_hostile_text_harmless(text: str, kind: str) -> None:
    summary = summaries(text)[kind]
    written = recovery_markdown(summary)
    for line in written.split("\n"):
        assert not re.search(r"\x1b|\u202e|\x07", line)
    assert not re.search(r"<(script|img|iframe|base|meta|link|style)[ >]", re.sub(r"(`+).*?\1", "", written))
    assert CANARY not in written
    screen = shown(summary)
    assert not re.search(r"[\x00-\x08\x1b\u202e\u2066\u2028]", screen)


@pytest.mark.parametrize("text", ["", *HOSTILE])
def test_json_holds_everything_but_secrets(text: str) -> None:
    report = ended(*([text] if text else []))
    document = json.loads(json.dumps(recovery_document(report), ensure_ascii=True))
    assert CANARY not in json.dumps(document)
    assert (document["document"], document["version"], document["exit_code"]) == ("recovery", 1, 1)
    by_slug = {one["workspace"]: one for one in document["workspaces"]}
    assert by_slug["team-green"]["ended"] == "back"
    assert by_slug["team-blue"]["members"][1] == {
        "email": "bob@example.com",
        "role": "analyst",
        "as_of": None,
    }
    assert by_slug["team-red"]["exit_code"] == 7
    assert by_slug["team-green"]["way_back"] == "jitsu-backup undo ncteam-green"
    assert {one["standing"] for one in document["plan"]["workspaces"]} == {"blocked", "to be made", "there"}


def fields(document: Any) -> set[str]:
    """Return the names of fields in a document, but not those of types and kinds."""
    if isinstance(document, list):
        return set().union(*map(fields, document))
    if not isinstance(document, dict):
        return set()
    free = {"counts", "lacking", "not_known", "archive", "only_in_target", "residue"}
    return set(document).union(*(fields(value) for name, value in document.items() if name not in free))


def test_every_field_of_the_json_documents_is_described() -> None:
    told = set(re.findall(r"`(\w+)`", PAGE))
    assert fields(recovery_document(ended())) - told == set()
    assert fields(recovery_plan_document(planned())) - told == set()


def test_the_form_to_fill_in_names_each_workspace_and_has_a_variable_for_each_secret() -> None:
    tables = missing_overlay(planned().plan)
    assert len(tables) == 5
    assert tables[0] == (
        '["team-blue:destination/Web site warehouse"]\n"password" = { env = "TEAM_BLUE_WEB_SITE_WAREHOUSE_PASSWORD" }'
    )
    text = "\n".join(missing_overlay(many(30).plan))
    variables = re.findall(r'env = "(\w+)"', text)
    assert len(variables) == len(set(variables)) == 30


def test_the_time_left_is_what_the_plan_foresees_or_its_own_pace_where_that_is_slower() -> None:
    clock = [0.0]
    plan = many(300).plan
    progress = RecoveryProgress(plan, clock=lambda: clock[0])
    assert progress.left() == (plan.seconds, plan.seconds_at_most)
    clock[0] = 600.0
    assert progress.left() == (max(plan.seconds - 600, 0), plan.seconds_at_most - 600)
    run = ended().run
    assert run is not None
    progress.ended.append(run.outcomes[0])
    whole = plan.writes + progress.total
    done = run.outcomes[0].recovery.writes + 1
    clock[0] = 6000.0
    assert progress.left() == pytest.approx((max(plan.seconds - 6000, 0), 6000 * (whole - done) / done))
    assert progress.in_words() == f"1 of 30 workspaces, {lasting_between(*progress.left())} left"


def test_durations_are_reported_in_words() -> None:
    told = {0: "less than a minute", 60: "about 1 minute", 754: "about 13 minutes", 8400: "about 2 h 20 min"}
    assert {seconds: lasting(seconds) for seconds in told} == told


def test_a_range_of_durations_is_reported_in_words() -> None:
    told = {
        (0, 0): "less than a minute",
        (0.5, 60.5): "up to 1 minute",
        (300, 600): "about 5 to 10 minutes",
        (300, 310): "about 5 minutes",
        (3300, 3600): "about 55 minutes to 1 h 0 min",
        (8400, 8700): "about 2 h 20 min to 2 h 25 min",
    }
    assert {pair: lasting_between(*pair) for pair in told} == told


def test_an_interrupted_run_says_how_to_go_on() -> None:
    report = ended()
    assert report.run is not None
    outcome = report.run.outcomes[1]
    cut = RecoveryRun(report.plan, (type(outcome)(outcome.recovery, begun=False),))
    summary = run_summary(RecoveryReport(report.plan, report.now, run=cut, again="jitsu-backup recover"), cut)
    assert summary.next_steps[0].command == "jitsu-backup recover"
    assert "1 not started" in summary.state
    assert cut.exit_code == 130


def test_a_workspace_whose_newest_archive_is_locked_counts_as_one_whose_key_is_missing() -> None:
    blue = recovery(snapshot("team-blue"))
    locked = PassedOver(blue.archive, "it is encrypted", 2, locked=True)
    plan = RecoveryPlan(
        "https://lost.example",
        "https://new.example",
        (replace(blue, passed_over=(locked,)),),
        left_out=(LeftOut("cred", "team-red", "it is encrypted", 2, locked=True),),
    )
    steps = plan_summary(RecoveryReport(plan, planned().now)).next_steps
    assert str(steps[0]).startswith("Give the key that opens the archives of 2 workspaces")


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("cannot be read: the archive is empty; use another archive of this workspace", "cannot be read: the archive is empty"),
        ("it is damaged; use another archive, and move this one away with `prune`", "it is damaged; move this one away with `prune`"),
        ("it is encrypted; set JITSU_BACKUP_PASSPHRASE", "it is encrypted; set JITSU_BACKUP_PASSPHRASE"),
    ],
)  # fmt: skip
def test_a_recovery_does_not_advise_to_use_another_archive(why: str, said: str) -> None:
    plan = RecoveryPlan(
        "https://lost.example", "https://new.example", left_out=(LeftOut("c", "team", why, 5),)
    )
    report = RecoveryReport(plan, planned().now)
    (listing,) = plan_summary(report).listings
    assert listing.rows == (("team", said),)
    assert recovery_plan_document(report)["plan"]["left_out"][0]["why"] == said


@given(st.lists(st.text("ab/=-é '\"\\\\$", min_size=1, max_size=12), min_size=1, max_size=12))
def test_a_command_of_several_lines_runs_as_it_is_copied(words: list[str]) -> None:
    screen = Screen(record=True, width=80, file=io.StringIO())
    screen.print(Command(shlex.join(words)))
    shown = screen.export_text()
    assert all(line.endswith(" \\") for line in shown.rstrip("\n").split("\n")[:-1])
    assert shlex.split(shown.replace(" \\\n", " ")) == words


def test_an_option_and_its_value_stay_on_one_line() -> None:
    screen = Screen(record=True, width=40, file=io.StringIO())
    screen.print(Command("jitsu-backup recover --yes --workspace acme-ml --at 2026-11-01T10:00:00.000"))
    assert screen.export_text().splitlines() == [
        "jitsu-backup recover --yes \\",
        "  --workspace acme-ml \\",
        "  --at 2026-11-01T10:00:00.000",
    ]


def test_markdown_numbers_the_steps_as_the_terminal_does_and_keeps_commands_whole() -> None:
    steps = (
        NextStep("First"), NextStep("To undo", "jitsu-backup undo x", aside=True),
        NextStep("Use it (with `jitsu-backup restore x --rebind`), or with `--workspace a --at 2026-11-01`"),
    )  # fmt: skip
    lines = recovery_markdown(RecoverySummary("Recovery", "x", "done", True, (), (), steps)).splitlines()
    assert lines[-3:] == [
        "1. First",
        "2. Use it (with `jitsu-backup restore x --rebind`), or with `--workspace a --at 2026-11-01`",
        "- To undo: `jitsu-backup undo x`",
    ]
