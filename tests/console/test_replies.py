"""Every reply is known: done, retry after, permanent or ambiguous."""

import json
import ssl
from typing import Any

import httpx
import orjson
import pytest

from jitsu_backup.console import (
    Ambiguous,
    Done,
    Permanent,
    RefusalKind,
    RetryAfter,
    classify,
    classify_failure,
)
from jitsu_backup.console.replies import RefusedError
from jitsu_backup.network import MAYBE_TLS, NO_HTTP, TLS_THERE, refusal_of_proxy
from tests.console.golden import FILE, verdicts
from tests.support import FIXTURES

KINDS = {
    "auth/anonymous": RefusalKind.UNAUTHENTICATED,
    "auth/malformed-key": RefusalKind.UNAUTHENTICATED,
    "auth/unknown-key-id": RefusalKind.UNAUTHENTICATED,
    "auth/wrong-secret": RefusalKind.UNAUTHENTICATED,
    "auth/no-access": RefusalKind.FORBIDDEN,
    "auth/unknown-workspace-id": RefusalKind.FORBIDDEN,
    "discovery/workspace-unknown": RefusalKind.NOT_FOUND,
    "discovery/unknown-route": RefusalKind.NO_SUCH_ROUTE,
    "discovery/unknown-method": RefusalKind.REFUSED,
    "discovery/unknown-type": RefusalKind.UNKNOWN_TYPE,
    "stream/create-duplicate-id": RefusalKind.ID_TAKEN,
    "stream/create-same-id-in-other-workspace": RefusalKind.ID_TAKEN,
    "stream/create-without-id": RefusalKind.INVALID,
    "stream/create-key-without-plaintext": RefusalKind.REFUSED,
    "stream/create-domain-in-use": RefusalKind.DOMAIN_IN_USE,
    "stream/create-invalid-domain": RefusalKind.REFUSED,
    "stream/put-unknown-key": RefusalKind.REFUSED,
    "stream/put-missing-object": RefusalKind.NOT_FOUND,
    "stream/get-missing-object": RefusalKind.NOT_FOUND,
    "destination/put-null-for-optional": RefusalKind.INVALID,
    "destination/create-unknown-destination-type": RefusalKind.REFUSED,
    "destination/create-invalid": RefusalKind.INVALID,
    "destination/create-provisioned": RefusalKind.REFUSED,
    "function/create-name-like-a-date": RefusalKind.INVALID,
    "link/create-push-duplicate": RefusalKind.LINK_EXISTS,
    "link/create-unknown-stream": RefusalKind.NOT_FOUND,
    "link/create-unknown-destination": RefusalKind.NOT_FOUND,
    "link/strict-invalid-data": RefusalKind.INVALID,
    "link/sync-bad-schedule": RefusalKind.INVALID,
    "role/analyst-cannot-create": RefusalKind.FORBIDDEN,
    "profile-builder/incomplete": RefusalKind.INVALID,
    "delete/strict-linked": RefusalKind.IN_USE,
    "delete/function-in-use-strict": RefusalKind.IN_USE,
    "delete/recreate-same-id": RefusalKind.ID_TAKEN,
    "delete/put-deleted": RefusalKind.NOT_FOUND,
    "delete/link-by-id": RefusalKind.REFUSED,
    "admin/export-as-owner": RefusalKind.FORBIDDEN,
    "admin/export-syncs": RefusalKind.NOT_FOUND,
    "admin/workspace-list": RefusalKind.NOT_FOUND,
    "workspace/create-slug-taken": RefusalKind.INVALID,
    "limits/too-large": RefusalKind.TOO_LARGE,
    "limits/bad-json": RefusalKind.INVALID,
    "listen/no-date": RefusalKind.INVALID,
    "listen/bad-date": RefusalKind.REFUSED,
    "listen/by-slug": RefusalKind.REFUSED,
    "listen/no-access": RefusalKind.FORBIDDEN,
    "function/put-dots": RefusalKind.NOT_JITSU,
    "function/delete-dots": RefusalKind.NOT_JITSU,
    "audit-log/as-analyst": RefusalKind.FORBIDDEN,
    "audit-log/all-as-owner": RefusalKind.FORBIDDEN,
    "admin/workspace-create": RefusalKind.REFUSED,
    "workspace/create-without-slug": RefusalKind.INVALID,
    "workspace/put-slug-taken": RefusalKind.REFUSED,
    "workspace/put-data-retention": RefusalKind.REFUSED,
}
SECRETS = ("chsecret", "s3cret", "envsecret", "svcsecret", "pbsecret", "KEYDATA", "stack trace")


def exchanges() -> list[Any]:
    found = []
    for name in ("recordings.json", "recordings-2024.json", "recordings-more.json"):
        for exchange in orjson.loads((FIXTURES / name).read_bytes())["exchanges"]:
            if "response" in exchange:
                found.append(pytest.param(exchange, id=f"{name.split('.')[0]}:{exchange['name']}"))
    return found


def verdict_of(exchange: dict[str, Any]) -> Any:
    reply = exchange["response"]
    body = reply["body"]
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)
    return classify(exchange["request"]["method"], reply["status"], reply["headers"], content)


@pytest.mark.parametrize("exchange", exchanges())
def test_every_recorded_reply_is_classified(exchange: dict[str, Any]) -> None:
    verdict, status = verdict_of(exchange), exchange["response"]["status"]
    if status == 304:
        assert verdict == Done(not_modified=True)
    elif status == 200:
        assert verdict == Done(exchange["response"]["body"])
    elif status == 429:
        assert verdict == RetryAfter(
            "rate limit", float(exchange["response"]["headers"]["retry-after"]), limited=True
        )
    elif status == 503:
        assert isinstance(verdict, RetryAfter)
    else:
        assert isinstance(verdict, Permanent)
        old_only = {
            "custom-image/create", "custom-image/list", "domain/create", "domain/list", "misc/create", "misc/list",
            "notification/create", "notification/list",
        }  # fmt: skip
        if exchange["name"].startswith("sync-state/"):
            assert verdict.kind is RefusalKind.NO_SUCH_ROUTE
        elif exchange["name"] in old_only:
            assert verdict.kind is RefusalKind.UNKNOWN_TYPE
        else:
            assert verdict.kind is KINDS[exchange["name"]]
        assert "\n" not in verdict.message
        assert not any(secret in verdict.message for secret in SECRETS)


OUTAGES = [
    (
        500,
        b'{"error":"Invalid `prisma.x()` invocation: Can\'t reach database server at `db:5432`","details":"x"}',
    ),
    (500, b'{"error":"Timed out fetching a new connection from the connection pool."}'),
    (500, b"Internal Server Error"),
    (502, b"<html><h1>502 Bad Gateway</h1></html>"),
    (503, b"<html>Service Unavailable</html>"),
    (504, b"upstream request timeout"),
    (200, b'{"objects": [{"id": "a", "na'),
]


@pytest.mark.parametrize(("status", "content"), OUTAGES)
def test_an_outage_is_asked_again_when_reading_and_looked_at_when_writing(
    status: int, content: bytes
) -> None:
    headers = {"content-type": "text/html" if content.startswith(b"<") else "application/json"}
    assert isinstance(classify("GET", status, headers, content), RetryAfter)
    assert isinstance(classify("POST", status, headers, content), Ambiguous)


def test_a_404_of_what_stands_before_the_console_is_no_answer_of_jitsus() -> None:
    for content in (b"default backend - 404", b"<html>Not found</html>", b""):
        for method in ("GET", "POST"):
            verdict = classify(method, 404, {"content-type": "text/plain"}, content)
            assert isinstance(verdict, Permanent)
            assert verdict.kind is RefusalKind.NOT_JITSU


def test_a_web_page_or_a_redirect_is_no_jitsu() -> None:
    page = classify("GET", 200, {"content-type": "text/html"}, b"<!doctype html><title>Login</title>")
    assert isinstance(page, Permanent)
    assert page.kind is RefusalKind.NOT_JITSU
    away = classify("GET", 302, {"location": "https://u:pw@sso.example/login?token=t0p"}, b"")
    assert isinstance(away, Permanent)
    assert away.message.startswith("redirects to https://sso.example/login")
    assert "pw" not in away.message
    assert "t0p" not in away.message


@pytest.mark.parametrize(
    ("failure", "reading", "writing"),
    [
        (httpx.ConnectError("x"), RetryAfter, RetryAfter),
        (httpx.ConnectTimeout("x"), RetryAfter, RetryAfter),
        (httpx.ReadTimeout("x"), RetryAfter, Ambiguous),
        (httpx.ReadError("x"), RetryAfter, Ambiguous),
        (httpx.WriteError("x"), RetryAfter, Ambiguous),
        (httpx.RemoteProtocolError("x"), RetryAfter, Ambiguous),
        (httpx.DecodingError("x"), RetryAfter, Ambiguous),
        (httpx.UnsupportedProtocol("x"), Permanent, Permanent),
    ],
)
def test_transport_faults_are_known(failure: Exception, reading: type, writing: type) -> None:
    assert isinstance(classify_failure("GET", failure), reading)
    assert isinstance(classify_failure("POST", failure), writing)


def test_a_bad_certificate_is_permanent() -> None:
    failure = httpx.ConnectError("failed")
    failure.__cause__ = ssl.SSLCertVerificationError("self-signed")
    assert isinstance(classify_failure("GET", failure), Permanent)


def test_a_database_error_of_many_lines_is_understood_by_its_end() -> None:
    text = "\nInvalid `prisma.configurationObject.create()` invocation in\n/app/x.js:1:2\n\n  1 await db\n\nUnique constraint failed on the fields: (`id`)"
    verdict = classify("POST", 500, {}, orjson.dumps({"error": text, "details": "x", "stackArray": []}))
    assert verdict == Permanent(RefusalKind.ID_TAKEN, "Unique constraint failed on the fields: (`id`)")


def test_retry_after_is_honoured_wherever_it_stands() -> None:
    body = b'{"error":"rate_limit_exceeded","message":"Rate limit exceeded. Retry after 31 seconds."}'
    assert classify("PUT", 429, {}, body) == RetryAfter("rate limit", 31.0, limited=True)
    assert classify("PUT", 429, {"Retry-After": "7"}, body) == RetryAfter("rate limit", 7.0, limited=True)
    assert classify("PUT", 429, {}, b"slow down") == RetryAfter("rate limit", 60.0, limited=True)


def test_replies_mean_what_the_golden_table_says() -> None:
    """Golden: fixtures/replies.json, looked at by hand."""
    found, golden = verdicts(), json.loads(FILE.read_text(encoding="utf-8"))
    assert {name: verdict for name, verdict in found.items() if golden.get(name) != verdict} == {}
    assert found.keys() == golden.keys()


@pytest.mark.parametrize("status", [400, 403, 404, 409, 499, 500])
def test_a_refusal_that_is_json_and_says_nothing_is_never_shown_as_it_is(status: int) -> None:
    body = {"error": {"id": "x"}, "object": {"password": "s3cret"}}
    assert "s3cret" not in repr(classify("POST", status, {}, orjson.dumps(body)))
    assert classify("GET", status, {}, b'["s3cret"]') in (
        Permanent(RefusalKind.INVALID, "HTTP 400"), Permanent(RefusalKind.FORBIDDEN, "HTTP 403"),
        Permanent(RefusalKind.NOT_FOUND, "HTTP 404"), Permanent(RefusalKind.CONFLICT, "HTTP 409"),
        Permanent(RefusalKind.REFUSED, "HTTP 499"), RetryAfter("HTTP 500"),
    )  # fmt: skip


def test_a_403_to_a_write_is_about_one_entity_unless_it_speaks_of_the_keys_own_rights() -> None:
    plan = b'{"message": "Custom domains are available on the Business and Enterprise plans."}'
    right = b'{"message": "No", "requiredPermission": "editEntities"}'
    access = b'{"message": "User u doesn\'t have access to workspace w"}'
    for method in ("POST", "PUT", "DELETE"):
        kinds = [classify(method, 403, {}, content) for content in (plan, right, access)]
        assert [verdict.kind for verdict in kinds if isinstance(verdict, Permanent)] == [
            RefusalKind.REFUSED, RefusalKind.FORBIDDEN, RefusalKind.FORBIDDEN,
        ]  # fmt: skip
    assert classify("GET", 403, {}, plan).kind is RefusalKind.FORBIDDEN  # type: ignore[union-attr]


def test_a_refusal_that_is_raised_tells_its_kind_and_its_words() -> None:
    raised = RefusedError(RefusalKind.IN_USE, "in the way")
    assert (raised.kind, str(raised)) == (RefusalKind.IN_USE, "in the way")


def cut_off(words: str, scheme: str | None) -> httpx.RemoteProtocolError:
    request = None if scheme is None else httpx.Request("GET", f"{scheme}://jitsu.example.com")
    return httpx.RemoteProtocolError(words, request=request)


NO_STATUS_LINE = "illegal status line: bytearray(b'{}')"
TLS_ALERT = NO_STATUS_LINE.format(r"\x15\x03")


@pytest.mark.parametrize(
    ("words", "scheme", "told"),
    [
        (TLS_ALERT, "http", TLS_THERE),
        (TLS_ALERT, "https", NO_HTTP),
        (TLS_ALERT, None, NO_HTTP),
        (NO_STATUS_LINE.format("SSH-2.0"), "http", NO_HTTP),
    ],
)  # fmt: skip
def test_what_answers_without_http_is_no_jitsu_and_tls_is_reported_where_the_request_came_in_clear(
    words: str, scheme: str | None, told: str
) -> None:
    for method in ("GET", "POST"):
        assert classify_failure(method, cut_off(words, scheme)) == Permanent(RefusalKind.NOT_JITSU, told)


def test_a_read_in_clear_that_is_cut_off_without_an_answer_may_have_met_tls() -> None:
    words, broke = "Server disconnected without sending a response.", "the connection broke"
    assert classify_failure("GET", cut_off(words, "http")) == RetryAfter(MAYBE_TLS)
    assert classify_failure("POST", cut_off(words, "http")) == Ambiguous(broke)
    for scheme in ("https", None):
        assert classify_failure("GET", cut_off(words, scheme)) == RetryAfter(broke)
    assert classify_failure("GET", cut_off("peer closed connection", "http")) == RetryAfter(broke)


@pytest.mark.parametrize(
    "content",
    [
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"<center>The plain HTTP request was sent to HTTPS port</center>",
    ],
)
def test_a_tls_port_that_answers_a_request_in_clear_is_told_to_want_https(content: bytes) -> None:
    for method in ("GET", "POST"):
        assert classify(method, 400, {}, content) == Permanent(RefusalKind.NOT_JITSU, TLS_THERE)
    assert classify("GET", 404, {}, content) == Permanent(
        RefusalKind.NOT_JITSU, "answers 404, but not in the form of Jitsu"
    )


def test_what_a_proxy_answers_is_reported_as_the_proxys() -> None:
    squid = {"X-Squid-Error": "ERR_ACCESS_DENIED 0"}
    for status, headers in ((400, squid), (403, squid), (407, {}), (407, squid)):
        for method in ("GET", "POST"):
            refused = Permanent(RefusalKind.NOT_JITSU, refusal_of_proxy(status))
            assert classify(method, status, headers, b"<html>Access Denied") == refused
    for status in (500, 503):
        assert classify("GET", status, squid, b"<html>") == RetryAfter(refusal_of_proxy(status))
        assert classify("POST", status, squid, b"<html>") == Ambiguous(refusal_of_proxy(status))
    assert classify("GET", 200, squid, b"[]") == Done([])


@pytest.mark.parametrize(
    ("words", "status"),
    [("403 Forbidden", 403), ("499", 499), ("500 Odd", 500), ("4031 Odd", None), ("x 403", None), ("307 Moved", None)],
)  # fmt: skip
def test_a_proxy_that_does_not_connect_refuses_for_good_by_a_4xx_alone(
    words: str, status: int | None
) -> None:
    told = refusal_of_proxy(status)
    expected = Permanent(RefusalKind.NOT_JITSU, told) if status in (403, 499) else RetryAfter(told)
    assert classify_failure("POST", httpx.ProxyError(words)) == expected


def test_a_403_that_the_console_wraps_is_about_the_key_where_it_names_the_right_that_lacks() -> None:
    wrapped = {"message": "Odd", "status": 403}
    right = {**wrapped, "requiredPermission": "editEntities"}
    assert classify("POST", 500, {}, orjson.dumps(right)) == Permanent(RefusalKind.FORBIDDEN, "Odd")
    assert classify("POST", 500, {}, orjson.dumps(wrapped)) == Permanent(RefusalKind.REFUSED, "Odd")


def test_what_stands_in_an_issue_is_shown_only_as_short_words() -> None:
    issues = [
        {"code": "c" * 61, "path": [{"password": "s3cret"}, "p" * 61]},
        {"code": ["s3cret"], "path": [None, 1.5]},
        {"code": "invalid_type", "expected": {"a": "s3cret"}, "path": ["x"]},
    ]
    body = orjson.dumps({"message": "Invalid", "error": {"issues": issues}})
    told = f"?.{'p' * 60}: {'c' * 60}; None.1.5: ?; x: must be ?"
    assert classify("POST", 500, {}, body) == Permanent(RefusalKind.REFUSED, f"Invalid ({told})")
