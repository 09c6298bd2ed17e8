"""The record of a clone: kept once for each state, found by the next clone, and never in the way of backups."""

import functools
import gzip
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup import sync
from jitsu_backup.archive import archive_name, encode, source_mark
from jitsu_backup.errors import BackupError, IntegrityError, LockedError
from jitsu_backup.events import Event
from jitsu_backup.model import Snapshot, Source
from jitsu_backup.operations import clone_record
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.clone_record import (
    FoundRecord,
    find_record,
    keep_record,
    record_finder,
    recorded,
)
from jitsu_backup.operations.restore import PreparedRestore, Result
from jitsu_backup.planning import PlanOptions
from jitsu_backup.planning.records import new_record
from jitsu_backup.sandbox import Sandbox
from jitsu_backup.store import FolderStore, keep
from tests.restores.records import FROM, HOST, INTO, LATER, NO_KEYS, Machine, kept, record
from tests.support import (
    MOMENT,
    OWNER,
    PRODUCTION,
    STAGING,
    carry_out,
    console_of,
    make_snapshot,
    prepare,
    run,
    stand_ins,
    writes,
)


def found(
    store: FolderStore, source: Source = FROM, target: Source = INTO, keys: ArchiveKeys = NO_KEYS
) -> FoundRecord | None:
    result: FoundRecord | None = run(find_record(store, keys, source, target, now=LATER))
    return result


def name_in(found: FoundRecord | None) -> Any:
    return None if found is None else found.snapshot.entities[0].body["name"]


# -- in the store --------------------------------------------------------------


def test_a_store_that_is_missing_or_has_no_record_of_the_two_has_none(store: FolderStore) -> None:
    assert found(store) is None
    kept(store, record(source=replace(FROM, workspace_id="other", slug="other")))
    kept(store, record(target=replace(INTO, workspace_id="other", slug="other")))
    backup = make_snapshot({"stream": []}, host=HOST, workspace_id=PRODUCTION, slug="acme-production")
    data = encode(backup)
    run(keep(store, archive_name(backup, size=len(data)), data))
    assert found(store) is None


def test_the_newest_record_of_the_two_is_found_whatever_they_are_called_now(store: FolderStore) -> None:
    one, two = kept(store, record("one"), record("two", minutes=1))
    kept(store, record("other", source=replace(FROM, workspace_id="other", slug="other"), minutes=2))
    assert one != two
    again = found(store, replace(FROM, slug="renamed"), replace(INTO, slug=None))
    assert (name_in(again), again and again.archive) == ("two", two)


def test_a_record_that_is_there_already_is_not_written_again(store: FolderStore) -> None:
    one, again = kept(store, record("one"), record("one", minutes=5))
    assert one == again
    kept(store, record("two", minutes=6), record("one", minutes=7))
    assert len(run(store.names())) == 3
    assert name_in(found(store)) == "one"


def test_a_clock_that_goes_back_does_not_hide_the_last_clone(store: FolderStore) -> None:
    kept(store, record("one"), record("two", minutes=-3), record("three", minutes=-3))
    assert name_in(found(store)) == "three"
    run(keep_record(store, NO_KEYS, record("seen before", minutes=-3), now=LATER, last=False))
    assert name_in(found(store)) == "three"


def test_of_two_records_of_one_millisecond_the_later_one_is_the_last_clone(store: FolderStore) -> None:
    moment = MOMENT.replace(microsecond=4_274)  # more precise than the names of archives
    for number in range(6):
        kept(store, replace(record(f"clone {number}"), taken_at=moment))
        assert name_in(found(store)) == f"clone {number}"


def test_a_record_from_the_future_hides_no_other(store: FolderStore) -> None:
    kept(store, record("future", minutes=99 * 24 * 60), record("now"))
    assert name_in(found(store)) == "now"


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        (replace(FROM, workspace_id="new"), replace(INTO, workspace_id="new2"), True),
        (replace(FROM, workspace_id="new"), replace(INTO, slug="renamed"), True),
        (FROM, replace(INTO, workspace_id="new2"), True),
        (replace(FROM, workspace_id="new", slug="renamed"), INTO, False),
        (FROM, replace(INTO, workspace_id="new2", slug="renamed"), False),
        (replace(FROM, host="http://other.example"), INTO, False),
        (replace(FROM, workspace_id="new"), replace(INTO, host="http://other", workspace_id="new2"), False),
        (replace(FROM, workspace_id="new", slug=None), INTO, False),
    ],
)
def test_a_console_that_was_set_up_again_has_the_records_of_before(
    store: FolderStore, source: Source, target: Source, fits: bool
) -> None:
    kept(store, record("one"), record("two", minutes=1))
    assert name_in(found(store, source, target)) == ("two" if fits else None)


def test_its_own_record_comes_before_that_of_the_same_names(store: FolderStore) -> None:
    kept(store, record("own"), record("alike", source=replace(FROM, workspace_id="older"), minutes=9))
    assert name_in(found(store)) == "own"


def test_an_encrypted_record_is_opened_by_its_keys_only(store: FolderStore) -> None:
    mine, theirs = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    keys = ArchiveKeys((str(mine.to_public()),), (str(mine).encode(),))
    (name,) = kept(store, record("one"), keys=keys)
    assert (name.encrypted, name.key) == (True, keys.mark)
    assert name_in(found(store, keys=keys)) == "one"
    kept(store, record("one"), keys=keys)
    assert len(run(store.names())) == 1
    with pytest.raises(LockedError):
        found(store, keys=ArchiveKeys(identities=(str(theirs).encode(),)))
    elsewhere = replace(FROM, workspace_id="other", slug="other")
    assert found(store, source=elsewhere) is None  # of another clone, as far as anybody can tell
    kept(store, record("one"))
    assert name_in(found(store)) == "one"


def finder(
    store: FolderStore, take: tuple[str, ...] = (), told: list[Event] | None = None, **options: Any
) -> Any:
    report = (told if told is not None else []).append
    wanted = PlanOptions(take=take, **options)
    source, live = (
        make_snapshot({}, host=one.host, workspace_id=one.workspace_id, slug=one.slug or "")
        for one in (FROM, INTO)
    )
    return record_finder(lambda: store, NO_KEYS, wanted, now=lambda: LATER, report=report)(source, live)


def test_a_damaged_record_is_reported_with_what_to_do_and_left_out_where_the_source_is_taken(
    store: FolderStore,
) -> None:
    kept(store, record("older"))
    (name,) = kept(store, record("one", minutes=1))
    path = store.folder / str(name)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(IntegrityError) as caught:
        run(finder(store))
    message = str(caught.value)
    assert message.startswith(
        f"the record of the last clone from acme-staging cannot be read: {name.reference}: "
    )
    assert message.endswith(
        "prune --quarantine`; continue without it with --take=source, which overwrites what the target changed itself"
    )
    assert "\n" not in message
    for partial in (("target",), ("source:function",), ("source", "target:stream")):
        with pytest.raises(IntegrityError):
            run(finder(store, partial))
    told: list[Event] = []
    assert run(finder(store, ("source",), told)) is None
    assert "it was ignored" in str(told)
    run(store.quarantine(str(name)))
    assert run(finder(store)).entities[0].body["name"] == "older"


def test_without_a_record_that_there_is_nothing_is_pruned_that_may_be_the_targets_own(
    store: FolderStore,
) -> None:
    (name,) = kept(store, record())
    (store.folder / str(name)).write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match="or delete them too with --prune-own"):
        run(finder(store, ("source",), prune=True))
    assert run(finder(store, ("source",), prune=True, prune_own=True)) is None


def test_a_record_under_the_name_of_another_is_refused(store: FolderStore) -> None:
    (name,) = kept(store, record(source=replace(FROM, workspace_id="other", slug="other")))
    forged = replace(name, marks=("cloned", source_mark(HOST, STAGING)))
    (store.folder / str(name)).rename(store.folder / str(forged))
    with pytest.raises(IntegrityError, match="not what its name says"):
        found(store)


def test_a_store_that_cannot_be_read_is_reported_before_anything_is_overwritten(
    store: FolderStore, tmp_path: Path
) -> None:
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(BackupError, match="the record of the last clone from acme-staging") as caught:
        run(finder(store))
    assert "--take" not in str(caught.value)
    assert run(finder(store, ("source",))) is None


# -- after a run ---------------------------------------------------------------


@dataclass
class Ended:
    """A clone that has ended, and the store that its record goes into."""

    result: Result
    prepared: PreparedRestore
    store: FolderStore

    def recorded(self, result: Result) -> Result:
        async def opened() -> FolderStore:
            return self.store

        kept: Result = run(recorded(result, self.prepared, opened, NO_KEYS, lambda: datetime.now(UTC)))
        return kept


@pytest.fixture
def ended(sandbox: Sandbox, before: Snapshot, store: FolderStore) -> Ended:
    options = PlanOptions(overlay=stand_ins(before))
    prepared = run(prepare(console_of(sandbox), PRODUCTION, before, options, lambda _: None))
    return Ended(run(carry_out(console_of(sandbox), prepared, lambda _: None)), prepared, store)


def test_a_run_that_failed_was_interrupted_or_not_read_back_leaves_no_record(ended: Ended) -> None:
    for unfinished in (
        replace(ended.result, failure=BackupError("lost")),
        replace(ended.result, interrupted=True),
        replace(ended.result, verified=False),
    ):
        assert ended.recorded(unfinished) is unfinished
    assert run(ended.store.names()) == []


def test_a_record_says_what_was_not_done(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def noting(*given: Any) -> Snapshot:
        told.append(given)
        return new_record(*given)

    monkeypatch.setattr(clone_record, "new_record", noting)
    states = [Status.FAILED, Status.NOT_ATTEMPTED, Status.OVERTAKEN, Status.DONE]
    outcomes = [replace(o, status=s) for o, s in zip(ended.result.outcomes, states, strict=False)]
    assert ended.recorded(replace(ended.result, outcomes=outcomes)).record is not None
    ((snapshot, plan, options, live, after, ids, undone),) = told
    assert (snapshot, plan) == (ended.prepared.snapshot, ended.result.plan)
    assert (options, live) == (ended.prepared.options, ended.prepared.live)
    assert (after, ids) == (ended.result.after, ended.result.ids)
    assert undone == {outcome.action.key for outcome in outcomes[:3]}


def test_a_mistake_of_ours_in_keeping_a_record_loses_no_result(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Snapshot:
        raise KeyError("secret")

    monkeypatch.setattr(clone_record, "new_record", broken)
    result = ended.recorded(ended.result)
    assert result.outcomes == ended.result.outcomes
    assert "bug in jitsu-backup (KeyError" in result.unrecorded
    assert "secret" not in result.unrecorded


# -- by the command line -------------------------------------------------------


def test_a_clone_leaves_one_record_for_each_state_and_no_backup_is_mistaken_for_it(machine: Machine) -> None:
    assert "no record of an earlier clone" not in machine.clone()  # into an empty workspace
    assert len(machine.records) == 1
    (machine.folder / "keys.json").unlink()
    assert "no record of an earlier clone" not in machine.clone()
    assert writes(machine.sandbox) == 0
    assert len(machine.records) == 1
    machine.sandbox.state.objects["enrich-0001"].config["code"] = "export default e => e // 2"
    machine.clone()
    assert len(machine.records) == 2
    (name,) = {name.cloned_from for name in machine.records}
    assert name == source_mark(machine.url, STAGING)
    assert "only archives that `latest` ignores" in machine("show", "acme-production/latest", code=1)
    machine("backup", "acme-production", "acme-staging")
    listed, *_ = machine("snapshots", "acme-production").split("`latest`")  # the note below names marks too
    assert (listed.count("cloned,"), listed.count("from acme-staging")) == (2, 2)
    assert (listed.count("after a run"), len(machine.left)) == (2, 2)
    machine("backup", "acme-production", "--if-changed")
    assert len(machine.records) == 2
    latest = json.loads(machine("--json", "show", "acme-production/latest"))
    assert latest["digest"][:12] not in [name.digest_prefix for name in machine.records]
    snapshots = json.loads(machine("--json", "snapshots"))["snapshots"]
    assert [one["cloned_from"] for one in snapshots if "cloned" in one["marks"]] == [
        *("acme-production", "acme-staging") * 2
    ]
    pruned = json.loads(machine("--json", "prune", "--keep-last", "1"))["snapshots"]
    assert sum("the record of the last clone from" in str(one["reasons"]) for one in pruned) == 1
    machine("verify", "--all")


def test_without_a_record_the_plan_for_a_workspace_that_holds_something_says_so(machine: Machine) -> None:
    note = "no record of an earlier clone from acme-staging, so changes made in the target cannot be distinguished"
    machine.clone()
    for name in machine.records:  # as if that run had been killed before it kept its record
        (machine.folder / "jitsu-backups" / str(name)).unlink()
    assert note in " ".join(machine.clone("--dry-run").split())
    assert machine.records == []
    machine.clone()
    assert writes(machine.sandbox) == 0
    assert len(machine.records) == 1
    assert note not in " ".join(machine.clone("--dry-run").split())


def test_a_rollback_that_wrote_leaves_what_undo_needs_and_a_restore_into_another_workspace_a_record_of_a_clone_too(
    machine: Machine,
) -> None:
    machine("backup", "acme-staging")
    machine.sandbox.state.objects["enrich-0001"].config["code"] = "export default e => null"
    for into in ((), ("--into", "acme-staging")):
        machine("restore", "latest", *into, "--yes")
        machine("restore", "latest", *into, "--yes")
    (own,) = machine.left
    assert own.cloned_from == source_mark(machine.url, STAGING)
    assert machine.records == []
    flags = ("--overlay", "o.json", "--skip", "domain", "--keys-out", "keys.json", "--yes")
    machine("restore", "acme-staging/latest", "--into", "acme-production", *flags)
    assert (len(machine.records), len(machine.left)) == (1, 2)
    machine.clone("--dry-run")
    assert (len(machine.records), len(machine.left)) == (1, 2)


def test_a_record_that_cannot_be_read_stops_a_clone_before_anything_is_written(machine: Machine) -> None:
    machine.clone(JITSU_BACKUP_PASSPHRASE="one")
    (name,) = machine.records
    assert name.encrypted
    told = machine.clone(JITSU_BACKUP_PASSPHRASE="another", code=6)
    assert "the record of the last clone from acme-staging cannot be read" in told
    assert "--take" not in told
    assert writes(machine.sandbox) == 0
    assert "it was ignored" in machine.clone("--take", "source", JITSU_BACKUP_PASSPHRASE="another")


def test_a_record_that_cannot_be_kept_is_reported_and_the_result_is_shown(machine: Machine) -> None:
    (machine.folder / "store").write_text("no folder")
    told = machine.clone("--store", "store", "--take", "source", code=3)
    assert "changes applied" in told
    assert "the record of this run could not be stored: " in told
    assert "; the next clone cannot know what the target changed; free space in the store, or make it" in told


def test_a_saved_plan_is_bound_to_the_record_that_it_was_made_with(machine: Machine) -> None:
    machine.clone()
    code = machine.sandbox.state.objects["enrich-0001"].config
    code["code"] = "export default e => e // 2"
    (machine.folder / "keys.json").unlink()
    machine.clone("--plan-out", "plan.json")
    plan = json.loads((machine.folder / "plan.json").read_text())
    assert plan["record"].startswith(machine.records[0].digest_prefix)
    assert (plan["options"]["take"], plan["options"]["prune_own"]) == ([], False)
    path = machine.folder / "jitsu-backups" / str(machine.records[0])
    path.rename(machine.folder / path.name)
    told = machine("restore", "--plan", "plan.json", "--yes", code=7)
    assert "the store no longer has the record of the last clone from acme-staging; check --store" in told
    (machine.folder / path.name).rename(path)
    machine("restore", "--plan", "plan.json", "--yes")
    assert len(machine.records) == 2
    again = machine("restore", "--plan", "plan.json", "--yes", code=7)
    assert "has changed since the plan was made: this plan, or another one, was carried out at 20" in again
    assert "create a new plan with --plan-out, which shows what is left to do" in again


def test_a_plan_that_an_older_version_saved_is_still_carried_out(machine: Machine) -> None:
    machine.clone("--plan-out", "plan.json")
    path = machine.folder / "plan.json"
    plan = json.loads(path.read_text())
    del plan["record"], plan["options"]["take"], plan["options"]["prune_own"]
    path.write_text(json.dumps(plan))
    machine("restore", "--plan", "plan.json", "--keys-out", "keys.json", "--yes")
    assert len(machine.records) == 1


# -- by the Python API ---------------------------------------------------------


def test_a_clone_by_the_api_leaves_and_finds_its_record(machine: Machine) -> None:
    jitsu, store = sync.connect(machine.url, OWNER), str(machine.folder / "jitsu-backups")
    options: dict[str, Any] = {
        "overlay": json.loads((machine.folder / "o.json").read_text()), "skip": ("domain",), "new_store": True
    }  # fmt: skip
    clone = functools.partial(sync.clone, jitsu, "acme-staging", jitsu, "acme-production", store, **options)
    first = clone()
    assert (first.record, first.unrecorded) == (machine.records[0], "")
    second = clone()
    assert second.record == first.record
    assert second.plan.writes == ()
    assert machine.records == [first.record]
    before = sync.read(jitsu, "acme-staging")
    planned = sync.plan(jitsu, before, "acme-production", store=store, allow_missing_secrets=True)
    assert planned.options.record is not None
    alone = sync.plan(jitsu, before, "acme-production", allow_missing_secrets=True)
    assert alone.options.record is None
    assert any(note.startswith("no record of an earlier clone") for note in alone.plan.notes)


def test_no_secret_of_an_overlay_is_in_a_record(machine: Machine) -> None:
    machine.clone()
    machine.sandbox.state.objects["enrich-0001"].config["code"] = "export default e => e // 2"
    (machine.folder / "keys.json").unlink()
    machine.clone()
    assert len(machine.records) == 2
    for name in (*machine.records, *machine.left):
        data = (machine.folder / "jitsu-backups" / str(name)).read_bytes()
        assert b"stand-in" not in gzip.decompress(data)
