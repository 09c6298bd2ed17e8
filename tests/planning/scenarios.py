"""Scenarios of planning: a snapshot, a target and options each, small enough to follow by eye."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jitsu_backup.model import MASK, Key, Refusal, Snapshot
from jitsu_backup.planning import Ids, PlanOptions, derived_id, parse_overlay
from tests.support import PRODUCTION, STAGING, make_snapshot

Lists = dict[str, list[dict[str, Any]]]

OTHER = "https://other.example.com"
TYPES = ("custom-image", "destination", "domain", "function", "link", "misc", "notification", "profile-builder", "service", "stream")  # fmt: skip
MODERN = {"cloneId": {"type": "string"}}
TEXT, MAYBE = {"type": "string"}, {"type": ["string", "null"]}

SCHEMAS: dict[str, Any] = {
    "stream": {"type": "object", "properties": {**MODERN, "name": TEXT, "domains": {"type": "array"}}},
    "function": {
        "type": "object",
        "properties": {**MODERN, "name": TEXT, "code": TEXT, "since": {"type": "string", "format": "date-time"}},
    },
    "destination": {"type": "object", "properties": {**MODERN, "name": TEXT, "destinationType": TEXT}},
    "destination/db": {
        "type": "object",
        "required": ["name", "password"],
        "additionalProperties": False,
        "properties": {
            **MODERN, "id": TEXT, "type": TEXT, "workspaceId": TEXT, "name": TEXT, "destinationType": TEXT, "host": TEXT,
            "password": TEXT, "token": MAYBE, "port": {"type": "integer", "maximum": 9}, "mode": {"enum": [*"abdefghij"]},
            "kind": {"const": "fixed"}, "list": {"type": "array"}, "provisioned": {"type": "boolean"}, "apiKey": TEXT,
            "testConnectionError": TEXT, "ssl": {"type": "string", "default": "off"}, "headers": {"type": "array"},
            "deep": {
                "type": "object", "required": ["must"],
                "properties": {"must": TEXT, "more": {"type": "number", "default": 7}},
                "additionalProperties": {"type": "string"},
            },
            "closed": {"type": "object", "properties": {"in": TEXT}, "additionalProperties": False},
        },
    },
}  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """What a plan is made of."""

    snapshot: Snapshot
    live: Snapshot
    options: PlanOptions
    large: bool = False


SCENARIOS: dict[str, Callable[[], Scenario]] = {}


def scenario(make: Callable[[], Scenario]) -> Callable[[], Scenario]:
    SCENARIOS[make.__name__] = make
    return make


def side(lists: Lists, **more: Any) -> Snapshot:
    secrets = more.pop("secrets", {})
    types = more.pop("types", TYPES)
    made = make_snapshot({**{name: [] for name in types}, **lists}, **more)
    return replace(made, secrets=secrets)


def in_place(before: Lists, live: Lists, **options: Any) -> Scenario:
    """The same workspace, earlier and now."""
    sides = {name: options.pop(name, {}) for name in ("of_snapshot", "of_live")}
    return Scenario(
        side(before, **sides["of_snapshot"]),
        side(live, **sides["of_live"]),
        PlanOptions(**{"schemas": SCHEMAS, **options}),
    )


def elsewhere(before: Lists, live: Lists, **options: Any) -> Scenario:
    """Two workspaces of one console."""
    of_live = {"workspace_id": PRODUCTION, "slug": "acme-production", **options.pop("of_live", {})}
    return in_place(before, live, of_live=of_live, **options)


def other_console(before: Lists, live: Lists, **options: Any) -> Scenario:
    return elsewhere(before, live, of_live={"host": OTHER, **options.pop("of_live", {})}, **options)


def overlay(rules: dict[str, Any], *secrets: str) -> Any:
    return parse_overlay(rules, frozenset(secrets))


def here(type_name: str, source_id: str, attempt: int = 0) -> str:
    """The id that an entity has in the other workspace."""
    return derived_id(PRODUCTION, type_name, source_id, attempt)


def own(type_name: str, source_id: str, attempt: int = 0) -> str:
    """The id that an entity gets when it is made again in its own workspace."""
    return derived_id(STAGING, type_name, source_id, attempt)


def db(one: str, /, **more: Any) -> dict[str, Any]:
    return {"id": one, "name": one.title(), "destinationType": "db", "password": MASK, **more}


def link(one: str, source: str, target: str, data: Any = None, **more: Any) -> dict[str, Any]:
    return {"id": one, "type": "push", "fromId": source, "toId": target, "data": data, **more}


def sync(one: str, source: str, target: str, data: Any = None, **more: Any) -> dict[str, Any]:
    return link(one, source, target, data, **{"type": "sync", **more})


def builder(one: str, function: str, target: str, code: str = "code", **more: Any) -> dict[str, Any]:
    owned = {
        "functionId": function,
        "function": {"id": function, "config": {"code": code, **more.pop("config", {})}},
    }
    return {
        "id": one, "name": one.title(), "destinationId": target, "version": 1, "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z", "functions": [owned], "connectionOptions": {}, **more,
    }  # fmt: skip


WEB = {"id": "web-1", "name": "Web", "domains": []}
CRM = {"id": "crm-1", "name": "CRM", "package": "a/b", "credentials": {"host": "h", "password": MASK}}
ENRICH = {"id": "enrich", "name": "Enrich", "code": "one\ntwo", "kind": "event"}
DB = db("db-1", host="db.staging")
RUNS = {"functions": [{"functionId": "udf.enrich"}, {"functionId": "builtin.x"}]}
BASE: Lists = {"stream": [WEB], "destination": [DB], "function": [ENRICH], "service": [CRM], "link": [link("l1", "web-1", "db-1", RUNS)]}  # fmt: skip


def with_(lists: Lists, **more: Any) -> Lists:
    """`lists` with some types' entities replaced; names may write `_` for `-`."""
    return {**lists, **{name.replace("_", "-"): bodies for name, bodies in more.items()}}


# -- nothing to do, everything to do -------------------------------------------------------


@scenario
def nothing_differs() -> Scenario:
    return in_place(BASE, BASE)


@scenario
def everything_is_new_on_another_console() -> Scenario:
    rich = with_(
        BASE,
        link=[link("l1", "web-1", "db-1", RUNS), sync("y1", "crm-1", "db-1", {"schedule": "1", "streams": {}})],
        notification=[{"id": "ops-1", "name": "Ops", "slackWebhookUrl": "https://hooks/T0P", "events": ["b", "a"]}],
        misc=[{"id": "misc-1", "name": "Classic", "value": "web-1=js.k\n# note"}],
        domain=[{"id": "dom-1", "name": "*.Acme.example"}],
        profile_builder=[builder("pb-1", "pf-1", "db-1", intermediateStorageCredentials={"mongoUrl": "m://u:p@h"})],
        custom_image=[{"id": "img-1", "name": "Image", "package": "acme/x"}],
    )  # fmt: skip
    rich["function"] = [ENRICH, {"id": "pf-1", "name": "Pb-1", "kind": "profile", "code": "code"}]
    return other_console(
        rich, {}, allow_missing_secrets=True, of_snapshot={"cursors": {"y1": {"users": '{"c": 1}', "gone": "{}"}}},
    )  # fmt: skip


@scenario
def everything_is_new_in_another_workspace() -> Scenario:
    rich = with_(
        BASE,
        misc=[{"id": "misc-1", "name": "Classic", "value": "web-1=js.k"}],
        notification=[{"id": "ops-1", "name": "Ops", "slackWebhookUrl": "https://hooks/T0P", "apiKey": ""}],
        domain=[{"id": "dom-1", "name": "*.Acme.example"}, {"id": "dom-2", "name": "Free.example"}],
        destination=[db("db-1", apiKey="in-clear", headers=["Authorization: x"], host="web-1 and db-1")],
    )
    return elsewhere(
        rich, {}, allow_missing_secrets=True, domains_elsewhere={"*.acme.example": "acme-staging"}
    )


@scenario
def secrets_nobody_has_block_their_entity_and_its_links() -> Scenario:
    return elsewhere(BASE, {})


@scenario
def many_secrets_in_clear_are_named_up_to_six() -> Scenario:
    rows = [
        {"id": f"hook-{n}", "name": f"Hook {n}", "apiKey": f"k{n}", "list": [{"secret": "s"}]}
        for n in range(4)
    ]
    ops = [{"id": "ops-1", "name": "Ops", "slackWebhookUrl": "https://hooks/T0P"}]
    env = link("l1", "web-1", "hook-0", {"functionsEnv": {"A": "1", "B": "2"}, "password": "pw"})
    changed = overlay({"destination/hook-1": {"apiKey": "another"}}, "another")
    stream = {**WEB, "publicKeys": [{"id": "js.k", "hash": "h"}]}
    lists: Lists = {"stream": [stream], "destination": rows, "notification": ops, "link": [env]}
    return elsewhere(lists, {}, overlay=changed, schemas={})


# -- in place ---------------------------------------------------------------------------------


@scenario
def what_was_deleted_is_revived_under_another_id() -> Scenario:
    live = with_(BASE, destination=[], service=[], stream=[])
    cursors = {"cursors": {"y1": {"users": '{"c": 1}'}}}
    before = with_(BASE, link=[*BASE["link"], sync("y1", "crm-1", "db-1", {"schedule": "1"})])
    live["link"] = before["link"]
    return in_place(
        before, live, of_snapshot=cursors, of_live={"cursors": {"y1": {"users": '{"c": 2}', "new": "[]"}}}
    )


@scenario
def ids_of_earlier_attempts_are_taken_for_ever() -> Scenario:
    dangling = link("l9", "web-1", own("destination", "db-1"), None)
    live = with_(BASE, destination=[], link=[dangling])
    return in_place(BASE, live)


@scenario
def an_older_console_revives_nothing() -> Scenario:
    return in_place(BASE, with_(BASE, destination=[]), schemas={})


@scenario
def fields_are_changed_removed_and_out_of_reach() -> Scenario:
    before = with_(
        BASE,
        destination=[db("db-1", host="then", deep={"must": "m"}, list=[1, 2], testConnectionError="old")],
        function=[{**ENRICH, "code": "one\r\ntwo\nthree", "kind": None}],
        service=[{**CRM, "credentials": {"host": "h", "password": MASK, "tunnel": {"port": 1}}}],
        custom_image=[{"id": "img-1", "name": "Image", "deep": {"a": 1}}],
    )
    live = with_(
        BASE,
        destination=[
            db("db-1", host="now", deep={"must": "m", "more": 7, "extra": "e"}, list=[1], ssl="off", mode="a",
               testConnectionError="new"),
        ],
        function=[{**ENRICH, "description": "somebody's", "kind": "event"}],
        service=[{**CRM, "credentials": {"host": "x", "password": MASK, "tunnel": {"port": 1, "ssh": True}}}],
        custom_image=[{"id": "img-1", "name": "Image", "deep": {"a": 1, "b": {"c": 2}}}],
    )  # fmt: skip
    return in_place(before, live)


@scenario
def an_older_console_replaces_whole_fields() -> Scenario:
    before = with_(BASE, destination=[db("db-1", host="then", deep={"must": "m"})])
    live = with_(BASE, destination=[db("db-1", host="then", deep={"must": "m", "x": "y"}, mode="a")])
    live["stream"] = [{**WEB, "extra": {"a": 1}, "authorizedJavaScriptDomains": "acme.example"}]
    return in_place(before, live, schemas={})


@scenario
def a_streams_update_keeps_its_javascript_domains() -> Scenario:
    before = {
        **WEB,
        "authorizedJavaScriptDomains": "acme.example",
        "name": "Then",
        "domains": ["B.example", "a.example"],
    }
    before["extra"] = {"a": 1}
    return in_place({"stream": [before]}, {"stream": [{**before, "extra": {"a": 1, "b": 2}, "name": "Now", "domains": ["a.example", "b.example"], "x": 1}]})  # fmt: skip


@scenario
def a_domain_in_use_elsewhere_is_left_out_and_those_of_the_target_stay() -> Scenario:
    one = {**WEB, "domains": ["Used.example", "free.example", 7]}
    two = {"id": "app-1", "name": "App", "domains": ["used.example"]}
    live = {here("stream", "web-1"): ["own.example", "free.example"]}
    rows = [{"id": key, "name": "Web", "domains": value} for key, value in live.items()]
    return elsewhere(
        {"stream": [one, two]}, {"stream": rows}, domains_elsewhere={"used.example": "acme-staging"}
    )


@scenario
def a_dangling_link_stays_as_it_was() -> Scenario:
    links = [link("l1", "web-1", "gone"), link("l2", "nowhere", "db-1"), link("l3", "web-1", "db-1")]
    live = with_(
        BASE, link=[link("l1", "web-1", "gone"), link("l2", "elsewhere", "db-1"), link("l4", "web-1", "gone")]
    )
    return in_place(with_(BASE, link=links), live, prune=True)


@scenario
def the_same_workspace_under_another_host_name() -> Scenario:
    moment = {"workspace": {"createdAt": "2026-01-01T00:00:00Z"}}
    return in_place(
        BASE,
        with_(BASE, function=[{**ENRICH, "code": "x"}]),
        of_snapshot=moment,
        of_live={"host": OTHER, **moment},
    )


@scenario
def a_workspace_of_the_same_id_made_at_another_time_is_another_one() -> Scenario:
    return in_place(
        BASE, {}, of_snapshot={"workspace": {"createdAt": "2026-01-01T00:00:00Z"}},
        of_live={"workspace": {"createdAt": "2026-05-05T00:00:00Z"}}, same_console=False,
    )  # fmt: skip


# -- ids and pairing ------------------------------------------------------------------------------


@scenario
def ids_are_kept_on_another_console() -> Scenario:
    return other_console({"function": [ENRICH]}, {}, ids=Ids.KEEP)


@scenario
def ids_cannot_be_kept_within_one_console() -> Scenario:
    return elsewhere({"function": [ENRICH], "stream": [WEB]}, {}, ids=Ids.KEEP)


@scenario
def ids_are_new_on_another_console_when_asked() -> Scenario:
    return other_console({"function": [ENRICH]}, {}, ids=Ids.NEW)


@scenario
def a_kept_id_that_is_taken_gives_way() -> Scenario:
    dangling = link("l9", "web-1", "db-1", {"functions": [{"functionId": "udf.enrich"}]})
    return other_console({"function": [ENRICH], "stream": [WEB]}, {"link": [dangling]})


@scenario
def names_pair_what_is_alone_and_block_what_is_not() -> Scenario:
    before = {
        "function": [{"id": "f1", "name": "Same"}, {"id": "f2", "name": "Twice"}, {"id": "f3", "name": "Here"}, {"id": "f4", "name": "Here"}],
        "destination": [db("db-1", apiKey="a"), db("db-2")], "service": [CRM],
    }  # fmt: skip
    live = {
        "function": [{"id": "g1", "name": "Same"}, *({"id": f"g{n}", "name": "Twice"} for n in range(2, 8)), {"id": "h", "name": "Here"}],
        "destination": [{**db("x"), "name": "Db-1", "apiKey": "b"}, {**db("y"), "name": "Db-2", "destinationType": "other"},
                        {**db("z"), "name": "Db-2", "provisioned": True}],
        "service": [{**CRM, "id": "other-crm", "package": "c/d"}],
    }  # fmt: skip
    return elsewhere(before, live, match_by_name=True, allow_missing_secrets=True)


@scenario
def mappings_pair_and_say_when_they_are_not_needed() -> Scenario:
    before = {"function": [ENRICH, {"id": "filter", "name": "Filter", "code": "y"}], "stream": [WEB]}
    live = {
        "function": [
            {"id": "mine", "name": "Mine", "code": "x"},
            {"id": here("function", "filter"), "name": "Filter"},
            {"id": "spare", "name": "Spare"},
        ]
    }
    mapping = (("function/filter", "function/Spare"), ("function/Enrich", "function/Mine"))
    return elsewhere(before, live, mapping=mapping)


@scenario
def provisioned_destinations_pair_with_the_only_one_of_their_kind() -> Scenario:
    given = {"provisioned": True, "password": "x"}
    before = [
        db("p-1", **given),
        db(
            "q-1",
            **given,
        ),
        {**db("r-1", **given), "destinationType": "none"},
    ]
    before[1]["destinationType"] = "several"
    live = [
        db("mine", **given),
        {**db("m2", **given), "destinationType": "several"},
        {**db("m3", **given), "destinationType": "several"},
        db("plain"),
    ]
    lists = {
        "destination": before,
        "stream": [WEB],
        "link": [link("l1", "web-1", "q-1"), link("l2", "web-1", "p-1")],
    }
    return elsewhere(lists, {"destination": live}, prune=True, schemas={})


@scenario
def a_profile_builder_is_paired_with_its_function() -> Scenario:
    profile = {"id": "pf-1", "name": "Pb", "kind": "profile", "code": "code"}
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")], function=[ENRICH, profile])
    pb, target = here("profile-builder", "pb-1"), here("destination", "db-1")
    live = {
        "destination": [db(target, host="mine")],
        "profile-builder": [builder(pb, "their-pf", target, "other code", version=5, name="Mine")],
        "function": [{**profile, "id": "their-pf", "code": "other code"}],
    }
    return elsewhere(before, live, allow_missing_secrets=True)


# -- types and consoles ------------------------------------------------------------------------------


@scenario
def an_older_target_knows_fewer_types() -> Scenario:
    before = with_(
        BASE, misc=[{"id": "misc-1", "name": "M", "value": "web-1=k"}], profile_builder=[builder("pb-1", "pf-1", "db-1")],
        notification=[{"id": "ops-1", "name": "Ops"}],
    )  # fmt: skip
    types = ("stream", "destination", "function", "service", "link", "profile-builder")
    live = {"types": types, "not_offered": ("sync-cursor",)}
    before["link"] = [*before["link"], sync("y1", "crm-1", "db-1")]
    stranger = {"id": "old", "name": "Old"}
    return other_console(
        before, {"stream": [stranger]}, of_live=live, of_snapshot={"cursors": {"y1": {"users": "1"}}}, schemas={},
        allow_missing_secrets=True,
    )  # fmt: skip


@scenario
def a_type_that_the_table_lacks_is_carried_and_what_it_names_follows() -> Scenario:
    model = {
        "id": "model-1", "name": "web-1", "to": "db-1", "deep": [{"fn": "udf.enrich", "sql": "from db-1, db-1 and web-1"}, "enrich", 5], "zz": "from db-1",
    }  # fmt: skip
    types = {"types": (*TYPES, "model"), "generic": ("model",)}
    return elsewhere(
        with_(BASE, model=[model]), {}, of_live=types, of_snapshot=types, allow_missing_secrets=True
    )


@scenario
def texts_that_name_what_gets_another_id_are_told() -> Scenario:
    code = f"call('db-1', \"web-1\", {STAGING}, x, db-1)"
    before = with_(
        BASE, function=[{**ENRICH, "code": code}, {"id": "x", "name": "Short", "code": "enrich"}],
        profile_builder=[builder("pb-1", "pf-1", "db-1", "web-1 in a builder")],
        misc=[{"id": "misc-1", "name": "M", "value": "web-1=enrich", "note": "db-1"}],
    )  # fmt: skip
    return elsewhere(before, {}, allow_missing_secrets=True)


@scenario
def texts_in_place_name_only_what_was_made_anew() -> Scenario:
    before = with_(BASE, function=[{**ENRICH, "code": f"db-1 web-1 {STAGING}"}])
    return in_place(before, with_(before, destination=[], link=[]))


@scenario
def what_the_console_would_refuse_is_blocked() -> Scenario:
    rows = [
        db("bad-1", password="p", port="many", mode="c", kind="z", deep={"other": 3}, list={}, name=5),
        db("bad-2", password="p", token=5, port=99),
        {**db("bad-3", password="p"), "destinationType": "oracle"},
        {k: v for k, v in db("bad-4").items() if k != "password"},
        db("good", password="p", host="2026-01-01T00:00:00Z", closed={"in": "x", "out": "y"}, strange=1),
    ]
    functions = [
        {"id": "f1", "name": "2026-01-01T00:00:00Z", "code": "2026-01-01T00:00:00.123-05:00", "since": "2026-01-01T00:00:00Z"},
        {"id": "f2", "name": "2026-01-01", "code": "2026-01-01T00:00:00"},
    ]  # fmt: skip
    return elsewhere({"destination": rows, "function": functions}, {})


@scenario
def an_update_is_blocked_only_for_what_it_sends() -> Scenario:
    before = [
        db("db-1", host="then", mode="bad"),
        db("db-2", mode="bad", host="then"),
        db("db-3", deep={"must": "m", "more": "bad"}),
    ]
    live = [
        db("db-1", host="now", mode="bad"),
        db("db-2", mode="a", host="then"),
        db("db-3", deep={"must": "x", "more": 1}),
    ]
    return in_place({"destination": before}, {"destination": live})


@scenario
def unchecked_when_the_operator_says_so() -> Scenario:
    return elsewhere({"destination": [db("db-1", password="p", port="many")]}, {}, check_schemas=False)


# -- secrets ---------------------------------------------------------------------------------------------


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


# -- overlays ------------------------------------------------------------------------------------------------


@scenario
def an_overlay_changes_items_of_lists_nested_fields_and_dotted_names() -> Scenario:
    rules = {
        "destination/db-1": {
            "list": {"1": {"b": 2}}, "deep.must": "mm", "deep": {"x": {"y": 1}}, "x.y": 3, "host": "db.production",
            "headers": {"a": 1}, "closed": {}, "new.one.two": 1,
        },
        "destination/*": {"name": "Named"},
        "link/Web -> *": {"data": {"mode": "batch"}},
        "stream": {"nothing.known": 1},
    }  # fmt: skip
    row = db("db-1", list=[1, {"a": 1}], deep={"must": "m"}, **{"x.y": 1})
    return elsewhere(
        with_(BASE, destination=[row]), {}, overlay=overlay(rules), schemas={}, allow_missing_secrets=True
    )


@scenario
def a_field_that_some_chosen_entities_have_is_no_mistake() -> Scenario:
    other = {**db("db-2", password="p"), "destinationType": "other"}
    schemas = {**SCHEMAS, "destination/other": {"type": "object", "properties": {**MODERN, "cluster": TEXT}}}
    rules = {"destination/*": {"cluster": "c", "password": "given"}}
    return elsewhere({"destination": [DB, other]}, {}, overlay=overlay(rules, "given"), schemas=schemas)


@scenario
def what_the_target_would_drop_is_a_loss() -> Scenario:
    row = db(
        "db-1", strange=1, closed={"in": "a", "out": {"b": 1}}, deep={"must": "m", "free": "x"}, password="p"
    )
    return elsewhere({"destination": [row]}, {})


# -- streams' keys ------------------------------------------------------------------------------------------------


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
def a_stream_in_place_gets_new_keys_for_lost_ones() -> Scenario:
    live = {**WEB, "name": "Now", "publicKeys": [{"id": "js.a"}], "privateKeys": []}
    return in_place(
        {"stream": [{**WEB, **KEYS}]}, {"stream": [live]}, of_snapshot={"secrets": HASHES}, prune=True
    )


# -- links --------------------------------------------------------------------------------------------------------------


@scenario
def links_lack_ends_functions_and_permission() -> Scenario:
    links = [
        link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.enrich"}, {"functionId": "udf.gone"}, {"functionId": "udf.pf-1"}]}),
        link("l2", "web-1", "gone"), link("l3", "gone", "db-1"), link("l4", "web-1", "blocked"), link("l5", "left-out", "db-1"),
        link("l6", "web-1", "unknown"),
    ]  # fmt: skip
    before = with_(
        BASE, link=links, stream=[WEB, {"id": "left-out", "name": "Left out"}], destination=[{**DB, "password": "p"}, db("blocked")],
        profile_builder=[builder("pb-1", "pf-1", "db-1")], function=[ENRICH, {"id": "pf-1", "name": "P", "kind": "profile"}],
    )  # fmt: skip
    before["model"] = [{"id": "unknown", "name": "Unknown"}]
    links[5]["toId"], links[5]["fromId"] = "db-1", "unknown"
    return elsewhere(before, {}, skip=("stream/left-out", "function/enrich"))


@scenario
def links_are_paired_by_content_and_cursors() -> Scenario:
    one, two, three = (
        {"schedule": "1", "streams": {"a": {}}},
        {"schedule": "2", "streams": {"b": {}}},
        {"schedule": "3"},
    )
    before = with_(BASE, link=[
        sync("y1", "crm-1", "db-1", one, createdAt="2026-01-03"), sync("y2", "crm-1", "db-1", one, createdAt="2026-01-02"),
        sync("y3", "crm-1", "db-1", two, createdAt="2026-01-01"), sync("y4", "crm-1", "db-1", three),
    ])  # fmt: skip
    s, d = here("service", "crm-1"), here("destination", "db-1")
    live = {
        "service": [{**CRM, "id": s}], "destination": [{**DB, "id": d}],
        "link": [
            sync("x1", s, d, one, createdAt="2026-02-02"), sync("x2", s, d, one, createdAt="2026-02-01"),
            sync("x3", s, d, {**two, "schedule": "9"}), sync("x4", s, d, {"schedule": "3", "disabled": True}), sync("x5", s, d, {"other": 1}),
        ],
    }  # fmt: skip
    return elsewhere(
        before, live, prune=True, of_snapshot={"cursors": {"y1": {"a": '{"n": 1}'}, "y3": {"b": "{}", "c": "[1]"}}},
        of_live={"cursors": {"x2": {"a": "1"}, "x3": {"b": "2"}}},
    )  # fmt: skip


@scenario
def cursors_are_not_carried_when_asked_or_where_the_overlay_moves_an_end() -> Scenario:
    before = with_(
        BASE,
        destination=[DB, db("db-2")],
        link=[
            sync("y1", "crm-1", "db-1"),
            sync("y2", "crm-1", "db-2"),
            sync("y3", "crm-1", "db-2", {"schedule": "x"}),
        ],
    )
    rules = {"destination/db-1": {"host": "moved"}, "destination/db-2": {"name": "Renamed"}}
    cursors = {
        "cursors": {
            "y1": {"a": "1"},
            "y2": {"a": "1", "z": "{}"},
            "y3": {"a": "1", "bad": "{no json", "also": "", "z": "2"},
        }
    }
    return elsewhere(before, {}, overlay=overlay(rules), of_snapshot=cursors, allow_missing_secrets=True)


@scenario
def cursors_stay_behind_when_asked() -> Scenario:
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1")])
    return elsewhere(
        before, {}, of_snapshot={"cursors": {"y1": {"a": "1"}}}, cursors=False, allow_missing_secrets=True
    )


@scenario
def a_sync_that_another_run_made_gets_the_cursors_that_it_lacks() -> Scenario:
    s, d = here("service", "crm-1"), here("destination", "db-1")
    live = {
        "service": [{**CRM, "id": s}],
        "destination": [{**DB, "id": d}],
        "link": [sync("x1", s, d, {"schedule": "1"})],
    }
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1", {"schedule": "1"})])
    return elsewhere(
        before,
        live,
        of_snapshot={"cursors": {"y1": {"a": "1", "b": "2"}}},
        of_live={"cursors": {"x1": {"b": "9"}}},
    )


@scenario
def links_are_switched_off_but_for_those_the_target_has() -> Scenario:
    s, c, d, d2 = (
        here("stream", "web-1"),
        here("service", "crm-1"),
        here("destination", "db-1"),
        here("destination", "db-2"),
    )
    before = with_(BASE, destination=[DB, db("db-2"), db("db-3")], link=[
        link("l1", "web-1", "db-1", {"mode": "batch"}), link("l2", "web-1", "db-2"), link("l3", "web-1", "db-3"),
        sync("y1", "crm-1", "db-1", {"schedule": "1", "n": 1}), sync("y2", "crm-1", "db-2", {"schedule": "2"}), sync("y3", "crm-1", "db-3", {"schedule": "3"}),
    ])  # fmt: skip
    live = {
        "stream": [{**WEB, "id": s}], "service": [{**CRM, "id": c}], "destination": [{**DB, "id": d}, {**db("db-2"), "id": d2}],
        "link": [
            link("x1", s, d, {"mode": "batch", "disabled": False}), link("x2", s, d2),
            sync("z1", c, d, {"schedule": "9", "n": 2}), sync("z2", c, d2, {}),
        ],
    }  # fmt: skip
    return elsewhere(before, live, disable_links=True, allow_missing_secrets=True)


@scenario
def links_made_again_stay_switched_as_they_were() -> Scenario:
    before = with_(
        BASE,
        link=[link("l1", "web-1", "db-1", {"mode": "batch"})],
        destination=[db("db-1", host="then", mode="a")],
    )
    gone = own("destination", "db-1")
    live = with_(before, destination=[db("db-1", host="then"), {**db("db-1", host="then", mode="a"), "id": gone}],
                 link=[link("l1", "web-1", "db-1", {"mode": "stream", "disabled": False})])  # fmt: skip
    return in_place(before, live, disable_links=True, prune=True)


@scenario
def the_targets_own_environment_is_kept() -> Scenario:
    s, d, d2 = here("stream", "web-1"), here("destination", "db-1"), here("destination", "db-2")
    env = {"A": "staging", "B": "staging", "C": "staging"}
    before = with_(
        BASE,
        destination=[DB, db("db-2")],
        link=[link("l1", "web-1", "db-1", {"functionsEnv": env}), link("l2", "web-1", "db-2")],
    )
    live = {
        "stream": [{**WEB, "id": s}], "destination": [{**DB, "id": d}, {**db("db-2"), "id": d2}],
        "link": [link("x1", s, d, {"functionsEnv": {"A": "prod", "B": "prod", "D": "prod"}}), link("x2", s, d2, {"functionsEnv": {"A": "prod"}})],
    }  # fmt: skip
    rules = {"link/Web -> Db-1": {"data": {"functionsEnv": {"B": "given"}}}}
    return elsewhere(before, live, overlay=overlay(rules, "given"), allow_missing_secrets=True)


@scenario
def classic_keys_of_the_target_stay_and_new_lines_are_added() -> Scenario:
    s = here("stream", "web-1")
    before = {"stream": [WEB, {"id": "app-1", "name": "App"}], "misc": [
        {"id": "m1", "name": "Lines", "value": "web-1=js.a\n\napp-1 = js.b\n# two words\nother"}, {"id": "m2", "name": "None there", "value": "web-1=js.a"},
        {"id": "m3", "name": "No text", "value": 7},
    ]}  # fmt: skip
    live = {"stream": [{**WEB, "id": s}], "misc": [
        {"id": here("misc", "m1"), "name": "Lines", "value": f"# mine\n{s} = js.own"}, {"id": here("misc", "m2"), "name": "None there", "value": "nothing"},
        {"id": here("misc", "m3"), "name": "No text", "value": f"{s}=js.own"},
    ]}  # fmt: skip
    return elsewhere(before, live, schemas={})


@scenario
def unread_functions_of_a_link_are_noted() -> Scenario:
    data = {
        "functions": [{"functionId": "udf.nowhere"}, {"functionId": "udf.also", "functionOptions": {"a": 1}}]
    }
    return in_place(with_(BASE, link=[link("l1", "web-1", "db-1", data)]), BASE)


# -- selection -------------------------------------------------------------------------------------------------------------


@scenario
def only_takes_what_is_needed_along() -> Scenario:
    before = with_(BASE, destination=[{**DB, "password": "p"}], profile_builder=[builder("pb-1", "pf-1", "db-1")],
                   function=[ENRICH, {"id": "pf-1", "name": "P", "kind": "profile"}])  # fmt: skip
    before["link"] = [
        link(
            "l1", "web-1", "db-1", {"functions": [{"functionId": "udf.pf-1"}, {"functionId": "udf.enrich"}]}
        ),
        link("l2", "web-1", "gone"),
    ]
    return elsewhere(before, {}, only=("link/Web -> Db-1", "custom-image/*"))


@scenario
def only_and_skip_leave_the_rest_alone() -> Scenario:
    before = with_(BASE, function=[ENRICH, {"id": "filter", "name": "Filter", "code": "y"}])
    live = with_(
        BASE,
        function=[
            {**ENRICH, "code": "x"},
            {"id": "extra", "name": "Extra"},
            {"id": "spared", "name": "Spared"},
        ],
        stream=[{**WEB, "name": "x"}],
    )
    return in_place(
        before, live, only=("function", "link"), skip=("function/Filter", "function/spared"), prune=True
    )


@scenario
def what_still_names_a_deleted_one_outside_the_selection_is_told() -> Scenario:
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")])
    return in_place(
        before, with_(before, destination=[], function=[]), only=("destination/db-1", "function/enrich")
    )


@scenario
def a_profile_builder_outside_the_selection_blocks_nothing() -> Scenario:
    before = with_(BASE, profile_builder=[builder("pb-1", "pf-1", "db-1")])
    return elsewhere(before, {}, only=("profile-builder",), allow_missing_secrets=True)


# -- what is taken away --------------------------------------------------------------------------------------------------------


EXTRA: Lists = {
    "stream": [WEB, {"id": "old-1", "name": "Old", "publicKeys": [{"id": "js.o"}], "privateKeys": [{"id": "s.o"}, {"id": "s.p"}]}],
    "destination": [DB, db("old-2"), db("given", provisioned=True)],
    "function": [ENRICH, {"id": "old-3", "name": "Old"}, {"id": "old-pf", "name": "P", "kind": "profile"}, {"id": "kept-pf", "name": "K", "kind": "profile"}],
    "profile-builder": [builder("old-pb", "old-pf", "db-1"), builder("kept-pb", "kept-pf", "db-1")],
    "service": [CRM], "link": [link("l1", "web-1", "db-1", RUNS), link("old-l", "old-1", "old-2", {"mode": "x"})],
    "model": [{"id": "model-1", "name": "Model"}],
}  # fmt: skip


@scenario
def prune_takes_what_only_the_target_has_but_nothing_provisioned_or_unknown() -> Scenario:
    return in_place(BASE, EXTRA, prune=True, skip=("profile-builder/kept-pb",))


@scenario
def without_prune_what_only_the_target_has_stays() -> Scenario:
    return in_place(BASE, EXTRA)


@scenario
def prune_on_an_older_console_spares_links_of_equal_ends() -> Scenario:
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1", {"schedule": "1"})])
    live = with_(BASE, link=[
        sync("y1", "crm-1", "db-1", {"schedule": "1"}), sync("y2", "crm-1", "db-1", {"schedule": "2"}),
        link("l5", "web-1", "db-1"),
    ])  # fmt: skip
    return in_place(before, live, prune=True, schemas={})


@scenario
def prune_on_an_older_console_takes_links_that_all_go() -> Scenario:
    live = with_(
        BASE,
        link=[sync("y1", "crm-1", "db-1", {"schedule": "1"}), sync("y2", "crm-1", "db-1", {"schedule": "2"})],
    )
    return in_place(with_(BASE, link=[]), live, prune=True, schemas={})


@scenario
def prune_tells_that_the_snapshots_own_links_name_what_it_takes() -> Scenario:
    names = with_(BASE, link=[link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.ghost"}]})])
    live = with_(names, function=[ENRICH, {"id": "ghost", "name": "Ghost"}])
    return in_place(names, live, prune=True)


NARROW = db("db-1", host="h")
WIDE = db("db-1", host="h", mode="a", apiKey="shown")


def recreate(**more: Any) -> Scenario:
    before = with_(BASE, **{"destination": [NARROW], **more.pop("before", {})})
    live = with_(BASE, **{"destination": [WIDE], **more.pop("live", {})})
    return in_place(before, live, **{"recreate": True, **more})


@scenario
def recreate_makes_anew_what_an_update_cannot_reach_and_moves_its_links() -> Scenario:
    links = [link("l1", "web-1", "db-1", RUNS), sync("y1", "crm-1", "db-1", {"schedule": "1"})]
    return recreate(
        before={"link": links},
        live={"link": links},
        of_live={"cursors": {"y1": {"a": "5"}}},
        of_snapshot={"cursors": {"y1": {"a": "1"}}},
    )


@scenario
def recreate_is_not_done_unasked() -> Scenario:
    return recreate(recreate=False)


@scenario
def recreate_spares_what_a_link_that_the_snapshot_lacks_uses() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    return recreate(live={"stream": [WEB, app], "link": [*BASE["link"], link("l7", "app-1", "db-1")]})


@scenario
def recreate_under_prune_takes_such_a_link_away() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    return recreate(
        live={"stream": [WEB, app], "link": [*BASE["link"], link("l7", "app-1", "db-1")]}, prune=True
    )


@scenario
def recreate_under_prune_spares_such_a_link_that_is_skipped() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    live = {"stream": [WEB, app], "link": [*BASE["link"], link("l7", "app-1", "db-1")]}
    return recreate(live=live, prune=True, skip=("link/App -> *",))


@scenario
def recreate_spares_what_something_outside_the_restore_uses() -> Scenario:
    pb = [builder("pb-1", "pf-1", "db-1")]
    return recreate(before={"profile_builder": pb}, live={"profile_builder": pb}, skip=("profile-builder",))


@scenario
def recreate_spares_what_a_builder_that_the_snapshot_lacks_uses() -> Scenario:
    return recreate(live={"profile_builder": [builder("pb-1", "pf-1", "db-1")]})


@scenario
def recreate_under_prune_takes_such_a_builder_away() -> Scenario:
    return recreate(live={"profile_builder": [builder("pb-1", "pf-1", "db-1")]}, prune=True)


@scenario
def recreate_moves_a_builder_that_uses_it() -> Scenario:
    pb = [builder("pb-1", "pf-1", "db-1")]
    return recreate(before={"profile_builder": pb}, live={"profile_builder": pb})


@scenario
def recreate_in_another_workspace_keeps_the_targets_secrets() -> Scenario:
    d = here("destination", "db-1")
    live = {
        "destination": [
            {
                **db("db-1", host="h", mode="a", apiKey="production", token=MASK, closed={"in": MASK}),
                "deep": {"must": "m", "password": MASK, "token": MASK},
                "id": d,
            }
        ]
    }
    rules = {"destination/db-1": {"deep.token": "given"}}
    before = db(
        "db-1",
        host="h",
        apiKey="staging",
        token="",
        deep={"must": "m", "password": "staging", "token": "staging"},
    )
    return elsewhere({"destination": [before]}, live, recreate=True, overlay=overlay(rules, "given"))


@scenario
def recreate_needs_the_secrets() -> Scenario:
    d = here("destination", "db-1")
    live = {"destination": [{**db("db-1", host="h", mode="a", password=""), "id": d}]}
    return elsewhere(
        {"destination": [db("db-1", host="h", list=[{"secret": MASK}])]},
        live,
        recreate=True,
        allow_missing_secrets=False,
    )


@scenario
def recreate_that_has_used_up_its_ids_leaves_the_old_one() -> Scenario:
    last = own("destination", "db-1", 15)
    live = with_(BASE, destination=[{**WIDE, "id": last}], link=[link("l1", "web-1", last, RUNS)])
    return in_place(with_(BASE, destination=[NARROW]), live, recreate=True)


@scenario
def recreate_makes_a_builder_anew_whose_function_is_gone() -> Scenario:
    pb = builder("pb-1", "pf-1", "db-1")
    gone = builder("pb-1", "pf-1", "db-1")
    gone["functions"][0]["function"]["deleted"] = True
    return in_place(with_(BASE, profile_builder=[pb]), with_(BASE, profile_builder=[gone]), recreate=True)


@scenario
def a_builder_whose_function_is_gone_is_told() -> Scenario:
    pb = builder("pb-1", "pf-1", "db-1", "then")
    pb["functions"].append({"functionId": "pf-2", "function": {"config": {"code": "second"}}})
    gone = builder("pb-1", "pf-1", "db-1", "now", version=7)
    gone["functions"][0]["function"]["deleted"] = True
    twice = builder("pb-2", "pf-3", "db-1", "then", version=2)
    given = overlay({"profile-builder/pb-2": {"code": "given"}})
    bare = {**builder("pb-3", "pf-4", "db-1"), "functions": None}
    live = [gone, builder("pb-2", "pf-3", "db-1", "then", version=3), bare]
    return in_place(
        with_(BASE, profile_builder=[pb, twice, bare]), with_(BASE, profile_builder=live), overlay=given
    )


HALF = with_(
    BASE, destination=[WIDE, {**NARROW, "id": own("destination", "db-1")}],
    link=[link("l1", "web-1", "db-1", RUNS), sync("y1", "crm-1", "db-1", {"schedule": "1"}),
          sync("y9", "crm-1", own("destination", "db-1"), {"schedule": "1"})],
)  # fmt: skip
HALF_BEFORE = with_(
    BASE,
    destination=[NARROW],
    link=[link("l1", "web-1", "db-1", RUNS), sync("y1", "crm-1", "db-1", {"schedule": "1"})],
)
HALF_CURSORS = {"of_live": {"cursors": {"y1": {"a": "5", "b": "[]"}, "y9": {"b": "1"}}}}


@scenario
def a_recreate_stopped_half_way_is_finished() -> Scenario:
    return in_place(HALF_BEFORE, HALF, recreate=True, **HALF_CURSORS)


@scenario
def a_recreate_stopped_half_way_is_told() -> Scenario:
    return in_place(HALF_BEFORE, HALF, **HALF_CURSORS)


@scenario
def a_recreate_stopped_half_way_is_finished_by_prune_but_not_what_is_skipped() -> Scenario:
    return in_place(HALF_BEFORE, HALF, prune=True, skip=("destination",), **HALF_CURSORS)


@scenario
def a_recreate_stopped_half_way_leaves_an_old_one_that_somebody_uses_since() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    live = with_(HALF, stream=[WEB, app], link=[*HALF["link"], link("l7", "app-1", "db-1")])
    return in_place(HALF_BEFORE, live, recreate=True, **HALF_CURSORS)


@scenario
def a_recreate_stopped_half_way_is_finished_by_prune_with_what_uses_the_old_one() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    live = with_(HALF, stream=[WEB, app], link=[*HALF["link"], link("l7", "app-1", "db-1")])
    return in_place(HALF_BEFORE, live, prune=True, **HALF_CURSORS)


@scenario
def recreate_that_is_not_safe_leaves_other_losses_as_they_are() -> Scenario:
    app = {"id": "app-1", "name": "App", "domains": []}
    live = {"stream": [WEB, app], "link": [*BASE["link"], link("l7", "app-1", "db-1")]}
    return recreate(before={"destination": [{**NARROW, "strange": 1}]}, live=live)


@scenario
def recreate_spares_a_service_that_a_sync_which_the_snapshot_lacks_reads() -> Scenario:
    wide = {**CRM, "credentials": {**CRM["credentials"], "more": 1}}
    live = with_(BASE, service=[wide], link=[*BASE["link"], sync("y1", "crm-1", "db-1")])
    return in_place(BASE, live, recreate=True)


@scenario
def recreate_does_not_mind_what_is_left_out_and_does_not_use_it() -> Scenario:
    return recreate(only=("destination", "link", "stream"))


@scenario
def recreate_under_prune_looks_at_all_that_use_it() -> Scenario:
    kept, extra = builder("pb-1", "pf-1", "db-1"), builder("a-pb", "pf-2", "db-1")
    both = {"profile_builder": [extra, kept]}
    return recreate(before={"profile_builder": [kept]}, live=both, prune=True, skip=("profile-builder/pb-1",))


@scenario
def recreate_of_a_builder_needs_its_secrets() -> Scenario:
    pb, gone = (
        builder("pb-1", "pf-1", "db-1", intermediateStorageCredentials={"mongoUrl": MASK}) for _ in range(2)
    )
    gone["functions"][0]["function"]["deleted"] = True
    return in_place(with_(BASE, profile_builder=[pb]), with_(BASE, profile_builder=[gone]), recreate=True)


@scenario
def a_recreate_stopped_half_way_with_several_syncs_is_finished() -> Scenario:
    new = own("destination", "db-1")
    one, two = {"schedule": "1"}, {"schedule": "2"}
    syncs = [
        sync("y1", "crm-1", "db-1", one),
        sync("y2", "crm-1", "db-1", two),
        sync("y3", "crm-1", "db-1", one),
    ]
    before = with_(BASE, destination=[NARROW], link=syncs)
    live = with_(
        BASE,
        destination=[WIDE, {**NARROW, "id": new}],
        link=[*syncs, sync("z1", "crm-1", new, one), sync("z2", "crm-1", new, {**two, "n": 1})],
    )
    return in_place(before, live, recreate=True, of_live={"cursors": {"y1": {"a": "1"}, "y2": {"b": "2"}}})


@scenario
def prune_takes_spare_syncs_of_several_pairs() -> Scenario:
    before = with_(
        BASE,
        destination=[DB, db("db-2")],
        link=[sync("y1", "crm-1", "db-1", {"n": 1}), sync("y2", "crm-1", "db-2", {"n": 1})],
    )
    spare = [sync("x1", "crm-1", "db-1", {"n": 2}), sync("x2", "crm-1", "db-2", {"n": 2})]
    return in_place(before, with_(before, link=[*before["link"], *spare]), prune=True)


# -- links once more ----------------------------------------------------------------------------


@scenario
def links_without_a_type_are_connections() -> Scenario:
    bare = {"id": "l1", "fromId": "web-1", "toId": "db-1", "data": {"mode": "batch"}}
    live = with_(BASE, link=[link("x1", "web-1", "db-1", {"mode": "batch"}), sync("x2", "web-1", "db-1")])
    return in_place(with_(BASE, link=[bare]), live, prune=True)


@scenario
def an_end_must_be_of_the_right_type() -> Scenario:
    links = [
        link("l1", "web-1", "web-1"),
        link("l2", "db-1", "db-1", {"functions": [{"functionId": "udf.web-1"}, {"functionId": "enrich"}]}),
    ]
    return elsewhere(with_(BASE, link=links), {}, allow_missing_secrets=True)


@scenario
def unlike_syncs_are_paired_by_their_cursors() -> Scenario:
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1", {"n": 1}), sync("y2", "crm-1", "db-1", {"n": 2})])
    live = with_(BASE, link=[sync("x1", "crm-1", "db-1", {"n": 3}), sync("x2", "crm-1", "db-1", {"n": 4})])
    return in_place(
        before,
        live,
        of_snapshot={"cursors": {"y1": {"b": "1", "c": "1"}, "y2": {"a": "1"}}},
        of_live={"cursors": {"x1": {"b": "1", "c": "2"}, "x2": {"a": "2"}}},
    )


@scenario
def syncs_switched_off_are_paired_whatever_the_schedule_that_each_has() -> Scenario:
    s, d = here("service", "crm-1"), here("destination", "db-1")
    before = with_(
        BASE,
        link=[
            sync("y1", "crm-1", "db-1", {"schedule": "1", "n": 1}),
            sync("y2", "crm-1", "db-1", {"schedule": "2", "n": 2}),
        ],
    )
    live = {
        "service": [{**CRM, "id": s}],
        "destination": [{**DB, "id": d}],
        "link": [
            sync("x1", s, d, {"schedule": "7", "n": 2}),
            sync("x2", s, d, {"n": 1, "schedule": "8", "m": 1}),
        ],
    }
    return elsewhere(before, live, disable_links=True)


@scenario
def an_overlay_that_moves_a_source_leaves_its_cursors_behind_and_gives_a_link_options() -> Scenario:
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1"), {"id": "l1", "fromId": "web-1", "toId": "db-1"}])
    rules = {"service/CRM": {"credentials.host": "moved"}, "link/l1": {"data": {"mode": "batch"}}}
    cursors = {"cursors": {"y1": {"a": "1"}}}
    return elsewhere(before, {}, overlay=overlay(rules), of_snapshot=cursors, allow_missing_secrets=True)


@scenario
def the_targets_own_environment_stands_beside_other_options() -> Scenario:
    s, d = here("stream", "web-1"), here("destination", "db-1")
    ends = {"stream": [{**WEB, "id": s}], "destination": [{**DB, "id": d}]}
    data = {"mode": "batch", "functionsEnv": {"A": "staging"}}
    theirs = {"mode": "stream", "functionsEnv": {"A": "production"}}
    return elsewhere(
        with_(BASE, link=[link("l1", "web-1", "db-1", data)]), {**ends, "link": [link("x1", s, d, theirs)]}
    )


@scenario
def an_environment_that_is_none_is_replaced() -> Scenario:
    s, ids = here("stream", "web-1"), [here("destination", f"db-{n}") for n in range(3)]
    mine: list[Any] = [{"A": "1"}, "odd", {"A": "1"}]
    theirs: list[Any] = ["odd", {"A": "2"}, {}]
    before = with_(
        BASE,
        destination=[db(f"db-{n}") for n in range(3)],
        link=[link(f"l{n}", "web-1", f"db-{n}", {"functionsEnv": env}) for n, env in enumerate(mine)],
    )
    live = {
        "stream": [{**WEB, "id": s}],
        "destination": [{**db(f"db-{n}"), "id": one} for n, one in enumerate(ids)],
        "link": [link(f"x{n}", s, ids[n], {"functionsEnv": env}) for n, env in enumerate(theirs)],
    }
    return elsewhere(before, live)


# -- objects once more ---------------------------------------------------------------------------


@scenario
def names_are_compared_only_among_what_is_not_paired() -> Scenario:
    before = {
        "function": [{"id": "f1", "name": "Same"}, {"id": "f2", "name": "Same"}, {"id": "f3", "name": "Two"}]
    }
    live = {
        "function": [
            {"id": here("function", "f1"), "name": "Same"},
            {"id": "mine", "name": "Same"},
            {"id": "g1", "name": "Two"},
            {"id": "g2", "name": "Two"},
        ]
    }
    return elsewhere(before, live, match_by_name=True)


@scenario
def classic_keys_that_an_overlay_gives_or_that_are_no_text() -> Scenario:
    s = here("stream", "web-1")
    values: dict[str, tuple[Any, Any]] = {
        "given": ("web-1=js.a", f"{s}=js.own"),
        "none": ("web-1=js.a", None),
        "equals": ("app-1=a=b\nweb-1=c=d", f"{s}=x=y\n# last"),
    }
    before = [{"id": one, "name": one, "value": mine} for one, (mine, _) in values.items()]
    live = [{"id": here("misc", one), "name": one, "value": theirs} for one, (_, theirs) in values.items()]
    lists = {"stream": [WEB, {"id": "app-1", "name": "App"}], "misc": before}
    rules = {"misc/given": {"value": "web-1=js.given"}}
    return elsewhere(lists, {"stream": [{**WEB, "id": s}], "misc": live}, overlay=overlay(rules), schemas={})


@scenario
def a_domain_in_use_elsewhere_is_left_out_of_a_stream_without_any() -> Scenario:
    live = {"id": here("stream", "web-1"), "name": "Web"}
    before = {**WEB, "domains": ["used.example", "free.example"]}
    return elsewhere(
        {"stream": [before]}, {"stream": [live]}, domains_elsewhere={"used.example": "acme-staging"}
    )


@scenario
def only_the_first_of_several_functions_of_a_builder_is_written() -> Scenario:
    pb = builder("pb-1", "pf-1", "db-1")
    for n in (2,):
        pb["functions"].append({"functionId": f"pf-{n}", "function": {"config": {"code": f"code {n}"}}})
    pb["functions"].append({"functionId": "pf-4", "function": {"config": {}}})
    given = overlay({"profile-builder/*": {"code": "given"}})
    return elsewhere(with_(BASE, profile_builder=[pb]), {}, overlay=given, allow_missing_secrets=True)


@scenario
def programs_that_differ_only_in_their_line_ends() -> Scenario:
    before = {
        "function": [
            {"id": f"f{n}", "code": code} for n, code in enumerate(["a\r\nb", "a\n\n", "\na", "x a", "a"])
        ]
    }
    live = {
        "function": [
            {"id": f"f{n}", "code": code} for n, code in enumerate(["a\nb", "a", "a", "x a\nX", "a "])
        ]
    }
    return in_place(before, live)


@scenario
def an_entity_that_has_used_up_its_ids_gets_the_last_one_again() -> Scenario:
    data = {"functions": [{"functionId": f"udf.{here('function', 'enrich', n)}"} for n in range(16)]}
    return elsewhere({"function": [ENRICH]}, {"link": [link("x1", "web-1", "db-1", data)]})


@scenario
def the_archives_secrets_do_not_replace_hidden_ones_elsewhere() -> Scenario:
    d = here("destination", "db-1")
    secrets = {Key("destination", "db-1"): {"password": "pw", "deep.token": "tk"}}
    before = db("db-1", host="then", deep={"must": "then", "token": MASK})
    live = {**db("db-1", host="now", deep={"must": "now", "token": MASK}), "id": d}
    return elsewhere(
        {"destination": [before]},
        {"destination": [live]},
        of_snapshot={"secrets": secrets},
        same_console=False,
        resend_secrets=True,
    )


@scenario
def items_of_lists_are_replaced_with_their_list() -> Scenario:
    before = [db("db-1", list=[{"a": 1}, 2]), db("db-2", deep={"must": "m", "more": 1, "free": "x"})]
    live = [db("db-1", list=[{"a": 1, "b": 2}, 2]), db("db-2", deep={"must": "m", "more": 2, "free": "y"})]
    return in_place({"destination": before}, {"destination": live})


@scenario
def every_loss_of_a_stream_is_told() -> Scenario:
    live = {
        "id": here("stream", "web-1"),
        "name": "Web",
        "publicKeys": [{"id": "js.mine"}],
        "privateKeys": [{"id": "s.mine"}],
    }
    before = {**WEB, "domains": ["used.example"], "publicKeys": []}
    return elsewhere(
        {"stream": [before]},
        {"stream": [live]},
        prune=True,
        domains_elsewhere={"used.example": "acme-staging"},
    )


@scenario
def a_secret_and_several_of_a_deleted_one_are_revived() -> Scenario:
    return in_place({"destination": [db("db-1", token=MASK, deep={"must": MASK})]}, {})


@scenario
def a_sync_never_stands_for_a_connection() -> Scenario:
    data = {"n": 1}
    before = with_(BASE, link=[{"id": "l1", "fromId": "crm-1", "toId": "db-1", "data": data}])
    return in_place(before, with_(BASE, link=[sync("x1", "crm-1", "db-1", data)]), prune=True)


@scenario
def secrets_in_clear_that_the_console_hides_now() -> Scenario:
    before = db("db-1", password="in-clear", deep={"must": "then", "token": "in-clear"}, host="h")
    live = db("db-1", password=MASK, deep={"must": "now", "token": MASK}, host="h")
    return in_place({"destination": [before]}, {"destination": [live]}, resend_secrets=True)


@scenario
def a_secret_that_the_target_has_emptied_comes_from_the_snapshot() -> Scenario:
    live = {**db("db-1", apiKey="", headers=[]), "id": here("destination", "db-1")}
    return elsewhere(
        {"destination": [db("db-1", apiKey="staging", headers=["A: staging"])]}, {"destination": [live]}
    )


@scenario
def recreate_spares_what_a_link_outside_the_restore_uses() -> Scenario:
    return recreate(skip=("link/l1",))


@scenario
def recreate_leaves_a_sync_that_is_there_twice() -> Scenario:
    one = sync("y1", "crm-1", "db-1", {"n": 1})
    live = with_(BASE, link=[one, {**one, "id": "y2"}])
    return in_place(with_(BASE, link=[one]), live, recreate=True)


@scenario
def a_recreate_stopped_half_way_takes_away_one_for_one() -> Scenario:
    new, one = own("destination", "db-1"), {"schedule": "1"}
    syncs = [
        sync("y1", "crm-1", "db-1", one),
        sync("y2", "crm-1", "db-1", one),
        sync("z1", "crm-1", new, one),
    ]
    live = with_(BASE, destination=[WIDE, {**NARROW, "id": new}], link=syncs)
    return in_place(with_(BASE, destination=[NARROW], link=syncs[:1]), live, recreate=True)


@scenario
def a_recreate_stopped_half_way_prefers_what_has_the_new_end() -> Scenario:
    new = own("destination", "db-1")
    syncs = [
        sync("y1", "crm-1", "db-1", {"n": 1, "m": 1}),
        sync("z1", "crm-1", new, {"n": 2, "o": 1, "p": 1}),
    ]
    live = with_(BASE, destination=[WIDE, {**NARROW, "id": new}], link=syncs)
    before = with_(BASE, destination=[NARROW], link=[sync("y1", "crm-1", "db-1", {"n": 1})])
    return in_place(before, live, recreate=True)


@scenario
def syncs_switched_off_are_alike_whatever_their_schedules_and_cursors() -> Scenario:
    s, d = here("service", "crm-1"), here("destination", "db-1")
    one, two = {"schedule": "7", "n": 1}, {"schedule": "8", "n": 2}
    before = with_(BASE, link=[sync("y1", "crm-1", "db-1", one), sync("y2", "crm-1", "db-1", two)])
    live = {
        "service": [{**CRM, "id": s}],
        "destination": [{**DB, "id": d}],
        "link": [sync("x1", s, d, {**one, "schedule": "8"}), sync("x2", s, d, {**two, "schedule": "7"})],
    }
    cursors = {"of_snapshot": {"cursors": {"y1": {"a": "1"}}}, "of_live": {"cursors": {"x2": {"a": "1"}}}}
    return elsewhere(before, live, disable_links=True, **cursors)


@scenario
def one_side_provisioned_is_enough_to_leave_it_alone() -> Scenario:
    before = [
        db("db-1", host="then", provisioned=True),
        db("db-2", host="then"),
        db("db-3", provisioned=False),
    ]
    live = [db("db-1", host="now"), db("db-2", host="now", provisioned=True), db("db-3", provisioned=False)]
    return in_place({"destination": before}, {"destination": live})


@scenario
def several_recreates_stopped_half_way_are_all_finished() -> Scenario:
    rows = [{**NARROW, "id": own("destination", "db-1", n)} for n in (0, 1)]
    other = db("db-2", host="h")
    live = with_(
        BASE,
        destination=[WIDE, *rows, {**other, "mode": "a"}, {**other, "id": own("destination", "db-2")}],
        link=[],
    )
    return in_place(with_(BASE, destination=[NARROW, other], link=[]), live, recreate=True)


@scenario
def equal_syncs_are_paired_in_the_order_in_which_they_were_made() -> Scenario:
    s, d, one = here("service", "crm-1"), here("destination", "db-1"), {"n": 1}
    before = with_(
        BASE, link=[sync(f"y{n}", "crm-1", "db-1", one, createdAt=f"2026-01-0{9 - n}") for n in (1, 2)]
    )
    links = [sync(f"x{n}", s, d, one, createdAt=f"2026-02-0{n}") for n in (1, 2)]
    return elsewhere(before, {"service": [{**CRM, "id": s}], "destination": [{**DB, "id": d}], "link": links})


# -- comparisons -----------------------------------------------------------------------------------------------------------------


@scenario
def what_one_side_could_not_read() -> Scenario:
    refused = (
        Refusal("destination", "HTTP 500"),
        Refusal("profile-builder", "HTTP 500"),
        Refusal("workspace/users", "403", missing=False),
    )
    before = with_(EXTRA, notification=[{"id": "n", "name": "N"}])
    return in_place(before, BASE, of_snapshot={"refused": refused})


@scenario
def what_one_side_of_two_workspaces_could_not_read() -> Scenario:
    refused = (Refusal("stream", "HTTP 500"),)
    before = with_(BASE, misc=[{"id": "m", "name": "M", "value": "web-1=k"}])
    live = {"service": [{**CRM, "id": here("service", "crm-1"), "name": "Mine"}]}
    return elsewhere(before, live, of_live={"refused": refused}, allow_missing_secrets=True)


@scenario
def functions_of_builders_that_were_refused_are_not_made_as_plain_ones() -> Scenario:
    refused = (Refusal("profile-builder", "HTTP 500"),)
    functions = [
        {"id": "fn-1", "name": "Plain", "code": "a"},
        {"id": "pf-1", "name": "Owned", "code": "b", "kind": "profile"},
    ]
    return elsewhere({"function": functions}, {}, of_snapshot={"refused": refused})


@scenario
def functions_of_builders_that_were_refused_are_updated_where_they_live() -> Scenario:
    refused = (Refusal("profile-builder", "HTTP 500"),)
    owned = {"id": "pf-1", "name": "Owned", "code": "b", "kind": "profile"}
    return in_place(
        {"function": [owned]}, {"function": [{**owned, "code": "c"}]}, of_snapshot={"refused": refused}
    )


@scenario
def a_function_of_kind_profile_without_a_builder_is_a_plain_one() -> Scenario:
    return elsewhere({"function": [{"id": "pf-1", "name": "Left", "code": "b", "kind": "profile"}]}, {})


@scenario
def secrets_that_the_console_masks_since_are_not_compared() -> Scenario:
    return in_place({"destination": [db("db-1", password="then")]}, {"destination": [db("db-1")]})


@scenario
def secrets_that_the_console_masks_since_go_back_with_another_change() -> Scenario:
    then = {"destination": [db("db-1", password="then", host="h")]}
    return in_place(then, {"destination": [db("db-1", host="now")]})


@scenario
def secrets_that_the_console_masks_since_are_sent_when_asked() -> Scenario:
    return in_place(
        {"destination": [db("db-1", password="then")]}, {"destination": [db("db-1")]}, resend_secrets=True
    )


@scenario
def secrets_in_clear_never_replace_those_that_another_workspace_hides() -> Scenario:
    before = {"destination": [db("db-1", password="staging", host="h")]}
    live = {"destination": [{**db("db-1", host="now"), "id": here("destination", "db-1")}]}
    return elsewhere(before, live, resend_secrets=True)


@scenario
def functions_of_builders_that_one_side_could_not_read() -> Scenario:
    refused = (Refusal("profile-builder", "HTTP 500"),)
    functions = [
        ENRICH,
        {"id": "pf-1", "name": "P", "kind": "profile"},
        {"id": "f", "name": "F", "kind": "event"},
    ]
    live = with_(BASE, function=[{**ENRICH, "code": "x"}, {"id": "pf-2", "name": "P", "kind": "profile"}])
    return in_place(with_(BASE, function=functions), live, of_snapshot={"refused": refused})


@scenario
def removed_ones_of_one_name_are_told_apart() -> Scenario:
    alike = [{"id": one, "name": "Same", "code": "x"} for one in ("f-1", "f-2")]
    runs = link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.f-2"}]})
    return in_place(with_(BASE, function=alike, link=[runs]), with_(BASE, function=[], link=[]))


@scenario
def differences_that_are_none() -> Scenario:
    before = {
        "stream": [{"id": "s", "publicKeys": [{"id": "b", "lastUsed": 1}, {"id": "a"}], "domains": ["b", "a"], "x": None, "y": ""}],
        "destination": [db("d", ssl="off", deep={"must": "m", "more": 7}, testConnectionError="x", closed={})],
        "notification": [{"id": "n", "events": ["b", "a"], "emails": ["y", 5]}], "domain": [{"id": "x", "name": "A.Example"}],
        "profile-builder": [builder("p", "f", "d", version=2, config={"draft": "d"})], "link": [{"id": "l", "fromId": "s", "toId": "d", "data": None}],
        "function": [{"id": "f", "kind": "profile"}, {"id": "o", "profileBuilderId": "p", "deleted": False, "at": "2026-01-01T00:00:00Z"}],
    }  # fmt: skip
    live = {
        "stream": [{"id": "s", "publicKeys": [{"id": "a"}, {"id": "b", "lastUsed": 2}], "domains": ["a", "b"]}],
        "destination": [db("d", deep={"must": "m"}, password="shown")],
        "notification": [{"id": "n", "events": ["a", "b"], "emails": [5, "y"]}], "domain": [{"id": "x", "name": "a.example"}],
        "profile-builder": [builder("p", "f", "d", version=3, config={"draft": "d"})], "link": [{"id": "l", "type": "push", "fromId": "s", "toId": "d"}],
        "function": [{"id": "f", "kind": "profile"}, {"id": "o", "at": "2026-01-01T00:00:00.000Z"}],
    }  # fmt: skip
    return in_place(before, live)


@scenario
def differences_of_every_kind() -> Scenario:
    before = {
        "stream": [{"id": "s", "name": "S", "publicKeys": [{"id": "a"}], "privateKeys": [{"id": "p"}, "odd"]}],
        "destination": [db("d", host="a", headers=["X: 1"], deep={"must": "m"}), db("e", url="https://u:pw@h")],
        "domain": [{"id": "x", "name": "A.Example"}], "misc": [{"id": "m", "name": "M", "value": "s=1\nt=2", "key": "k"}], "service": [{**CRM, "id": "c"}],
        "profile-builder": [builder("p", "f", "d", "old", config={"draft": "one"})],
        "function": [{"id": "f", "kind": "profile"}, {"id": "g", "name": "G", "code": "a\r\nb"}, {"id": "h", "name": "G", "code": "x", "draft": "d"}],
        "link": [link("l", "s", "d", {"functions": [{"functionId": "udf.g"}, {"functionId": "udf.h"}], "functionsEnv": {"K": "1"}}), link("k", "s", "gone")],
    }  # fmt: skip
    live = {
        "stream": [{"id": "s", "name": "S2", "publicKeys": [{"id": "b"}]}],
        "destination": [db("d", host="b", headers=["X: 2"], deep={"must": "m", "new": [1, {"secret": "s"}]}, password="shown")],
        "domain": [{"id": "x", "name": "B.example"}], "misc": [{"id": "m", "name": "M", "value": "t=2\ns=3"}], "service": [{**CRM, "id": "c", "credentials": {"host": "h", "password": ""}}],
        "profile-builder": [builder("p", "f", "d", "new", config={"draft": "two"})],
        "function": [{"id": "f", "kind": "profile"}, {"id": "g", "name": "G", "code": "a\nb"}, {"id": "h", "name": "H", "code": ""}],
        "link": [link("l", "s", "d", {"functions": [{"functionId": "udf.h"}], "functionsEnv": {"K": "2"}})],
        "notification": [{"id": "n", "name": "N", "slackWebhookUrl": "https://x"}],
    }  # fmt: skip
    secrets = {Key("destination", "d"): {"password": "1", "token": "2", "x.hash": "3"}}
    after = {Key("destination", "d"): {"password": "1", "token": "9", "x.hash": "9"}}
    return in_place(before, live, of_snapshot={"secrets": secrets}, of_live={"secrets": after})


@scenario
def two_workspaces_differ_in_what_each_has_of_its_own() -> Scenario:
    s, d = here("stream", "web-1"), here("destination", "db-1")
    pb, pf = here("profile-builder", "pb-1"), "their-pf"
    before = with_(
        BASE, stream=[{**WEB, "publicKeys": [{"id": "a"}, {"id": "b"}]}], misc=[{"id": "m1", "name": "M", "value": "web-1=js.a\nx=1"}],
        profile_builder=[builder("pb-1", "pf-1", "db-1", config={"draft": "one"})],
        function=[ENRICH, {"id": "pf-1", "name": "P", "kind": "profile"}],
        link=[link("l1", "web-1", "db-1", {"functions": [{"functionId": "udf.pf-1"}, {"functionId": "udf.enrich"}]})],
    )  # fmt: skip
    live = {
        "stream": [{**WEB, "id": s, "publicKeys": [{"id": "c"}]}], "destination": [{**DB, "id": d, "host": "db.production"}],
        "misc": [{"id": here("misc", "m1"), "name": "M", "value": f"x=2\n{s}=js.b"}],
        "profile-builder": [builder(pb, pf, d, config={"draft": "two"})],
        "link": [link("x1", s, d, {"functions": [{"functionId": f"udf.{pf}"}, {"functionId": "udf.theirs"}]})],
        "function": [{"id": pf, "name": "P", "kind": "profile"}, {"id": "theirs", "name": "Enrich"}],
    }  # fmt: skip
    return elsewhere(before, live, allow_missing_secrets=True)
