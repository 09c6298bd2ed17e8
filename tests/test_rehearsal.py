"""The fire drill: an archive is restored into a fresh sandbox, read back and compared."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jitsu_backup.archive import archive_name, encode, encrypt, new_identity, parse_name
from jitsu_backup.cli.app import App
from jitsu_backup.cli.verify import verify
from jitsu_backup.cli.verify_report import tell_locked
from jitsu_backup.errors import BackupError, LockedError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.alarms import What
from jitsu_backup.operations.come_back import _miscounted
from jitsu_backup.operations.recovery_losses import LossKind, counted
from jitsu_backup.operations.verify import UnreadArchive
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace
from jitsu_backup.store import FolderStore
from tests.advice import folded
from tests.generate import Generator
from tests.support import (
    STAGING,
    cli,
    console_of,
    example_sandbox,
    make_snapshot,
    read,
    recorded_snapshot,
    rehearsed,
    run,
)
from tests.unattended.workbench import monitor, samples

TITLE = "2026-11-23T19:00:00Z"
"""A name that a console refuses [function/create-name-like-a-date]."""


def refused(functions: int, **named: Any) -> Snapshot:
    """A workspace of functions that nobody can create."""
    bodies = [{"id": f"f{n:02}", "name": TITLE, "code": ""} for n in range(functions)]
    return make_snapshot({"function": bodies}, **{"workspace_id": "w3", **named})


def taken(sandbox: Sandbox) -> Snapshot:
    found: Snapshot = run(read(console_of(sandbox), STAGING))
    return found


def test_a_workspace_of_every_type_comes_back_whole() -> None:
    found = rehearsed(taken(example_sandbox()))
    assert (found.whole, found.restored, found.meant, found.residue) == (True, 21, 21, ())


def test_the_recorded_workspace_comes_back_but_for_what_nobody_can_bring_back() -> None:
    found = rehearsed(recorded_snapshot())
    assert found.meant == len(recorded_snapshot().entities)
    told = sorted((line.key.type, line.reason) for line in found.residue)
    assert all(name == "link" for name, _ in told), told  # links whose ends are gone
    assert found.restored == found.meant - len(told)


@pytest.mark.parametrize("seed", range(4))
def test_random_workspaces_come_back_whole(seed: int) -> None:
    state = default_state()
    Generator(state, seed).fill(STAGING, 40)
    found = rehearsed(taken(Sandbox(state, rate_limit=False)))
    assert found.residue == ()
    assert found.restored == found.meant > 30


def test_an_archive_of_an_older_console_is_rehearsed_on_an_older_console() -> None:
    state = default_state(generation=Generation.OCTOBER_2024)
    example_workspace(state, STAGING)
    found = rehearsed(taken(Sandbox(state, rate_limit=False)))
    assert found.whole, found.residue
    assert found.meant == 15


def test_types_that_only_a_newer_console_knows_are_rehearsed_too() -> None:
    state = default_state()
    example_workspace(state, STAGING)
    state.extra_types = ("segment",)
    state.add_object(STAGING, "segment", "s1", {"name": "Segment", "rule": "orders > 3"})
    found = rehearsed(taken(Sandbox(state, rate_limit=False)))
    assert found.whole, found.residue
    assert found.meant == 22


def test_a_provisioned_destination_is_taken_as_given() -> None:
    state = default_state()
    example_workspace(state, STAGING)
    state.add_object(
        STAGING, "destination", "prov", {"name": "P", "destinationType": "clickhouse", "provisioned": True}
    )
    found = rehearsed(taken(Sandbox(state, rate_limit=False)))
    assert found.whole, found.residue


def test_what_does_not_come_back_is_named_and_no_rehearsal_is_called_whole() -> None:
    found = rehearsed(refused(2))
    assert not found.whole
    assert [(line.key.type, line.name) for line in found.residue] == [
        ("function", TITLE),
        ("function", TITLE),
    ]
    assert (found.restored, found.meant) == (0, 2)


def test_connections_that_lost_an_end_in_the_source_are_reported_and_no_failure() -> None:
    sandbox = example_sandbox()
    sandbox.state.objects["web-0001"].deleted = True
    found = rehearsed(taken(sandbox))
    assert found.whole, found.residue
    assert found.dead
    assert found.restored == found.meant == 20 - len(found.dead)


def test_a_builder_whose_function_was_deleted_comes_back_as_it_was() -> None:
    sandbox = example_sandbox()
    for row in sandbox.state.live_objects(STAGING, "function"):
        row.deleted = row.config["kind"] == "profile"
    found = rehearsed(taken(sandbox))
    assert found.whole, found.residue
    assert found.restored == found.meant == 20


def test_connections_without_their_function_do_not_come_back_and_the_rest_does() -> None:
    sandbox = example_sandbox()
    sandbox.state.objects["enrich-0001"].deleted = True
    found = rehearsed(taken(sandbox))
    assert not found.whole
    assert {line.name for line in found.residue} == {"Web site → ClickHouse", "Web site → Warehouse"}
    assert all(line.key.type == "link" and "enrich-0001" in line.reason for line in found.residue)
    assert found.restored == found.meant - 2


def test_a_builder_that_does_not_come_back_takes_its_function_along_and_that_is_named() -> None:
    sandbox = example_sandbox()
    sandbox.state.objects["warehouse-0001"].deleted = True
    found = rehearsed(taken(sandbox))
    told = {line.key.type: line.reason for line in found.residue}
    assert told.keys() == {"profile-builder", "function"}
    assert told["function"] == "is restored only with profile-builder 'Profiles'"
    assert found.restored == found.meant - 2


def test_a_latest_archive_that_cannot_be_read_does_not_stay_whole_in_the_figures(
    store: Path, tmp_path: Path
) -> None:
    def whole() -> set[float]:
        found = [one for one in samples(tmp_path / "m") if one.name == "jitsu_backup_drill_whole"]
        return {one.value for one in found if one.labels["workspace"] == "acme-staging"}

    drill = ("verify", "--rehearse", "--metrics", "m")
    cli(*drill, "--latest", cwd=tmp_path)
    assert whole() == {1}
    (latest,) = store.glob("acme-staging.*")
    content = latest.read_bytes()
    for which in ("--latest", "acme-staging/latest", latest.name):
        latest.write_bytes(content[:100])
        assert cli(*drill, which, cwd=tmp_path).returncode == 5
        assert whole() == {0}
        latest.write_bytes(content)
        cli(*drill, "--latest", cwd=tmp_path)
        assert whole() == {1}


def test_what_was_mistyped_is_not_called_damaged(store: Path, tmp_path: Path) -> None:
    done = cli("verify", "nope", "nopes", cwd=tmp_path)
    assert done.returncode == 2
    assert "damaged" not in done.stdout + done.stderr
    assert "UNREADABLE" not in done.stdout
    lines = folded(done.stderr).splitlines()
    assert [line.startswith("jitsu-backup: 'nope") for line in lines] == [True, True]
    assert all("list the snapshots with `jitsu-backup snapshots`" in line for line in lines)


def test_what_to_do_about_a_damaged_archive_is_said_once(store: Path, tmp_path: Path) -> None:
    (latest,) = store.glob("acme-staging.*")
    latest.write_bytes(latest.read_bytes()[:100])
    for which in ("--all", latest.name):
        lines = folded(cli("verify", which, cwd=tmp_path).stderr).splitlines()
        told = next(line for line in lines if "acme-staging" in line)
        assert told.endswith(
            "; back up again, because no older one is undamaged; but first move the damaged one away with"
            " `jitsu-backup prune --quarantine`"
        )


def test_a_function_too_many_that_no_builder_has_is_a_failure() -> None:
    meant = {"function": 2, "stream": 1}
    assert _miscounted(meant, {"function": 3, "stream": 1}, set(), 1) == set()
    for there, revived in (
        ({"function": 4, "stream": 1}, 1),
        ({"function": 3, "stream": 1}, 0),
        ({"function": 2, "stream": 2}, 1),
    ):
        (line,) = _miscounted(meant, there, set(), revived)
        assert "in the archive" in line.reason


def test_what_a_recovery_on_an_empty_console_lacks_is_counted_and_named() -> None:
    sandbox = example_sandbox()
    for name, kind, body in (
        (
            "salesforce",
            "destination",
            {"destinationType": "salesforce", "oauthConnectionId": "destination.salesforce"},
        ),
        (
            "ads",
            "service",
            {"package": "airbyte/source-google-ads", "version": "1", "credentials": {}, "authorized": True},
        ),
    ):
        sandbox.state.add_object(STAGING, kind, name, {"name": name.title(), **body})
    snapshot = taken(sandbox)
    lacks = rehearsed(snapshot).lacks
    masked = {(line.type, line.id, line.path) for line in snapshot.manifest.ledger}
    assert {(*one.key, one.path) for one in lacks if one.kind is LossKind.SECRET} == masked
    assert [one.name for one in lacks if one.kind is LossKind.GRANT] == ["Salesforce", "Ads"]
    keys = [
        (stream.name, f"{field}.{key['id']}") for stream in snapshot.of_type("stream")
        for field in ("publicKeys", "privateKeys") for key in stream.body.get(field, ())
    ]  # fmt: skip
    assert sorted((one.name, one.path) for one in lacks if one.kind is LossKind.WRITE_KEY) == sorted(keys)
    assert counted(lacks) == {
        "secrets": len(masked),
        "grants": 2,
        "write_keys": len(keys),
        "reverse_syncs": 0,
        "features": 0,
        "provisioned": 0,
    }


def test_what_the_archive_holds_is_not_lacking() -> None:
    snapshot = taken(example_sandbox())
    ledger = snapshot.manifest.ledger
    streams = snapshot.of_type("stream")
    secrets: dict[Key, dict[str, Any]] = {Key(line.type, line.id): {} for line in ledger}
    for line in ledger:
        secrets[Key(line.type, line.id)][line.path] = "known"
    for stream in streams:
        fields = ("publicKeys", "privateKeys")
        secrets[stream.key] = {
            f"{f}.{key['id']}.hash": f"{f}.{key['id']}" for f in fields for key in stream.body.get(f, ())
        }
    assert rehearsed(replace(snapshot, secrets=secrets)).lacks == ()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "jitsu-backups"
    folder.mkdir()
    whole = taken(example_sandbox())
    for snapshot in (
        whole,
        make_snapshot({"function": []}, consistent=False, workspace_id="w2", slug="other"),
    ):
        (folder / str(archive_name(snapshot))).write_bytes(encode(snapshot))
    return folder


def report(tmp_path: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = cli("--json", "verify", *arguments, cwd=tmp_path)
    return done.returncode, json.loads(done.stdout)["archives"]


def test_verify_all_reads_everything_and_reports_each(store: Path, tmp_path: Path) -> None:
    code, lines = report(tmp_path, "--all")
    assert code == 3  # one is incomplete
    assert sorted(line["complete"] for line in lines) == [False, True]
    first = next(store.glob("acme-staging*"))
    (store / first.name.replace(first.name.split(".")[3], "0" * 12)).write_bytes(first.read_bytes())
    (store / first.name.replace("T19", "T18")).write_bytes(first.read_bytes()[:-20])
    code, lines = report(tmp_path, "--all")
    assert code == 5
    assert sorted(line["ok"] for line in lines) == [False, False, True, True]
    problems = " ".join(line["problem"] for line in lines if not line["ok"])
    assert "not what its name says" in problems
    assert "truncated" in problems
    text = cli("verify", "--all", cwd=tmp_path)
    assert text.returncode == 5
    assert text.stdout.count("UNREADABLE") == 2
    assert "4 archives: 2 cannot be read, 1 incomplete" in text.stdout


def test_the_latest_of_every_workspace_is_one_word(store: Path, tmp_path: Path) -> None:
    for path in list(store.iterdir()):
        for label in ("a", "pre-restore"):
            (store / path.name.replace(".json.gz", f".{label}.json.gz").replace("T19", "T18")).write_bytes(
                b""
            )
    code, lines = report(tmp_path, "--latest", "--rehearse")
    assert [line["ok"] for line in lines] == [True, True]
    assert [line["rehearsal"]["whole"] for line in lines] == [True, True]
    assert code == 3  # for one of them is incomplete
    assert cli("verify", "--latest", "latest", cwd=tmp_path).returncode == 2


def test_verify_of_an_empty_store_is_reported(tmp_path: Path) -> None:
    done = cli("verify", "--all", cwd=tmp_path)
    assert done.returncode == 1
    assert "is empty" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--all", "latest")])
def test_verify_takes_snapshots_or_all(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert cli("verify", *arguments, cwd=tmp_path).returncode == 2


def test_the_nightly_fire_drill_says_what_came_back(store: Path, tmp_path: Path) -> None:
    done = cli("verify", "--rehearse", "acme-staging/latest", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rehearsed: 21 of 21 entities restored and verified" in done.stdout
    code, (line,) = report(tmp_path, "--rehearse", "acme-staging/latest")
    assert (code, line["rehearsal"]["whole"]) == (0, True)
    (tmp_path / "lost.json.gz").write_bytes(encode(refused(1)))
    lost = cli("verify", "--rehearse", "lost.json.gz", cwd=tmp_path)
    assert lost.returncode == 3
    assert "not restored: function" in lost.stdout


def test_the_log_has_the_reason_for_each_archive_that_is_not_whole(store: Path, tmp_path: Path) -> None:
    lost = refused(1, slug="lost")
    (store / str(archive_name(lost))).write_bytes(encode(lost))
    sealed = make_snapshot({"function": []}, workspace_id="w4", slug="sealed")
    name = str(archive_name(sealed, encrypted=True))
    (store / name).write_bytes(encrypt(encode(sealed), (), "correct horse CANARY"))
    done = cli("verify", "--all", "--rehearse", "--log-format", "json", cwd=tmp_path)
    assert done.returncode == 2  # no passphrase was given for one of them; none is damaged
    line = json.loads(done.stderr)
    told = {name.partition(".")[0]: reasons for name, reasons in line["reasons"].items()}
    assert told.keys() == {"sealed", "lost", "other"}
    (reason,) = told["sealed"]
    assert reason.endswith("the archive is encrypted with a passphrase; set JITSU_BACKUP_PASSPHRASE")
    assert told["other"] == ["it kept changing while it was read"]
    assert told["lost"][0].startswith("not restored: function ")
    assert "CANARY" not in done.stderr


def test_the_log_has_some_of_very_many_reasons(tmp_path: Path) -> None:
    (tmp_path / "d.json.gz").write_bytes(encode(refused(40)))
    done = cli("verify", "--rehearse", "d.json.gz", "--log-format", "json", cwd=tmp_path)
    assert done.returncode == 3
    (reasons,) = json.loads(done.stderr)["reasons"].values()
    assert len(reasons) == 21
    assert reasons[-1] == "and 20 more"


def test_a_snapshot_put_in_the_place_of_another_is_not_restored(store: Path, tmp_path: Path) -> None:
    found = next(store.glob("acme-staging*"))
    found.rename(store / found.name.replace(STAGING, "cother0000000000000000009"))
    done = cli("show", "cother0000000000000000009/latest", cwd=tmp_path)
    assert done.returncode == 5
    assert "not what its name says" in done.stderr


def test_a_fire_drill_says_what_is_lacking_in_text_json_log_ping_and_figures_and_fails_for_it_where_asked(
    store: Path, tmp_path: Path
) -> None:
    drill = ("verify", "--rehearse", "acme-staging/latest", "--metrics", "m")
    with monitor() as (url, told):
        text = cli(*drill, "-v", "--ping", url, cwd=tmp_path)
        assert text.returncode == 0, text.stderr
        counts = json.loads(cli("--json", *drill, cwd=tmp_path).stdout)["archives"][0]["rehearsal"]["lacks"]
        assert counts.keys() == {one.label for one in LossKind}
        words = f"{counts['secrets']} secrets to give in an overlay, {counts['write_keys']} new write keys for senders"
        assert f"a recovery on an empty console would leave this to do: {words}" in text.stdout
        assert "secrets: destination Warehouse password" in " ".join(text.stdout.split())
        assert (
            told[-1][1]
            == f"exit code 0: 1 archive: all complete; a recovery on an empty console would leave this to do: {words}"
        )
        found = {(one.name, one.labels.get("what")): one.value for one in samples(tmp_path / "m")}
        assert {what: found["jitsu_backup_drill_lacks", what] for what in counts} == counts
        assert (
            found["jitsu_backup_drill_whole", None],
            found["jitsu_backup_verify_run_exit_code", None],
        ) == (1, 0)
        failed = cli(*drill, "--fail-on-losses", "--log-format", "json", "--ping", url, cwd=tmp_path)
    line = json.loads(failed.stderr)
    assert (failed.returncode, line["exit_code"], list(line["lacks"].values())) == (3, 3, [counts])
    (alarm,) = line["alarms"]
    assert (alarm["workspace"], alarm["what"]) == ("acme-staging", "lacking")
    assert words in alarm["why"]
    assert words in told[-1][1]
    problems = [
        one.labels["reason"]
        for one in samples(tmp_path / "m")
        if one.name == "jitsu_backup_verify_run_problem"
    ]
    assert problems == [f"{What.LACKING.words}: {alarm['why']}"]
    assert cli("verify", "--fail-on-losses", "latest", cwd=tmp_path).returncode == 2


class Pruning(FolderStore):
    """A store in which another run prunes: an archive is gone when it is read, and a newer one may have come."""

    def __init__(self, folder: Path, gone: str, newer: bytes | None = None, name: str = "") -> None:
        super().__init__(folder)
        self.gone, self.newer, self.name = gone, newer, name

    async def read(self, name: str) -> bytes:
        if name.startswith(self.gone):
            (self.folder / name).unlink(missing_ok=True)
            if self.newer is not None:
                (self.folder / self.name).write_bytes(self.newer)
        return await super().read(name)


def verified(folder: Path, gone: str, *, everything: bool, **newer: Any) -> tuple[int | None, App]:
    app = App(
        {"quiet": True, "verbose": False, "as_json": False, "color": "never", "identity": ()}, logs=True
    )
    app.__dict__["settings"] = SimpleNamespace(store_named=False, identities=(), passphrase=lambda: None)
    app.__dict__["store"] = Pruning(folder, gone, **newer)
    code = verify.__wrapped__(app, (), everything, not everything, False, False, None)
    return code, app


def test_an_archive_that_was_pruned_since_the_store_was_listed_is_no_alarm(store: Path) -> None:
    code, app = verified(store, "other", everything=True)
    assert (code, app.facts["archives"], app.alarms) == (0, 1, [])
    assert "was removed after the store was listed" in app.notices[0]


def test_of_the_latest_that_is_gone_the_one_in_its_place_is_checked(store: Path) -> None:
    (archive,) = [found for path in store.glob("other*") if (found := parse_name(path.name)) is not None]
    later = make_snapshot({"function": []}, workspace_id="w2", slug="other")
    later = replace(later, taken_at=later.taken_at + timedelta(hours=-1))
    code, app = verified(
        store, str(archive), everything=False, newer=encode(later), name=str(archive_name(later))
    )
    assert (code, app.facts["archives"], app.alarms) == (0, 2, [])


def test_a_store_that_is_emptied_under_a_check_is_an_alarm(store: Path) -> None:
    with pytest.raises(BackupError, match="all archives were removed"):
        verified(store, "", everything=True)


def test_an_archive_that_is_there_and_cannot_be_read_is_an_alarm_beside_a_prune_too(store: Path) -> None:
    broken = next(store.glob("acme-staging*"))
    broken.write_bytes(broken.read_bytes()[:50])
    code, app = verified(store, "other", everything=True)
    assert (code, [alarm.what for alarm in app.alarms]) == (5, [What.UNREADABLE])


def newest_sandbox() -> Sandbox:
    state = default_state(generation=Generation.NEWEST)
    example_workspace(state, STAGING)
    return Sandbox(state, rate_limit=False)


def test_a_recovery_says_which_reverse_syncs_somebody_has_to_enable() -> None:
    found = rehearsed(taken(newest_sandbox()))
    assert found.whole, found.residue
    lacks = [one for one in found.lacks if one.kind is LossKind.REVERSE_SYNC]
    assert [str(one) for one in lacks] == ["reverse-sync 'Users → CRM webhook'"]


def test_what_a_recovery_lacks_names_a_feature_that_is_off_in_the_source() -> None:
    sandbox = newest_sandbox()
    sandbox.state.workspaces[STAGING].features = []
    found = rehearsed(taken(sandbox))
    assert found.whole
    assert [one.path for one in found.lacks if one.kind is LossKind.FEATURE] == ["reverse-etl"]


def test_a_sync_that_does_not_come_back_is_not_counted_as_one_to_enable() -> None:
    sandbox = newest_sandbox()
    (row,) = sandbox.state.reverse_syncs(STAGING)
    row.data = {**row.data, "timezone": "Mars/Olympus"}
    found = rehearsed(taken(sandbox))
    assert [line.key.type for line in found.residue] == ["reverse-sync"]
    assert counted(found.lacks)["reverse_syncs"] == 0


def test_locked_archives_with_the_same_id_are_told_apart() -> None:
    one = archive_name(make_snapshot({"function": []}), encrypted=True)
    later = replace(one, taken_at=one.taken_at + timedelta(hours=1))
    said = list[str]()
    app: Any = SimpleNamespace(as_json=False, line=said.append, problem=lambda _: None)
    tell_locked(app, [UnreadArchive(str(name), LockedError("locked")) for name in (one, later)])
    assert said == [f"locked  {one.dated}, {later.dated}"]


def test_one_missing_key_is_reported_once_and_not_as_damage(tmp_path: Path) -> None:
    identity, recipient = new_identity()
    folder = tmp_path / "jitsu-backups"
    folder.mkdir()
    for slug in ("acme-production", "acme-staging"):
        one = make_snapshot({"function": []}, workspace_id=slug, slug=slug)
        (folder / str(archive_name(one, encrypted=True))).write_bytes(encrypt(encode(one), [recipient]))
    done = cli("verify", "--latest", cwd=tmp_path)
    assert done.returncode == 2
    assert "UNREADABLE" not in done.stdout
    assert done.stdout.count("locked  acme-production/") == 1
    assert "2 archives: 2 locked." in done.stdout
    told = folded(done.stderr)
    assert told.count("no key was given; give --identity FILE, or set JITSU_BACKUP_IDENTITY") == 1
    (tmp_path / "key.txt").write_text(identity)
    assert (
        cli("--store", str(folder), "verify", "--latest", "--identity", "key.txt", cwd=tmp_path).returncode
        == 0
    )
