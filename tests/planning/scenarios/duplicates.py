"""Scenarios: what is made beside a namesake of the target."""

from typing import Any

from jitsu_backup.planning import Ids
from tests.planning.scenarios.scenario import (
    BASE,
    CRM,
    DB,
    WEB,
    Lists,
    Scenario,
    db,
    elsewhere,
    here,
    in_place,
    link,
    scenario,
    sync,
    with_,
)

KEYED = {**WEB, "publicKeys": [{"id": "k"}]}
BEFORE = with_(BASE, link=[link("l1", "web-1", "db-1")])


def clone(live: Lists, before: Lists = BEFORE, **options: Any) -> Scenario:
    return elsewhere(before, live, **{"allow_missing_secrets": True, **options})


def beside(data: Any = None) -> Lists:
    """The clone's stream, connected to a destination that somebody has made."""
    stream = {**WEB, "id": here("stream", "web-1")}
    return {
        "stream": [stream],
        "destination": [{**DB, "id": "theirs"}],
        "link": [link("k", stream["id"], "theirs", data)],
    }


@scenario
def a_namesake_that_the_same_stream_feeds_blocks() -> Scenario:
    return clone(beside())


@scenario
def a_namesake_that_prune_deletes_is_no_double() -> Scenario:
    return clone(beside(), prune=True)


@scenario
def a_namesake_that_prune_does_not_reach_blocks() -> Scenario:
    return clone(beside(), prune=True, only=("destination/db-1", "link/l1"))


@scenario
def both_are_made_when_asked() -> Scenario:
    return clone(beside(), ids=Ids.NEW)


@scenario
def connections_that_are_switched_off_feed_nobody_twice() -> Scenario:
    return clone(beside({"disabled": True}))


@scenario
def connections_that_were_switched_off_feed_nobody_twice() -> Scenario:
    return clone(beside(), with_(BASE, link=[link("l1", "web-1", "db-1", {"disabled": True})]))


@scenario
def connections_that_are_made_switched_off_feed_nobody_twice() -> Scenario:
    return clone(beside(), disable_links=True)


@scenario
def what_is_made_without_its_connection_is_fed_by_nobody() -> Scenario:
    return clone(beside(), only=("destination/db-1",))


@scenario
def a_stream_that_is_made_beside_another_has_keys_of_its_own() -> Scenario:
    live = {"stream": [{**KEYED, "id": "theirs"}], "destination": [{**DB, "id": here("destination", "db-1")}]}
    return clone({**live, "link": [link("k", "theirs", here("destination", "db-1"))]})


@scenario
def prune_never_takes_a_streams_keys_for_one_of_the_same_name() -> Scenario:
    return clone({"stream": [{**KEYED, "id": "theirs"}]}, prune=True)


@scenario
def prune_takes_a_stream_without_keys() -> Scenario:
    return clone({"stream": [{**WEB, "id": "theirs"}]}, prune=True)


@scenario
def in_place_prune_takes_a_stream_that_somebody_has_made_again() -> Scenario:
    return in_place(BEFORE, with_(BEFORE, stream=[{**KEYED, "id": "hand"}], link=[]), prune=True)


@scenario
def syncs_between_namesakes_would_load_everything_twice() -> Scenario:
    before = {"service": [CRM], "destination": [DB], "link": [sync("y1", "crm-1", "db-1")]}
    live = {
        "service": [{**CRM, "id": "s"}],
        "destination": [{**DB, "id": "d"}],
        "link": [sync("y", "s", "d")],
    }
    return clone(live, before)


@scenario
def of_several_namesakes_names_cannot_choose() -> Scenario:
    live = beside()
    two = [{**DB, "id": "theirs"}, {**DB, "id": "more"}]
    before = with_(BASE, destination=[DB, db("db-2", host="x", name="Db-1")], link=BEFORE["link"])
    return clone({**live, "destination": two}, before)
