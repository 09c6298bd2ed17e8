"""The table and what reads it: secrets are hidden, references are found, selectors choose."""

from typing import Any
from unittest.mock import ANY

import pytest

from jitsu_backup.catalogue import (
    CATALOGUE,
    HIDDEN,
    Dangling,
    Selector,
    dangling_references,
    dependents,
    entity_type,
    find_references,
    granted,
    has_grant,
    hidden_paths,
    is_authorised,
    is_secret_path,
    link_name,
    masked_body,
    names_of_refused,
    owned_functions,
    redact,
    revealed,
    rewrite,
    scrub,
    secret_values,
    subtype,
    without_grant,
)  # fmt: skip
from jitsu_backup.catalogue.references import Form, Reference
from jitsu_backup.model import MASK, Entity, Key, Refusal
from tests.planning.scenarios.scenario import DB, RUNS, WEB, builder, link, side, sync


def shown(body: dict[str, Any], type_name: str = "service") -> dict[str, Any]:
    return redact(Entity(Key(type_name, "x"), body), entity_type(type_name).secrets)


NAMES = (
    "password", "PASSWD", "passphrase", "clientSecret", "accessToken", "apiKey", "api_key", "api-key", "access_key", "accessKey", "privateKey",
    "writeKey", "ssh_key", "serviceAccount", "service-account", "credentials", "keyFile", "key_json", "Authorization", "webhook", "sslClientKey",
    "plaintext", "hash", "mongoUrl", "mongo_url", "connectionString", "dsn", "my-dsn", "value",
)  # fmt: skip
PLAIN = ("name", "hashes", "rehash", "values", "dsns", "keys", "host", "pass", "account", "data")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_like_a_secret_is_hidden_at_any_depth(name: str) -> None:
    assert shown({name: "s3cret", "a": [{"b": {name: ["s3cret", 5]}}]}) == {
        name: HIDDEN, "a": [{"b": {name: [HIDDEN, HIDDEN]}}],
    }  # fmt: skip
    assert is_secret_path(("a", 0, name))
    assert is_secret_path((name, "inside"))
    assert sorted(secret_values({"x": [{name: "s3cret"}], name: {"in": ["another"]}})) == [
        "another",
        "s3cret",
    ]


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_not_named_so_is_shown(name: str) -> None:
    assert shown({name: "shown", "a": [{name: 5}]}) == {name: "shown", "a": [{name: 5}]}
    assert not is_secret_path((name, 0))
    assert list(secret_values({name: "shown"})) == []


def test_masks_emptiness_and_truth_values_tell_nothing_and_stay() -> None:
    body = {
        "password": MASK,
        "secret": {"a": None, "b": "", "c": True, "d": False, "e": 0, "f": MASK, "g": [MASK, 1]},
    }
    assert shown(body) == {
        "password": MASK, "secret": {"a": None, "b": "", "c": True, "d": False, "e": HIDDEN, "f": MASK, "g": [MASK, HIDDEN]},
    }  # fmt: skip


def test_a_password_in_an_url_is_hidden_and_the_rest_of_the_url_shown() -> None:
    assert shown({"a": "see https://u:pw@h/x and m://:p@h", "b": ["https://h/u:p@x", "u:p@h", 5]}) == {
        "a": "see https://***@h/x and m://***@h", "b": ["https://h/u:p@x", "u:p@h", 5],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("u:pw@db.example:5432", "***@db.example:5432"),
        (":pw@redis:6379/0", "***@redis:6379/0"),
        ("u:p@w@[::1]:5432,h2:5432/db?x=a@b", "***@[::1]:5432,h2:5432/db?x=a@b"),
        ("https://u:p@w@h/x", "https://***@h/x"),
        ("https://u:p/w@h:1/x", "https://***@h:1/x"),
    ],
)
def test_a_password_is_hidden_in_an_address_without_a_scheme_and_if_it_has_characters_of_urls(
    text: str, seen: str
) -> None:
    assert shown({"a": text}) == {"a": seen}
    masked = masked_body({"a": seen})["a"]
    assert masked == seen.replace(HIDDEN, MASK)
    assert revealed(masked, text) == text
    assert list(hidden_paths({"a": seen})) == [("a",)]


@pytest.mark.parametrize(
    "text",
    [
        "me@example.com", "mailto:me@example.com", "npm:lodash@4.17.21", "note: me@example.com", "https://h:80/a@b",
        "https://[::1]:90/x@y", "airbyte/source:1.2@sha256:ab12", "ask u:p@db.example for it", "12:30 at me@example.com",
        "http://${host}:${port}/npm/x@1", "http://{h}:{p}/users/@me",
    ],
)  # fmt: skip
def test_mail_addresses_packages_and_texts_are_no_passwords(text: str) -> None:
    assert shown({"a": text}) == {"a": text}


def test_what_an_entity_is_called_is_no_address_without_a_scheme() -> None:
    named = {"id": "a:b@c.d", "name": "Alerts:ops@example.com", "type": "x:y@z.w"}
    assert shown({**named, "inner": named}) == {**named, "inner": dict.fromkeys(("id", "name", "type"), ANY)}
    assert shown({"name": "https://u:p@h", "type": {"a": "u:p@db.example"}}) == {
        "name": "https://***@h", "type": {"a": "***@db.example"},
    }  # fmt: skip


@pytest.mark.parametrize("text", ["://" * 30_000, "://a:" * 20_000, "a://b:c" * 9_000, "u:p@h.a," * 9_000])
def test_a_long_text_is_looked_through_once(text: str) -> None:
    assert shown({"a": text}) == {"a": text}


def test_the_tables_secrets_are_hidden_where_they_stand_and_nowhere_else() -> None:
    body = {
        "headers": ["A: 1"],
        "url": "https://h",
        "key": {"a": 1},
        "inner": {"headers": "shown"},
        "name": "N",
    }
    assert shown(body, "destination") == {
        "headers": [HIDDEN], "url": HIDDEN, "key": {"a": HIDDEN}, "inner": {"headers": "shown"}, "name": "N",
    }  # fmt: skip
    stream = {"publicKeys": [{"id": "a", "plaintext": "p"}, "odd"], "privateKeys": "odd"}
    assert redact(Entity(Key("stream", "x"), stream), (("publicKeys", "*", "id"), ("gone", "a"))) == {
        "publicKeys": [{"id": HIDDEN, "plaintext": HIDDEN}, "odd"], "privateKeys": HIDDEN,
    }  # fmt: skip
    assert redact(Entity(Key("x", "x"), {"a": [{"b": 1}], "c": {"*": 2}}), (("a", "*", "b"), ("c", "*"))) == {
        "a": [{"b": HIDDEN}], "c": {"*": HIDDEN},
    }  # fmt: skip
    assert body["headers"] == ["A: 1"]


def test_a_path_below_a_known_secret_is_secret_and_one_above_it_is_not() -> None:
    known = (("data", "functionsEnv"), ("list", "*", "plain"))
    assert is_secret_path(("data", "functionsEnv"), known)
    assert is_secret_path(("data", "functionsEnv", "A"), known)
    assert is_secret_path(("list", 3, "plain"), known)
    assert not is_secret_path(("data",), known)
    assert not is_secret_path(("list", 3), known)
    assert not is_secret_path(("list", "other", "name"), known)
    assert not is_secret_path(("other", "functionsEnv"), known)
    assert not is_secret_path(())


def test_secrets_long_enough_to_search_for_are_given_and_scrubbed() -> None:
    body = {
        "password": ["long", "abc", MASK, {"x": "deep1", "y": 5}],
        "name": "shown",
        "list": [{"apiKey": "api-1"}],
    }
    assert list(secret_values(body)) == ["long", "deep1", "api-1"]
    assert scrub("azzb zz", iter(["zz", "azzb"])) == f"{HIDDEN} {HIDDEN}"
    text = "a long-longer word, https://u:p@h, long"
    assert scrub(text, iter(["long", "long-longer"])) == f"a {HIDDEN} word, https://{HIDDEN}@h, {HIDDEN}"


def entity(type_name: str, one: str, name: str | None = None) -> Entity:
    return Entity(Key(type_name, one), {} if name is None else {"name": name})


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("stream", True), ("strea*", True), ("*", True), ("streams", False), ("Stream", False), ("service", False), ("*/id-1", True),
        ("stream/id-1", True), ("stream/Web → Db", True), ("stream/Web -> Db", True), ("stream/web -> db", False), ("stream/id*", True),
        ("stream/*Db", True), ("stream/W*D*", True), ("stream/*x*", False), ("stream/", False), ("stream/*", True), ("stream/id-1x", False),
        ("service/id-1", False), ("stream/.*", False), ("s*m/Web*", True),
    ],
)  # fmt: skip
def test_a_selector_chooses_by_type_and_by_id_or_name(text: str, fits: bool) -> None:
    assert Selector(text).matches(entity("stream", "id-1", "Web → Db")) is fits
    assert Selector(text).matches(entity("stream", "id-1", "Other"), "Web → Db") is fits


def test_a_name_may_hold_slashes_and_lines_and_an_id_stands_for_no_name() -> None:
    for text in ("stream/x -> y", "stream/x → y", "stream/x -> *"):
        assert Selector(text).matches(entity("stream", "x", "x -> y"))
    assert Selector("stream/a/b").matches(entity("stream", "x", "a/b"))
    assert Selector("stream/a*b").matches(entity("stream", "x", "a\nb"))
    assert Selector("stream/x").matches(entity("stream", "x"))
    assert [Selector(text).exact for text in ("stream", "stream/a", "stream/a*", "s*/a", "*")] == [
        False,
        True,
        False,
        False,
        False,
    ]


def test_a_link_is_called_by_its_ends() -> None:
    link = Entity(Key("link", "l"), {"fromId": "s", "toId": "d"})
    assert link_name(link, {"s": "Web", "d": "Db"}) == "Web → Db"
    assert link_name(link, {"s": "Web"}) == "Web → d"
    assert link_name(Entity(Key("link", "l"), {"toId": 5}), {}) == "? → 5"


def test_a_type_that_the_table_lacks_is_generic_and_any_string_of_it_may_be_a_reference() -> None:
    made = entity_type("gadget")
    assert (made.name, made.generic, made.stage, made.list_field, made.marker_removes) == (
        "gadget",
        True,
        2,
        "objects",
        True,
    )
    assert made.references == (Reference((), (), Form.ANYWHERE),)
    assert all(not known.generic and entity_type(name) is known for name, known in CATALOGUE.items())
    body = {
        "id": "a",
        "name": "a",
        "type": "a",
        "workspaceId": "a",
        "x": {"id": "a", "list": ["a", 5, {"name": "b"}]},
    }
    assert [found for _, found in find_references(made.references, body)] == ["a", "a", "b"]
    assert rewrite(made.references, body, lambda types, one: {"a": "A"}.get(one) if types == () else None) == {
        **body, "x": {"id": "A", "list": ["A", 5, {"name": "b"}]},
    }  # fmt: skip


def test_references_are_rewritten_in_each_form_and_asked_for_with_their_types() -> None:
    asked: list[tuple[tuple[str, ...], str]] = []

    def resolve(types: tuple[str, ...], one: str) -> str | None:
        asked.append((types, one))
        return one.upper() if one.islower() else None

    references = (
        Reference(("a", "*", "b"), ("t",)), Reference(("f",), ("u", "v"), Form.UDF), Reference(("l",), ("w",), Form.LINES), Reference(("gone", "x"), ()),
        Reference(("odd", "*"), ()),
    )  # fmt: skip
    body = {
        "a": [{"b": "one", "c": "one"}, {"b": 5}, "s", {"b": "TWO"}],
        "f": "udf.three",
        "l": " x = y=z\nno\n=q\nK=k",
        "odd": {"*": "star"},
    }
    assert rewrite(references, body, resolve) == {
        "a": [{"b": "ONE", "c": "one"}, {"b": 5}, "s", {"b": "TWO"}], "f": "udf.THREE", "l": "X= y=z\nno\n=q\nK=k", "odd": {"*": "STAR"},
    }  # fmt: skip
    assert asked == [
        (("t",), "one"), (("t",), "TWO"), (("u", "v"), "three"), (("w",), "x"), (("w",), ""), (("w",), "K"), ((), "star"),
    ]  # fmt: skip
    assert rewrite((Reference(("f",), (), Form.UDF),), {"f": "builtin.x"}, resolve) == {"f": "builtin.x"}
    assert rewrite((Reference(("f",), (), Form.UDF),), {"f": "udf.X"}, resolve) == {"f": "udf.X"}


def test_the_functions_that_builders_own_are_found_and_oddities_passed_over() -> None:
    def builder(one: str, functions: Any) -> Entity:
        return Entity(Key("profile-builder", one), {"functions": functions})

    entities = [
        Entity(Key("function", "f"), {"functions": [{"functionId": "no"}]}),
        builder("a", [{"functionId": "f1"}, "odd", {"functionId": 5}, {}, {"functionId": "f2"}]), builder("b", None), builder("c", [{"functionId": "f3"}]),
    ]  # fmt: skip
    assert list(owned_functions(entities)) == [("f1", "a"), ("f2", "a"), ("f3", "c")]


def test_what_depends_on_a_type_follows_from_its_references() -> None:
    found = {
        name: dependents(name) for name in ("stream", "service", "destination", "function", "custom-image")
    }
    assert found == {
        "stream": {"link", "misc"}, "service": {"link"}, "destination": {"link", "model", "profile-builder", "reverse-sync"},
        "function": {"link", "profile-builder"}, "custom-image": frozenset(),
    }  # fmt: skip


def test_a_dead_connection_tells_all_that_it_lacks_and_that_nothing_flows_there() -> None:
    dead, key = link("l1", "gone", "db-1", RUNS), Key("link", "l1")
    found = dangling_references(side({"destination": [DB], "link": [dead]}))
    path = "data.functions.*.functionId"
    assert found == [
        Dangling(key, "fromId", "gone", True, "gone → Db-1", ("stream", "service")),
        Dangling(key, path, "enrich", True, "gone → Db-1", ("function",)),
    ]
    ends = ", which was deleted: no data flows through it"
    assert [*map(str, found)] == [
        f"link 'gone → Db-1' refers to the stream or service gone{ends}",
        f"link 'gone → Db-1' refers to the function enrich{ends}",
    ]


def test_a_living_connection_and_a_builder_tell_what_the_archive_lacks() -> None:
    lists = {
        "stream": [WEB], "destination": [DB], "link": [link("l1", "web-1", "db-1", RUNS)],
        "profile-builder": [builder("pb-1", "pf-1", "gone")],
    }  # fmt: skip
    assert [(one.dead, str(one)) for one in dangling_references(side(lists))] == [
        (False, "link 'Web → Db-1' refers to the function enrich, which is not in the archive"),
        (False, "profile-builder 'Pb-1' refers to the destination gone, which is not in the archive"),
    ]


def test_a_classic_key_of_a_deleted_stream_is_reported_as_what_it_is() -> None:
    (found,) = dangling_references(side({"misc": [{"id": "m", "name": "Keys", "value": "gone=key"}]}))
    assert found == Dangling(Key("misc", "m"), "value", "gone", True, "Keys", ("stream",))
    assert str(found) == (
        "misc 'Keys' has a key of the stream gone, which was deleted: events sent with that key are lost"
    )


@pytest.mark.parametrize(
    ("refusal", "paths"),
    [
        (Refusal("stream", "403"), ["toId"]),
        (Refusal("service", "403"), ["toId"]),
        (Refusal("destination", "403"), ["fromId"]),
        (Refusal("function", "403"), ["fromId", "toId"]),
        (Refusal("stream", "403", missing=False), ["fromId", "toId"]),
    ],
)
def test_what_may_be_of_a_type_that_could_not_be_read_is_not_called_dangling(
    refusal: Refusal, paths: list[str]
) -> None:
    found = dangling_references(side({"link": [link("l1", "web-1", "db-1")]}, refused=(refusal,)))
    assert [one.path for one in found] == paths


def test_what_could_not_be_read_is_named_as_people_call_it() -> None:
    lists = {"destination": [DB], "link": [sync("y1", "crm-1", "db-1")]}
    refused = ("cursor y1", "cursor gone", "function", "workspace/users")
    found = names_of_refused(side(lists, refused=tuple(Refusal(what, "403") for what in refused)))
    assert found == {
        "cursor y1": "cursors of crm-1 → Db-1", "cursor gone": "sync cursors", "function": "function",
        "workspace/users": "workspace/users",
    }  # fmt: skip


def test_what_means_a_grant_depends_on_the_type_and_any_field_may_where_the_type_is_unknown() -> None:
    body = {"authorized": True, "oauthConnectionId": "x", "name": "N"}
    found = {
        name: (has_grant(Entity(Key(name, "one"), body)), without_grant(name, body))
        for name in ("destination", "service", "function", "brand-new")
    }
    assert found == {
        "destination": (True, {"name": "N"}), "service": (True, {"oauthConnectionId": "x", "name": "N"}),
        "function": (False, body), "brand-new": (True, {"name": "N"}),
    }  # fmt: skip


def test_a_subtype_is_what_a_destination_or_a_service_is_of_and_others_have_none() -> None:
    body = {"destinationType": "db", "package": "a/b"}
    found = [subtype(Entity(Key(name, "one"), body)) for name in ("destination", "service", "function")]
    assert found == ["db", "a/b", ""]


def test_what_has_a_grant_is_found_in_order_and_another_ones_grant_counts_only_as_borrowed() -> None:
    def destination(one: str, **more: Any) -> Entity:
        return Entity(Key("destination", one), more)

    own = destination("d.1", oauthConnectionId="destination.d.1", authorized=True)
    borrowed = destination("c", oauthConnectionId="destination.other")
    plain = destination("b", authorized="yes")
    service = Entity(Key("service", "a"), {"authorized": True, "oauthConnectionId": "sync-source.x"})
    assert granted([service, own, plain, borrowed]) == (borrowed.key, own.key, service.key)
    assert [is_authorised(one, borrowing=False) for one in (own, borrowed, plain)] == [True, False, False]
    assert [is_authorised(one, borrowing=True) for one in (own, borrowed, plain)] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "own", "found"),
    [
        ("a //M@h/x b", "//u:1@h/y", "a //u:1@h/x b"),
        ("//M@h/x //M@k", "//u:1@h/x //v:2@k", "//u:1@h/x //v:2@k"),
        ("//M@k //M@h", "//u:1@h //v:2@k", None),
        ("//M@h/x //M@h/y", "//u:1@h/x //v:2@h/y", "//u:1@h/x //v:2@h/y"),
        ("//M@h/y //M@h/x", "//u:1@h/x //v:2@h/y", None),
        ("//M@h/y //M@h/x", "//u:1@h/x //u:1@h/y", "//u:1@h/y //u:1@h/x"),
        ("//M@h //M@h", "//u:1@h", None),
    ],
)
def test_a_password_of_a_url_goes_nowhere_else_than_before(text: str, own: str, found: str | None) -> None:
    masked = text.replace("//M", f"http://{MASK}")
    given, meant = (
        None if one is None else one.replace("//u", "http://u").replace("//v", "http://v")
        for one in (own, found)
    )
    assert revealed(masked, given) == meant
