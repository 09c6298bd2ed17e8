"""What is said of a plan as a whole: nothing is passed over, nothing is said twice, long lists are folded."""

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rich.console import Console as Screen

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.catalogue import links_of, told_apart
from jitsu_backup.model import Entity, Key, Snapshot, ago
from jitsu_backup.planning import Extra, Plan
from jitsu_backup.planning.switches import created_off
from jitsu_backup.reports import archive_table, matches, plan_document, plan_view, taken
from jitsu_backup.reports.summary import counted, folded, only_in_target
from jitsu_backup.reports.terminal_layout import Enumerated
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    DB,
    ENRICH,
    EXTRA,
    WEB,
    builder,
    elsewhere,
    in_place,
    link,
    other_console,
    overlay,
    plan_of,
    side,
    with_,
)
from tests.support import MOMENT


def text(plan: Plan, *, verbose: bool = False, words: str = "") -> str:
    screen = Screen(record=True, width=80, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    screen.print(plan_view(plan, words, verbose=verbose))
    screen.file.close()
    return screen.export_text()


def test_what_only_the_target_has_is_counted_and_named() -> None:
    plan = plan_of(in_place(BASE, EXTRA))
    shown = " ".join(text(plan).split())
    assert "8 only in the target, kept; --prune deletes them: destination Old-2," in shown
    assert "2 only in the target, kept, even with --prune: destination Given, gadget Model." in shown
    named = plan_document(plan)["only_in_target"]
    more = {"prunable": False, "left_out": False, "dead": False, "own": False, "blocks": False}
    assert {"type": "gadget", "id": "model-1", "name": "Model", **more} in named
    assert len(named) == 10


def test_no_line_of_a_plan_ends_with_blanks() -> None:
    shown = text(plan_of(in_place(BASE, EXTRA))).splitlines()
    assert [line for line in shown if line != line.rstrip()] == []


def test_syncs_between_the_same_two_are_told_apart_by_their_streams_and_their_schedule() -> None:
    def sync(one: str, **data: Any) -> Entity:
        return Entity(Key("link", one), {"fromId": "crm", "toId": "db", "type": "sync", "data": data})

    ends = [Entity(Key("service", "crm"), {"name": "CRM"}), Entity(Key("destination", "db"), {"name": "Db"})]
    hourly, daily = sync("a", streams={"users": {}}, schedule="0 * * * *"), sync("b", streams={"orders": {}})
    again = sync("c", streams={"orders": {}})
    names = told_apart([*ends, hourly, daily, again])
    assert [names[one.key] for one in (hourly, daily, again)] == [
        "CRM → Db (users, 0 * * * *)", "CRM → Db (orders) (b)", "CRM → Db (orders) (c)",
    ]  # fmt: skip
    alone = told_apart([*ends, hourly])
    assert alone[hourly.key] == "CRM → Db"


def test_links_that_an_option_left_off_are_counted() -> None:
    left_off = elsewhere(BASE, {}, disable_links=True, allow_missing_secrets=True)
    left_on = elsewhere(BASE, {}, allow_missing_secrets=True)
    assert created_off(plan_of(left_off), left_off.snapshot) == len(links_of(left_off.snapshot))
    assert created_off(plan_of(left_on), left_on.snapshot) == 0


def test_that_all_archives_are_encrypted_is_said_once() -> None:
    name = "acme.c1.20261101T120000Z.0123456789ab.json.gz.age"
    one, other = (parse_name(text) for text in (name, name.replace("0123", "0124")))
    assert one is not None
    assert other is not None

    def listed(*archives: ArchiveName) -> str:
        screen = Screen(record=True, width=80, file=io.StringIO())
        screen.print(archive_table(archives, {}))
        return screen.export_text()

    assert listed(one, other).count("encrypted") == 1
    assert listed(one, other).rstrip().endswith("All are encrypted.")
    assert listed(one, replace(other, encrypted=False)).count("encrypted") == 1


def test_the_table_of_archives_marks_the_latest_and_breaks_no_mark_in_two() -> None:
    name = "acme-production.cacmeproduction0000000001.20261101T120000Z.0123456789ab.{}json.gz"
    backup, record = parse_name(name.format("")), parse_name(name.format("cloned.from-7a064e3e8b13."))
    assert backup is not None
    assert record is not None
    screen = Screen(record=True, width=80, file=io.StringIO())
    screen.print(archive_table([backup, record], {}, [backup]))
    _, first, second, *note = screen.export_text().splitlines()
    assert first.endswith("latest")
    assert second.endswith("cloned")
    assert " ".join(note).startswith(
        "`latest` ignores rows marked pre-restore, cloned, from …, begun run or after a run"
    )


def test_marks_that_break_leave_no_comma_at_the_beginning_of_a_line() -> None:
    for width, lines in (
        (16, ["pre-restore,", "undo"]),
        (11, ["pre-restore", "undo"]),
        (17, ["pre-restore, undo"]),
    ):
        screen = Screen(record=True, width=width, file=io.StringIO())
        screen.print(Enumerated(("pre-restore", "undo")))
        assert screen.export_text().split("\n")[:-1] == lines


def test_only_and_skip_leave_out_what_only_the_target_has_too_and_that_is_counted() -> None:
    plan = plan_of(in_place(BASE, EXTRA, only=("function",)))
    assert {extra.key.type for extra in plan.extras if not extra.left_out} == {"function"}
    assert plan.left_out == 4
    own = {"service": [CRM, {"id": "own", "name": "Own", "package": "a/b"}]}
    plan = plan_of(in_place(BASE, {**BASE, **own}, skip=("service",)))
    shown = " ".join(text(plan).split())
    assert "1 left out. 1 only in the target, left out by --only or --skip: service Own." in shown
    assert matches(plan, plan.extras).endswith("; left out: 1 in the snapshot, 1 only in the target")


def test_dead_connections_are_counted_and_named_in_one_note_and_only_verbose_lists_them() -> None:
    dead = {"link": [*BASE["link"], link("l2", "gone", "db-1"), link("l3", "web-1", "gone")]}
    plan = plan_of(other_console({**BASE, **dead}, {}, allow_missing_secrets=True))
    shown = " ".join(text(plan).split())
    assert "5 to create, 2 dead connections." in shown
    assert (
        "2 dead connections are left out, because their source or destination was deleted and no data flows through them:"
        " Web → gone, gone → Db-1"
    ) in shown
    assert "skipped" not in shown
    assert text(plan, verbose=True).count("» skipped") == 2


def test_dead_connections_of_the_target_are_told_apart_from_what_else_only_it_has() -> None:
    live = {**BASE, "link": [*BASE["link"], link("l2", "gone", "db-1"), link("l3", "web-1", "gone")]}
    shown = " ".join(text(plan_of(in_place(BASE, live))).split())
    assert (
        "2 dead connections only in the target, kept; --prune deletes them: gone → Db-1, Web → gone." in shown
    )


def test_a_function_whose_builder_is_skipped_is_not_said_to_come_with_it() -> None:
    lists = {"destination": [DB], "profile-builder": [builder("pb-1", "pf-1", "db-1")],
             "function": [{"id": "pf-1", "name": "P", "kind": "profile"}]}  # fmt: skip
    plan = plan_of(in_place(lists, {"destination": [DB]}, schemas={}))
    assert counted(plan) == "1 unchanged, 1 skipped, 1 function skipped with its profile builder"


def test_every_entity_of_the_snapshot_is_counted_once_as_backup_counts_them() -> None:
    lists = with_(
        BASE,
        profile_builder=[builder("pb-1", "pf-1", "db-1")],
        function=[ENRICH, {"id": "pf-1", "name": "P", "kind": "profile"}],
    )
    scenario = in_place(lists, lists, skip=("service",))
    plan = plan_of(scenario)
    assert counted(plan) == "5 unchanged, 1 function with its profile builder, 1 left out"
    assert sum(scenario.snapshot.manifest.counts.values()) == 7


def test_the_target_matches_only_where_nothing_differs_at_all() -> None:
    def said(*extras: Extra, **more: Any) -> str:
        return matches(plan_of(in_place(BASE, BASE, **more)), extras)

    assert said() == "the target matches the snapshot, except for what Jitsu hides"
    assert said(skip=("destination", "link", "service")).endswith(
        "matches the snapshot; left out: 3 in the snapshot"
    )
    assert said(Extra(Key("function", "f"), "F", True)).endswith("kept in the target: 1 only there")
    plain = {"function": [ENRICH]}
    assert matches(plan_of(in_place(plain, plain)), ()) == "the target matches the snapshot"


def test_a_clone_whose_target_keeps_its_own_secrets_is_not_said_to_match() -> None:
    before, live = {"destination": [{**DB, "apiKey": "theirs"}]}, {"destination": [{**DB, "apiKey": "own"}]}
    assert matches(plan_of(elsewhere(before, live)), ()).endswith(
        "kept in the target: 1 value of its own (apiKey of destination Db-1)"
    )


def test_a_plan_says_which_snapshot_it_goes_by() -> None:
    snapshot: Snapshot = side(BASE)
    words = taken(snapshot, "0123456789abcdef", MOMENT + timedelta(days=2, hours=3))
    assert words == "Snapshot: 0123456789ab, 2026-11-23 19:00:00 UTC (2 days ago)"
    assert words in [line.strip() for line in text(plan_of(in_place(BASE, BASE)), words=words).split("\n")]


def test_an_age_is_said_in_the_largest_unit_that_fits() -> None:
    later = [MOMENT + timedelta(seconds=s) for s in (-90, 0, 59, 60, 7200, 86_400)]
    assert [ago(MOMENT, now) for now in later] == [
        "in the future", "just now", "just now", "1 minute ago", "2 hours ago", "1 day ago"
    ]  # fmt: skip


def test_an_entity_that_the_overlay_renames_is_shown_as_it_will_be() -> None:
    renamed = overlay({"stream/Web": {"name": "Shop"}})
    plan = plan_of(in_place(BASE, {}, overlay=renamed, allow_missing_secrets=True))
    assert {action.name for action in plan.actions if action.key.type in ("stream", "link")} == {
        "Shop",
        "Shop → Db-1",
    }


def test_long_lists_of_actions_are_folded_with_counts_and_whole_with_verbose() -> None:
    many = {"function": [{"id": f"f-{n:03}", "name": f"F{n:03}", "code": "x"} for n in range(200)]}
    plan = plan_of(in_place(many, {}))
    shown = text(plan)
    assert shown.count("+ create") == 1
    assert "200: F000, F001, " in shown
    assert "-v lists each" in shown
    assert "200 to create." in shown
    assert text(plan, verbose=True).count("+ create") == 200
    assert len(plan_document(plan)["actions"]) == 200


def test_notes_that_are_alike_are_folded_with_counts_and_no_other_is_lost() -> None:
    alike = [
        f"function 'F {n}': its code mentions destination 'D' (d-{n}) in text, which is copied unchanged"
        for n in range(200)
    ]
    found = folded(["first", *alike, "last"])
    assert found == ["first", *alike[:3], "… and 197 more like this (-v shows all)", "last"]
    assert folded(alike[:4]) == alike[:4]


def test_no_note_is_made_of_an_entity_that_names_itself_or_of_what_it_is() -> None:
    own = [
        {"id": "enrich", "name": "enrich", "code": "// enrich, version 2"},
        {"id": "other", "name": "uses enrich", "code": "x"},
    ]
    given = {
        "function": own,
        "destination": [{"id": "clickhouse", "name": "C", "destinationType": "clickhouse"}],
    }
    assert plan_of(elsewhere(given, {})).notes == ()
    named = {"function": [own[0], {"id": "other", "name": "O", "code": "call('enrich')"}]}
    assert plan_of(elsewhere(named, {})).notes == (
        "function 'O': its code mentions function 'enrich' (enrich) in text, which is copied unchanged",
    )


def test_no_note_names_a_connection_that_is_gone() -> None:
    plan = plan_of(in_place(BASE, {"stream": [WEB]}, only=("function",)))
    assert not any("link" in note for note in plan.notes)


def test_a_stream_that_is_recreated_in_place_says_that_its_senders_need_new_keys() -> None:
    keyed = {**WEB, "publicKeys": [{"id": "js.one"}]}
    plan = plan_of(in_place({"stream": [keyed]}, {}))
    assert "    senders need new write keys" in [line.rstrip() for line in text(plan).split("\n")]
    assert plan_document(plan)["actions"][0]["cuts_off_senders"]
    assert "senders" not in text(plan_of(elsewhere({"stream": [keyed]}, {})))


def test_a_write_key_that_only_the_target_has_is_a_note() -> None:
    live = {"stream": [{**WEB, "publicKeys": [{"id": "js.own"}]}]}
    plan = plan_of(in_place({"stream": [WEB]}, live, prune=True))
    assert plan.notes == (
        "stream 'Web': 1 write key only in the target is kept, because deleted write keys cannot be recovered: js.own",
    )
    assert not any(action.losses for action in plan.actions)


def test_a_plan_names_its_console_once_and_two_consoles_on_a_line_each() -> None:
    same = text(plan_of(elsewhere({"function": [ENRICH]}, {}))).split("\n")
    assert same[0].strip() == "Plan: acme-staging into acme-production (https://jitsu.example.com)"
    two = text(plan_of(other_console({"function": [ENRICH]}, {}))).split("\n")
    assert [line.strip() for line in two[:2]] == [
        "Plan: acme-staging (https://jitsu.example.com)", "into: acme-production (https://other.example.com)"
    ]  # fmt: skip


def test_what_an_undo_re_created_is_not_counted_with_what_prune_own_deletes() -> None:
    own = Extra(Key("function", "a"), "Own", prunable=False, own=True)
    undone = Extra(Key("function", "b"), "Back", prunable=False, own=True, undone=True)
    assert list(only_in_target([own, undone])) == [
        "1 only in the target, kept; --prune --prune-own deletes it: function Own.",
        "1 only in the target, kept, because an undo re-created it; to delete it again, see the notes: function Back.",
    ]
