"""What the sandbox promises beyond the recorded exchanges: each test is a law of the console."""

import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings, strategies as st

from jitsu_backup.errors import BackupError
from jitsu_backup.model import MASK, Entity, Key, Manifest, Snapshot, Source
from jitsu_backup.sandbox import (
    Generation,
    Sandbox,
    State,
    default_state,
    example_workspace,
    running,
    seed_snapshot,
    serve,
)
from jitsu_backup.sandbox.masking import DESTINATION_SECRETS
from jitsu_backup.sandbox.rate_limits import LIMITS, Limiter
from tests import examples
from tests.sandbox.kit import ADMIN, ANALYST, OWNER, PRODUCTION, STAGING, Caller

TYPES = ("stream", "destination", "function", "service", "custom-image", "domain", "misc", "notification")
POSTGRES = {
    "id": "pg", "name": "Warehouse", "destinationType": "postgres", "host": "db", "port": 5432,
    "database": "a", "username": "u", "password": "clear-one", "defaultSchema": "public",
}  # fmt: skip


@pytest.fixture
def call() -> Caller:
    return Caller(Sandbox(default_state(), rate_limit=False))


@pytest.fixture
def full() -> Caller:
    state = default_state()
    example_workspace(state, STAGING)
    return Caller(Sandbox(state, rate_limit=False))


# -- the rate limiter ----------------------------------------------------------------


def test_every_answer_of_a_limited_route_tells_limit_remaining_and_the_end_of_the_window() -> None:
    call = Caller(Sandbox(default_state(), clock=lambda: 1000.0))
    reply = call("GET", f"/api/{STAGING}/config/stream")
    assert reply.headers["x-ratelimit-limit"] == "600"
    assert reply.headers["x-ratelimit-remaining"] == "599"
    assert reply.headers["x-ratelimit-reset"] == "1020"  # windows are aligned to the epoch


@pytest.mark.parametrize("path", ["/api/version", "/api/healthcheck", "/api/schema", "/api/me", "/api/nope"])
def test_routes_recorded_without_rate_headers_are_not_limited(path: str) -> None:
    assert "x-ratelimit-limit" not in Caller(Sandbox(default_state()))("GET", path).headers


def test_the_admin_token_and_a_sandbox_without_limits_are_never_refused() -> None:
    limited, free = Caller(Sandbox(default_state())), Caller(Sandbox(default_state(), rate_limit=False))
    for _ in range(LIMITS["DELETE"] + 5):
        assert limited("DELETE", f"/api/{STAGING}/config/link?id=x", key=ADMIN).status_code == 200
        assert free("DELETE", f"/api/{STAGING}/config/link?id=x").status_code == 200


def test_each_key_and_each_method_has_a_budget_of_its_own() -> None:
    limiter = Limiter(lambda: 30.0)
    assert [limiter.take("key1", "DELETE").retry_after for _ in range(61)][-2:] == [None, 32]
    assert limiter.take("key2", "DELETE").retry_after is None
    assert limiter.take("key1", "PUT").retry_after is None


def test_refused_requests_count_too_so_retrying_early_prolongs_the_wait() -> None:
    limiter = Limiter(lambda: 30.0)
    waits = [limiter.take("key1", "DELETE").retry_after or 0 for _ in range(120)]
    assert waits[60] == 32
    assert waits[-1] > 50


@given(st.lists(st.floats(0, 12), max_size=200), st.sampled_from([*LIMITS, "workspace-create"]))
@settings(deadline=None)
def test_whoever_waits_as_told_is_let_through_and_one_second_less_is_not_enough(
    gaps: list[float], bucket: str
) -> None:
    now = 1_000_000.0
    limiter = Limiter(lambda: now)
    for _ in range(LIMITS.get(bucket, 2)):
        limiter.take("key", bucket)
    for gap in [*gaps, 0.0]:
        now += gap
        grant = limiter.take("key", bucket)
        if grant.retry_after is not None:
            told, counts = now, dict(limiter.counts)
            now = told + grant.retry_after
            assert limiter.take("key", bucket).retry_after is None
            limiter.counts = dict(counts)
            now = told + grant.retry_after - 1.001
            assert now <= told or limiter.take("key", bucket).retry_after is not None
            limiter.counts, now = counts, told


# -- masks, merging, ids ---------------------------------------------------------------


@pytest.mark.parametrize(("kind", "names"), list(DESTINATION_SECRETS.items()))
def test_every_secret_of_every_destination_type_is_masked_and_nothing_else(
    call: Caller, kind: str, names: tuple[str, ...]
) -> None:
    config = {"name": "D", "destinationType": kind, "host": "h", **dict.fromkeys(names, "clear")}
    call.sandbox.state.add_object(STAGING, "destination", "d", config)
    (listed,) = call.objects("destination")
    assert {name for name, value in listed.items() if value == MASK} == set(names)
    gone = call("DELETE", f"/api/{STAGING}/config/destination/d").json()
    assert all(gone[name] == "clear" for name in names)  # [delete/plain-leaves-links]


def test_an_empty_secret_is_masked_and_an_absent_one_is_not(call: Caller) -> None:
    call.sandbox.state.add_object(STAGING, "destination", "d", {**POSTGRES, "password": ""})
    listed = call.objects("destination")[0]
    assert listed["password"] == MASK
    assert "sslServerCA" not in listed


def test_service_secrets_are_masked_at_every_depth_by_the_spec_and_without_one_they_are_not(
    call: Caller,
) -> None:
    state = call.sandbox.state
    nested = {"api_key": "x", "b": {"c": {"client_secret": "z"}}, "tokens": "kept"}
    state.secret_fields["acme/known"] = ("api_key", "b.c.client_secret")
    for package in ("acme/known", "acme/unknown"):
        state.add_object(
            STAGING, "service", package, {"name": "S", "package": package, "credentials": nested}
        )
    known, unknown = call.objects("service")
    assert known["credentials"] == {"api_key": MASK, "b": {"c": {"client_secret": MASK}}, "tokens": "kept"}
    assert unknown["credentials"] == nested


def test_a_mask_is_dropped_by_post_kept_by_put_and_revived_by_clone_id(call: Caller) -> None:
    path = f"/api/{STAGING}/config/destination"
    stored = call.sandbox.state.objects
    assert call("POST", path, POSTGRES).status_code == 200
    assert call("PUT", f"{path}/pg", {"name": "New", "password": MASK}).status_code == 200
    assert stored["pg"].config["password"] == "clear-one"
    assert call("DELETE", f"{path}/pg").status_code == 200
    assert call("POST", path, {**POSTGRES, "id": "bare", "password": MASK}).status_code == 200
    assert "password" not in stored["bare"].config
    assert call("POST", path, {**POSTGRES, "id": "pg2", "password": MASK, "cloneId": "pg"}).status_code == 200
    assert stored["pg2"].config["password"] == "clear-one"
    other = f"/api/{PRODUCTION}/config/destination"
    assert (
        call("POST", other, {**POSTGRES, "id": "pg3", "password": MASK, "cloneId": "pg"}).status_code == 200
    )
    assert "password" not in stored["pg3"].config  # not across workspaces
    assert "cloneId" not in stored["pg2"].config


def test_a_deleted_id_is_gone_from_every_route_and_taken_for_ever_everywhere(call: Caller) -> None:
    function = {"id": "fn", "name": "F", "code": "x"}
    path = f"/api/{STAGING}/config/function"
    assert call("POST", path, function).status_code == 200
    assert call("DELETE", f"{path}/fn").status_code == 200
    assert call.objects("function") == []
    assert call("GET", f"{path}/fn").status_code == 400
    assert call("PUT", f"{path}/fn", {"name": "x"}).json()["message"] == "function with id fn does not exist"
    for workspace in (STAGING, PRODUCTION):
        again = call("POST", f"/api/{workspace}/config/function", function)
        assert again.status_code == 500
        assert "Unique constraint failed" in again.json()["error"]


def test_two_push_links_never_share_a_pair_whatever_ids_are_sent(full: Caller) -> None:
    path = f"/api/{STAGING}/config/link"
    links = full("GET", path).json()["links"]
    first, second = [link for link in links if link["type"] == "push"][:2]
    answer = full("PUT", path, {**second, "id": first["id"], "data": {"mode": "batch"}}).json()
    assert answer == {"id": second["id"], "created": False}
    after = full("GET", path).json()["links"]
    assert len(after) == len(links)
    assert next(link for link in after if link["id"] == first["id"])["data"] == first["data"]
    assert next(link for link in after if link["id"] == second["id"])["data"] == {"mode": "batch"}


def test_link_ids_name_the_workspace_and_both_ends(full: Caller) -> None:
    body = {"type": "sync", "fromId": "crm-0001", "toId": "hook-0001", "data": {}, "id": "mine"}
    made = full("POST", f"/api/{STAGING}/config/link", body).json()["id"]
    assert re.fullmatch(rf"{STAGING}-0001-0001-[A-Za-z0-9]{{6}}", made)


def test_other_ids_the_server_makes_have_25_characters_and_begin_with_c(call: Caller) -> None:
    made = call("POST", "/api/workspace", {"name": "DR", "slug": "acme-dr"}).json()["id"]
    assert re.fullmatch(r"c[a-z0-9]{24}", made)
    assert call("GET", "/api/workspace/acme-dr").json()["id"] == made


def test_a_provisioned_destination_cannot_be_changed(call: Caller) -> None:
    call.sandbox.state.add_object(STAGING, "destination", "p", {**POSTGRES, "provisioned": True})
    refused = call("PUT", f"/api/{STAGING}/config/destination/p", {"name": "x"})
    assert refused.status_code == 500
    assert "provisioned destination through API (p)" in refused.json()["message"]


# -- conditional reads, maintenance, roles -------------------------------------------------


def test_an_unchanged_list_is_304_and_a_changed_one_has_another_strong_etag(full: Caller) -> None:
    path = f"/api/{STAGING}/config/function"
    first = full("GET", path)
    tag = first.headers["etag"]
    assert re.fullmatch(r'"[^"]+"', tag)
    same = full("GET", path, headers={"If-None-Match": f'"other", {tag}'})
    assert (same.status_code, same.content) == (304, b"")
    assert full("PUT", f"{path}/enrich-0001", {"name": "Other"}).status_code == 200
    changed = full("GET", path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_maintenance_refuses_every_write_before_the_limiter_and_no_read() -> None:
    call = Caller(Sandbox(default_state()))
    call.sandbox.maintenance = True
    for method, path in (
        ("POST", f"/api/{STAGING}/config/function"),
        ("PUT", f"/api/{STAGING}/config/link"),
        ("DELETE", f"/api/{STAGING}/config/link?id=x"),
        ("POST", "/api/workspace"),
        ("POST", f"/api/{STAGING}/sources/state?syncId=x&stream=y"),
    ):
        reply = call(method, path, {} if method != "DELETE" else None)
        assert (reply.status_code, reply.json()["error"]) == (503, "maintenance")
        assert "x-ratelimit-limit" not in reply.headers
    assert call("GET", f"/api/{STAGING}/config/function").status_code == 200
    call.sandbox.maintenance = False
    assert call("DELETE", f"/api/{STAGING}/config/link?id=x").status_code == 200


def test_of_a_streams_known_key_only_the_hash_stays_by_itself(call: Caller) -> None:
    path = f"/api/{STAGING}/config/stream"
    key = {"id": "k", "hint": "abc*def", "hash": "salt.hash"}
    call("POST", path, {"id": "s", "name": "S", "publicKeys": [key]})
    for sent, kept in (
        ({"name": "T"}, key),
        ({"publicKeys": [{"id": "k", "hint": "abc*def"}]}, key),
        ({"publicKeys": [{"id": "k"}]}, {"id": "k", "hash": "salt.hash"}),
    ):
        assert call("PUT", f"{path}/s", sent).status_code == 200
        assert call.sandbox.state.objects["s"].config["publicKeys"] == [kept]


@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.OCTOBER_2024])
def test_a_domain_clashes_with_what_another_workspace_has_above_or_below_it(
    generation: Generation,
) -> None:
    state = default_state(generation=generation)
    call = Caller(Sandbox(state, rate_limit=False))
    state.add_object(PRODUCTION, "domain", "d", {"name": "*.Track.example"})
    state.add_object(PRODUCTION, "stream", "theirs", {"name": "T", "domains": ["data.Acme.example"]})
    names = ("data.acme.example", "a.track.example", "acme.example", "track.example.com")
    statuses = [
        call(
            "POST", f"/api/{STAGING}/config/stream", {"id": f"s-{n}", "name": "S", "domains": [name]}
        ).status_code
        for n, name in enumerate(names)
    ]
    assert statuses == ([500, 200, 200, 200] if generation.is_2024 else [500, 500, 500, 200])


def test_an_analyst_reads_everything_and_writes_nothing(full: Caller) -> None:
    before = full("GET", f"/api/{STAGING}/config/function").content
    for method, path in (
        ("POST", f"/api/{STAGING}/config/function"),
        ("PUT", f"/api/{STAGING}/config/function/enrich-0001"),
        ("DELETE", f"/api/{STAGING}/config/function/enrich-0001"),
        ("PUT", f"/api/{STAGING}/config/link"),
        ("POST", f"/api/{STAGING}/config/profile-builder"),
        ("POST", f"/api/{STAGING}/sources/state?syncId=x&stream=y"),
        ("PUT", f"/api/workspace/{STAGING}"),
    ):
        reply = full(method, path, {"name": "stolen"} if method != "DELETE" else None, key=ANALYST)
        assert reply.status_code == 403, path
        wanted = "deleteEntities" if method == "DELETE" else "editEntities"
        assert reply.json()["requiredPermission"] == wanted
    assert full("GET", f"/api/{STAGING}/config/function").content == before
    assert all(full.objects(kind, key=ANALYST) == full.objects(kind) for kind in TYPES)
    hidden = [
        link["data"].get("functionsEnv")
        for link in full("GET", f"/api/{STAGING}/config/link", key=ANALYST).json()["links"]
    ]
    assert {"API_TOKEN": MASK} in hidden


def test_a_workspace_can_be_renamed_but_not_to_a_slug_in_use(call: Caller) -> None:
    path = f"/api/workspace/{STAGING}"
    taken = call("PUT", path, {"name": "Lost", "slug": "acme-production"})
    assert (taken.status_code, taken.json()["status"]) == (500, 400)
    assert call("GET", path).json()["name"] == "Acme Staging"
    assert call("PUT", path, {"name": "New", "slug": "acme-new"}).status_code == 200
    assert call("GET", "/api/workspace/acme-new").json()["name"] == "New"


def test_me_lists_workspaces_only_when_asked(call: Caller) -> None:
    assert "workspaces" not in call("GET", "/api/me").json()
    assert len(call("GET", "/api/me?workspaces=true").json()["workspaces"]) == 2


# -- types that only this console has ------------------------------------------------------


def test_an_extra_type_is_listed_has_a_schema_and_keeps_unknown_fields() -> None:
    state = default_state()
    state.extra_types = ("model",)
    call = Caller(Sandbox(state, rate_limit=False))
    lines = {line["type"]: line["schemaURL"] for line in call("GET", "/api/schema").json()["schemas"]}
    assert lines["model"] == "http://sandbox/api/schema/model"
    assert set(TYPES) <= set(lines)
    assert call("GET", "/api/schema/model").json()["additionalProperties"] is True
    path = f"/api/{STAGING}/config/model"
    assert call("POST", path, {"id": "m", "name": "M", "query": {"sql": "select 1", "x": 1}}).json() == {
        "id": "m"
    }
    assert call("PUT", f"{path}/m", {"query": {"x": 2}}).json() == {"success": True}
    assert call.objects("model")[0]["query"] == {"sql": "select 1", "x": 2}
    other = Caller(Sandbox(default_state()))("GET", path)
    assert other.json()["error"] == "Unknown config object type model"


@pytest.mark.parametrize("kind", ["destination/postgres", "stream", "link"])
def test_schemas_are_open_and_name_this_server(call: Caller, kind: str) -> None:
    assert call("GET", f"/api/schema/{kind}", key=None).json()["type"] == "object"
    index = call("GET", "/api/schema", key=None).text
    assert "http://sandbox/api/schema/destination/postgres" in index
    assert "jitsu.example.com" not in index


# -- seeding -------------------------------------------------------------------------------


def _snapshot_of(call: Caller, workspace_id: str = "cseeded000000000000000009", **more: Any) -> Snapshot:
    bodies = {(kind, body["id"]): body for kind in TYPES for body in call.objects(kind)}
    links = call("GET", f"/api/{STAGING}/config/link").json()["links"]
    builders = call("GET", f"/api/{STAGING}/config/profile-builder").json()["profileBuilders"]
    bodies |= {("link", body["id"]): body for body in links}
    bodies |= {("profile-builder", body["id"]): body for body in builders}
    bodies |= more.get("bodies", {})
    entities = tuple(Entity(Key(*key), body) for key, body in sorted(bodies.items()))
    source = Source("http://sandbox", workspace_id, slug="seeded", name="Seeded")
    cursors = {row: dict(states) for row, states in call.sandbox.state.sync_states.items()}
    return Snapshot(Manifest(source, {}), datetime(2026, 1, 1, tzinfo=UTC), entities, cursors)


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        dropped = ("workspaceId", "createdAt", "updatedAt", "profileBuilderId")
        return {k: _comparable(v) for k, v in value.items() if k not in dropped}
    return [_comparable(item) for item in value] if isinstance(value, list) else value


def test_a_seeded_snapshot_is_listed_as_it_was_with_ids_masks_and_cursors(full: Caller) -> None:
    state = default_state()
    workspace_id = seed_snapshot(state, _snapshot_of(full))
    other = Caller(Sandbox(state, rate_limit=False))
    assert other("GET", "/api/workspace/seeded").json()["id"] == workspace_id
    for kind in TYPES:
        by_id = [
            sorted(c.objects(kind, w), key=lambda o: o["id"])
            for c, w in ((full, STAGING), (other, workspace_id))
        ]
        assert _comparable(by_id[0]) == _comparable(by_id[1]), kind
    for kind, name in (("link", "links"), ("profile-builder", "profileBuilders")):
        before = full("GET", f"/api/{STAGING}/config/{kind}").json()[name]
        after = other("GET", f"/api/{workspace_id}/config/{kind}").json()[name]
        for rows in (before, after):
            rows.sort(key=lambda row: row["id"])
            for row in rows:
                for owned in row.get("functions", ()):
                    owned.pop("id")  # the row between the two, which nothing refers to
        assert _comparable(before) == _comparable(after)
    assert MASK not in repr([row.config for row in state.objects.values()])
    assert all(
        re.fullmatch(r"[0-9a-f]{32}\.[0-9a-f]{128}", key["hash"])
        for row in state.objects.values()
        for key in row.config.get("publicKeys", ())
    )
    assert state.sync_states == full.sandbox.state.sync_states
    assert other("GET", f"/api/{workspace_id}/config/stream", key=ANALYST).status_code == 200


def test_what_a_newer_console_masked_is_masked_again_and_its_types_are_served(full: Caller) -> None:
    bodies = {
        ("model", "m"): {"id": "m", "name": "M", "deep": [{"pin": MASK, "ok": "clear"}]},
        ("destination", "new"): {"id": "new", "name": "N", "destinationType": "brand-new", "seed": MASK},
        ("service", "sv"): {"id": "sv", "name": "S", "package": "acme/y", "credentials": {"pem": MASK, "token": MASK}},
    }  # fmt: skip
    state = default_state()
    workspace_id = seed_snapshot(state, _snapshot_of(full, bodies=bodies))
    other = Caller(Sandbox(state, rate_limit=False))
    assert other.objects("model", workspace_id)[0]["deep"] == [{"pin": MASK, "ok": "clear"}]
    assert next(d for d in other.objects("destination", workspace_id) if d["id"] == "new")["seed"] == MASK
    assert next(s for s in other.objects("service", workspace_id) if s["id"] == "sv")["credentials"] == {
        "pem": MASK,
        "token": MASK,
    }
    assert "model" in {line["type"] for line in other("GET", "/api/schema").json()["schemas"]}
    assert MASK not in repr([row.config for row in state.objects.values()])


def test_the_example_workspace_has_every_type_and_would_pass_the_console_again(full: Caller) -> None:
    counts = {kind: len(full.objects(kind)) for kind in TYPES}
    assert counts == {
        "stream": 3, "destination": 4, "function": 3, "service": 1, "custom-image": 1, "domain": 1, "misc": 1, "notification": 1,
    }  # fmt: skip
    assert {d["destinationType"] for d in full.objects("destination")} == {
        "postgres",
        "clickhouse",
        "bigquery",
        "webhook",
    }
    links = full("GET", f"/api/{STAGING}/config/link").json()["links"]
    assert [link["type"] for link in links].count("push") == 3
    assert len({(link["fromId"], link["toId"]) for link in links if link["type"] == "sync"}) == 1
    for kind in TYPES:
        for body in full.objects(kind):
            assert full("PUT", f"/api/{STAGING}/config/{kind}/{body['id']}", body).status_code == 200, body[
                "id"
            ]
    for link in links:
        assert full("PUT", f"/api/{STAGING}/config/link?strict=true", link).json() == {
            "id": link["id"],
            "created": False,
        }


def test_two_workspaces_can_both_hold_the_example(full: Caller) -> None:
    example_workspace(full.sandbox.state, PRODUCTION)
    assert len(full.objects("function", PRODUCTION)) == len(full.objects("function")) == 3


# -- odd requests ---------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.text(max_size=8) | st.sampled_from([MASK, "udf.fn", "2026-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "name", "type", "data", "functions", "functionsEnv", "publicKeys", "domains", "destinationType",
                         "schedule", "fromId", "toId", "profileBuilder", "credentials", "cloneId", "x"]), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip
_PATHS = st.sampled_from(
    [f"/api/{STAGING}/config/{kind}" for kind in (*TYPES, "link", "profile-builder")]
    + [f"/api/{STAGING}/config/{kind}-0001" for kind in ("stream/web", "destination/warehouse", "function/enrich", "service/crm")]
    + ["/api/workspace", f"/api/workspace/{PRODUCTION}", f"/api/{STAGING}/sources/state?syncId=x&stream=s"]
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(["POST", "PUT"]), _PATHS, _JSON), max_size=4), _JSON)
@settings(deadline=None, max_examples=examples(60))
def test_no_body_whatever_breaks_the_sandbox_and_everything_can_still_be_listed(
    requests: list[tuple[str, str, Any]], data: Any
) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    call = Caller(Sandbox(state, rate_limit=False))
    call("PUT", f"/api/{STAGING}/config/link", {"fromId": "web-0001", "toId": "hook-0001", "data": data})
    for method, path, body in requests:
        assert call(method, path, body).status_code in (200, 400, 405, 409, 500)
    for kind in (*TYPES, "link", "profile-builder"):
        assert call("GET", f"/api/{STAGING}/config/{kind}").status_code == 200
        assert call("GET", f"/api/{STAGING}/config/{kind}", key=ANALYST).status_code == 200
    for name in ("streams-with-destinations", "rotor-connections", "syncs", "workspaces-with-profiles"):
        assert call("GET", f"/api/admin/export/{name}", key=ADMIN).status_code == 200
    assert call("DELETE", f"/api/{STAGING}/config/function/enrich-0001?strict=true").status_code in (200, 409)


def test_what_is_left_of_a_workspace_whose_row_is_gone_is_in_no_export(full: Caller) -> None:
    full("PUT", f"/api/{STAGING}/config/function/enrich-0001", {"name": "x"})
    del full.sandbox.state.workspaces[STAGING]
    for name in (
        "streams-with-destinations",
        "rotor-connections",
        "bulker-connections",
        "syncs",
        "functions",
    ):
        reply = full("GET", f"/api/admin/export/{name}", key=ADMIN)
        assert (reply.status_code, STAGING in reply.text) == (200, False)
    assert full("GET", "/api/audit-log", key=ADMIN).json()["items"] == []


def test_a_body_nested_too_deep_is_refused_and_not_stored(call: Caller) -> None:
    deep: Any = 1
    for _ in range(250):
        deep = [deep]
    reply = call("POST", f"/api/{STAGING}/config/stream", {"id": "s", "name": "S", "x": deep})
    assert (reply.status_code, reply.text) == (400, "Invalid JSON")
    assert call.objects("stream") == []


# -- served -------------------------------------------------------------------------------


def test_over_a_real_socket_it_answers_the_same_and_tells_what_it_was_asked() -> None:
    state = default_state()
    example_workspace(state, STAGING)
    sandbox = Sandbox(state)
    path = f"/api/{STAGING}/config/destination"
    with (
        running(sandbox) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {OWNER}"}) as client,
    ):
        assert client.get(path).json()["objects"] == Caller(sandbox).objects("destination")
        assert client.get("/api/schema").json()["schemas"][0]["schemaURL"].startswith(url)
        sandbox.requests.clear()
        assert client.post(f"{path}?x=1", json={}).status_code == 500
        lines = client.get("/_sandbox/requests").json()
        assert lines == [{"method": "POST", "path": f"{path}?x=1", "status": 500, "key_id": "key1"}]
        assert client.delete("/_sandbox/requests").status_code == 200
        assert client.get("/_sandbox/requests").json() == []
        assert sandbox.requests == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_an_address_in_use_is_an_error_in_one_line() -> None:
    with running(Sandbox(default_state())) as url, pytest.raises(BackupError, match="cannot listen on 127"):
        serve(Sandbox(State()), "127.0.0.1", int(url.rpartition(":")[2]), print)


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_quietly_and_returns_at_a_signal(number: signal.Signals) -> None:
    code = (
        "from jitsu_backup.sandbox import Sandbox, default_state, serve\n"
        "serve(Sandbox(default_state()), '127.0.0.1', 0, lambda url: print(url, flush=True))\n"
        "print('returned', flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/api/healthcheck").json()["status"] == "ok"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out.strip(), err) == (0, "returned", "")
