"""The main job: a workspace is read whole and made again in another, once."""

import json
from pathlib import Path

import pytest

from jitsu_backup.archive import decode, encode
from jitsu_backup.model import Entity, Snapshot
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running, seed_snapshot
from tests.build_fixtures import recorded_workspace
from tests.support import (
    FIXTURES,
    OWNER,
    PRODUCTION,
    STAGING,
    cli,
    comparable,
    console_of,
    example_sandbox,
    id_map,
    read,
    recorded_snapshot,
    restore,
    run,
    writes,
)


def test_the_recorded_workspace_is_what_the_recordings_listed() -> None:
    assert json.loads((FIXTURES / "recorded-workspace.json").read_text()) == recorded_workspace()


def test_reading_takes_everything_that_was_seeded() -> None:
    sandbox = example_sandbox()
    snapshot = run(read(console_of(sandbox), "acme-staging"))
    assert snapshot.manifest.complete
    assert snapshot.manifest.consistent
    assert dict(snapshot.manifest.counts) == {
        "custom-image": 1, "destination": 4, "domain": 1, "function": 3, "link": 5, "misc": 1,
        "notification": 1, "profile-builder": 1, "service": 1, "stream": 3,
    }  # fmt: skip
    assert snapshot.manifest.source.role == "owner"
    assert snapshot.manifest.source.slug == "acme-staging"
    assert sum(map(len, snapshot.cursors.values())) == 1
    assert decode(encode(snapshot)) == snapshot


def test_into_another_console_everything_is_equal_but_ids_and_write_keys() -> None:
    source, target = example_sandbox(), Sandbox(default_state(), rate_limit=False)
    before = run(read(console_of(source), "acme-staging"))
    result = run(restore(lambda: console_of(target, "http://other.example"), before))
    assert all(outcome.status is Status.DONE for outcome in result.outcomes)
    assert result.found == []
    after = run(read(console_of(target, "http://other.example"), "acme-production"))
    assert comparable(before, id_map(result)) == comparable(after, {})


def test_within_one_console_only_domains_stay_behind_and_the_report_names_them() -> None:
    sandbox = example_sandbox()
    before = run(read(console_of(sandbox), "acme-staging"))
    result = run(restore(lambda: console_of(sandbox), before))
    assert sorted((r.key.type, r.path) for r in result.found) == [("domain", ""), ("stream", "domains")]
    after = run(read(console_of(sandbox), "acme-production"))
    expected = comparable(
        _without_domains(before), id_map(result), leave_out=lambda e: e.key.type == "domain"
    )
    assert expected == comparable(after, {})
    assert run(read(console_of(sandbox), "acme-staging")) == before


@pytest.mark.parametrize("same_console", [True, False])
def test_a_second_restore_writes_nothing(same_console: bool) -> None:
    source = example_sandbox()
    target = source if same_console else Sandbox(default_state(), rate_limit=False)
    host = "http://sandbox.example" if same_console else "http://other.example"
    before = run(read(console_of(source), "acme-staging"))
    run(restore(lambda: console_of(target, host), before))
    target.requests.clear()
    result = run(restore(lambda: console_of(target, host), before))
    assert result.plan.writes == ()
    assert writes(target) == 0


def test_what_changed_in_the_source_is_updated_and_never_doubled() -> None:
    sandbox = example_sandbox()
    run(restore(lambda: console_of(sandbox), run(read(console_of(sandbox), "acme-staging"))))
    state = sandbox.state
    state.objects["enrich-0001"].config["code"] = "export default async e => e"
    state.objects["enrich-0001"].config.pop("description")
    state.objects["warehouse-0001"].config["host"] = "db2.staging"
    link = next(row for row in state.links.values() if row.workspace_id == STAGING and row.type == "push")
    link.data = {**link.data, "frequency": 60}
    state.builders["profiles-0001"].fields["name"] = "Renamed"
    before = run(read(console_of(sandbox), "acme-staging"))
    result = run(restore(lambda: console_of(sandbox), before))
    kinds = sorted((a.kind.value, a.key.type) for a in result.plan.writes)
    assert kinds == [("update", t) for t in ("destination", "function", "link", "profile-builder")]
    assert {r.path for r in result.found} == {"domains", ""}
    after = run(read(console_of(sandbox), "acme-production"))
    assert after.manifest.counts["link"] == 5
    copied = next(e for e in after.of_type("function") if e.body["name"] == "Enrich")
    assert copied.body["code"] == "export default async e => e"
    assert "description" not in copied.body
    assert state.objects[result.plan.ids[("destination", "warehouse-0001")]].config["password"] == "stand-in"


def test_the_recorded_workspace_goes_over_real_sockets_by_the_command_line(tmp_path: Path) -> None:
    source_state = default_state()
    seed_snapshot(source_state, recorded_snapshot())
    next(iter(source_state.objects.values()))
    source_state.objects["wh-prov"].config["provisioned"] = True
    source, target = Sandbox(source_state), Sandbox(default_state())
    with running(source) as source_url, running(target) as target_url:
        at_source = {"JITSU_HOST": source_url, "JITSU_APIKEY": OWNER}
        at_target = {"JITSU_HOST": target_url, "JITSU_APIKEY": OWNER}
        done = cli("--json", "backup", "acme-staging", "--output", "a.json.gz", env=at_source, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "reading acme-staging ...\n")
        blocked = cli(
            "restore", "a.json.gz", "--into", "acme-production", "--yes", env=at_target, cwd=tmp_path
        )
        assert blocked.returncode == 7
        assert writes(target) == 0
        (tmp_path / "overlay.toml").write_text(
            '["destination/Warehouse"]\npassword = {env = "PG"}\n["destination/ClickHouse"]\npassword = "x"\n'
            '["service/CRM".credentials]\npassword = {file = "secret"}\ntunnel_method.ssh_key = "k"\n'
        )
        (tmp_path / "secret").write_text("crm\n")
        command = (
            "--json", "restore", "a.json.gz", "--into", "acme-production", "--overlay", "overlay.toml",
            "--yes", "--keys-out", "keys.json", "--skip", "destination/wh-prov",
        )  # fmt: skip
        first = cli(*command, env={**at_target, "PG": "pg-secret"}, cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        report = json.loads(first.stdout)
        assert report["residue"] == []
        assert report["stream_keys"] == []
        keys = json.loads((tmp_path / "keys.json").read_text())["stream_keys"]
        assert len(keys) == 3
        assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
        target.requests.clear()
        second = cli(*command, env={**at_target, "PG": "pg-secret"}, cwd=tmp_path)
        assert second.returncode == 0
        assert writes(target) == 0
        stored = {o.config.get("name"): o.config for o in target.state.objects.values()}
        assert stored["Warehouse"]["password"] == "pg-secret"
        assert stored["CRM"]["credentials"]["password"] == "crm"
        assert len(target.state.links) == 7


def test_unknown_types_are_carried_as_they_are() -> None:
    state = default_state()
    state.extra_types = ("gadget",)
    example_workspace(state, STAGING)
    state.add_object(
        STAGING, "gadget", "m-1", {"name": "Users", "query": "select 1", "destinationId": "warehouse-0001"}
    )
    sandbox = Sandbox(state, rate_limit=False)
    before = run(read(console_of(sandbox), "acme-staging"))
    assert before.manifest.generic == ("gadget",)
    result = run(restore(lambda: console_of(sandbox), before))
    after = run(read(console_of(sandbox), "acme-production"))
    (model,) = after.of_type("gadget")
    assert model.body["destinationId"] == result.plan.ids[("destination", "warehouse-0001")]


def test_what_the_target_console_does_not_know_is_skipped_with_what_needs_it() -> None:
    state = default_state()
    state.extra_types = ("gadget",)
    example_workspace(state, STAGING)
    state.add_object(STAGING, "gadget", "m-1", {"name": "Users"})
    state.add_link(STAGING, "reverse", "m-1", "warehouse-0001", {})
    before = run(read(console_of(Sandbox(state, rate_limit=False)), "acme-staging"))
    target = Sandbox(default_state(), rate_limit=False)
    snapshot_of_target = run(read(console_of(target, "http://other.example"), "acme-production"))
    assert "gadget" not in snapshot_of_target.manifest.counts
    result = run(restore(lambda: console_of(target, "http://other.example"), before))
    assert {(r.key.type, r.name) for r in result.found} == {
        ("gadget", "Users"),
        ("link", "Users → Warehouse"),
    }
    assert "does not support this type" in next(r.reason for r in result.found if r.key.type == "gadget")
    assert all(r.status == 200 for r in target.requests if r.method != "GET")


def test_a_taken_derived_id_moves_on_to_the_next_and_a_second_run_finds_it() -> None:
    sandbox = example_sandbox()
    before = run(read(console_of(sandbox), "acme-staging"))
    first = run(restore(lambda: console_of(sandbox), before))
    taken = first.plan.ids[("destination", "warehouse-0001")]
    sandbox.state.objects[taken].deleted = True  # soft: the id stays taken for ever
    for row in sandbox.state.links.values():
        row.deleted = row.deleted or taken in (row.from_id, row.to_id)
    result = run(restore(lambda: console_of(sandbox), before))
    assert all(outcome.status is Status.DONE for outcome in result.outcomes), result.outcomes
    new = next(o for o in result.outcomes if o.action.key == ("destination", "warehouse-0001")).target_id
    assert new != taken
    assert sum(row.to_id == new for row in sandbox.state.links.values()) == 3
    assert (
        sandbox.state.builders[result.plan.ids[("profile-builder", "profiles-0001")]].fields["destinationId"]
        == new
    )
    sandbox.requests.clear()
    again = run(restore(lambda: console_of(sandbox), before))
    assert writes(sandbox) == 0, again.plan.writes


def test_with_missing_secrets_allowed_the_entity_is_made_without_and_reported() -> None:
    source, target = example_sandbox(), Sandbox(default_state(), rate_limit=False)
    before = run(read(console_of(source), "acme-staging"))
    options = {"overlay": None, "allow_missing_secrets": True}
    from jitsu_backup.planning import Overlay

    options["overlay"] = Overlay()
    every_time = {
        ("Warehouse", "password"), ("CRM", "credentials.password"), ("CRM", "credentials.tunnel_method.ssh_key"),
    }  # fmt: skip
    # the console asks for these, gets them empty, and shows that as it shows any secret
    once = {("ClickHouse", "password"), ("BigQuery", "keyFile")}
    for expected in (every_time | once, every_time):
        result = run(restore(lambda: console_of(target, "http://other.example"), before, **options))
        assert {(r.name, r.path) for r in result.found} == expected
    assert result.plan.writes == ()
    assert "__MASKED" not in repr([row.config for row in target.state.objects.values()])


def _without_domains(snapshot: Snapshot) -> Snapshot:
    from dataclasses import replace

    entities = tuple(
        Entity(e.key, {**e.body, "domains": []}) if e.key.type == "stream" else e for e in snapshot.entities
    )
    return replace(snapshot, entities=entities)


__all__ = ["PRODUCTION"]
