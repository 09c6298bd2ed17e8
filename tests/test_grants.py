"""Grants are kept outside the console: what tells of one is the target's own, and is never copied."""

import html
import json
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest

from jitsu_backup.catalogue import grant_fields, has_grant, without_grant
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, Snapshot
from jitsu_backup.planning import FieldChange, Overlay, compare, make_plan, needs_authorising, parse_overlay
from jitsu_backup.sandbox import Sandbox, default_state, known_schemas, running
from jitsu_backup.sandbox.state import ObjectRow
from tests.planning.scenarios.scenario import Lists, elsewhere, here, in_place
from tests.support import (
    FIXTURES,
    OWNER,
    PRODUCTION,
    STAGING,
    cli,
    console_of,
    read,
    rehearsed,
    restore,
    run,
    writes,
)


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
def test_a_grant_is_reported_by_its_type_and_fields(
    kind: str, body: dict[str, object], granted: bool
) -> None:
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


ON: dict[str, Any] = {"push": {}, "sync": {"schedule": "@daily"}}
OFF: dict[str, Any] = {"push": {"disabled": True}, "sync": {}}


def off_here(kind: str, source: tuple[bool, bool], target: tuple[bool, bool], *, place: str) -> bool:
    """Whether a link is off after a restore, each side being told by (its end is authorised, it is on)."""

    def side(authorised: bool, on: bool, sf: str, web: str) -> Lists:
        force = {"id": sf, "name": "Salesforce", "destinationType": "salesforce"}
        grant = {"authorized": True, "oauthConnectionId": f"destination.{sf}"} if authorised else {}
        one = {"id": web, "name": "Source", **({"package": "a/b"} if kind == "sync" else {})}
        ends = {"fromId": web, "toId": sf, "data": (ON if on else OFF)[kind]}
        return {
            "destination": [force | grant],
            "service" if kind == "sync" else "stream": [one],
            "link": [{"id": "l1", "type": kind, **ends}],
        }

    own = place == "in place"
    source_type = "service" if kind == "sync" else "stream"
    ids = ("sf", "web") if own else (here("destination", "sf"), here(source_type, "web"))
    make = in_place if own else elsewhere
    scenario = make(side(*source, "sf", "web"), side(*target, *ids))
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    action = next(action for action in plan.actions if action.key.type == "link")
    data = action.body["data"] if action.writes else scenario.live.of_type("link")[0].body["data"]
    return bool(data.get("disabled")) if kind == "push" else not data.get("schedule")


@pytest.mark.parametrize("kind", ["push", "sync"])
@pytest.mark.parametrize("place", ["in place", "elsewhere"])
def test_a_link_goes_off_and_on_with_the_snapshot_but_for_what_only_one_side_may_run(
    kind: str, place: str
) -> None:
    sides = list(product([False, True], repeat=2))
    for source, target in product(sides, sides):
        (may_run, on), (may_run_here, on_here) = source, target
        only_here = (
            may_run_here and not may_run and on_here
        )  # then the snapshot's may be off for want of a grant
        only_there = may_run and not may_run_here and on
        expected = on_here if only_here or only_there else on
        assert off_here(kind, source, target, place=place) is not expected, (source, target)


def test_a_source_that_was_revived_without_its_grants_switches_nothing_off_in_its_clone() -> None:
    sandbox = staging()
    run(restore(lambda: console_of(sandbox), snapshot_of(sandbox), overlay=Overlay()))
    authorise(sandbox, made(sandbox, "destination", "Salesforce"), made(sandbox, "service", "Sheets"))
    before = snapshot_of(sandbox)
    run(restore(lambda: console_of(sandbox), before, overlay=Overlay()))
    running_then = running_links(sandbox)
    for one in ("sf", "gs"):
        sandbox.state.objects[one].deleted = True
    for row in sandbox.state.live_links(STAGING):
        row.deleted = row.from_id == "gs" or row.to_id == "sf"
    run(restore(lambda: console_of(sandbox), before, STAGING, overlay=Overlay()))
    assert running_links(sandbox, STAGING)["Web Salesforce"]["disabled"] is True

    sandbox.requests.clear()
    revived = snapshot_of(sandbox)
    result = run(restore(lambda: console_of(sandbox), revived, overlay=Overlay(), match_by_name=True))
    assert (writes(sandbox), result.found) == (0, [])
    assert running_links(sandbox) == running_then
    assert {path for action in result.plan.actions for path in action.kept} == {
        "data.disabled",
        "data.schedule",
    }
    assert sum("stays switched on" in note for note in result.plan.notes) == 2

    # and in place: who rolls back to a time without the grant keeps what runs by it since
    authorise(
        sandbox,
        made(sandbox, "destination", "Salesforce", STAGING),
        made(sandbox, "service", "Sheets", STAGING),
    )
    run(restore(lambda: console_of(sandbox), before, STAGING, overlay=Overlay()))
    running_now = running_links(sandbox, STAGING)
    assert running_now["Sheets Warehouse"] == {"schedule": "0 * * * *"}
    run(restore(lambda: console_of(sandbox), revived, STAGING, overlay=Overlay()))
    assert running_links(sandbox, STAGING) == running_now


def test_a_new_object_whose_type_needs_a_grant_is_noted_though_the_snapshot_has_none_either(
    tmp_path: Path,
) -> None:
    sandbox = staging()
    sandbox.state.objects["sf"].config = without_grant("destination", sandbox.state.objects["sf"].config)
    sandbox.state.objects["gs"].config.pop("authorized")
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER, "COLUMNS": "80"}
        done = cli("clone", "acme-staging", "acme-production", "--yes", env=env, cwd=tmp_path)
    plain = " ".join(done.stdout.split())
    assert (
        "destination 'Salesforce' needs a grant, and has none in the snapshot either: authorise it in the UI"
        in plain
    )
    assert "'Sheets' needs a grant" not in plain  # its package may work with credentials as well
    assert done.returncode == 0


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
    rehearsal = rehearsed(snapshot_of(staging()))
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
    with pytest.raises(UsageError, match="authorise the entity in the UI"):
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
    assert "2 grants not included" in backup.stdout
    assert "OAuth grants, which no archive contains (2)" in shown.stdout
    assert "OAuth grants, which no archive contains (2)" in (tmp_path / "show.html").read_text(
        encoding="utf-8"
    )
    assert as_json["grants"] == [{"type": "destination", "id": "sf"}, {"type": "service", "id": "gs"}]
    for text in (plan.stdout, done.stdout, (tmp_path / "plan.html").read_text(encoding="utf-8")):
        plain = " ".join(text.split())
        assert "authorise it again in the UI" in plain
        assert "switched off until destination 'Salesforce' is authorised" in html.unescape(plain)
    assert done.returncode == 3
