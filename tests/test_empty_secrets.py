"""An empty secret is a value, and so is null: the console hides both as it hides any other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.archive import decode, encode
from jitsu_backup.console.admin_exports import read_exports, secrets_of
from jitsu_backup.errors import UsageError
from jitsu_backup.model import MASK, Key, Snapshot, unknown_secrets
from jitsu_backup.planning import ActionKind, Overlay, compare, parse_overlay
from jitsu_backup.sandbox import Generation, Sandbox, default_state, known_schemas, running
from jitsu_backup.settings import resolve_secret
from tests.restores.kit import ADMIN, plan_for
from tests.support import (
    OWNER,
    STAGING,
    cli,
    console_of,
    make_snapshot,
    read,
    rehearsed,
    restore,
    run,
    writes,
)

CLICKHOUSE = {
    "name": "Local", "destinationType": "clickhouse", "protocol": "http", "hosts": ["ch:8123"], "username": "default",
    "password": "", "database": "default",
}  # fmt: skip
SERVICE = {
    "name": "S", "package": "airbyte/source-postgres", "version": "3.6.11", "protocol": "airbyte",
    "credentials": {"host": "h", "password": None},
}  # fmt: skip
CH, SVC = Key("destination", "ch"), Key("service", "svc")


def local(generation: Generation = Generation.JULY_2026) -> Sandbox:
    """A console with a ClickHouse without a password, and a service whose password is null."""
    state = default_state(generation=generation)
    state.add_object(STAGING, "stream", "web", {"name": "Web", "domains": []})
    state.add_object(STAGING, "destination", "ch", CLICKHOUSE)
    state.add_object(STAGING, "service", "svc", SERVICE)
    state.add_link(STAGING, "push", "web", "ch", {})
    state.add_link(STAGING, "sync", "svc", "ch", {})
    return Sandbox(state, rate_limit=False)


def empty() -> Sandbox:
    return Sandbox(default_state(), rate_limit=False)


def snapshot_of(sandbox: Sandbox, workspace: str = STAGING) -> Snapshot:
    found: Snapshot = run(read(console_of(sandbox), workspace))
    return found


def of_the_operator(sandbox: Sandbox) -> Snapshot:
    snapshot = snapshot_of(sandbox)

    async def exports() -> Any:
        async with console_of(sandbox, key=ADMIN) as console:
            return await read_exports(console)

    return replace(snapshot, secrets=secrets_of(run(exports()), snapshot))


def stored(sandbox: Sandbox, kind: str) -> dict[str, Any]:
    return next(row.config for row in sandbox.state.objects.values() if row.type == kind)


def test_an_overlay_with_an_empty_password_converges_and_makes_no_further_safety_backups(
    tmp_path: Path,
) -> None:
    (tmp_path / "o.toml").write_text(
        '["destination/Local"]\npassword = ""\nusername = "other"\n["service/S"]\n"credentials.password" = ""\n'
    )
    with running(local()) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        clone = ("clone", "acme-staging", "acme-production", "--overlay", "o.toml", "--yes")
        first = cli(*clone, env=env, cwd=tmp_path)
        assert first.returncode == 0, first.stdout + first.stderr
        kept = sorted((tmp_path / "jitsu-backups").glob("*pre-restore*"))
        again = cli(*clone, env=env, cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Nothing to change" in again.stdout
    assert "Local password" in again.stdout.split("Not compared")[1]
    assert sorted((tmp_path / "jitsu-backups").glob("*pre-restore*")) == kept


def test_an_archive_of_a_console_of_2024_with_empty_secrets_goes_into_a_newer_one_once() -> None:
    snapshot, target = snapshot_of(local(Generation.OCTOBER_2024)), empty()
    assert snapshot.manifest.ledger == ()
    run(restore(lambda: console_of(target, "http://other.example"), snapshot))
    assert stored(target, "destination")["password"] == ""
    assert stored(target, "service")["credentials"]["password"] is None
    target.requests.clear()
    again = run(restore(lambda: console_of(target, "http://other.example"), snapshot))
    assert (writes(target), again.found) == (0, [])
    unseen = {path for action in again.plan.actions for path in action.unseen}
    assert unseen == {"password", "credentials.password"}


def test_what_the_operator_reads_of_empty_secrets_is_stored_sent_and_not_compared() -> None:
    sandbox, target = local(), empty()
    snapshot = decode(encode(of_the_operator(sandbox)))
    assert snapshot.secrets[CH] == {"password": ""}
    assert snapshot.secrets[SVC] == {"credentials.password": None}
    assert unknown_secrets(snapshot) == ()
    run(restore(lambda: console_of(target, "http://other.example"), snapshot, overlay=Overlay()))
    assert stored(target, "destination")["password"] == ""
    assert stored(target, "service")["credentials"]["password"] is None
    target.requests.clear()
    again = run(restore(lambda: console_of(target, "http://other.example"), snapshot, overlay=Overlay()))
    assert (writes(target), again.found) == (0, [])


def test_empty_secrets_come_back_in_a_rehearsal() -> None:
    rehearsal = rehearsed(of_the_operator(local()))
    assert rehearsal.whole, rehearsal.residue


def test_an_empty_secret_of_the_archive_goes_back_in_place() -> None:
    sandbox = local()
    snapshot = of_the_operator(sandbox)
    stored(sandbox, "destination").update(password="changed", username="changed")
    run(restore(lambda: console_of(sandbox), snapshot, STAGING, overlay=Overlay()))
    assert stored(sandbox, "destination")["password"] == ""


@pytest.mark.parametrize("given", ["", None])
def test_an_empty_secret_of_an_overlay_is_sent_again_only_when_asked(given: Any) -> None:
    sandbox = local()
    snapshot = snapshot_of(sandbox)
    overlay = parse_overlay({"service/svc": {"credentials": {"password": given}}})
    assert not plan_for(sandbox, snapshot, overlay=overlay).writes
    (update,) = plan_for(sandbox, snapshot, overlay=overlay, resend_secrets=True).writes
    assert update.body == {"credentials": {"host": "h", "password": given}}


def test_a_secret_that_nobody_knows_is_not_missing_where_the_targets_own_is_empty() -> None:
    snapshot = snapshot_of(local())  # masked there
    old = local(Generation.OCTOBER_2024)  # in clear here
    old.state.objects["ch"].id = "ch"
    plan = plan_for(old, snapshot)
    assert [a.reason for a in plan.actions if a.kind is ActionKind.BLOCKED] == []
    assert stored(old, "destination")["password"] == ""


def test_an_empty_secret_and_a_hidden_one_are_no_difference_but_none_at_all_is() -> None:
    bodies: dict[str, dict[str, Any]] = {
        "hidden": {**CLICKHOUSE, "id": "ch", "password": MASK},
        "empty": {**CLICKHOUSE, "id": "ch"},
        "null": {**CLICKHOUSE, "id": "ch", "password": None},
        "absent": {name: value for name, value in {**CLICKHOUSE, "id": "ch"}.items() if name != "password"},
    }
    sides = {name: make_snapshot({"destination": [body]}) for name, body in bodies.items()}
    differing = {
        name for name, side in sides.items() if compare(sides["hidden"], side, known_schemas()).entities
    }
    assert differing == {"absent"}


def test_a_variable_or_a_file_that_is_there_and_empty_is_a_value_only_where_that_is_said(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").write_text("\n")
    for reference in ({"env": "EMPTY"}, {"file": "empty"}):
        assert resolve_secret(reference, {"EMPTY": ""}, tmp_path, may_be_empty=True) == ""
        with pytest.raises(UsageError, match="is empty"):
            resolve_secret(reference, {"EMPTY": ""}, tmp_path)
    for reference in ({"env": "UNSET"}, {"file": "none"}):
        with pytest.raises(UsageError):
            resolve_secret(reference, {}, tmp_path, may_be_empty=True)
