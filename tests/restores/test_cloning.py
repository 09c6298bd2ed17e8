"""One workspace like another, again and again."""

from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest

from jitsu_backup.model import Key, Snapshot
from jitsu_backup.operations.restore import UNSEEN_KEYS, Result, unread_keys
from jitsu_backup.planning import Ids, parse_overlay
from jitsu_backup.sandbox import Generation, Sandbox, default_state
from tests.restores.kit import ADMIN, OTHER, delete, roll_back
from tests.support import PRODUCTION, STAGING, Meddling, console_of, read, restore, run, writes


def test_disabled_connections_and_schedules_stay_as_the_target_has_switched_them(sandbox: Sandbox) -> None:
    options = {"disable_links": True}
    source = run(read(console_of(sandbox), STAGING))
    run(restore(lambda: console_of(sandbox), source, **options))
    mine = [row for row in sandbox.state.links.values() if row.workspace_id == PRODUCTION]
    assert all(row.data["disabled"] for row in mine if row.type == "push")
    assert all("schedule" not in row.data for row in mine if row.type == "sync")
    sandbox.requests.clear()
    run(restore(lambda: console_of(sandbox), source, **options))
    assert writes(sandbox) == 0
    next(row for row in mine if row.type == "push").data.pop("disabled")  # somebody has switched it on
    run(restore(lambda: console_of(sandbox), source, **options))
    assert writes(sandbox) == 0
    run(restore(lambda: console_of(sandbox), source))
    assert not any(row.data.get("disabled") for row in mine if row.type == "push")
    assert all(row.data["schedule"] for row in mine if row.type == "sync")


def test_a_secret_in_clear_that_the_target_has_is_its_own_unless_the_overlay_gives_one(
    sandbox: Sandbox,
) -> None:
    source = run(read(console_of(sandbox), STAGING))
    result = run(restore(lambda: console_of(sandbox), source))
    hook = sandbox.state.objects[result.plan.ids[Key("destination", "hook-0001")]]
    hook.config["headers"] = ["Authorization: Bearer of-production"]
    again = run(restore(lambda: console_of(sandbox), source))
    assert hook.config["headers"] == ["Authorization: Bearer of-production"]
    assert [a.kept for a in again.plan.actions if a.kept] == [("headers",)]
    overlay = parse_overlay({"destination/Alerts webhook": {"headers": ["Authorization: Bearer new"]}})
    run(restore(lambda: console_of(sandbox), source, overlay=overlay, allow_missing_secrets=True))
    assert hook.config["headers"] == ["Authorization: Bearer new"]


def test_an_overlays_hidden_secret_is_sent_again_only_when_asked_or_with_another_change(
    sandbox: Sandbox,
) -> None:
    source = run(read(console_of(sandbox), STAGING))
    result = run(restore(lambda: console_of(sandbox), source))
    mine = sandbox.state.objects[result.plan.ids[Key("destination", "warehouse-0001")]]
    rules = {"destination/Warehouse": {"password": "rotated"}}
    options = {"overlay": parse_overlay(rules), "allow_missing_secrets": True}
    run(restore(lambda: console_of(sandbox), source, **options))
    assert mine.config["password"] == "stand-in"
    asked = run(restore(lambda: console_of(sandbox), source, resend_secrets=True, **options))
    assert mine.config["password"] == "rotated"
    assert "password" not in {r.path for r in asked.found if r.name == "Warehouse"}
    rules["destination/Warehouse"] = {"password": "once more", "host": "elsewhere"}
    options["overlay"] = parse_overlay(rules)
    run(restore(lambda: console_of(sandbox), source, **options))
    assert (mine.config["password"], mine.config["host"]) == ("once more", "elsewhere")


def test_key_hashes_go_to_another_console_and_never_to_another_stream_of_the_same(
    sandbox: Sandbox, before: Snapshot
) -> None:
    stored = sandbox.state.objects["web-0001"].config["publicKeys"][0]["hash"]
    known = replace(before, secrets={Key("stream", "web-0001"): {"publicKeys.js.web.hash": stored}})
    target = Sandbox(default_state(), rate_limit=False)
    result = run(restore(lambda: console_of(target, OTHER), known))
    assert "js.web" not in {key.source_key_id for key in result.keys}
    assert target.state.objects["web-0001"].config["publicKeys"][0]["hash"] == stored
    second = run(restore(lambda: console_of(target, OTHER), known, STAGING, ids=Ids.NEW))
    assert "js.web" in {key.source_key_id for key in second.keys}  # production has that key already
    within = run(restore(lambda: console_of(sandbox), known))
    assert "js.web" in {key.source_key_id for key in within.keys}
    delete(sandbox.state, "web-0001")
    back = roll_back(sandbox, known)  # in place nobody else has it
    new = sandbox.state.objects[back.plan.ids[Key("stream", "web-0001")]]
    assert [key for key in back.keys if key.source_key_id == "js.web"] == []
    assert new.config["publicKeys"][0]["hash"] == stored


def test_with_the_operators_token_no_key_goes_to_a_second_stream_of_a_console(
    sandbox: Sandbox, before: Snapshot
) -> None:
    stored = sandbox.state.objects["web-0001"].config["publicKeys"][0]["hash"]
    known = replace(before, secrets={Key("stream", "web-0001"): {"publicKeys.js.web.hash": stored}})
    target = Sandbox(default_state(), rate_limit=False)
    for workspace_id in ("cone", "ctwo"):
        target.state.add_workspace(workspace_id, workspace_id, workspace_id, {})
        result = run(restore(lambda: console_of(target, OTHER, ADMIN), known, workspace_id))
        assert UNSEEN_KEYS not in result.plan.notes
    rows = [row for row in target.state.objects.values() if row.type == "stream"]
    assert [row.workspace_id for row in rows if stored in repr(row.config)] == ["cone"]


def test_a_key_that_cannot_see_every_workspace_hears_of_the_hashes_that_it_sends(
    sandbox: Sandbox, before: Snapshot
) -> None:
    stored = sandbox.state.objects["web-0001"].config["publicKeys"][0]["hash"]
    known = replace(before, secrets={Key("stream", "web-0001"): {"publicKeys.js.web.hash": stored}})
    target = Sandbox(default_state(), rate_limit=False)
    assert UNSEEN_KEYS in run(restore(lambda: console_of(target, OTHER), known)).plan.notes
    assert (
        UNSEEN_KEYS not in run(restore(lambda: console_of(target, OTHER), known)).plan.notes
    )  # none is sent
    assert UNSEEN_KEYS not in run(restore(lambda: console_of(sandbox), known)).plan.notes


@pytest.mark.parametrize("generation", Generation)
def test_hashes_that_the_operators_token_could_not_compare_are_reported_with_the_reason(
    generation: Generation, before: Snapshot
) -> None:
    known = replace(before, secrets={Key("stream", "web-0001"): {"publicKeys.js.web.hash": "salt.hash"}})
    target = Sandbox(default_state(generation=generation), rate_limit=False)

    def boom(_: int, request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(500, json={"error": "boom"}) if "export/streams" in request.url.path else None

    wrap = partial(Meddling, meddle=boom)
    notes = run(restore(lambda: console_of(target, OTHER, ADMIN, wrap=wrap), known)).plan.notes
    assert unread_keys("boom") in notes
    assert UNSEEN_KEYS not in notes


def test_a_new_key_of_a_stream_leaves_the_hints_of_its_other_keys(sandbox: Sandbox) -> None:
    source = sandbox.state.objects["web-0001"].config
    target = Sandbox(default_state(), rate_limit=False)
    target.state.workspaces[
        STAGING
    ].created_at = "2020-01-01T00:00:00.000Z"  # another console, whatever the clock

    def copy() -> Result:
        known = run(read(console_of(sandbox), STAGING))
        result: Result = run(restore(lambda: console_of(target, OTHER), known, ids=Ids.KEEP))
        return result

    copy()
    own = {"id": "own", "hash": "a.b", "hint": "own*key"}
    config = target.state.objects["web-0001"].config
    config["publicKeys"].append(own)
    keys = list(config["publicKeys"])
    source["publicKeys"].append({"id": "js.second", "hash": "x.y", "hint": "x*y"})
    assert len(copy().keys) == 1
    assert target.state.objects["web-0001"].config["publicKeys"][:-1] == keys
    assert all("hint" in key for key in keys)


def test_prune_spares_the_stream_of_a_mapping_and_the_image_of_a_service_that_stay(
    shell: Any, sandbox: Sandbox
) -> None:
    image = {"name": "Own", "package": "acme/own", "version": "1.0.0"}
    mapping = {"name": "Old keys", "objectType": "classic-mapping", "value": "strx=js.old.key"}
    for kind, one, config in (
        ("custom-image", "own-image", image),
        ("service", "own-service", {"name": "Own", "package": "acme/own", "credentials": {}}),
        ("stream", "strx", {"name": "X"}),
        ("misc", "own-keys", mapping),
    ):
        sandbox.state.add_object(PRODUCTION, kind, one, config)
    clone = (
        "clone", "acme-staging", "acme-production", "--match-by-name", "--prune", "--accept-shrink", "--skip", "misc",
        "--skip", "service", "--skip", "domain", "--allow-missing-secrets", "--keys-out", "keys.json", "--yes",
    )  # fmt: skip
    done = shell(*clone)
    assert done.returncode == 7, done.stdout
    told = " ".join(done.stdout.split())
    assert "misc 'Old keys' uses it and stays: keep this one with --skip=stream/strx" in told
    assert "service 'Own' uses it and stays: keep this one with --skip=custom-image/own-image" in told
    spared = shell(*clone, "--skip", "stream/strx", "--skip", "custom-image/own-image")
    assert spared.returncode in (0, 3), spared.stderr
    assert not sandbox.state.objects["strx"].deleted
