"""Scenarios: secrets."""

from typing import Any

from jitsu_backup.model import MASK, Key
from tests.planning.scenarios.scenario import (
    ENRICH,
    Lists,
    Scenario,
    builder,
    db,
    elsewhere,
    here,
    in_place,
    other_console,
    overlay,
    scenario,
)


@scenario
def missing_secrets_that_are_required_go_empty() -> Scenario:
    rows = [db("db-1", token=MASK, deep={"must": MASK}, list=[{"secret": MASK}, "x"])]
    return elsewhere({"destination": rows}, {}, allow_missing_secrets=True)


@scenario
def the_archives_secrets_go_elsewhere() -> Scenario:
    row = db("db-1", token=MASK, list=[{"secret": MASK}])
    secrets = {Key("destination", "db-1"): {"password": "pw", "token": "tk", "list.0.secret": "ls"}}
    return other_console({"destination": [row]}, {}, of_snapshot={"secrets": secrets})


@scenario
def the_archives_secrets_go_back_in_place_with_another_change() -> Scenario:
    rows = [db("db-1", host="then"), db("db-2", host="same")]
    secrets = {Key("destination", one): {"password": "pw"} for one in ("db-1", "db-2")}
    live = [db("db-1", host="now"), db("db-2", host="same")]
    return in_place({"destination": rows}, {"destination": live}, of_snapshot={"secrets": secrets})


@scenario
def secrets_are_sent_again_when_asked() -> Scenario:
    secrets = {Key("destination", "db-1"): {"password": "pw"}}
    row = db("db-1", token=MASK)
    given = overlay({"destination/db-1": {"token": "given"}}, "given")
    return in_place(
        {"destination": [row]}, {"destination": [row]}, of_snapshot={"secrets": secrets}, overlay=given, resend_secrets=True,
    )  # fmt: skip


@scenario
def an_overlays_hidden_secret_is_no_change_by_itself() -> Scenario:
    given = overlay({"destination/*": {"password": "given", "host": "there"}}, "given")
    rows = [db("db-1", host="there"), db("db-2", host="then")]
    return in_place({"destination": rows}, {"destination": rows}, overlay=given)


@scenario
def secrets_in_lists_that_changed_are_missing() -> Scenario:
    then = [
        db("db-1", list=[{"secret": MASK, "n": 1}]),
        db("db-2", list=[{"secret": MASK}]),
        db("db-3", list=[{"secret": MASK}]),
    ]
    now = [
        db("db-1", list=[{"secret": MASK, "n": 2}]),
        db("db-2", list=[{"secret": MASK}]),
        db("db-3", list=[{"secret": "shown"}]),
    ]
    return in_place({"destination": then}, {"destination": now}, allow_missing_secrets=True)


@scenario
def secrets_that_the_target_shows_or_lacks() -> Scenario:
    then = [db("db-1", token=MASK, apiKey=MASK, deep={"must": "m", "key": MASK})]
    now = [db("db-1", password="shown", token="", deep={"must": "m", "key": {"inner": MASK}})]
    return in_place({"destination": then}, {"destination": now}, allow_missing_secrets=True)


@scenario
def the_targets_own_secrets_in_clear_are_kept_between_workspaces() -> Scenario:
    then = {
        "apiKey": "staging", "headers": ["Authorization: staging"], "host": "h", "token": None,
        "list": [{"secret": "s"}], "deep": {"must": "m", "password": "staging", "credentials": {"x": 1}},
    }  # fmt: skip
    now = {
        "apiKey": "production", "headers": ["Authorization: production"], "host": "x", "token": "production",
        "list": [{"secret": "p"}], "deep": {"must": "m", "password": "production", "credentials": {"x": 2}},
    }  # fmt: skip
    given = overlay(
        {
            "destination/db-2": {"apiKey": "given", "deep.password": "given"},
            "function/enrich": {"secret": "s"},
        },
        "given",
    )
    rows = [db("db-1", **then), db("db-2", **then), db("db-3", **{**then, "apiKey": MASK})]
    live = [
        {**db(here("destination", one), **now), "name": one.title()} for one in ("db-1", "db-2")
    ] + [{**db(here("destination", "db-3"), **{**now, "apiKey": "", "headers": []}), "name": "Db-3"}]  # fmt: skip
    functions = [
        {
            "id": here("function", "enrich"),
            **{k: v for k, v in ENRICH.items() if k != "id"},
            "apiKey": "theirs",
        }
    ]
    return elsewhere(
        {"destination": rows, "function": [ENRICH]},
        {"destination": live, "function": functions},
        overlay=given,
        schemas={},
    )


@scenario
def secrets_that_only_the_table_knows_stay_the_targets_own() -> Scenario:
    def sides(one: str, **more: Any) -> Lists:
        amplitude = {"id": "a-1", "name": "A", "destinationType": "amplitude", "key": f"key-{one}"}
        mongo = {"id": "m-1", "name": "M", "destinationType": "mongodb", "url": f"mongodb://u:{one}@h/db"}
        hook = {"id": "h-1", "name": "H", "destinationType": "webhook", "url": f"https://{one}.example"}
        pb = builder(
            "pb-1", "pf-1", "a-1", intermediateStorageCredentials={"url": one},
            connectionOptions={"variables": {"K": one, **more}, "profileWindow": 1},
        )  # fmt: skip
        return {"destination": [amplitude, mongo, hook], "profile-builder": [pb]}

    live = sides("production", only="here")
    for rows, kind in ((live["destination"], "destination"), (live["profile-builder"], "profile-builder")):
        for row in rows:
            row["id"] = here(kind, row["id"])
    live["profile-builder"][0] |= {"name": "Changed", "destinationId": here("destination", "a-1")}
    return elsewhere(sides("staging"), live)
