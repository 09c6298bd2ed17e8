"""The requirements of a webhook for a reverse sync [reverse-sync/create-not-attested]."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from jitsu_backup.model import items_of
from jitsu_backup.sandbox.validation import parse

Body = Mapping[str, Any]

_WEBHOOK_OPTIONS: Body = {
    "type": "object",
    "properties": {
        "recordsPerRequest": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
        "concurrency": {"type": "integer", "minimum": 1, "maximum": 10, "default": 2},
        "deliveryAttested": {"const": True},
        "allowInsecureHttp": {"type": "boolean"},
    },
    "required": ["deliveryAttested"],
    "additionalProperties": False,
    "strict": True,
}
_LABELS = {"recordsPerRequest": "Records per request", "concurrency": "Concurrent requests"}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_RESERVED = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "user-agent",
     "idempotency-key"}
)  # fmt: skip
_MOST_HEADERS, _MOST_FIELDS = 20, 200


def webhook_problems(options: Body, model: Body, destination: Body) -> Iterator[str]:
    """Yield the problems of a reverse sync to a webhook, in the order of the console's checks."""
    if options["mode"] != "upsert":
        yield "Webhook syncs send changes (upsert mode); mirror mode is not supported"
    settings, issues = parse(_WEBHOOK_OPTIONS, options["streamOptions"], dates=False)
    if issues:
        yield _worded(issues[0])
    yield from _webhook_destination(destination)
    if (
        urlsplit(str(destination.get("url"))).scheme == "http"
        and settings.get("allowInsecureHttp") is not True
    ):
        yield (
            "This URL uses http://, which sends data and any credentials unencrypted."
            " Use https://, or confirm that you accept unencrypted HTTP"
        )
    yield from _identity(options["mapping"], model.get("primaryKey") or ())


def _worded(issue: Body) -> str:
    name = str(issue["path"][0]) if issue["path"] else ""
    if name == "deliveryAttested":
        return "Confirm that your endpoint tolerates receiving the same record more than once"
    return f"{_LABELS[name]}: {issue['message']}" if name in _LABELS else "The stream settings are not valid"


def _webhook_destination(destination: Body) -> Iterator[str]:
    method = str(destination.get("method", "POST"))
    if method.upper() != "POST":
        yield f"Reverse ETL sends POST requests; the destination method is {method}. Set it to POST."
    yield from _url(str(destination.get("url")))
    lines = [str(line) for line in items_of(destination.get("headers")) if str(line).strip()]
    yield from _headers(lines)
    yield from _signing(destination, {line.partition(":")[0].strip().lower() for line in lines})


def _url(text: str) -> Iterator[str]:
    try:
        url = urlsplit(text.strip())
    except ValueError:
        url = urlsplit("")
    if not url.scheme or (url.scheme in ("http", "https") and not url.hostname):
        yield "The webhook URL is not a valid URL"
    if url.scheme not in ("http", "https"):
        yield "The webhook URL must start with http:// or https://"
    if url.username or url.password:
        yield "The webhook URL must not contain a username or password"


def _headers(lines: list[str]) -> Iterator[str]:
    seen = set()
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        lower = name.lower()
        if not colon or not line.partition(":")[0]:
            yield f'Header "{line[:40]}" must look like "Name: value"'
        if not _HEADER_NAME.fullmatch(name):
            yield f'"{name[:40]}" is not a valid header name'
        if re.search(r"[\r\n\0]", value):
            yield f"The value of header {name} contains a line break"
        if lower in _RESERVED or lower.startswith("jitsu-"):
            yield f"Header {name} is set by Jitsu and cannot be overridden"
        if lower in seen:
            yield f"Header {name} is listed more than once"
        seen.add(lower)
    if len(lines) > _MOST_HEADERS:
        yield f"At most {_MOST_HEADERS} headers are supported"


def _signing(destination: Body, own_headers: set[str]) -> Iterator[str]:
    method = destination.get("signatureMethod", "none")
    header = str(destination.get("signatureHeader", "Jitsu-Signature"))
    if method == "hmac" and not destination.get("signatureSecret"):
        yield "Request signing is HMAC but no signing secret is set"
    if method == "ed25519" and not destination.get("signaturePrivateKey"):
        yield "Request signing is Ed25519 but no private key is set"
    if not _HEADER_NAME.fullmatch(header):
        yield "The signature header name is not a valid header name"
    stamped = destination.get("signatureIncludeTimestamp", True)
    names = [] if method == "none" else [header, f"{header}-Timestamp"] if stamped else [header]
    for name in names:
        if name.lower() in _RESERVED:
            yield (
                f"The signature header {name} is set by Jitsu or the transport and cannot be used."
                " Choose another name"
            )
        if name.lower() in own_headers:
            yield (
                f"The signature header {name} is also listed in the destination's headers."
                " Use a different name"
            )


def _identity(mapping: Body, primary_key: Any) -> Iterator[str]:
    """Yield why a mapping does not send columns under their own names [reverse-sync/create-renaming-mapping]."""
    if not mapping:
        yield "The model has no columns to send"
    if len(mapping) > _MOST_FIELDS:
        yield f"At most {_MOST_FIELDS} columns can be sent; select fewer columns in the model"
    for name, column in mapping.items():
        if name != column:
            yield "Columns are sent under their own names; rename them in the model SQL"
        if not _FIELD_NAME.fullmatch(name):
            yield (
                f'Column "{name[:40]}" cannot be sent as a field name: use letters, digits and underscores,'
                " starting with a letter or underscore. Rename it in the model SQL"
            )
    for column in primary_key:
        if mapping.get(column) != column:
            yield f"The primary key column {column} must be part of the model's selected columns"
