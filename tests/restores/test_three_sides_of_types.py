"""Promotion with three sides, where types have rules of their own: functions in use, classic keys, overlays, types."""

from typing import Any

import pytest

from jitsu_backup.model import Key
from jitsu_backup.planning import ActionKind, Overlay, parse_overlay
from jitsu_backup.sandbox import Generation
from tests.promotions import Promotion, edit, key_named, promotion
from tests.restores.test_three_sides import action_of, both
from tests.support import PRODUCTION, STAGING, stand_ins


@pytest.fixture(params=[*Generation, "same console"], ids=lambda one: getattr(one, "value", one))
def cloned(request: pytest.FixtureRequest) -> Promotion:
    """Staging, cloned into production once."""
    same = request.param == "same console"
    made = promotion(same_console=True) if same else promotion(request.param)
    made.clone()
    return made


# -- functions that connections and profile builders run ------------------------


def _functions(row: Any) -> list[str]:
    data = row.data or {}
    return [item["functionId"].removeprefix("udf.") for item in data.get("functions", ())]


def _run(row: Any, *functions: str) -> None:
    row.data = {**(row.data or {}), "functions": [{"functionId": f"udf.{one}"} for one in functions]}


def _running(made: Promotion, function: str) -> list[Any]:
    """The connections of the target that run a function."""
    return [row for row in made.target.state.live_links(PRODUCTION) if function in _functions(row)]


def _replace_function(made: Promotion, old: str, *new: str) -> list[Any]:
    """Delete a function of the target, whose connections run others from now on."""
    changed = _running(made, old)
    for row in changed:
        _run(row, *new, *(one for one in _functions(row) if one != old))
    made.target.state.objects[old].deleted = True
    return changed


def test_a_connection_keeps_the_function_that_the_target_put_in_the_place_of_one_it_deleted(
    cloned: Promotion,
) -> None:
    _, there = both(cloned, "function", "Enrich")
    cloned.target.state.add_object(PRODUCTION, "function", "own-function", {"name": "Own", "code": "x"})
    changed = _replace_function(cloned, there, "own-function")
    for _ in range(2):
        links = [a for a in cloned.plan().actions if a.own == ("data.functions",)]
        assert {link.target_id for link in links} == {row.id for row in changed}
        assert not any(link.losses for link in links)
        cloned.silent_clone()
    assert all("own-function" in _functions(row) for row in changed)


def test_a_connection_that_the_target_took_a_deleted_function_out_of_takes_other_changes(
    cloned: Promotion,
) -> None:
    _, there = both(cloned, "function", "Enrich")
    (changed, *_) = _replace_function(cloned, there)
    cloned.silent_clone()
    (source,) = [
        row
        for row in cloned.source.state.live_links(STAGING)
        if row.type == "push" and cloned.id_in_target(Key("link", row.id)) == changed.id
    ]
    source.data = {**source.data, "batchSize": 77}
    cloned.clone()
    assert changed.data["batchSize"] == 77
    assert there not in _functions(changed)
    cloned.silent_clone()


def test_a_connection_that_still_names_a_function_that_the_target_deleted_takes_other_changes(
    cloned: Promotion,
) -> None:
    _, there = both(cloned, "function", "Enrich")
    changed = _running(cloned, there)
    cloned.target.state.objects[there].deleted = True
    cloned.silent_clone()
    for row in cloned.source.state.live_links(STAGING):
        if row.type == "push":
            row.data = {**(row.data or {}), "batchSize": 77}
    cloned.clone()
    assert all(there in _functions(row) and row.data["batchSize"] == 77 for row in changed)
    cloned.silent_clone()


def test_a_deleted_function_that_the_source_newly_runs_blocks_and_can_be_recreated(
    cloned: Promotion,
) -> None:
    key, there = both(cloned, "function", "Only known users")
    _replace_function(cloned, there)
    link = next(
        row for row in cloned.source.state.live_links(STAGING) if row.type == "push" and not _functions(row)
    )
    _run(link, key.id)
    action = action_of(cloned.plan(), Key("link", link.id))
    assert action.kind is ActionKind.BLOCKED
    assert "re-create it with --take='source:function/Only known users'" in action.reason
    cloned.clone(take=("source:function/Only known users",))
    new = key_named(cloned.live(), "function", "Only known users").id
    assert _functions(cloned.target.state.links[cloned.id_in_target(Key("link", link.id))]) == [new]
    cloned.silent_clone()


def test_a_function_that_is_recreated_does_not_come_back_to_where_the_target_replaced_it(
    cloned: Promotion,
) -> None:
    _, there = both(cloned, "function", "Enrich")
    cloned.target.state.add_object(PRODUCTION, "function", "own-function", {"name": "Own", "code": "x"})
    changed = _replace_function(cloned, there, "own-function")
    before = [_functions(row) for row in changed]
    cloned.clone(take=("source:function/Enrich",))
    assert [_functions(row) for row in changed] == before
    cloned.silent_clone()


def test_a_profile_builder_keeps_the_function_that_the_target_put_in_the_place_of_one_it_deleted() -> None:
    made = promotion()
    key = key_named(made.snapshot(), "function", "Enrich")
    (source,) = made.source.state.builders.values()
    options = {"functions": [{"functionId": f"udf.{key.id}"}]}
    source.fields["connectionOptions"] = {**source.fields["connectionOptions"], **options}
    made.clone()
    (there,) = made.target.state.builders.values()
    made.target.state.add_object(PRODUCTION, "function", "own-function", {"name": "Own", "code": "x"})
    own = {**there.fields["connectionOptions"], "functions": [{"functionId": "udf.own-function"}]}
    there.fields["connectionOptions"] = own
    _replace_function(made, made.id_in_target(key), "own-function")
    made.silent_clone()
    assert there.fields["connectionOptions"] == own


# -- classic keys ----------------------------------------------------------------


class Classic:
    """The classic keys of both sides, with streams by their names in the source."""

    def __init__(self, made: Promotion) -> None:
        self.made = made
        self.key, self.there = both(made, "misc", "Classic keys")
        streams = made.snapshot().of_type("stream")
        self.ids = {made.id_in_target(stream.key): stream.key.id for stream in streams}

    def source(self, *lines: str) -> None:
        edit(self.made.source.state, self.key.id, value="\n".join(lines))

    def target(self, *lines: str) -> None:
        own = {source: target for target, source in self.ids.items()}
        edit(self.made.target.state, self.there, value="\n".join(_of_streams(lines, own)))

    @property
    def lines(self) -> set[str]:
        lines = self.made.target.state.objects[self.there].config["value"].split("\n")
        return {*_of_streams(lines, self.ids)}


def _of_streams(lines: Any, ids: dict[str, str]) -> list[str]:
    parts = [line.partition("=") for line in lines]
    return ["".join((ids.get(stream, stream), *rest)) for stream, *rest in parts]


@pytest.fixture(params=[Generation.JULY_2026, Generation.NEWEST, "same console"])
def classic(request: pytest.FixtureRequest) -> Classic:
    same = request.param == "same console"
    made = promotion(same_console=True) if same else promotion(request.param)
    made.clone()
    found = Classic(made)
    found.source("web-0001=js.web", "app-0001=js.app")
    made.clone()
    return found


def test_a_mapping_of_classic_keys_keeps_the_name_that_the_target_gave_it(classic: Classic) -> None:
    edit(classic.made.target.state, classic.there, name="Keys of production")
    action = action_of(classic.made.plan(), classic.key)
    assert (action.kind, action.own) == (ActionKind.UNCHANGED, ("name",))
    classic.made.silent_clone()
    classic.source("web-0001=js.web", "app-0001=js.app", "backend-0001=js.new")
    classic.made.clone()
    assert classic.made.target.state.objects[classic.there].config["name"] == "Keys of production"


def test_classic_keys_that_the_target_removed_stay_removed(classic: Classic) -> None:
    classic.target("web-0001=js.web")
    for _ in range(2):
        assert action_of(classic.made.plan(), classic.key).own == ("value",)
        classic.made.silent_clone()
    classic.source("web-0001=js.web", "app-0001=js.app", "backend-0001=js.new")
    classic.made.clone()
    assert classic.lines == {"web-0001=js.web", "backend-0001=js.new"}
    classic.made.silent_clone()
    classic.made.clone(take=("source:misc/Classic keys",))
    assert classic.lines == {"web-0001=js.web", "app-0001=js.app", "backend-0001=js.new"}


def test_all_classic_keys_that_the_target_removed_stay_removed(classic: Classic) -> None:
    classic.target("")
    classic.made.silent_clone()
    assert classic.lines == {""}


def test_classic_keys_of_both_sides_come_together(classic: Classic) -> None:
    classic.target("web-0001=js.web", "own=js.own", "app-0001=js.app")
    classic.made.silent_clone()
    classic.source("web-0001=js.changed", "backend-0001=js.new")
    classic.made.clone()
    assert classic.lines == {"own=js.own", "web-0001=js.changed", "backend-0001=js.new"}
    classic.made.silent_clone()


@pytest.mark.parametrize("lines", [["app-0001=js.app"], ["web-0001=js.of-source", "app-0001=js.app"]])
@pytest.mark.parametrize("side", ["source", "target"])
def test_classic_keys_of_one_stream_that_both_sides_changed_are_a_conflict_until_one_is_taken(
    classic: Classic, lines: list[str], side: str
) -> None:
    of_target = ["web-0001=js.of-target", "app-0001=js.app", "own=js.own"]
    classic.target(*of_target)
    classic.source(*lines)
    assert action_of(classic.made.plan(), classic.key).conflicts == ("value",)
    classic.made.clone(take=(f"{side}:misc/Classic keys:value",))
    assert classic.lines == {*(of_target if side == "target" else lines), "own=js.own"}
    classic.made.silent_clone()


def test_classic_keys_that_the_target_had_before_the_first_clone_stay() -> None:
    made = promotion()
    made.clone()
    classic = Classic(made)
    classic.target("web-0001=js.own", "own=js.own")
    made.record = None
    for _ in range(3):
        made.silent_clone(match_by_name=True)
        assert classic.lines == {"web-0001=js.own", "own=js.own"}


# -- overlays --------------------------------------------------------------------


def _giving(made: Promotion, **rules: Any) -> Overlay:
    secrets, given = stand_ins(made.snapshot()), parse_overlay(rules)
    return Overlay((*secrets.rules, *given.rules), secrets.secrets)


@pytest.mark.parametrize("selector", ["destination/BigQuery", "destination/Big*"])
def test_an_overlay_settles_what_both_sides_changed(cloned: Promotion, selector: str) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    edit(cloned.source.state, key.id, project="of-source", bqDataset="of-source")
    edit(cloned.target.state, there, project="of-target")
    overlay = _giving(cloned, **{selector: {"project": "given"}})
    action = action_of(cloned.plan(overlay=overlay), key)
    assert (action.kind, action.own) == (ActionKind.UPDATE, ())
    assert {"project", "bqDataset"} <= {*action.changes}
    cloned.clone(overlay=overlay)
    assert cloned.target.state.objects[there].config["project"] == "given"
    cloned.silent_clone(overlay=overlay)


def test_an_overlay_settles_no_other_field(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    for state, one, side in ((cloned.source.state, key.id, "s"), (cloned.target.state, there, "t")):
        edit(state, one, project=side, bqDataset=side)
    overlay = _giving(cloned, **{"destination/BigQuery": {"project": "given"}})
    assert action_of(cloned.plan(overlay=overlay), key).conflicts == ("bqDataset",)


def test_a_new_line_of_an_overlay_wins_over_what_the_target_changed_and_the_target_when_it_is_taken(
    cloned: Promotion,
) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    edit(cloned.target.state, there, project="of-target")
    overlay = _giving(cloned, **{"destination/BigQuery": {"project": "given"}})
    assert action_of(cloned.plan(overlay=overlay, take=("target",)), key).own == ("project",)
    cloned.clone(overlay=overlay)
    assert cloned.target.state.objects[there].config["project"] == "given"
    cloned.silent_clone(overlay=overlay)


def test_what_the_target_changed_where_a_line_of_the_overlay_stayed_is_kept_until_the_line_changes(
    cloned: Promotion,
) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    overlay = _giving(cloned, **{"destination/BigQuery": {"project": "given"}})
    cloned.clone(overlay=overlay)
    edit(cloned.target.state, there, project="of-target")
    for _ in range(2):
        assert action_of(cloned.plan(overlay=overlay), key).own == ("project",)
        cloned.silent_clone(overlay=overlay)
    cloned.clone(overlay=_giving(cloned, **{"destination/BigQuery": {"project": "anew"}}))
    assert cloned.target.state.objects[there].config["project"] == "anew"


# -- destinations of another type --------------------------------------------------


@pytest.fixture
def turned(cloned: Promotion) -> Promotion:
    """The source has made its destination one of another type since the last clone."""
    key, _ = both(cloned, "destination", "BigQuery")
    cloned.source.state.objects[key.id].config = {
        "name": "BigQuery",
        "destinationType": "webhook",
        "url": "https://of-source.example",
        "method": "POST",
    }
    return cloned


def test_a_destination_gets_another_type_where_the_target_left_it_as_it_was(turned: Promotion) -> None:
    _, there = both(turned, "destination", "BigQuery")
    turned.clone()
    assert turned.target.state.objects[there].config["destinationType"] == "webhook"
    turned.silent_clone()


def test_what_the_target_changed_and_the_new_type_does_not_know_is_a_conflict_that_names_it(
    turned: Promotion,
) -> None:
    key, there = both(turned, "destination", "BigQuery")
    edit(turned.target.state, there, project="of-target")
    action = action_of(turned.plan(), key)
    assert (action.kind, action.conflicts) == (ActionKind.BLOCKED, ("project",))
    (change,) = action.fields
    assert (change.before, change.after) == ("of-target", None)
    turned.clone(take=("source:destination/BigQuery:project",))
    config = turned.target.state.objects[there].config
    assert config["destinationType"] == "webhook"
    assert "project" not in config
    turned.silent_clone()


def test_a_destination_keeps_its_type_with_the_changes_of_the_target_when_that_is_taken(
    turned: Promotion,
) -> None:
    _, there = both(turned, "destination", "BigQuery")
    edit(turned.target.state, there, project="of-target")
    before = dict(turned.target.state.objects[there].config)
    turned.clone(take=("target:destination/BigQuery",))
    for _ in range(2):
        turned.silent_clone()
    assert turned.target.state.objects[there].config == before


def test_a_destination_keeps_another_type_that_the_target_gave_it(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "BigQuery")
    cloned.target.state.objects[there].config = {
        "name": "BigQuery",
        "destinationType": "webhook",
        "url": "https://of-target.example",
        "method": "POST",
    }
    cloned.silent_clone()
    edit(cloned.source.state, key.id, name="The lake")
    cloned.clone()
    config = cloned.target.state.objects[there].config
    assert (config["name"], config["url"]) == ("The lake", "https://of-target.example")
    cloned.silent_clone()
    cloned.clone(take=("source",))
    assert cloned.target.state.objects[there].config["destinationType"] == "bigquery"
    cloned.silent_clone()


# -- the console's defaults --------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "field"), [("ClickHouse", "loadAsJson"), ("Alerts webhook", "method"), ("Warehouse", "port")]
)
def test_a_default_that_the_target_took_out_is_not_written_again(
    cloned: Promotion, name: str, field: str
) -> None:
    _, there = both(cloned, "destination", name)
    edit(cloned.target.state, there, **{field: None})
    cloned.silent_clone()
    cloned.silent_clone()


def test_a_default_that_the_target_took_out_comes_back_when_the_source_is_taken(cloned: Promotion) -> None:
    key, there = both(cloned, "destination", "Alerts webhook")
    edit(cloned.source.state, key.id, method="POST")
    cloned.clone()
    edit(cloned.target.state, there, method=None)
    cloned.silent_clone()
    cloned.clone(take=("source:destination/Alerts webhook",))
    assert cloned.target.state.objects[there].config["method"] == "POST"
