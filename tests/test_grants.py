"""Grants are kept outside the console: what tells of one is the target's own, and is never copied."""

import html
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from jitsu_backup.catalogue import grant_fields, has_grant, without_grant
from jitsu_backup.cli.rehearsal import rehearse
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, Snapshot
from jitsu_backup.planning import FieldChange, Overlay, compare, needs_authorising, parse_overlay
from jitsu_backup.sandbox import Sandbox, default_state, known_schemas, running
from jitsu_backup.sandbox.state import ObjectRow
from tests.support import FIXTURES, OWNER, PRODUCTION, STAGING, cli, console_of, read, restore, run, writes


def recorded(name: str) -> Entity:
    exchanges = orjson.loads((FIXTURES / "recordings-more.json").read_bytes())["exchanges"]
    body = next(e["response"]["body"] for e in exchanges if e["name"] == name)
    return Entity(Key(body["type"], body["id"]), body)


def test_what_somebody_authorised_has_a_grant() -> None:
    assert has_grant(recorded("destination/get-salesforce"))
    assert has_grant(recorded("service/get-authorized"))
    assert not has_grant(recorded("destination/get-empty-password"))
    assert not has_grant(recorded("service/get-null-secret"))


@pytest.mark.parametrize(
    ("kind", "body", "granted"),
    [
        ("destination", {"authorized": False}, False),
        ("destination", {"authorized": "yes"}, False),
        ("destination", {"oauthConnectionId": "destination.x"}, True),
        ("destination", {"oauthConnectionId": ""}, False),
        ("destination", {"oauthIntegrationId": "jitsu-cloud-dst-salesforce"}, False),
        ("service", {"oauthConnectionId": "x"}, False),
        ("function", {"authorized": True}, False),
        ("brand-new", {"oauthConnectionId": "brand-new.x"}, True),
    ],
)
def test_a_grant_is_told_by_its_type_and_fields(kind: str, body: dict[str, object], granted: bool) -> None:
    assert has_grant(Entity(Key(kind, "x"), body)) is granted


def test_nothing_but_the_grant_is_left_out() -> None:
    for name in ("destination/get-salesforce", "service/get-authorized"):
        entity = recorded(name)
        rest = without_grant(entity.key.type, entity.body)
        assert entity.body.keys() - rest.keys() == grant_fields(entity.key.type)
        assert not has_grant(Entity(entity.key, rest))


# -- in a workspace ---------------------------------------------------------------------

HERE = {"authorized": True, "oauthIntegrationId": "jitsu-cloud-dst-salesforce"}


def staging() -> Sandbox:
    """A console whose staging sends events to an authorised Salesforce, and reads an authorised sheet into a warehouse."""
    state = default_state()
    state.add_object(STAGING, "stream", "web", {"name": "Web", "domains": []})
    force = {"name": "Salesforce", "destinationType": "salesforce", "isSandbox": False}
    state.add_object(STAGING, "destination", "sf", {**force, **HERE, "oauthConnectionId": "destination.sf"})
    warehouse = {"name": "Warehouse", "destinationType": "devnull"}
    state.add_object(STAGING, "destination", "ch", warehouse)
    sheet = {
        "name": "Sheets",
        "package": "airbyte/source-google-sheets",
        "version": "0.3.0",
        "protocol": "airbyte",
    }
    state.add_object(STAGING, "service", "gs", {**sheet, "authorized": True, "credentials": {"id": "x"}})
    state.add_link(STAGING, "push", "web", "sf", {"batchSize": 1})
    state.add_link(STAGING, "push", "web", "ch", {})
    state.add_link(STAGING, "sync", "gs", "ch", {"schedule": "0 * * * *"})
    return Sandbox(state, rate_limit=False)


def snapshot_of(sandbox: Sandbox, workspace: str = STAGING) -> Snapshot:
    found: Snapshot = run(read(console_of(sandbox), workspace))
    return found


def authorise(sandbox: Sandbox, *rows: ObjectRow) -> None:
    """What a person does in the UI."""
    for row in rows:
        named = {"oauthConnectionId": f"destination.{row.id}"} if row.type == "destination" else {}
        row.config = {**row.config, **(HERE if named else {"authorized": True}), **named}


def made(sandbox: Sandbox, kind: str, name: str, workspace: str = PRODUCTION) -> ObjectRow:
    return next(r for r in sandbox.state.live_objects(workspace, kind) if r.config["name"] == name)


def running_links(sandbox: Sandbox, workspace: str = PRODUCTION) -> dict[str, Any]:
    """What the links from a stream or a service say of when they run."""
    state = sandbox.state
    return {
        f"{state.objects[r.from_id].config['name']} {state.objects[r.to_id].config['name']}": r.data
        for r in state.live_links(workspace)
    }


def test_a_clone_never_carries_a_grant_and_never_takes_one_away() -> None:
    sandbox = staging()
    clone = {"snapshot": snapshot_of(sandbox), "overlay": Overlay()}
    first = run(restore(lambda: console_of(sandbox), **clone))
    assert "oauthConnectionId" not in made(sandbox, "destination", "Salesforce").config
    assert not made(sandbox, "service", "Sheets").config.get("authorized")
    told = {(line.key.type, line.name, line.path) for line in first.found}
    assert told == {
        ("destination", "Salesforce", "grant"), ("service", "Sheets", "grant"), ("link", "Web → Salesforce", "events"),
        ("link", "Sheets → Warehouse", "schedule"),
    }  # fmt: skip
    assert all(needs_authorising(line.path, line.reason) for line in first.found)
    assert running_links(sandbox) == {
        "Web Salesforce": {"batchSize": 1, "disabled": True}, "Web Warehouse": {}, "Sheets Warehouse": {},
    }  # fmt: skip
    sandbox.requests.clear()
    second = run(restore(lambda: console_of(sandbox), **clone))
    assert (writes(sandbox), second.found) == (0, first.found)

    force = made(sandbox, "destination", "Salesforce")
    authorise(sandbox, force, made(sandbox, "service", "Sheets"))
    third = run(restore(lambda: console_of(sandbox), **clone))
    assert third.found == []
    assert force.config["oauthConnectionId"] == f"destination.{force.id}"
    assert running_links(sandbox) == {
        "Web Salesforce": {"batchSize": 1}, "Web Warehouse": {}, "Sheets Warehouse": {"schedule": "0 * * * *"},
    }  # fmt: skip
    sandbox.state.objects["sf"].config["isSandbox"] = True
    run(restore(lambda: console_of(sandbox), snapshot_of(sandbox), overlay=Overlay()))
    assert force.config["isSandbox"] is True
    assert force.config["oauthConnectionId"] == f"destination.{force.id}"
    assert compare(snapshot_of(sandbox), snapshot_of(sandbox, PRODUCTION), known_schemas()).entities == ()


def test_what_is_revived_in_place_has_no_grant_and_what_stayed_keeps_its_own() -> None:
    sandbox = staging()
    before = snapshot_of(sandbox)
    sandbox.state.objects["sf"].deleted = True
    result = run(restore(lambda: console_of(sandbox), before, STAGING, overlay=Overlay()))
    assert "oauthConnectionId" not in made(sandbox, "destination", "Salesforce", STAGING).config
    assert sandbox.state.objects["gs"].config["authorized"] is True
    assert {(line.name, line.path) for line in result.found} >= {("Salesforce", "grant")}
    assert running_links(sandbox, STAGING)["Sheets Warehouse"] == {"schedule": "0 * * * *"}
    changes = compare(before, snapshot_of(sandbox, STAGING), known_schemas())
    lost = FieldChange("grant", "authorised", "not authorised")
    assert {c.name: c.fields for c in changes.entities}["Salesforce"] == (lost,)


def test_a_grant_is_no_change_of_a_workspace_but_who_gave_or_took_one_is_seen_by_diff() -> None:
    sandbox = staging()
    before = snapshot_of(sandbox)
    sandbox.state.objects["gs"].config["authorized"] = False
    after = snapshot_of(sandbox)
    (change,) = compare(before, after, known_schemas()).entities
    assert [found.path for found in change.fields] == ["authorized"]
    sandbox.requests.clear()
    run(restore(lambda: console_of(sandbox), before, STAGING, overlay=Overlay()))
    assert writes(sandbox) == 0


def test_a_rehearsal_does_not_fail_for_a_grant_that_only_a_person_can_give() -> None:
    rehearsal = rehearse(snapshot_of(staging()))
    assert rehearsal.whole, rehearsal.residue


@pytest.mark.parametrize(
    "rule",
    [
        {"destination/sf": {"oauthConnectionId": "destination.other"}},
        {"service/Sheets": {"authorized": True}},
        {"dest*": {"authorized.x": True}},
    ],
)
def test_an_overlay_gives_no_grant(rule: Any) -> None:
    with pytest.raises(UsageError, match="authorise in the UI"):
        parse_overlay(rule)


def test_plan_report_page_and_ledger_name_what_has_to_be_authorised_again(tmp_path: Path) -> None:
    with running(staging()) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER, "COLUMNS": "80"}
        backup = cli("backup", "acme-staging", env=env, cwd=tmp_path)
        shown = cli("show", "latest", env=env, cwd=tmp_path)
        as_json = json.loads(cli("--json", "show", "latest", env=env, cwd=tmp_path).stdout)
        clone = ("clone", "acme-staging", "acme-production")
        cli("show", "latest", "--html", "show.html", env=env, cwd=tmp_path)
        plan = cli(*clone, "--dry-run", "--html", "plan.html", env=env, cwd=tmp_path)
        done = cli(*clone, "--yes", env=env, cwd=tmp_path)
    assert "2 grant(s) of the UI are in no archive" in backup.stdout
    assert "Grants that no archive holds (2)" in shown.stdout
    assert "Grants that no archive holds (2)" in (tmp_path / "show.html").read_text(encoding="utf-8")
    assert as_json["grants"] == [{"type": "destination", "id": "sf"}, {"type": "service", "id": "gs"}]
    for text in (plan.stdout, done.stdout, (tmp_path / "plan.html").read_text(encoding="utf-8")):
        plain = " ".join(text.split())
        assert "authorise again in the UI" in plain
        assert "switched off until destination 'Salesforce' is authorised" in html.unescape(plain)
    assert done.returncode == 3
