"""Parsing of requests, and responses with ETags."""

import hashlib
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from jitsu_backup.sandbox.validation import invalid_type


def resolved(path: str) -> str:
    """Return a path with its `.` and `..` segments resolved, encoded or not [function/delete-dots].

    Therefore a path cannot name an object called `.` or `..`.
    """
    steps = path.split("/")[1:]
    kept: list[str] = []
    for number, step in enumerate(steps):
        plain = step.lower().replace("%2e", ".")
        if plain == "..":
            kept = kept[:-1]
        if plain not in (".", ".."):
            kept.append(step)
        elif number == len(steps) - 1:
            kept.append("")
    return "/" + "/".join(kept)


def moved(path: str, query: str) -> Response:
    """Return the redirect from a path with a slash at its end to the one without [function/put-dots]."""
    location = (path.rstrip("/") or "/") + (f"?{query}" if query else "")
    return Response(location, 308, {"location": location})


def read_number(text: str, name: str, issues: list[dict[str, Any]]) -> float:
    """Return a number in a query; for other text, append an issue and return 0."""
    if re.fullmatch(r"\s*-?(\d+\.?\d*|\.\d+)?\s*", text):
        return float(text.strip() or "0")
    issues.append(invalid_type("number", "nan", [name]))
    return 0


def as_json(http: HttpRequest, status: int, body: Any, more: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response with its ETag, or 304 if the caller already has it [conditional/not-modified]."""
    content = orjson.dumps(body)
    etag = f'"{hashlib.sha256(content).hexdigest()[:13]}"'
    headers: MutableMapping[str, str] = {
        "content-type": "application/json; charset=utf-8", "etag": etag, **(more or {}),
    }  # fmt: skip
    if http.method == "GET":  # refusals too, as recorded from a console of 2024 [conditional/not-modified]
        wanted = [tag.strip().removeprefix("W/") for tag in http.headers.get("if-none-match", "").split(",")]
        if etag in wanted:
            return Response(b"", status_code=304, headers=headers if status == 200 else {"etag": etag})
    return Response(content, status_code=status, headers=headers)


def with_base(value: Any, base: str) -> Any:
    """Return a schema with its addresses replaced by those of this console."""
    if isinstance(value, Mapping):
        return {name: with_base(item, base) for name, item in value.items()}
    if isinstance(value, str) and value.startswith("https://"):
        return base + re.sub(r"^https://[^/]*", "", value)
    return value


def target_of(http: HttpRequest) -> str:
    """Return path and query as refusals quote them."""
    query = http.url.query
    return http.url.path + (f"?{query}" if query else "")
