"""The fire drill: an archive is restored into a fresh sandbox, read back and compared."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import archive_name, encode, encrypt
from jitsu_backup.cli.rehearsal import Rehearsal, rehearse
from jitsu_backup.model import Snapshot, masked_fields
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace
from tests.generate import Generator
from tests.support import (
    STAGING,
    cli,
    console_of,
    example_sandbox,
    make_snapshot,
    read,
    recorded_snapshot,
    run,
)


def taken(sandbox: Sandbox) -> Snapshot:
    found: Snapshot = run(read(console_of(sandbox), STAGING))
    return found


def rehearsed(snapshot: Snapshot) -> Rehearsal:
    return rehearse(snapshot)


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
    state = default_state(old=True)
    example_workspace(state, STAGING)
    found = rehearsed(taken(Sandbox(state, rate_limit=False)))
    assert found.whole, found.residue
    assert found.meant == 15


def test_types_that_only_a_newer_console_knows_are_rehearsed_too() -> None:
    state = default_state()
    example_workspace(state, STAGING)
    state.extra_types = ("model",)
    state.add_object(STAGING, "model", "m1", {"name": "Model", "query": "select 1"})
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
    snapshot = taken(example_sandbox())
    without = tuple(entity for entity in snapshot.entities if entity.key.id != "warehouse-0001")
    counts = {**snapshot.manifest.counts, "destination": 3}
    manifest = replace(snapshot.manifest, counts=counts, ledger=masked_fields(without))
    found = rehearsed(replace(snapshot, entities=without, manifest=manifest))
    assert not found.whole
    assert {line.key.type for line in found.residue} == {
        "link",
        "profile-builder",
        "function",
    }  # a builder owns one
    assert found.restored < found.meant == 20


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
    assert "cut short" in problems
    text = cli("verify", "--all", cwd=tmp_path)
    assert text.returncode == 5
    assert text.stdout.count("UNREADABLE") == 2
    assert "4 archive(s): 2 cannot be read, 1 incomplete" in text.stdout


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


def test_verify_of_an_empty_store_is_told(tmp_path: Path) -> None:
    done = cli("verify", "--all", cwd=tmp_path)
    assert done.returncode == 1
    assert "is empty" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--all", "latest")])
def test_verify_takes_snapshots_or_all(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert cli("verify", *arguments, cwd=tmp_path).returncode == 2


def test_the_nightly_fire_drill_says_what_came_back(store: Path, tmp_path: Path) -> None:
    done = cli("verify", "--rehearse", "acme-staging/latest", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rehearsed: 21 of 21 entities restored and read back" in done.stdout
    code, (line,) = report(tmp_path, "--rehearse", "acme-staging/latest")
    assert (code, line["rehearsal"]["whole"]) == (0, True)
    snapshot = make_snapshot(
        {"link": [{"id": "l1", "type": "push", "fromId": "gone", "toId": "gone too", "data": {}}]},
        workspace_id="w3",
    )
    (tmp_path / "dangling.json.gz").write_bytes(encode(snapshot))
    lost = cli("verify", "--rehearse", "dangling.json.gz", cwd=tmp_path)
    assert lost.returncode == 3
    assert "did not come back: link" in lost.stdout


def test_the_log_has_the_reason_for_each_archive_that_is_not_whole(store: Path, tmp_path: Path) -> None:
    ends = [{"id": "l1", "type": "push", "fromId": "gone", "toId": "gone too", "data": {}}]
    dangling = make_snapshot({"link": ends}, workspace_id="w3", slug="dangling")
    (store / str(archive_name(dangling))).write_bytes(encode(dangling))
    sealed = make_snapshot({"function": []}, workspace_id="w4", slug="sealed")
    name = str(archive_name(sealed, encrypted=True))
    (store / name).write_bytes(encrypt(encode(sealed), (), "correct horse CANARY"))
    done = cli("verify", "--all", "--rehearse", "--log-format", "json", cwd=tmp_path)
    assert done.returncode == 5
    line = json.loads(done.stderr)
    told = {name.partition(".")[0]: reasons for name, reasons in line["reasons"].items()}
    assert told.keys() == {"sealed", "dangling", "other"}
    (reason,) = told["sealed"]
    assert reason.endswith("the archive is encrypted with a passphrase: set JITSU_BACKUP_PASSPHRASE")
    assert told["other"] == ["it kept changing while it was read"]
    assert told["dangling"][0].startswith("did not come back: link ")
    assert "CANARY" not in done.stderr


def test_the_log_has_some_of_very_many_reasons(tmp_path: Path) -> None:
    ends = [
        {"id": f"l{n:02}", "type": "push", "fromId": f"gone{n}", "toId": "gone too", "data": {}}
        for n in range(40)
    ]
    (tmp_path / "d.json.gz").write_bytes(encode(make_snapshot({"link": ends}, workspace_id="w3")))
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
