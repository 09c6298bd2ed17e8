"""Scenarios: write keys of streams."""

from jitsu_backup.model import Key
from jitsu_backup.planning import derived_id
from tests.planning.scenarios.scenario import WEB, Scenario, elsewhere, in_place, other_console, scenario
from tests.support import PRODUCTION, STAGING

KEYS = {
    "publicKeys": [
        {"id": "js.a", "hint": "a*a"},
        {"id": "js.b", "plaintext": "bb"},
        "odd",
        {"hint": "no id"},
    ],
    "privateKeys": [{"id": "s2s.a", "hint": "a*a"}, {"id": "s2s.used"}],
}
HASHES = {Key("stream", "web-1"): {"publicKeys.js.a.hash": "ha", "privateKeys.s2s.a.hash": "hs", "privateKeys.s2s.used.hash": "hu", "publicKeys.js.b.hash": "no"}}  # fmt: skip


@scenario
def key_hashes_go_to_another_console() -> Scenario:
    theirs = {"id": "theirs", "name": "Theirs", "domains": [], "privateKeys": [{"id": "s2s.used"}]}
    return other_console({"stream": [{**WEB, **KEYS}]}, {"stream": [theirs]}, of_snapshot={"secrets": HASHES})


@scenario
def key_hashes_do_not_go_where_another_workspace_has_them() -> Scenario:
    return other_console(
        {"stream": [{**WEB, **KEYS}]}, {}, of_snapshot={"secrets": HASHES}, keys_elsewhere=frozenset({"js.a"})
    )


@scenario
def key_hashes_stay_within_one_console() -> Scenario:
    return elsewhere({"stream": [{**WEB, **KEYS}]}, {}, of_snapshot={"secrets": HASHES})


@scenario
def key_hashes_go_to_a_stream_that_takes_a_deleted_ones_place() -> Scenario:
    return in_place({"stream": [{**WEB, **KEYS}]}, {}, of_snapshot={"secrets": HASHES})


@scenario
def a_stream_of_another_console_gets_the_keys_that_it_lacks() -> Scenario:
    live = {
        **WEB,
        "publicKeys": [{"id": "js.a"}, {"id": "js.mine"}, {"no": "id"}],
        "privateKeys": [{"id": derived_id(PRODUCTION, "privateKeys", "web-1/s2s.a")}],
    }
    return other_console(
        {"stream": [{**WEB, **KEYS}]}, {"stream": [live]}, of_snapshot={"secrets": HASHES}, prune=True
    )


@scenario
def keys_of_the_target_are_sent_again_as_they_are_listed() -> Scenario:
    own = {"id": "js.mine", "hint": "own*key", "name": "mobile", "expiresAt": "2027-01-01T00:00:00.000Z"}
    live = {**WEB, "publicKeys": [{"id": "js.a", "hint": "c*d"}, own], "privateKeys": [{"id": "s2s.a"}]}
    return other_console({"stream": [{**WEB, **KEYS}]}, {"stream": [live]})


@scenario
def a_stream_in_place_gets_new_keys_for_lost_ones() -> Scenario:
    live = {**WEB, "name": "Now", "publicKeys": [{"id": "js.a"}], "privateKeys": []}
    return in_place(
        {"stream": [{**WEB, **KEYS}]}, {"stream": [live]}, of_snapshot={"secrets": HASHES}, prune=True
    )


@scenario
def keys_cloned_there_and_back_meet_their_origin() -> Scenario:
    there = derived_id(STAGING, "publicKeys", "web-1/k1")
    stream = {
        **WEB,
        "id": derived_id(STAGING, "stream", "web-1"),
        "publicKeys": [{"id": there}, {"id": "new"}],
    }
    return elsewhere(
        {"stream": [stream]}, {"stream": [{**WEB, "publicKeys": [{"id": "k1"}, {"id": "k2"}]}]}, prune=True
    )
