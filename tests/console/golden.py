"""Golden verdicts: how every recorded reply, and many made by hand, are classified.

`python -m tests.console.golden --write` writes fixtures/replies.json anew; the difference is what to look at.
"""

import argparse
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import fields
from enum import Enum
from typing import Any

import httpx
import orjson

from jitsu_backup.console import Done, classify, classify_failure
from tests.support import FIXTURES

FILE = FIXTURES / "replies.json"


def recorded() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every recorded exchange that has a reply, under its name."""
    for name in ("recordings", "recordings-2024", "recordings-more", "recordings-newest"):
        for number, exchange in enumerate(
            orjson.loads((FIXTURES / f"{name}.json").read_bytes())["exchanges"]
        ):
            if "response" in exchange:
                yield f"{name} {number} {exchange['name']}", exchange


HTML = {"Content-Type": "text/html; charset=utf-8"}
PRISMA = "\nInvalid `prisma.link.create()` invocation in\n/app/x.js:1:2\n\n  1 await db\n\n"


def zod(*issues: Any, **more: Any) -> dict[str, Any]:
    return {"message": "Failed to validate schema of stream: [", "error": {"issues": [*issues]}, **more}


BY_HAND: list[tuple[int, dict[str, str], Any]] = [
    (200, {}, b""),
    (200, {}, b"<html>Login</html>"),
    (200, {}, b"  \n<!doctype html>"),
    (200, HTML, b"Hello"),
    (200, {}, b'{"n": 1e999, "s": "\\ud800"}'),
    (200, {}, b'{"n": NaN}'),
    (200, {}, b"[" * 100_000),
    (204, {}, b"null"),
    (299, {}, b"[]"),
    (300, {}, b""),
    (301, {"Location": "https://u:p@sso.example/login?token=t0p#x"}, b""),
    (302, {"LOCATION": "/relative#part"}, b""),
    (302, {"location": "/x?token=t0p?again#part"}, b""),
    (302, {"location": "/x#token=t0p#again?more"}, b""),
    (307, {"location": "//u@host/a@b"}, b""),
    (308, {}, b""),
    (399, {"location": "http://x"}, b""),
    (304, {}, b""),
    (400, {}, b"Invalid JSON\nat line 1"),
    (400, {}, b"x" * 400),
    (400, {}, b"one\ntwo\nthree"),
    (400, {}, {"message": "Unknown config object type x"}),
    (400, {}, {"error": "Something else"}),
    (400, HTML, b"Bad"),
    (400, {}, b"\xff\xfe bytes"),
    (401, {}, {"error": "Link from a to b already exists"}),
    (401, {}, b""),
    (403, {}, {"message": "API route not found"}),
    (403, {}, {"message": "Custom domains are available on the Business and Enterprise plans."}),
    (403, {}, {"message": "No", "requiredPermission": "editEntities"}),
    (403, {}, {"message": "User u doesn't have access to workspace w"}),
    (403, {}, {"error": "User u doesn't have permission 'editEntities' in workspace w"}),
    (403, {}, {"message": "Invalid API key id x"}),
    (403, {}, {}),
    (403, {}, {"message": "No more", "readonly": True}),
    (403, {}, {"message": "No more", "readonly": False}),
    (403, {}, {"message": "Reverse ETL is not enabled for this workspace"}),
    (403, {}, {"message": "This save already created a sync"}),
    (403, HTML, b"<h1>Forbidden</h1>"),
    (404, {}, {"message": "stream with id x does not exist"}),
    (404, {}, {"message": "API route not found: /api/x"}),
    (404, {}, {}),
    (404, {}, b"default backend - 404"),
    (408, {"Retry-After": "3"}, b""),
    (408, {}, b""),
    (409, {}, {"message": "In the way"}),
    (409, {}, {"message": "Object is referenced by a reverse sync"}),
    (409, {}, {"message": "This is bound to fail"}),
    (410, {}, {"message": "  Gone  "}),
    (413, {}, b"Body exceeded 20mb limit"),
    (415, {}, b""),
    (418, HTML, b"teapot"),
    (422, {}, {"message": "No"}),
    (425, {"retry-after": " 1.5 "}, b""),
    (425, {}, {"message": "retry after 9 s"}),
    (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b""),
    (429, {"Retry-After": "12x"}, {"message": "Retry after 31 seconds"}),
    (429, {"retry-after": "0"}, {"message": 5}),
    (429, {}, [1]),
    (499, {}, {"error": {"no": "text"}}),
    (500, {}, b""),
    (500, {}, b"<html>Internal</html>"),
    (500, {}, [1]),
    (500, {}, {"error": 5}),
    (500, {}, {"message": "", "error": "From the other"}),
    (500, {}, {"message": "Bearer token should have two parts"}),
    (500, {}, {"message": "Invalid API key id"}),
    (500, {}, {"message": "User u doesn't have access to w"}),
    (500, {}, {"message": "u doesn't have permission to x"}),
    (500, {}, {"message": "u is not an admin"}),
    (500, {}, {"message": "Unknown config object type X"}),
    (500, {}, {"message": "Invalid config object type X"}),
    (500, {}, {"message": "API route not found"}),
    (500, {}, {"message": "Domain a.example is already in use"}),
    (500, {}, {"message": "Cannot delete stream because it is used"}),
    (500, {}, {"message": "INVALID schedule"}),
    (500, {}, {"message": "Invalid schedule: connection refused"}),
    (500, {}, {"message": "Thing not found"}),
    (500, {}, {"message": "Thing does not exist"}),
    (500, {}, {"message": "Thing does not exist anywhere"}),
    (500, {}, {"message": "Odd", "status": 404}),
    (500, {}, {"message": "Odd", "status": 418}),
    (500, {}, {"message": "Odd", "status": "404"}),
    (500, {}, {"message": "Thing not found", "status": 403}),
    (500, {}, {"message": "User u is not an admin", "status": 403}),
    (500, {}, {"message": "Odd", "status": 403}),
    (500, {}, {"message": "Domain a is already in use", "status": 403}),
    (500, {}, {"error": PRISMA + "Unique constraint failed on the fields: (`id`)", "details": "x"}),
    (500, {}, {"error": PRISMA + "Unique constraint failed on the fields: (`slug`)", "details": "x"}),
    (500, {}, {"error": PRISMA + "Can't reach database server at `db:5432`"}),
    (500, {}, {"error": "Cant reach database"}),
    (500, {}, {"error": "first line [{\nsecond: timeout\nthird"}),
    (500, {}, {"error": "x" * 400}),
    (500, {}, {"error": "prisma only\nlast {:"}),
    (500, {}, zod({"code": "invalid_type", "expected": "string", "received": "undefined", "path": ["a", 0, "b"]})),
    (500, {}, zod({"code": "invalid_type", "expected": "string", "received": "S3CRET", "path": ["a"]})),
    (500, {}, zod({"code": "invalid_enum_value", "received": "undefined", "path": "no list"})),
    (500, {}, zod({"path": []}, "odd", 5)),
    (500, {}, zod(*({"code": f"c_{n}", "path": [n]} for n in range(7)))),
    (500, {}, {"message": "Bad", "zodError": {"issues": [{"code": "too_small", "path": ["z"]}]}, "error": {"issues": None}}),
    (500, {}, {"message": "Bad", "zodError": {"issues": [{"code": "z", "path": []}]}, "error": {"issues": [{"code": "e", "path": []}]}}),
    (500, {}, {"message": "Bad", "error": {"issues": []}}),
    (500, {}, {"error": [{"code": "unrecognized_keys", "keys": ["a", 1, {}], "path": ["b"]}], "details": "x"}),
    (500, {}, {"error": [{"code": "invalid_literal", "received": "S3CRET", "path": []}, "S3CRET", {"code": "S3CRET"}]}),
    (500, {}, {"error": ["S3CRET"]}),
    (500, {}, {"error": [{"code": "S3CRET"}]}),
    (500, {}, {"message": "Can't parse request body for PUT /timeout", "zodError": {"issues": [{"code": "z", "path": ["a"]}]}}),
    (400, {}, {"error": [{"code": "z", "path": ["a"]}]}),
    (501, {}, {"message": "Not here"}),
    (502, {}, {"message": "Thing not found"}),
    (503, {}, {"error": "maintenance"}),
    (503, {"retry-after": "40"}, {"error": "maintenance"}),
    (503, {}, {"error": "maintenance", "message": "Retry after 9 seconds"}),
    (503, {}, {"error": "Maintenance?"}),
    (503, {}, {"message": "Could not verify your subscription plan."}),
    (503, {"retry-after": "40"}, {"message": "Could not verify your subscription plan."}),
    (503, {}, {"message": "Sync controller is not configured"}),
    (503, {}, {"message": "Upstream is not configured"}),
    (503, {}, b"Could not verify your subscription plan"),
    (503, {}, [1]),
    (504, HTML, b"<html>"),
    (505, {}, b""),
    (599, {}, {"error": "down"}),
]  # fmt: skip

OUTAGES = (
    "could not connect to server", "connection pool is full", "connection refused", "connection reset", "connection terminated",
    "connection closed", "connection timed out", "connection time out", "connection timeout", "Timed out", "time out", "timeout",
    "ECONNREFUSED", "ETIMEDOUT", "EPIPE", "EAI_AGAIN", "ENOTFOUND", "EHOSTUNREACH", "socket hang up", "fetch failed",
    "too many clients", "too many connections", "server closed the connection", "server has closed the connection",
    "terminating connection", "database system is starting up", "deadlock detected", "write conflict", "Transaction API error",
    "Transaction already closed", "could not serialize access", "remaining connection slots are reserved", "out of memory",
    "Engine is not yet connected", "connections are fine", "no matter",
)  # fmt: skip


def caused(failure: Exception, *causes: BaseException) -> Exception:
    last: BaseException = failure
    for cause in causes:
        last.__cause__ = cause
        last = cause
    return failure


def context(failure: Exception, cause: BaseException) -> Exception:
    failure.__context__ = cause
    return failure


FAILURES: dict[str, Callable[[], Exception]] = {
    "connect": lambda: httpx.ConnectError("x"),
    "connect timeout": lambda: httpx.ConnectTimeout("refused"),
    "pool timeout": lambda: httpx.PoolTimeout("x"),
    "refused": lambda: httpx.ConnectError("Connection REFUSED"),
    "all attempts": lambda: caused(httpx.ConnectError("x"), OSError("All connection attempts failed")),
    "name": lambda: httpx.ConnectError("[Errno -2] Name or service not known"),
    "name on a Mac": lambda: httpx.ConnectError("nodename nor servname provided"),
    "name by getaddrinfo": lambda: httpx.ConnectError("getaddrinfo failed"),
    "name later": lambda: httpx.ConnectError("Temporary failure in name resolution"),
    "unreachable": lambda: context(httpx.ConnectError("x"), OSError("Network is unreachable")),
    "no route": lambda: caused(httpx.ConnectError("x"), OSError("y"), OSError("No route to host")),
    "http for https": lambda: caused(httpx.ConnectError("x"), ssl.SSLError("WRONG VERSION NUMBER")),
    "other record": lambda: httpx.ConnectError("record layer failure"),
    "certificate": lambda: caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError("self-signed")),
    "certificate deep": lambda: caused(httpx.ConnectError("x"), OSError("y"), ssl.SSLError("z")),
    "certificate in context": lambda: context(httpx.ConnectError("x"), ssl.SSLError("z")),
    "certificate by word": lambda: httpx.ConnectError("bad CERTIFICATE"),
    "proxy refuses": lambda: httpx.ProxyError("407 Proxy Authentication Required"),
    "proxy fails": lambda: httpx.ProxyError("502 Bad Gateway"),
    "proxy": lambda: httpx.ProxyError("x"),
    "read timeout": lambda: httpx.ReadTimeout("x"),
    "write timeout": lambda: httpx.WriteTimeout("x"),
    "read": lambda: httpx.ReadError("x"),
    "protocol": lambda: httpx.RemoteProtocolError("x"),
    "scheme": lambda: httpx.UnsupportedProtocol("x"),
    "address": lambda: httpx.InvalidURL("x"),
    "decoding": lambda: httpx.DecodingError("x"),
    "other": lambda: RuntimeError("x"),
}


def _said(verdict: Any) -> Any:
    """Say a verdict, without a body that is what was sent."""
    if isinstance(verdict, Done):
        return "done, not modified" if verdict.not_modified else "done"
    parts = [getattr(verdict, field.name) for field in fields(verdict) if field.compare]
    return [type(verdict).__name__, *(part.value if isinstance(part, Enum) else part for part in parts)]


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else orjson.dumps(body)


def verdicts() -> dict[str, Any]:
    """Give every verdict, of recorded replies those that are not done: read by GET, and by POST where that is another."""
    found: dict[str, Any] = {}

    def note(name: str, of: Callable[[str], Any]) -> None:
        assert name not in found, name
        reading, writing = _said(of("GET")), _said(of("POST"))
        assert _said(of("PUT")) == _said(of("DELETE")) == writing
        assert _said(of("HEAD")) == _said(of("OPTIONS")) == reading
        found[name] = reading if reading == writing else {"reading": reading, "writing": writing}

    for name, exchange in recorded():
        reply = exchange["response"]
        body = reply["body"].encode() if isinstance(reply["body"], str) else orjson.dumps(reply["body"])
        said = _said(classify(exchange["request"]["method"], reply["status"], reply["headers"], body))
        if said != "done":
            found[name] = said
    for status, headers, body in BY_HAND:
        content = _bytes(body)
        name = f"{status} {headers or ''} {content[:200].decode(errors='replace')!r}".replace("  ", " ")
        note(name, lambda method: classify(method, status, headers, content))
    for text in OUTAGES:
        content = _bytes({"error": f"x: {text}."})
        note(f"500 {text}", lambda method: classify(method, 500, {}, content))
    for name, make in FAILURES.items():
        note(f"failure: {name}", lambda method: classify_failure(method, make()))
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help="write the fixture anew")
    if not options.parse_args().write:
        options.error("nothing to do without --write; `pytest tests/api` compares")
    lines = [f" {json.dumps(n)}: {json.dumps(v, ensure_ascii=False)}" for n, v in verdicts().items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
