"""What the record of a clone makes of changes during the run, of options, of partial clones and of write keys."""

import pytest

from jitsu_backup.model import Key
from jitsu_backup.planning import ActionKind, new_record
from jitsu_backup.sandbox import Generation
from tests.promotions import Promotion, edit, key_named, promotion
from tests.restores.kit import delete
from tests.support import PRODUCTION, STAGING


@pytest.fixture
def cloned() -> Promotion:
    made = promotion(Generation.JULY_2026)
    made.clone()
    return made


def there_of(made: Promotion, type_name: str, name: str) -> str:
    return made.id_in_target(key_named(made.snapshot(), type_name, name))


def edit_source(made: Promotion, name: str, **fields: str) -> None:
    edit(made.source.state, key_named(made.snapshot(), "function", name).id, **fields)


def test_what_the_target_changes_while_a_clone_writes_something_else_is_its_own(cloned: Promotion) -> None:
    enrich = there_of(cloned, "function", "Enrich")
    edit_source(cloned, "Only known users", code="// of staging")
    cloned.clone(meanwhile=lambda: edit(cloned.target.state, enrich, code="// a hot fix"))
    cloned.silent_clone()
    assert cloned.target.state.objects[enrich].config["code"] == "// a hot fix"


def test_what_the_target_changes_of_another_field_of_what_is_updated_is_its_own(cloned: Promotion) -> None:
    enrich = there_of(cloned, "function", "Enrich")
    edit_source(cloned, "Enrich", code="// of staging")
    cloned.clone(meanwhile=lambda: edit(cloned.target.state, enrich, description="of production"))
    cloned.silent_clone()
    assert cloned.target.state.objects[enrich].config["description"] == "of production"


def test_what_the_target_deletes_while_a_clone_runs_stays_deleted(cloned: Promotion) -> None:
    lake = there_of(cloned, "destination", "BigQuery")
    edit_source(cloned, "Enrich", code="// of staging")
    cloned.clone(meanwhile=lambda: delete(cloned.target.state, lake, cascade=True))
    cloned.silent_clone()
    assert len(cloned.plan().deleted_there) == 1


@pytest.mark.parametrize("partial", [{"only": ("function",)}, {"skip": ("stream",)}])
def test_a_partial_clone_forgets_no_write_key(partial: dict[str, tuple[str, ...]]) -> None:
    made = promotion(Generation.JULY_2026)
    for name in ("Web site", "Mobile app"):
        key = key_named(made.snapshot(), "stream", name)
        config = dict(made.source.state.objects[key.id].config)
        keys = {n: [{"id": f"{n}-{key.id}", "plaintext": "x"}] for n in ("publicKeys", "privateKeys")}
        made.target.state.add_object(PRODUCTION, "stream", f"own-{key.id}", {**config, **keys, "domains": []})
    made.clone(match_by_name=True)
    made.clone(**partial)
    assert made.plan().made_keys == 0
    made.clone()
    assert made.plan().made_keys == 0


@pytest.mark.parametrize("replaced", [False, True])
def test_a_write_key_that_the_target_deleted_stays_deleted_until_the_source_is_taken(
    cloned: Promotion, replaced: bool
) -> None:
    site = there_of(cloned, "stream", "Web site")
    own = [{"id": "own", "plaintext": "of production"}] if replaced else []
    edit(cloned.target.state, site, publicKeys=own)
    plan = cloned.plan()
    assert plan.made_keys == 0
    assert any(
        "1 write key deleted in the target since the last clone stays deleted" in n for n in plan.notes
    )
    cloned.silent_clone()
    assert cloned.plan(take=("source:stream/Web site",)).made_keys == 1


@pytest.mark.parametrize("fields", [{"disabled": True}, {"schedule": "0 9 * * 1"}])
def test_a_run_with_connections_switched_off_makes_nothing_of_the_targets_own_the_sources(
    cloned: Promotion, fields: dict[str, object]
) -> None:
    kind = "sync" if "schedule" in fields else "push"
    link = next(row for row in cloned.target.state.live_links(PRODUCTION) if row.type == kind)
    link.data = {**(link.data or {}), **fields}
    cloned.silent_clone()
    cloned.silent_clone(disable_links=True)
    cloned.silent_clone()
    assert fields.items() <= link.data.items()


def test_connections_that_a_clone_made_switched_off_are_switched_on_by_the_next() -> None:
    made = promotion(Generation.JULY_2026)
    made.clone(disable_links=True)
    made.silent_clone(disable_links=True)
    assert {a.key.type for a in made.clone().plan.writes} == {"link"}
    made.silent_clone()


def test_a_field_that_was_ignored_for_a_while_is_the_targets_own_as_before(cloned: Promotion) -> None:
    lake = there_of(cloned, "destination", "BigQuery")
    edit(cloned.target.state, lake, project="of-production")
    cloned.silent_clone()
    cloned.silent_clone(ignored=("destination/BigQuery:project",))
    cloned.silent_clone()
    assert cloned.target.state.objects[lake].config["project"] == "of-production"


def test_a_link_that_lost_an_end_does_not_hide_the_one_that_was_recreated(cloned: Promotion) -> None:
    hook = there_of(cloned, "destination", "Alerts webhook")
    link = next(row for row in cloned.target.state.live_links(PRODUCTION) if row.to_id == hook)
    link.data = {**(link.data or {}), "frequency": 9}
    cloned.silent_clone()
    live = cloned.live()
    delete(cloned.target.state, hook)
    cloned.roll_back(cloned.target, PRODUCTION, live)
    cloned.clone()
    (again,) = [
        row
        for row in cloned.target.state.live_links(PRODUCTION)
        if row.to_id == there_of(cloned, "destination", "Alerts webhook")
    ]
    assert again.data["frequency"] == 9
    assert [a.key.type for a in cloned.plan(prune=True).writes if a.kind is ActionKind.DELETE] == ["link"]


def test_what_a_failed_action_was_to_do_stays_to_be_done(cloned: Promotion) -> None:
    key = key_named(cloned.snapshot(), "function", "Enrich")
    edit(cloned.source.state, key.id, code="// of staging")
    prepared = cloned.prepared()
    cloned.record = new_record(
        prepared.snapshot,
        prepared.plan,
        prepared.options,
        prepared.live,
        prepared.live,
        prepared.plan.ids,
        {key},
    )
    assert [a.key for a in cloned.plan().writes] == [key]


# -- what was deleted ----------------------------------------------------------


@pytest.mark.parametrize("same_console", [True, False])
@pytest.mark.parametrize("gone", ["destination/BigQuery", "stream/Mobile app"])
def test_what_both_sides_lost_by_a_clone_and_both_got_back_is_not_made_a_second_time(
    gone: str, same_console: bool
) -> None:
    made = promotion(Generation.JULY_2026, same_console=same_console)
    made.clone()
    snapshot, live = made.snapshot(), made.live()
    delete(made.source.state, key_named(snapshot, *gone.split("/")).id, cascade=True)
    made.clone(prune=True)
    made.silent_clone(prune=True)
    made.roll_back(made.source, STAGING, snapshot)
    made.roll_back(made.target, PRODUCTION, live)
    assert made.plan(prune=True).made_keys == 0
    made.silent_clone(prune=True)
    assert made.live().manifest.counts == live.manifest.counts


@pytest.mark.parametrize("same_console", [True, False])
@pytest.mark.parametrize("generation", Generation, ids=lambda one: one.value)
def test_rollbacks_to_the_same_backup_again_and_again_make_nothing_a_second_time(
    generation: Generation, same_console: bool
) -> None:
    made = promotion(generation, same_console=same_console)
    made.clone()
    snapshot, live = made.snapshot(), made.live()
    for _ in range(3):
        for sandbox, workspace in ((made.source, STAGING), (made.target, PRODUCTION)):
            for object_type in ("stream", "destination"):
                for row in [*sandbox.state.live_objects(workspace, object_type)]:
                    delete(sandbox.state, row.id, cascade=True)
        made.roll_back(made.source, STAGING, snapshot)
        made.roll_back(made.target, PRODUCTION, live)
        made.silent_clone(prune=True)
    assert made.live().manifest.counts == live.manifest.counts


def test_what_the_source_recreated_in_the_target_is_known_by_what_it_was_before(cloned: Promotion) -> None:
    live = cloned.live()
    delete(cloned.target.state, there_of(cloned, "function", "Enrich"))
    cloned.clone(take=("source:function/Enrich",))
    cloned.target.state.objects[there_of(cloned, "function", "Enrich")].deleted = True
    cloned.roll_back(cloned.target, PRODUCTION, live)
    assert [a.key for a in cloned.plan().actions if a.kind in (ActionKind.CREATE, ActionKind.SKIPPED)] == []


def test_what_both_sides_lost_by_a_clone_is_copied_where_the_source_alone_got_it_back(
    cloned: Promotion,
) -> None:
    snapshot = cloned.snapshot()
    delete(cloned.source.state, key_named(snapshot, "destination", "BigQuery").id, cascade=True)
    cloned.clone(prune=True)
    cloned.roll_back(cloned.source, STAGING, snapshot)
    cloned.clone(prune=True)
    assert there_of(cloned, "destination", "BigQuery")
    cloned.silent_clone(prune=True)


def test_what_both_sides_lost_by_a_clone_is_the_targets_own_where_it_alone_got_it_back(
    cloned: Promotion,
) -> None:
    live = cloned.live()
    delete(cloned.source.state, key_named(cloned.snapshot(), "destination", "BigQuery").id, cascade=True)
    cloned.clone(prune=True)
    cloned.roll_back(cloned.target, PRODUCTION, live)
    cloned.silent_clone(prune=True)
    assert key_named(cloned.live(), "destination", "BigQuery")
    cloned.clone(prune=True, prune_own=True)
    assert cloned.live().manifest.counts["destination"] == live.manifest.counts["destination"] - 1


def test_what_the_target_keeps_although_the_source_deleted_it_is_asked_about_once(cloned: Promotion) -> None:
    snapshot, lake = cloned.snapshot(), there_of(cloned, "destination", "BigQuery")
    delete(cloned.source.state, key_named(snapshot, "destination", "BigQuery").id, cascade=True)
    edit(cloned.target.state, lake, project="of-production")
    assert cloned.plan(prune=True).blocked
    cloned.clone(prune=True, take=("target:destination/BigQuery",))
    cloned.silent_clone(prune=True)
    cloned.roll_back(cloned.source, STAGING, snapshot)
    assert [a.key for a in cloned.plan(prune=True).writes if a.key.type == "destination"] == []


def test_that_the_target_lost_most_of_a_type_is_asked_about_once(cloned: Promotion) -> None:
    live = cloned.live()
    for link in [*cloned.target.state.live_links(PRODUCTION)]:
        link.deleted = True
    assert cloned.plan().blocked
    cloned.silent_clone(take=("target",))
    assert not cloned.plan().blocked
    cloned.silent_clone()
    cloned.roll_back(cloned.target, PRODUCTION, live)
    cloned.silent_clone()


# -- what no clone has recorded ------------------------------------------------


def _connect_by_hand(made: Promotion, there: str, frequency: int) -> None:
    """Make the same connection in both workspaces, with other options in the target."""
    source, lake = (
        key_named(made.snapshot(), *one)
        for one in (("stream", "Backend events"), ("destination", "BigQuery"))
    )
    batch = {"mode": "batch", "frequency": 5}
    made.source.state.add_link(STAGING, "push", source.id, lake.id, batch)
    stream, destination = (made.id_in_target(one) for one in (source, lake))
    made.target.state.add_link(PRODUCTION, "push", stream, destination, {**batch, there: frequency})


def test_a_connection_that_both_sides_made_is_a_conflict_where_they_differ(cloned: Promotion) -> None:
    _connect_by_hand(cloned, "frequency", 60)
    assert [a.conflicts for a in cloned.plan().blocked] == [("data.frequency",)]
    cloned.silent_clone(take=("target",))
    cloned.silent_clone()


def test_what_one_side_alone_gave_to_what_both_made_comes_together(cloned: Promotion) -> None:
    _connect_by_hand(cloned, "batchSize", 60)
    cloned.silent_clone()


def test_what_both_sides_made_under_one_name_is_a_conflict_where_it_is_paired(cloned: Promotion) -> None:
    cloned.source.state.add_object(STAGING, "function", "ours", {"name": "Twice", "code": "// of staging"})
    cloned.target.state.add_object(
        PRODUCTION, "function", "theirs", {"name": "Twice", "code": "// of production"}
    )
    assert [a.conflicts for a in cloned.plan(match_by_name=True).blocked] == [("code",)]
    cloned.clone(match_by_name=True, take=("source:function/Twice",))
    assert cloned.target.state.objects["theirs"].config["code"] == "// of staging"
    cloned.silent_clone()


def test_what_the_target_recreated_by_hand_keeps_what_it_changed_on_the_way(cloned: Promotion) -> None:
    there = there_of(cloned, "function", "Enrich")
    row = cloned.target.state.objects[there]
    row.deleted = True
    own = {**row.config, "code": "// of production"}
    cloned.target.state.add_object(PRODUCTION, "function", "by-hand", own)
    edit_source(cloned, "Enrich", description="of staging")
    cloned.clone(mapping=(("function/Enrich", "function/by-hand"),))
    config = cloned.target.state.objects["by-hand"].config
    assert (config["code"], config["description"]) == ("// of production", "of staging")
    cloned.silent_clone()


def test_a_plan_says_what_it_updates_although_only_other_entities_were_ever_recorded(
    cloned: Promotion,
) -> None:
    enrich = there_of(cloned, "function", "Enrich")
    cloned.record = None
    edit(cloned.target.state, enrich, code="// a hot fix")
    cloned.clone(only=("function/Only known users",))
    (note,) = [note for note in cloned.plan().notes if note.startswith("no earlier clone recorded")]
    assert "function 'Enrich'" in note
    assert cloned.target.state.objects[enrich].config["code"] == "// a hot fix"
    cloned.clone()
    edit(cloned.target.state, enrich, code="// another")
    assert not [note for note in cloned.plan().notes if note.startswith("no earlier clone recorded")]


def test_what_a_clone_has_put_into_a_link_without_data_is_not_the_targets_own_change(
    cloned: Promotion,
) -> None:
    link = next(one for one in cloned.source.state.live_links(STAGING) if one.type == "push")
    there = cloned.id_in_target(Key("link", link.id))
    for state, one in ((cloned.source.state, link.id), (cloned.target.state, there)):
        state.links[one].data = None
    cloned.clone()
    for mode in ("batch", "stream"):
        link.data = {"mode": mode}
        cloned.clone()
    assert cloned.target.state.links[there].data == {"mode": "stream"}
