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


def test_a_link_that_lost_an_end_does_not_hide_the_one_that_was_made_again(cloned: Promotion) -> None:
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
