"""A folder as a snapshot, in place: what only the console changed since the folder was unpacked is kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from jitsu_backup.archive import digest, encode
from jitsu_backup.model import Key
from jitsu_backup.operations.folder import open_folder
from jitsu_backup.operations.third_side import NO_BASE
from jitsu_backup.operations.unpack import unpack
from jitsu_backup.planning import ActionKind, PlanOptions, parse_overlay
from jitsu_backup.reports.html import plan_page
from jitsu_backup.reports.markdown import plan_markdown
from jitsu_backup.sandbox import Generation
from tests.folders import Repository, action_of, repository
from tests.promotions import edit
from tests.restores.kit import delete, roll_back
from tests.support import PRODUCTION, STAGING, console_of, prepare, restore, run

ENRICH, BIGQUERY = Key("function", "enrich-0001"), Key("destination", "lake-0001")


@pytest.fixture
def repo(tmp_path: Path, request: pytest.FixtureRequest) -> Repository:
    return repository(tmp_path, getattr(request, "param", Generation.NEWEST))


@pytest.fixture(params=[False, True], ids=["plain", "redacted"])
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Repository:
    return repository(tmp_path, redacted=request.param)


EACH = pytest.mark.parametrize("repo", Generation, indirect=True, ids=lambda one: one.value)


@pytest.mark.parametrize("redacted", [False, True])
@pytest.mark.parametrize("generation", Generation, ids=lambda one: one.value)
def test_an_untouched_folder_writes_nothing(tmp_path: Path, generation: Generation, redacted: bool) -> None:
    repo = repository(tmp_path, generation, redacted=redacted)
    result = repo.silent_apply(prune=True)
    assert result.found == []
    kinds = {action.kind for action in result.plan.actions}
    assert kinds == {ActionKind.UNCHANGED}


@pytest.mark.parametrize("redacted", [False, True])
@pytest.mark.parametrize("generation", Generation, ids=lambda one: one.value)
def test_an_archive_that_differs_in_times_alone_serves_as_well(
    tmp_path: Path, generation: Generation, redacted: bool
) -> None:
    repo = repository(tmp_path, generation, redacted=redacted)
    state = repo.sandbox.state
    for row in (*state.objects.values(), *state.live_links(STAGING)):
        row.updated_at = "2026-11-20T00:00:00.000Z"
    later = repo.read()
    repo.folder.with_name("workspace.base").write_bytes(encode(later))
    assert digest(later) != open_folder(repo.folder).archive
    plan = repo.silent_apply(prune=True).plan
    assert {action.kind for action in plan.actions} == {ActionKind.UNCHANGED}
    assert NO_BASE not in plan.notes


@EACH
def test_an_edit_is_applied_and_a_second_run_writes_nothing(repo: Repository) -> None:
    repo.path("function/enrich-*.js").write_text("// edited")
    result = repo.apply()
    assert [action.key for action in result.plan.writes] == [ENRICH]
    assert repo.sandbox.state.objects[ENRICH.id].config["code"] == "// edited"
    assert repo.silent_apply().found == []


@EACH
def test_what_a_colleague_changed_in_the_console_is_kept_and_listed(repo: Repository) -> None:
    edit(repo.sandbox.state, BIGQUERY.id, project="of-a-colleague")
    repo.path("function/enrich-*.js").write_text("// edited")
    result = repo.apply()
    assert action_of(result.plan, BIGQUERY).own == ("project",)
    assert repo.sandbox.state.objects[BIGQUERY.id].config["project"] == "of-a-colleague"
    repo.silent_apply()


def test_a_field_that_both_changed_is_a_conflict_until_a_side_is_taken(either: Repository) -> None:
    edit(either.sandbox.state, BIGQUERY.id, project="of-a-colleague")
    either.edit("destination/bigquery-*.json", project="of-the-folder")
    action = action_of(either.plan(), BIGQUERY)
    assert (action.kind, action.conflicts) == (ActionKind.BLOCKED, ("project",))
    assert "since the folder was unpacked" in action.reason
    (change,) = action.fields
    assert (change.before, change.after) == ("of-a-colleague", "of-the-folder")
    either.silent_apply(take=("target:destination/BigQuery",))
    either.apply(take=("source:destination/BigQuery",))
    assert either.sandbox.state.objects[BIGQUERY.id].config["project"] == "of-the-folder"
    either.silent_apply()


def test_what_a_colleague_deleted_stays_deleted_until_the_folder_is_taken(repo: Repository) -> None:
    delete(repo.sandbox.state, BIGQUERY.id, cascade=True)
    action = action_of(repo.silent_apply().plan, BIGQUERY)
    assert action.kind is ActionKind.SKIPPED
    assert "deleted in the target since the folder was unpacked" in action.reason
    repo.apply(take=("source:destination/BigQuery",))
    assert "BigQuery" in {e.name for e in repo.read().of_type("destination")}


def test_what_a_colleague_made_is_kept_also_with_prune_and_goes_with_prune_own(repo: Repository) -> None:
    state = repo.sandbox.state
    state.add_object(STAGING, "function", "own-function", {"name": "Of a colleague", "code": "x"})
    repo.silent_apply(prune=True)
    repo.apply(prune=True, prune_own=True)
    assert state.objects["own-function"].deleted


def test_a_file_that_was_removed_is_deleted_with_prune_unless_a_colleague_changed_it(
    repo: Repository,
) -> None:
    state = repo.sandbox.state
    state.add_object(STAGING, "function", "spare", {"name": "Spare", "code": "x"})
    repo.unpack()
    repo.path("function/spare-*.json").unlink()
    repo.path("function/spare-*.js").unlink()
    repo.silent_apply()
    edit(state, "spare", code="// of a colleague")
    (blocked,) = repo.plan(prune=True).blocked
    assert "deleted in the folder, and changed in the target since the folder was unpacked" in blocked.reason
    edit(state, "spare", code="x")
    repo.apply(prune=True)
    assert state.objects["spare"].deleted


def test_a_write_key_that_a_colleague_deleted_is_not_recreated(repo: Repository) -> None:
    edit(repo.sandbox.state, "web-0001", publicKeys=[])
    repo.edit("stream/web-site-*.json", authorizedJavaScriptDomains="edited.example")
    plan = repo.apply().plan
    assert plan.made_keys == 0
    row = repo.sandbox.state.objects["web-0001"].config
    assert (row["publicKeys"], row["authorizedJavaScriptDomains"]) == ([], "edited.example")
    assert repo.plan(take=("source:stream/Web site",)).made_keys == 1


def test_without_what_it_was_unpacked_from_there_are_two_sides_and_the_plan_says_so(
    repo: Repository,
) -> None:
    repo.folder.with_name("workspace.base").unlink()
    edit(repo.sandbox.state, BIGQUERY.id, project="of-a-colleague")
    plan = repo.plan()
    assert action_of(plan, BIGQUERY).kind is ActionKind.UPDATE
    assert NO_BASE in plan.notes


@EACH
def test_a_new_file_keeps_its_id_where_that_is_free(repo: Repository) -> None:
    repo.add("function/new.json", id="new-function", name="New", code="// new")
    repo.add("stream/new.json", id="new-stream", name="New")
    repo.apply()
    assert repo.sandbox.state.objects["new-function"].config["code"] == "// new"
    assert repo.sandbox.state.objects["new-stream"].config["name"] == "New"
    repo.silent_apply()


@EACH
def test_a_new_file_gets_a_derived_id_where_its_own_is_taken_for_ever(repo: Repository) -> None:
    state = repo.sandbox.state
    state.add_object(STAGING, "function", "was-there", {"name": "Was there", "code": "x"})
    state.objects["was-there"].deleted = True
    repo.add("function/new.json", id="was-there", name="New", code="// new")
    repo.apply()
    (made,) = [e for e in repo.read().of_type("function") if e.name == "New"]
    assert made.key.id != "was-there"
    repo.silent_apply()


def test_after_a_rollback_the_new_ids_are_followed(repo: Repository) -> None:
    base = repo.read()
    delete(repo.sandbox.state, ENRICH.id)
    roll_back(repo.sandbox, base)
    repo.path("function/enrich-*.js").write_text("// edited")
    repo.apply()
    (found,) = [e for e in repo.read().of_type("function") if e.name == "Enrich"]
    assert found.key != ENRICH
    assert found.body["code"] == "// edited"
    repo.silent_apply()


# -- folders without secrets ---------------------------------------------------------


@pytest.fixture
def hidden(tmp_path: Path) -> Repository:
    return repository(tmp_path, redacted=True)


def test_an_update_of_a_redacted_folder_keeps_the_targets_secrets(hidden: Repository) -> None:
    state = hidden.sandbox.state
    hook = dict(state.objects["hook-0001"].config)
    hidden.edit("destination/alerts-webhook-*.json", method="PUT")
    hidden.edit("link/web-site--warehouse-*.json", data={
        "mode": "stream", "functionsEnv": {"API_TOKEN": "***", "MORE": "new"},
    })  # fmt: skip
    hidden.apply()
    assert {**state.objects["hook-0001"].config, "method": None} == {**hook, "method": None}
    (link,) = [one for one in state.live_links(STAGING) if "MORE" in (one.data.get("functionsEnv") or {})]
    assert link.data["functionsEnv"] == {"API_TOKEN": "env-secret", "MORE": "new"}
    hidden.silent_apply()


def test_a_secret_that_a_colleague_changed_stays(hidden: Repository) -> None:
    edit(hidden.sandbox.state, "ops-0001", slackWebhookUrl="https://hooks.acme.example/rotated")
    hidden.edit("notification/ops-*.json", channel="email")
    hidden.apply()
    row = hidden.sandbox.state.objects["ops-0001"].config
    assert row["slackWebhookUrl"] == "https://hooks.acme.example/rotated"


def test_a_new_entity_with_a_hidden_value_is_blocked_with_its_path(hidden: Repository) -> None:
    hidden.add(
        "destination/new.json", id="new-hook", name="New", destinationType="webhook", url="***", method="POST"
    )
    (blocked,) = hidden.plan().blocked
    assert blocked.reason.startswith("*** stands for the target's own value, but the target has none: url")


def test_a_hidden_value_that_the_target_does_not_have_is_blocked_with_its_path(hidden: Repository) -> None:
    hidden.edit("link/web-site--clickhouse-*.json", data={"functionsEnv": {"TOKEN": "***"}})
    (blocked,) = hidden.plan().blocked
    assert "the target has none: data.functionsEnv.TOKEN" in blocked.reason


@pytest.mark.parametrize("allow", [False, True])
def test_a_hidden_item_of_a_list_that_got_longer_is_blocked_and_nothing_of_the_list_is_lost(
    hidden: Repository, allow: bool
) -> None:
    hidden.edit("destination/alerts-webhook-*.json", headers=["X-New: 1", "***"])
    (blocked,) = hidden.plan(allow_missing_secrets=allow).blocked
    assert "it is unclear which one: headers.1" in blocked.reason
    overlay = parse_overlay({"destination/Alerts webhook": {"headers.1": "X-Old: 2"}})
    hidden.apply(overlay=overlay)
    assert hidden.sandbox.state.objects["hook-0001"].config["headers"] == ["X-New: 1", "X-Old: 2"]


def test_what_was_deleted_in_the_target_is_not_recreated_of_hidden_values(hidden: Repository) -> None:
    delete(hidden.sandbox.state, "hook-0001", cascade=True)
    hidden.silent_apply()
    plan = hidden.plan(take=("source:destination/Alerts webhook",))
    (blocked,) = [a for a in plan.blocked if a.key.type == "destination"]
    assert "the target has none" in blocked.reason


def test_a_password_in_an_address_in_code_is_the_targets_own(tmp_path: Path) -> None:
    repo = repository(tmp_path, redacted=True)
    state = repo.sandbox.state
    edit(state, ENRICH.id, code="fetch('https://bot:s3cret@api.example/a')")
    repo.unpack()
    code = repo.path("function/enrich-*.js")
    assert code.read_text() == "fetch('https://***@api.example/a')"
    repo.silent_apply()
    code.write_text("// edited\n" + code.read_text())
    repo.apply()
    assert state.objects[ENRICH.id].config["code"] == "// edited\nfetch('https://bot:s3cret@api.example/a')"
    repo.silent_apply()
    code.write_text(code.read_text() + "; fetch('https://***@other.example')")
    (blocked,) = repo.plan(allow_missing_secrets=True).blocked
    assert "it is unclear which one: code" in blocked.reason


def test_a_value_in_the_place_of_a_hidden_one_is_an_edit(hidden: Repository) -> None:
    hidden.edit("destination/alerts-webhook-*.json", url="https://hooks.acme.example/new")
    hidden.apply()
    row = hidden.sandbox.state.objects["hook-0001"].config
    assert row["url"] == "https://hooks.acme.example/new"
    assert row["headers"] == ["Authorization: Bearer hook-secret"]


def test_what_a_colleague_took_away_or_added_beside_hidden_values_is_kept(hidden: Repository) -> None:
    state = hidden.sandbox.state
    edit(state, "hook-0001", headers=["Authorization: Bearer hook-secret", "X-More: 1"])
    (link,) = [
        one for one in state.live_links(STAGING) if "API_TOKEN" in (one.data.get("functionsEnv") or {})
    ]
    link.data = {**link.data, "functionsEnv": {}}
    hidden.edit("destination/alerts-webhook-*.json", method="PUT")
    hidden.apply()
    row = state.objects["hook-0001"].config
    assert row["method"] == "PUT"
    assert row["headers"] == ["Authorization: Bearer hook-secret", "X-More: 1"]
    assert link.data["functionsEnv"] == {}
    hidden.silent_apply()
    (blocked,) = hidden.plan(take=("source:link",)).blocked
    assert "the target has none: data.functionsEnv.API_TOKEN" in blocked.reason


def test_a_redacted_folder_goes_into_another_workspace_that_has_the_secrets(hidden: Repository) -> None:
    result = run(restore(lambda: console_of(hidden.sandbox), hidden.read()))
    assert not [one for one in result.outcomes if one.failed]
    opened = open_folder(hidden.folder)
    options = PlanOptions(match_by_name=True)
    prepared = run(prepare(console_of(hidden.sandbox), PRODUCTION, opened.snapshot, options, lambda _: None))
    kinds = {(action.key.type, action.kind) for action in prepared.plan.actions if action.writes}
    assert kinds == set()


def test_a_secret_of_the_folder_goes_back_only_where_it_was_edited(repo: Repository) -> None:
    base = replace(repo.read(), secrets={BIGQUERY: {"keyFile": "of-the-archive"}})
    unpack(base, repo.folder, redacted=False)
    repo.folder.with_name("workspace.base").write_bytes(encode(base))
    repo.edit("destination/bigquery-*.json", project="edited")
    assert "keyFile" not in action_of(repo.plan(), BIGQUERY).body
    secrets = repo.folder / "secrets.json"
    secrets.write_text(secrets.read_text().replace("of-the-archive", "of-the-folder"))
    assert action_of(repo.plan(), BIGQUERY).body["keyFile"] == "of-the-folder"


def test_what_is_recreated_gets_the_hidden_values_of_what_it_takes_the_place_of(hidden: Repository) -> None:
    state = hidden.sandbox.state
    edit(state, "hook-0001", dataLayout="legacy")
    hidden.unpack()
    hidden.edit("destination/alerts-webhook-*.json", dataLayout=None)
    hidden.apply(recreate=True)
    (made,) = [e for e in hidden.read().of_type("destination") if e.name == "Alerts webhook"]
    assert made.key.id != "hook-0001"
    assert made.body["url"] == "https://hooks.acme.example/jitsu"
    assert made.body["headers"] == ["Authorization: Bearer hook-secret"]
    assert "dataLayout" not in made.body


def test_a_connection_with_another_end_keeps_its_hidden_values(hidden: Repository) -> None:
    hidden.edit("link/web-site--warehouse-*.json", fromId="server-0001")
    hidden.apply(prune=True)
    state = hidden.sandbox.state
    (link,) = [
        one for one in state.live_links(STAGING) if "API_TOKEN" in (one.data.get("functionsEnv") or {})
    ]
    assert (link.from_id, link.data["functionsEnv"]) == ("server-0001", {"API_TOKEN": "env-secret"})
    hidden.silent_apply(prune=True)


def test_a_function_that_a_colleague_took_out_of_a_connection_and_deleted_stays_away(
    repo: Repository,
) -> None:
    state = repo.sandbox.state
    (link,) = [one for one in state.live_links(STAGING) if "filter-0001" in str(one.data.get("functions"))]
    link.data = {**link.data, "functions": [f for f in link.data["functions"] if "filter" not in str(f)]}
    delete(state, "filter-0001")
    result = repo.silent_apply()
    assert result.found == []
    assert "filter-0001" not in str(link.data)


def test_reports_of_a_folder_tell_what_changed_since_it_was_unpacked(repo: Repository) -> None:
    edit(repo.sandbox.state, BIGQUERY.id, project="of-a-colleague")
    edit(repo.sandbox.state, ENRICH.id, code="// of a colleague", description="theirs")
    repo.edit("destination/bigquery-*.json", project="of-the-folder")
    repo.path("function/enrich-*.js").write_text("// of the folder")
    edit(repo.sandbox.state, "ops-0001", slackWebhookUrl="https://hooks.example/theirs")
    repo.edit("notification/ops-*.json", slackWebhookUrl="https://hooks.example/ours")
    edit(repo.sandbox.state, "filter-0001", name="of a colleague")
    prepared = repo.prepared()
    given = (prepared.plan, prepared.snapshot, prepared.live)
    page, comment = plan_page(*given), plan_markdown(*given)
    assert "last clone" not in (page + comment).lower()
    assert "the secrets differ" in page
    assert '<th scope="col">As unpacked</th>' in page
    assert "Kept in the target, changed since the folder was unpacked (1)" in page
    assert "Changed in the source since the folder was unpacked" in page
    assert '  - as unpacked: `"acme"`' in comment
    assert "- `code`, changed in the target since the folder was unpacked:" in comment
