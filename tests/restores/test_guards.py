"""What the settings say of a workspace: entities that stay, fields of its own, sets of selectors; and links that come along."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.catalogue import field_selector
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Key, Snapshot, value_at
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import Result
from jitsu_backup.planning import ActionKind, Ids, Overlay, PlanOptions
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace
from tests.generate import Generator
from tests.restores.kit import delete, plan_for, roll_back
from tests.support import (
    PRODUCTION,
    STAGING,
    console_of,
    example_sandbox,
    read,
    restore,
    run,
    stand_ins,
)
from tests.test_bad_input import refused

SETTINGS = """
[profiles.staging]
workspace = "acme-staging"

[profiles.production]
workspace = "acme-production"
"""
FIELDS = [
    "*/*:name", "function/*:code", "destination/*:hosts", "destination/*:username", "service/*:credentials",
    "service/*:version", "stream/*:domains", "link/*:data", "link/*:data.functions", "link/*:data.mode",
    "profile-builder/*:intermediateStorageCredentials", "destination/*:parameters.*", "notification/*:emails",
]  # fmt: skip


def target_of(sandbox: Sandbox) -> Snapshot:
    found: Snapshot = run(read(console_of(sandbox), PRODUCTION))
    return found


def cloned(sandbox: Sandbox, **options: Any) -> Result:
    """Clone staging into production, without what is blocked, and with a secret for all that is hidden and not ignored."""
    source = run(read(console_of(sandbox), STAGING))
    ignored = {field_selector(text).path[0] for text in options["ignored"]}
    rules = [r for r in stand_ins(source).rules if not any(path[0] in ignored for path in r.paths())]
    options |= {"overlay": Overlay(tuple(rules)), "allow_missing_secrets": True}
    blocked: set[str] = set()
    while found := {str(a.key) for a in plan_for(sandbox, source, PRODUCTION, **options).blocked} - blocked:
        blocked |= found
        options["skip"] = tuple(sorted(blocked))
    result: Result = run(restore(lambda: console_of(sandbox), source, **options))
    return result


def edit_by_hand(sandbox: Sandbox, dice: random.Random) -> None:
    """Give most entities of production values of their own in the fields that a test may ignore."""
    for row in sandbox.state.objects.values():
        if row.workspace_id == PRODUCTION and row.config.get("kind") != "profile" and dice.random() < 0.8:
            for name in ("name", "code", "username", "version"):
                if isinstance(row.config.get(name), str):
                    row.config[name] = f"own {dice.randrange(100)}"
            if row.type == "destination" and "hosts" in row.config:
                row.config["hosts"] = [f"own{n}" for n in range(dice.randrange(1, 3))]
            if row.type == "service":
                row.config["credentials"] = {**row.config["credentials"], "host": "own", "only": {"here": 1}}
    for link in sandbox.state.live_links(PRODUCTION):
        if link.type != "reverse-sync":
            link.data = {**(link.data or {}), "functions": [], "mode": dice.choice(["batch", "stream"])}


# -- ignored fields ----------------------------------------------------------------


@pytest.mark.parametrize("generation", list(Generation))
@pytest.mark.parametrize("seed", range(4))
def test_an_ignored_field_is_unchanged_after_a_clone_and_the_next_one_is_silent(
    seed: int, generation: Generation
) -> None:
    state = default_state(generation=generation)
    sandbox, dice = Sandbox(state, rate_limit=False), random.Random(seed)
    Generator(state, seed).fill(STAGING, 8)
    options: dict[str, Any] = {
        "check_schemas": False,
        "ids": Ids.NEW,
        "ignored": tuple(dice.sample(FIELDS, 5)),
    }
    cloned(sandbox, **options)
    edit_by_hand(sandbox, dice)
    Generator(state, seed + 50).mutate(PRODUCTION, 4)
    Generator(state, seed + 90).mutate(STAGING, 10)
    before = target_of(sandbox)
    options |= {"recreate": True, "prune": True, "accept_shrink": True}
    result = cloned(sandbox, **options)
    after = {entity.key: entity for entity in target_of(sandbox).entities}
    for text in options["ignored"]:
        chosen, _, path = text.partition(":")
        kind, field = chosen.partition("/")[0], tuple(path.removesuffix(".*").split("."))
        for entity in before.entities:
            now = after.get(entity.key)
            if now is not None and kind in ("*", entity.key.type):
                assert value_at(now.body, field) == value_at(entity.body, field), (text, entity.key)
    assert not [line for line in result.found if line.path == "name"]
    refused = {outcome.action.key for outcome in result.outcomes if outcome.status is Status.FAILED}
    assert {action.key for action in cloned(sandbox, **options).plan.writes} <= refused


def test_an_ignored_field_is_sent_as_it_is_where_a_put_replaces_the_whole_body_and_is_reported_as_kept() -> (
    None
):
    sandbox = example_sandbox()
    source = run(read(console_of(sandbox), STAGING))
    run(restore(lambda: console_of(sandbox), source))
    link = next(row for row in sandbox.state.live_links(PRODUCTION) if row.data.get("functions"))
    mode = link.data.get("mode")
    other = "stream" if mode == "batch" else "batch"
    link.data |= {"functions": link.data["functions"][:1], "batchSize": 7, "mode": other}
    result = run(
        restore(
            lambda: console_of(sandbox), source, ignored=("link/*:data.functions", "link/*:data.batchSize")
        )
    )
    (updated,) = (a for a in result.plan.actions if a.kind is ActionKind.UPDATE)
    assert (link.data["batchSize"], len(link.data["functions"]), link.data.get("mode")) == (7, 1, mode)
    assert updated.kept == ("data.batchSize", "data.functions")
    assert updated.changes == ("data.mode",)
    assert not [line for line in result.found if line.key.type == "link"]


def test_a_new_entity_gets_the_ignored_field_from_the_source() -> None:
    sandbox = example_sandbox()
    source = run(read(console_of(sandbox), STAGING))
    result = run(restore(lambda: console_of(sandbox), source, ignored=("*/*:name", "function/*:code")))
    made = sandbox.state.objects[result.plan.ids[Key("function", "enrich-0001")]]
    assert made.config["name"] == "Enrich"
    assert made.config["code"]


def test_an_entity_that_is_recreated_keeps_its_ignored_fields_and_hidden_ones_too(sandbox: Sandbox) -> None:
    before = run(read(console_of(sandbox), STAGING))
    warehouse = sandbox.state.objects["warehouse-0001"].config
    warehouse |= {"parameters": {"extra": "only here"}, "host": "of the target", "password": "of the target"}
    links = {e.key for e in before.of_type("link") if "warehouse-0001" in (e.body["fromId"], e.body["toId"])}
    moved = [
        row for row in sandbox.state.links.values() if Key("link", row.id) in links and row.type == "push"
    ]
    for row in moved:
        row.data["batchSize"] = 77
    ignored = ("destination/*:host", "destination/*:password", "link/*:data.batchSize")
    result = roll_back(sandbox, before, recreate=True, ignored=ignored)
    assert result.found == []
    made = sandbox.state.objects[result.plan.ids[Key("destination", "warehouse-0001")]].config
    assert (made["host"], made["password"]) == ("of the target", "of the target")
    assert made is not warehouse
    again = [
        row.data.get("batchSize")
        for row in sandbox.state.live_links(STAGING)
        if row.to_id == result.plan.ids[Key("destination", "warehouse-0001")] and row.type == "push"
    ]
    assert again == [77] * len(moved)


def test_an_ignored_domain_or_function_is_neither_missed_nor_blocks(sandbox: Sandbox) -> None:
    source = run(read(console_of(sandbox), STAGING))
    run(restore(lambda: console_of(sandbox), source))
    result = run(
        restore(lambda: console_of(sandbox), source, ignored=("stream/*:domains",), skip=("domain",))
    )
    assert not any(line.key.type == "stream" for line in result.found)


def test_ignored_write_keys_are_neither_made_nor_missed(sandbox: Sandbox) -> None:
    source = run(read(console_of(sandbox), STAGING))
    made = run(restore(lambda: console_of(sandbox), source)).plan.ids[Key("stream", "web-0001")]
    sandbox.state.objects[made].config |= {"publicKeys": [], "name": "Other"}
    assert plan_for(sandbox, source, PRODUCTION, allow_missing_secrets=True).made_keys > 0
    result = run(restore(lambda: console_of(sandbox), source, ignored=("stream/*:publicKeys",)))
    assert ([a.changes for a in result.plan.writes], result.keys) == ([("name",)], [])
    assert sandbox.state.objects[made].config["publicKeys"] == []


# -- protected entities ------------------------------------------------------------


def test_what_is_protected_is_not_recreated_without_the_flag(sandbox: Sandbox, before: Snapshot) -> None:
    sandbox.state.objects["warehouse-0001"].config["parameters"] = {"extra": "only here"}
    plan = plan_for(sandbox, before, recreate=True, protect=("destination/Warehouse",))
    (blocked,) = plan.blocked
    assert "use --unprotect=destination/Warehouse to re-create it" in blocked.reason
    sandbox.state.objects["warehouse-0001"].config["name"] = "DWH"  # the name in the snapshot counts too
    (blocked,) = plan_for(sandbox, before, recreate=True, protect=("destination/Warehouse",)).blocked
    assert "use --unprotect=destination/DWH to re-create it" in blocked.reason
    roll_back(sandbox, before, protect=("destination/Warehouse",))  # an update, as far as it reaches
    again = roll_back(
        sandbox, before, recreate=True, protect=("*",), unprotect=("destination/Warehouse", "link")
    )
    assert again.found == []


def test_a_profile_builder_is_not_deleted_while_its_function_is_protected(
    sandbox: Sandbox, before: Snapshot
) -> None:
    (builder,) = before.of_type("profile-builder")
    (function,) = builder.body["functions"]
    name = f"function/{function['functionId'] if 'functionId' in function else function['function']['id']}"
    lacking = snapshot_without(before, builder.key)
    plan = plan_for(sandbox, lacking, prune=True, protect=(name,))
    reasons = {a.key.type: a.reason for a in plan.blocked}
    assert "which would be deleted with it" in reasons["profile-builder"]
    assert name in reasons["profile-builder"]


def snapshot_without(snapshot: Snapshot, key: Key) -> Snapshot:
    return replace(snapshot, entities=tuple(e for e in snapshot.entities if e.key != key))


def settle(folder: Path, before: str = "", production: str = "", sets: str = "") -> None:
    (folder / "jitsu-backup.toml").write_text(f"{before}\n{SETTINGS}{production}\n{sets}")


@pytest.mark.parametrize("where", ["@production", "acme-production", PRODUCTION])
def test_the_settings_protect_a_workspace_however_it_is_named(
    shell: Any, sandbox: Sandbox, tmp_path: Path, where: str
) -> None:
    settle(tmp_path, production='protect = ["function/Mine"]')
    run(restore(lambda: console_of(sandbox), run(read(console_of(sandbox), STAGING))))
    sandbox.state.add_object(PRODUCTION, "function", "mine-0001", {"name": "Mine", "code": "x"})
    given = (
        "clone",
        "acme-staging",
        where,
        "--only",
        "function/*",
        "--prune",
        "--prune-own",  # the restore left no record
        "--allow-missing-secrets",
        "--yes",
    )
    done = shell(*given)
    assert done.returncode == 7, done.stderr
    assert (
        "function 'Mine': protected by 'function/Mine' in the setting protect: use --unprotect=function/Mine"
        in done.stderr
    )
    assert not sandbox.state.objects["mine-0001"].deleted
    assert "warning" not in shell("check", where).stdout
    assert shell(*given, "--unprotect", "function/Mine").returncode == 0
    says = "warning           protect: 'function/Mine' is not in acme-production; correct or remove it\n"
    assert says in shell("check", where).stdout
    assert sandbox.state.objects["mine-0001"].deleted
    again = shell(*given, "--unprotect", "function/Mine", "--dry-run")
    assert again.returncode == 0
    assert "--unprotect 'function/Mine' matches no protected entity of the target" in " ".join(
        again.stdout.split()
    )


def test_the_top_of_the_settings_protects_every_workspace_and_a_profile_only_its_own(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    shell("backup", "acme-staging")
    sandbox.state.add_object(STAGING, "function", "mine-0001", {"name": "Mine", "code": "x"})
    settle(tmp_path, production='protect = ["function/*"]')
    assert shell("restore", "latest", "--prune", "--dry-run").returncode == 0
    settle(tmp_path, before='protect = "function/*"')
    assert shell("restore", "latest", "--prune", "--dry-run").returncode == 7


def test_a_saved_plan_obeys_the_settings_of_whoever_carries_it_out_and_those_that_it_was_made_with(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    shell("backup", "acme-staging")
    sandbox.state.add_object(STAGING, "function", "mine-0001", {"name": "Mine", "code": "x"})
    sandbox.state.objects["enrich-0001"].config |= {"name": "Of production", "code": "y"}
    settle(tmp_path, before='ignore = ["function/*:name"]')
    assert shell("restore", "latest", "--prune", "--plan-out", "plan.json").returncode == 0
    assert json.loads((tmp_path / "plan.json").read_text())["options"]["ignored"] == ["function/*:name"]
    settle(tmp_path, before='protect = ["function/*"]')
    done = shell("restore", "--plan", "plan.json", "--yes")
    assert done.returncode == 7
    assert "function 'Mine': protected by '" in done.stderr
    settle(tmp_path)
    assert shell("restore", "--plan", "plan.json", "--unprotect", "function/Mine", "--yes").returncode == 2
    assert shell("restore", "--plan", "plan.json", "--yes").returncode == 0
    assert sandbox.state.objects["enrich-0001"].config["name"] == "Of production"
    assert sandbox.state.objects["enrich-0001"].config["code"] != "y"


def test_a_name_at_the_last_clone_protects_from_a_rollback_and_an_undo_and_check_knows_it(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    shell("backup", "acme-production")
    sandbox.state.add_object(PRODUCTION, "function", "mine-0001", {"name": "Mine", "code": "mine"})
    done = shell("clone", "acme-staging", "acme-production", "--only", "function/*", "--yes")
    assert done.returncode == 0, done.stderr
    (tmp_path / "jitsu-backup.toml").write_text('protect = ["function/Mine"]\n')
    sandbox.state.objects["mine-0001"].config["name"] = "Ours"
    protects = "protect: 'function/Mine' protects 'function/Ours' by an earlier name; replace that selector"
    back = ("restore", "acme-production/latest", "--prune", "--accept-shrink")
    refused(shell(*back, "--yes"), 7, "protected by 'function/Mine'", "--unprotect=function/Ours")
    assert protects in shell("check", "acme-production").stdout
    plan = json.loads(shell("--json", "undo", "acme-production", "--dry-run").stdout)["plan"]
    assert [note for note in plan["notes"] + plan["attention"] if "function/Mine" in note] == [protects]
    assert shell(*back, "--yes", "--unprotect=function/Mine").returncode in (0, 3)
    assert sandbox.state.objects["mine-0001"].deleted


# -- sets --------------------------------------------------------------------------


def test_a_set_chooses_as_its_selectors_do_and_what_they_need_is_reported(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    sets = '[sets.web]\nonly = ["link/Web site -> *", "function/*"]\nskip = ["link/Web site -> Warehouse"]'
    settle(tmp_path, sets=f'{sets}\n[sets.hooks]\nonly = "destination/Alerts webhook"')
    given = ("--allow-missing-secrets", "--dry-run")
    words = ("--only", "link/Web site -> *", "--only", "function/*", "--skip", "link/Web site -> Warehouse")
    one = shell("--json", "clone", "@staging", "@production", *words, *given)
    two = shell("--json", "clone", "@staging", "@production", "--set", "web", *given)
    assert two.returncode == 3, two.stderr
    assert {**json.loads(one.stdout), "snapshot": 0} == {**json.loads(two.stdout), "snapshot": 0}
    told = " ".join(shell("clone", "@staging", "@production", "--set", "web", *given).stdout.split())
    assert "is included" in told
    both = shell("--json", "clone", "@staging", "@production", "--set", "web", "--set", "hooks", *given)
    assert names_in(both.stdout) - names_in(one.stdout) == {"Alerts webhook"}


def names_in(document: str) -> set[str]:
    return {action["name"] for action in json.loads(document)["plan"]["actions"]}


@pytest.mark.parametrize(
    "command", [("diff", "latest"), ("restore", "latest"), ("clone", "@staging", "@production")]
)
def test_a_set_that_there_is_not_is_one_line_with_the_nearest_known(
    shell: Any, tmp_path: Path, command: tuple[str, ...]
) -> None:
    settle(tmp_path, sets='[sets.marketing]\nonly = ["function/*"]')
    shell("backup", "acme-staging")
    done = shell(*command, "--set", "marketting")
    assert done.returncode == 2
    assert "--set: unknown set 'marketting'; did you mean 'marketing'?" in done.stderr
    assert done.stderr.count("\n") == 1
    settle(tmp_path)
    assert "--set: unknown set 'x'; add [sets.NAME] to the settings" in shell(*command, "--set", "x").stderr


@pytest.mark.parametrize(
    "command", [("diff", "latest"), ("restore", "latest"), ("clone", "@staging", "@production")]
)
@pytest.mark.parametrize("key", ["only", "skip"])
def test_a_selector_that_finds_nothing_is_reported_with_the_set_that_it_is_from(
    shell: Any, tmp_path: Path, command: tuple[str, ...], key: str
) -> None:
    gone = {"only": ["stream/*"], key: ["function/Gone"]}
    told = "\n".join(f"{name} = {texts}" for name, texts in gone.items())
    settle(tmp_path, sets=f'[sets.web]\nonly = ["stream/*"]\n[sets.gone]\n{told}')
    shell("backup", "acme-staging")
    done = shell(*command, "--set", "web", "--set", "gone")
    if (command[0], key) == ("diff", "skip"):  # which may name what is on no side
        assert done.returncode == 0
        return
    assert done.returncode == 2
    assert "--set gone: 'function/Gone' " in done.stderr
    if key == "only":
        both = shell(*command, "--set", "gone", "--only", "function/Gone")
        assert "--only: 'function/Gone' " in both.stderr


def test_diff_shows_what_a_set_chooses_and_counts_what_is_ignored(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    sets = '[sets.code]\nonly = ["function/*", "destination/*"]\nskip = ["destination/Alerts*"]'
    settle(tmp_path, production='ignore = ["function/*:name", "destination/Warehouse:host"]', sets=sets)
    run(restore(lambda: console_of(sandbox), run(read(console_of(sandbox), STAGING))))
    rows = {
        row.config.get("name"): row.config
        for row in sandbox.state.objects.values()
        if row.workspace_id == PRODUCTION
    }
    rows["Enrich"] |= {"name": "Other", "code": "mine"}
    rows["Warehouse"]["host"] = "db.production"
    rows["Alerts webhook"]["url"] = "https://elsewhere.example"
    rows["Web site"]["name"] = "Site"
    report = json.loads(
        shell("--json", "diff", "live:acme-staging", "live:acme-production", "--set", "code").stdout
    )
    assert [(c["type"], [f["path"] for f in c["fields"]]) for c in report["changes"]] == [
        ("function", ["code"])
    ]
    assert report["notes"] == ["2 fields differ but are ignored by the setting ignore"]
    told = shell("diff", "live:acme-staging", "live:acme-production").stdout
    assert told.count("ignored") == 1
    settle(tmp_path, sets=sets)
    report = json.loads(
        shell("--json", "diff", "live:acme-staging", "live:acme-production", "--set", "code").stdout
    )
    assert len(report["changes"]) == 2


# -- links that come along ---------------------------------------------------------


@pytest.mark.parametrize("generation", list(Generation))
def test_with_links_restores_what_was_attached_and_what_that_needs(generation: Generation) -> None:
    state = default_state(generation=generation)
    example_workspace(state, STAGING)
    sandbox = Sandbox(state, rate_limit=False)
    before = run(read(console_of(sandbox), STAGING))
    attached = [
        e for e in before.entities
        if e.key.type in ("link", "reverse-sync") and "warehouse-0001" in (e.body["fromId"], e.body["toId"])
    ]  # fmt: skip
    delete(sandbox.state, "warehouse-0001", cascade=True)
    delete(sandbox.state, "enrich-0001")
    alone = plan_for(sandbox, before, only=("destination/Warehouse",))
    assert [a.key.type for a in alone.writes] == ["destination"]
    plan = plan_for(sandbox, before, only=("destination/Warehouse",), with_links=True)
    assert {a.key for a in plan.writes if a.key.type in ("link", "reverse-sync")} == {e.key for e in attached}
    assert any(
        "is included, because it is attached to destination 'Warehouse'" in note for note in plan.notes
    )
    assert any(a.key == Key("function", "enrich-0001") for a in plan.writes)
    result = roll_back(sandbox, before, only=("destination/Warehouse",), with_links=True)
    assert result.found == []
    assert plan_for(sandbox, before, only=("destination/Warehouse",), with_links=True).writes == ()
    skipped = plan_for(sandbox, before, only=("destination/Warehouse",), with_links=True, skip=("link/*",))
    assert not [a for a in skipped.actions if a.key.type == "link"]


def test_a_function_brings_the_connections_that_run_it(sandbox: Sandbox, before: Snapshot) -> None:
    plan = plan_for(sandbox, before, only=("function/Enrich",), with_links=True)
    runs = {e.key for e in before.of_type("link") if "udf.enrich-0001" in json.dumps(e.body)}
    assert runs
    assert {a.key for a in plan.actions} >= runs


def test_with_links_belongs_to_a_choice(shell: Any) -> None:
    with pytest.raises(UsageError, match="--with-links adds connections to what --only or --set selects"):
        PlanOptions(with_links=True)
    done = shell("clone", "acme-staging", "acme-production", "--with-links", "--dry-run")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
