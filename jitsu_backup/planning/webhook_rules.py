"""Reasons why the console would reject a reverse sync to a webhook [reverse-sync/create-not-attested]."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from jitsu_backup.model import items_of, members_of

_OPTIONS = frozenset({"recordsPerRequest", "concurrency", "deliveryAttested", "allowInsecureHttp"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_RESERVED = frozenset(
    {
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"),
        *("user-agent", "idempotency-key"),
    }
)
_MOST_HEADERS, _MOST_FIELDS = 20, 200
_SIGNED_WITH = {"hmac": "signatureSecret", "ed25519": "signaturePrivateKey"}


def webhook_refusals(
    data: Mapping[str, Any], model: Mapping[str, Any] | None, destination: Mapping[str, Any]
) -> Iterator[str]:
    """Yield why the console would reject a reverse sync with `data` to a webhook; a model that is None is unknown.

    No values are shown, because a header or a URL may be secret.
    """
    options = members_of(data.get("streamOptions"))
    if data.get("mode") != "upsert":
        yield "data.mode: a webhook accepts upsert only"
    yield from _options(options)
    yield from _mapping(members_of(data.get("mapping")), () if model is None else model.get("primaryKey"))
    url = _parts(str(destination.get("url")))
    if url.scheme == "http" and options.get("allowInsecureHttp") is not True:
        yield "data.streamOptions.allowInsecureHttp: the webhook's URL is http://"
    yield from _destination(destination, url)


def _options(options: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(map(str, options.keys() - _OPTIONS)):
        yield f"data.streamOptions.{name}: unknown setting"
    if options.get("deliveryAttested") is not True:
        yield "data.streamOptions.deliveryAttested: somebody must confirm it"
    for name, most in (("recordsPerRequest", 200), ("concurrency", 10)):
        number = options.get(name, 1)
        if type(number) is not int or not 1 <= number <= most:
            yield f"data.streamOptions.{name}: it must be from 1 to {most}"


def _mapping(mapping: Mapping[str, Any], primary_key: Any) -> Iterator[str]:
    if not 1 <= len(mapping) <= _MOST_FIELDS:
        yield f"data.mapping: a webhook accepts 1 to {_MOST_FIELDS} columns"
    if any(field != column for field, column in mapping.items()):
        yield "data.mapping: each field must have the name of its column"
    odd = [field for field in mapping if not _FIELD_NAME.fullmatch(field)]
    if odd:
        yield f"data.mapping: the column {odd[0]!r} is not a valid field name"
    unsent = [key for key in items_of(primary_key) if key not in mapping]
    if unsent:
        yield f"data.mapping: the primary key is missing: {', '.join(map(str, unsent))}"


def _parts(url: str) -> SplitResult:
    """Return the parts of a URL; all are empty if it cannot be parsed."""
    try:
        return urlsplit(url.strip())
    except ValueError:
        return urlsplit("")


def _destination(destination: Mapping[str, Any], url: SplitResult) -> Iterator[str]:
    if str(destination.get("method", "POST")).upper() != "POST":
        yield "toId: the webhook's method must be POST"
    if url.scheme not in ("http", "https"):
        yield "toId: the webhook's URL must start with http:// or https://"
    if url.username or url.password:
        yield "toId: the webhook's URL must not contain a username or password"
    yield from _headers([str(line) for line in items_of(destination.get("headers")) if str(line).strip()])
    secret = _SIGNED_WITH.get(str(destination.get("signatureMethod")))
    if secret is not None and not destination.get(secret):
        yield f"toId: the webhook signs its requests, but has no {secret}"
    if not _HEADER_NAME.fullmatch(str(destination.get("signatureHeader", "Jitsu-Signature"))):
        yield "toId: the webhook's signatureHeader is not a valid header name"


def _headers(lines: list[str]) -> Iterator[str]:
    names = []
    for number, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        if colon and _HEADER_NAME.fullmatch(name.strip()) and not re.search(r"[\r\n\0]", value.strip()):
            names.append(name.strip().lower())
        else:
            yield f"toId: header {number} of the webhook is not of the form 'Name: value'"
    for name in sorted({name for name in names if name in _RESERVED or name.startswith("jitsu-")}):
        yield f"toId: the webhook sets the header {name}, which Jitsu sets itself"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"toId: the webhook sets the header {name} twice"
    if len(lines) > _MOST_HEADERS:
        yield f"toId: the webhook sets more than {_MOST_HEADERS} headers"
