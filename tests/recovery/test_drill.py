"""The drill: the recovery of a whole console, rehearsed in memory, tells what a real one then does."""

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.operations.alarms import What
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.drill import Drill, DrillJob, alarms_of, drill
from jitsu_backup.operations.recovery import ClashKind
from jitsu_backup.operations.recovery_losses import LossKind, counted
from jitsu_backup.planning import PlanOptions, parse_overlay
from jitsu_backup.planning.console_overlay import console_overlay, overlay_tables
from jitsu_backup.reports.drill import drill_document, drill_state, drill_summary
from jitsu_backup.sandbox import Generation
from jitsu_backup.sandbox.state import REVERSE_ETL
from tests.recovery.kit import SLUGS, World, add_workspace
from tests.recovery.test_bad_days import archive_of
from tests.support import OWNER, stand_ins


def drilled(world: World, **job: Any) -> Drill:
    found: Drill = world.run(
        drill(DrillJob(**job), world.store, world.keys, now=world.now, monotonic=world.time)
    )
    return found


def again(*arguments: str) -> str:
    return " ".join(arguments)


def told(found: Drill) -> dict[str, list[str]]:
    """What the alarms say, by workspace."""
    lines: dict[str, list[str]] = {}
    for alarm in alarms_of(found, again):
        lines.setdefault(alarm.workspace, []).append(f"{alarm.what.name} {alarm.why}")
    return lines


def config_of(world: World, slug: str, kind: str) -> Iterator[Any]:
    row = world.old.state.find_workspace(slug)
    assert row is not None
    return world.old.state.live_objects(row.id, kind)


@pytest.mark.parametrize("generation", Generation)
def test_a_store_of_whole_archives_comes_back_whole_and_nothing_else_is_touched(
    generation: Generation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, generation)
    world.add(*SLUGS)
    world.back_up()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def refuse(*_: Any) -> None:
        raise AssertionError("a drill opens no socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = drilled(world)
    assert (found.exit_code(), found.generation) == (0, generation.value)
    assert len(found.back) == 3
    assert found.restored == found.meant > 40
    assert told(found) == {}
    assert found.senders == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert not world.new.requests


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize("admin", [True, False])
def test_what_a_drill_foresees_is_what_the_recovery_then_does(
    admin: bool, generation: Generation, tmp_path: Path
) -> None:
    features = (REVERSE_ETL,) if generation.is_newest else ()
    world = World(tmp_path, generation, rate_limit=True, features=features)
    world.add(*SLUGS, "team-violet", "team-white")
    world.run(world.backing_up(world.old, admin=admin))
    found = drilled(world)
    overlays = {
        one.outcome.recovery.workspace_id: stand_ins(one.outcome.recovery.snapshot)
        for one in found.workspaces
    }
    planned = world.plan(world.job(OWNER, options=PlanOptions(allow_missing_secrets=True)))
    assert not planned.stuck
    run = world.recover(world.job(OWNER, overlays=overlays))
    for one, before, outcome in zip(found.workspaces, planned.workspaces, run.outcomes, strict=True):
        assert outcome.recovery.slug == before.slug == one.outcome.recovery.slug
        assert one.rehearsal.restored == one.rehearsal.meant
        assert outcome.result is not None
        assert outcome.result.after is not None
        there = outcome.result.after.manifest.counts
        assert sum(there[name] for name in before.snapshot.manifest.counts) == one.rehearsal.restored
        foreseen = {loss for loss in one.losses if loss.kind is not LossKind.REVERSE_SYNC}
        # a plan for a workspace without a feature has nothing of what needs it
        lacked = {loss for loss in before.losses if loss.kind is not LossKind.REVERSE_SYNC}
        assert lacked <= foreseen
        assert (
            {loss.kind for loss in foreseen - lacked} <= {LossKind.SECRET}
            if features
            else not foreseen - lacked
        )
        new_keys = [] if outcome.result is None else outcome.result.keys
        assert len(new_keys) == counted(one.losses)["write_keys"]
    if generation.is_2024:  # that console has no limits
        assert found.forecast() == (0, 0)
        facts = dict(drill_summary(found, "store").facts)
        assert (
            facts["would take"] == "only as long as the console needs: a console of 2024 has no rate limits"
        )
        return
    least, most = found.forecast()
    assert (least, most) == (900, 1200)
    assert least * 0.99 <= run.seconds <= most * 1.01
    assert found.forecast(makes_limited=False, writes_limited=False) == (0, 0)


def test_every_trouble_of_a_store_is_named_and_none_hides_another(tmp_path: Path) -> None:
    """Old, damaged, unreadable, incomplete archives; generations; clashes; names and slugs that no console takes."""
    world = World(tmp_path, Generation.OCTOBER_2024)
    slugs = ("team-2024", "ab", "team-köln")
    for slug in slugs[:2]:
        add_workspace(world.old.state, slug, filled=False)
    world.back_up()
    world.seconds += 6 * 86_400
    world.old = world.console()
    world.old.state.generation = Generation.NEWEST
    world.old = type(world.old)(world.old.state, clock=world.time, rate_limit=False)
    world.add("team-black", "team-blue", "team-damaged", "team-green", "team-older", "team-white")
    for one in world.old.state.objects.values():
        row = world.old.state.workspaces[one.workspace_id]
        row.features = [REVERSE_ETL]
        if row.slug in ("team-blue", "team-green") and one.config.get("domains"):
            one.config = {**one.config, "domains": ["same.example"]}
        if row.slug == "team-white" and one.config.get("name") == "Enrich":
            one.deleted = True
    black = world.old.state.find_workspace("team-black")
    assert black is not None
    black.name = "Schwarz (Köln)"
    world.run(world.backing_up(world.old, admin=False))
    damaged = archive_of(world, "team-damaged")
    damaged.write_bytes(damaged.read_bytes()[:80])
    older = archive_of(world, "team-older")
    world.seconds += 3600
    for one in config_of(world, "team-older", "function"):
        one.config = {**one.config, "code": "export default async (e) => null"}
    world.old.state.workspaces = {
        key: row for key, row in world.old.state.workspaces.items() if row.slug == "team-older"
    }
    world.run(world.backing_up(world.old, admin=False))
    newest = max(path for path in tmp_path.iterdir() if path.name.startswith("team-older."))
    assert newest != older
    newest.write_bytes(older.read_bytes()[: newest.stat().st_size].ljust(newest.stat().st_size, b"\0"))

    found = drilled(world)
    lines = {slug: " ".join(texts) for slug, texts in told(found).items()}
    assert found.generation == "newest"
    assert found.exit_code() == 5
    assert lines.keys() == {"ab", "team-black", "team-damaged", "team-green", "team-older", "team-white"}
    assert "have at least 5 characters" in lines["ab"]
    assert "it is now called 'team-black'" in lines["team-black"]
    assert lines["team-damaged"].startswith("UNREADABLE")
    assert "same.example not set: in use by workspace team-blue" in lines["team-green"]
    assert lines["team-older"].startswith("UNREADABLE")
    assert "was used instead" in lines["team-older"]
    assert "which had already been deleted when the workspace was backed up" in lines["team-white"]
    assert [one.outcome.recovery.slug for one in found.back] == ["team-2024", "team-blue"]
    assert [(clash.kind, clash.name) for clash in found.clashes] == [(ClashKind.DOMAIN, "same.example")]
    assert found.oldest is not None
    assert found.oldest.days == 6
    assert counted(found.losses)["features"] == 5
    assert counted(found.losses)["secrets"] > 20
    shown = drill_summary(found, "s")
    assert dict(shown.facts)["oldest"].startswith("ab, ")
    blue = [one for one in found.back if one.outcome.recovery.slug == "team-blue"]
    state = drill_state(replace(found, workspaces=tuple(blue)))
    assert re.match(r"1 of 2 workspaces comes back; \d+ secrets are missing in 1 of them: ", state)
    document = drill_document(found, "s")
    assert {one["workspace"] for one in document["workspaces"] if one["old"]} == {"ab", "team-2024"}
    assert [one["code"] for one in document["left_out"]] == [5]


def test_write_keys_and_ids_that_two_workspaces_have_cost_one_of_them_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-green")
    (first, *_), (second, *_) = (
        list(config_of(world, slug, "stream")) for slug in ("team-blue", "team-green")
    )
    second.config = {**second.config, "publicKeys": first.config["publicKeys"]}
    world.back_up()
    found = drilled(world)
    assert {clash.kind for clash in found.clashes} == {ClashKind.WRITE_KEY}
    assert found.senders == 1
    assert told(found) == {}
    assert found.exit_code(fail_on_losses=True) == 3


def test_archives_without_an_identity_are_reported_each(tmp_path: Path) -> None:
    world = World(tmp_path, keys=ArchiveKeys(passphrase="not to be told"))
    world.add("team-blue", "team-green")
    world.back_up()
    world.keys = ArchiveKeys(passphrase="another one")
    found = drilled(world)
    assert {slug: line[0].split()[0] for slug, line in told(found).items()} == {
        "team-blue": What.UNREADABLE.name,
        "team-green": What.UNREADABLE.name,
    }
    assert found.exit_code() == 6
    assert found.oldest is None
    assert "not to be told" not in str(drill_document(found, "s"))
    facts = dict(drill_summary(found, "s").facts)
    assert facts["restored"] == "nothing, because no archive could be used"
    assert not {"would be missing", "senders", "would take"} & facts.keys()


def test_a_missing_identity_is_reported_as_that_and_nothing_is_promised_about_what_it_locks(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    world.old.state.workspaces.clear()
    world.add("team-green")
    mine = pyrage.x25519.Identity.generate()
    world.keys = ArchiveKeys((str(mine.to_public()),))
    world.back_up()
    world.keys = ArchiveKeys()
    found = drilled(world)
    assert found.exit_code() == 2
    (alarm,) = alarms_of(found, again)
    assert alarm.what is What.UNREADABLE
    assert "no key was given; give --identity FILE, or set JITSU_BACKUP_IDENTITY; then run it again" in str(
        alarm
    )
    assert ".json.gz" not in alarm.why
    summary = drill_summary(found, "s")
    facts = dict(summary.facts)
    assert facts["would be missing"] == "nothing; unknown for 1 workspace left out"
    assert facts["senders"].endswith("; unknown for 1 workspace left out")
    assert [str(step) for step in summary.next_steps] == [
        "Give the --identity or passphrase that opens the archives of 1 workspace, and drill again."
    ]


def test_two_consoles_and_names_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    world.back_up_second_console()
    with pytest.raises(UsageError, match="--from HOST"):
        drilled(world)
    assert [one.outcome.recovery.slug for one in drilled(world, from_host="second.example").back] == [
        "team-other"
    ]
    assert [one.outcome.recovery.slug for one in drilled(world, gone=("team-other",)).back] == ["team-blue"]
    with pytest.raises(UsageError, match="team-blu"):
        drilled(world, workspaces=("team-blu",))


def test_of_two_workspaces_of_one_slug_one_is_reported_as_left_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    world.seconds += 3600
    world.old = world.console()
    world.add("team-blue")
    world.back_up()
    found = drilled(world)
    assert (len(found.back), len(found.left_out), found.exit_code()) == (1, 1, 3)
    assert "its slug now belongs to" in told(found)["team-blue"][0]


def test_a_provisioned_destination_is_taken_as_given_and_reported_as_lacking(tmp_path: Path) -> None:
    world = World(tmp_path)
    workspace_id = add_workspace(world.old.state, "team-blue")
    world.old.state.add_object(
        workspace_id,
        "destination",
        "prov",
        {"name": "P", "destinationType": "clickhouse", "provisioned": True},
    )
    world.back_up()
    found = drilled(world)
    assert (found.exit_code(), found.restored) == (0, found.meant)
    assert counted(found.losses)["provisioned"] == 1
    assert found.exit_code(fail_on_losses=True) == 3


def test_a_workspace_that_is_read_only_for_unpaid_bills_comes_back_into_one_that_is_not(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, Generation.NEWEST)
    world.add("team-blue")
    for row in world.old.state.workspaces.values():
        row.features = [REVERSE_ETL, "readonly"]
    world.back_up()
    found = drilled(world)
    assert (found.exit_code(), found.restored) == (0, found.meant), told(found)


def test_no_secret_is_in_what_a_drill_tells(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    for one in config_of(world, "team-blue", "destination"):
        if "password" in one.config:
            one.config = {**one.config, "password": "CANARY-7f3a"}
    world.back_up()
    found = drilled(world)
    assert found.exit_code() == 0
    texts = (
        str(drill_document(found, "s")),
        repr(found),
        str(list(alarms_of(found, again, fail_on_losses=True))),
    )
    assert not any("CANARY-7f3a" in text for text in texts)


def test_workspaces_that_are_gone_on_purpose_are_no_failure(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue", "team-red")
    world.back_up()
    found = drilled(world, gone=("team-red",))
    assert (found.exit_code(), len(found.back), found.left_out) == (0, 1, ())


def test_a_drill_lists_what_is_left_out_on_purpose_only_on_request_and_a_lost_connection_once(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.add(*SLUGS[:2])
    for one in world.old.state.objects.values():
        if one.type == "function" and one.config["name"] == "Enrich":
            one.deleted = True
    world.back_up()
    summary = drill_summary(drilled(world, gone=("team-green",)), "s")
    assert "left out" not in summary.state
    listed = {one.heading: one for one in summary.listings if one.rows}
    assert listed["Left out on purpose"].detailed
    assert [row[0] for row in listed["Left out on purpose"].rows] == ["team-green"]
    lost = [row[:2] for row in listed["Still different"].rows]
    assert lost
    assert len(set(lost)) == len(lost)
    assert "had already been deleted" in str(listed["Still different"].rows)
    assert sum("had already been deleted" in str(one.rows) for one in listed.values()) == 1


def test_what_the_overlay_of_a_recovery_gives_is_not_lacking(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add(*SLUGS[:2])
    world.run(world.backing_up(world.old, admin=False))
    before = counted(drilled(world).losses)["secrets"]
    given = console_overlay(
        overlay_tables(
            {
                "destination/ClickHouse": {"password": "of-the-vault"},
                "team-blue:destination/Warehouse": {"password": "of-blue"},
            }
        ),
        {},
        str,
    )
    found = drilled(world, overlay=given.shared, overlays=given.own)
    assert counted(found.losses)["secrets"] == before - 3
    lacking = {
        (one.outcome.recovery.slug, loss.name, loss.path) for one in found.workspaces for loss in one.losses
    }
    assert ("team-green", "Warehouse", "password") in lacking
    assert not {("team-blue", "Warehouse", "password"), ("team-blue", "ClickHouse", "password")} & lacking
    assert (found.exit_code(), told(found)) == (0, {})
    assert "of-the-vault" not in repr(found)
    assert "of-blue" not in str(drill_document(found, "store"))


def test_an_overlay_that_names_another_host_begins_its_syncs_afresh_which_is_reported(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("team-blue")
    world.back_up()
    assert (
        drilled(world, overlay=parse_overlay({"destination/Warehouse": {"password": "another"}})).exit_code()
        == 0
    )
    found = drilled(world, overlay=parse_overlay({"destination/Warehouse": {"host": "new-db.example"}}))
    assert (found.exit_code(), found.restored) == (3, found.meant)
    ((said,),) = told(found).values()
    assert "starts without its cursor, because its source or destination differs in the target" in said
