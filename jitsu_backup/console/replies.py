"""What a reply means: one pure classification of every reply and every transport failure.

Consoles before autumn 2026 answer most rejections with 500, sometimes with the intended status in the body, so the body
decides [stream/create-duplicate-id, discovery/workspace-unknown]. An error that the console throws on purpose is
`{"message": …}`. An unexpected one is `{"error", "details", "stackArray"}`, as is an outage, unless `error` is a list of
issues [reverse-sync/create-bad-google-settings].
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import httpx
import orjson

from jitsu_backup.errors import AccessError, BackupError, ConsoleError, KeyRejectedError, WrongAddressError
from jitsu_backup.model import items_of
from jitsu_backup.network import (
    MAYBE_TLS,
    NO_HTTP,
    NO_TLS,
    TLS_THERE,
    causes,
    certificate_problem,
    refusal_of_proxy,
)


class RefusalKind(Enum):
    """Why a request is rejected permanently."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    FEATURE_OFF = "feature off"
    NOT_FOUND = "not found"
    UNKNOWN_TYPE = "unknown type"
    NO_SUCH_ROUTE = "no such route"
    ID_TAKEN = "id taken"
    LINK_EXISTS = "link exists"
    DOMAIN_IN_USE = "domain in use"
    IN_USE = "in use"
    CONFLICT = "conflict"
    INVALID = "invalid"
    TOO_LARGE = "too large"
    NOT_JITSU = "not a Jitsu console"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Done:
    """The request succeeded. `body` is the parsed answer, or None for a 304."""

    body: Any = None
    not_modified: bool = False


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Nothing was done, and a retry may help: after `seconds`, or with None, whenever the caller likes."""

    reason: str
    seconds: float | None = None
    limited: bool = False


@dataclass(frozen=True, slots=True)
class BillingAway(RetryAfter):
    """As RetryAfter, but for one write: if the billing service stays down, only that write fails [gate/billing-down]."""


@dataclass(frozen=True, slots=True)
class Permanent:
    """Rejected permanently. `message` is the console's own: one line, without stack traces and values."""

    kind: RefusalKind
    message: str
    status: int | None = field(default=None, compare=False)
    """The HTTP status, if it is that of an error of the server."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The console may or may not have acted. Check before a retry."""

    reason: str


Verdict = Done | RetryAfter | Permanent | Ambiguous


class RefusedError(ConsoleError):
    """The console rejected a request permanently. `kind` is the reason, `status` that of an error of its server."""

    def __init__(self, kind: RefusalKind, message: str, status: int | None = None) -> None:
        """`message` is one line for a person."""
        super().__init__(message)
        self.kind, self.status = kind, status

    @property
    def with_status(self) -> str:
        """The message, with the HTTP status if it is that of an error of the server."""
        return str(self) if self.status is None else f"HTTP {self.status}: {self}"


def error_of(verdict: Permanent, told: str, if_rejected: str = "") -> BackupError:
    """Return the error for a permanent rejection.

    `told` is its message with the name of the console, `if_rejected` what to do if the console does not know the key.
    """
    match verdict.kind:
        case RefusalKind.UNAUTHENTICATED:
            rejected = KeyRejectedError(told)
            rejected.new_key = if_rejected or rejected.new_key
            return rejected
        case RefusalKind.FORBIDDEN:
            return AccessError(told)
        case RefusalKind.NOT_JITSU:
            return WrongAddressError(told)
    return RefusedError(verdict.kind, verdict.message, verdict.status)


_OUTAGE = re.compile(
    r"can.?t reach database|could not connect|connection (?:pool|refused|reset|terminated|closed|timed? ?out)"
    r"|timed? ?out|timeout|ECONN|ETIMEDOUT|EPIPE|EAI_AGAIN|ENOTFOUND|EHOSTUNREACH|socket hang up|fetch failed"
    r"|too many (?:clients|connections)|server (?:has )?closed the connection|terminating connection"
    r"|database system is|deadlock|write conflict|transaction api error|transaction already closed"
    r"|could not serialize|remaining connection slots|out of memory|engine is not yet connected",
    re.IGNORECASE,
)

_TO_TLS = re.compile(rb"HTTP request (?:was sent )?to (?:an )?HTTPS (?:port|server)")
"""The answers of nginx and of servers written in Go to an unencrypted request on a TLS port."""

_KINDS: tuple[tuple[re.Pattern[str], RefusalKind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"^Bearer token should have", RefusalKind.UNAUTHENTICATED),
        (r"^Invalid API key", RefusalKind.UNAUTHENTICATED),
        (r"doesn't have access|doesn't have permission|is not an admin", RefusalKind.FORBIDDEN),
        (r"^Unknown (?:config object|resource) type|^Invalid config object type", RefusalKind.UNKNOWN_TYPE),
        (r"^API route not found", RefusalKind.NO_SUCH_ROUTE),
        (r"Unique constraint failed on the fields: \(`id`\)", RefusalKind.ID_TAKEN),
        (r"^This save already created a sync", RefusalKind.ID_TAKEN),
        (r"^Link from .* already exists", RefusalKind.LINK_EXISTS),
        (r"^Domain .* is already in use", RefusalKind.DOMAIN_IN_USE),
        (r"^Cannot delete .* because", RefusalKind.IN_USE),
        (r"^(?:Configuration|Object|Warehouse) is (?:bound to|referenced by) ", RefusalKind.IN_USE),
        (r"^Reverse ETL is not enabled", RefusalKind.FEATURE_OFF),
        (r"^Failed to validate schema|^Invalid (?!`prisma)", RefusalKind.INVALID),
        (r"does not exist$|not found\b", RefusalKind.NOT_FOUND),
    )
)

_BY_STATUS = {
    401: RefusalKind.UNAUTHENTICATED,
    403: RefusalKind.FORBIDDEN,
    404: RefusalKind.NOT_FOUND,
    409: RefusalKind.CONFLICT,
    413: RefusalKind.TOO_LARGE,
    400: RefusalKind.INVALID,
    422: RefusalKind.INVALID,
}

LONGEST_WAIT = 86_400.0
"""The longest wait in seconds that an answer can ask for. Longer ones are reduced to this."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_TLS_ALERT = r"\x15\x03"  # as h11 quotes bytes that it cannot read


def classify(method: str, status: int, headers: Mapping[str, str], content: bytes) -> Verdict:
    """Return what a complete reply means. This is a pure function that knows all recorded replies, and those of proxies."""
    headers = {name.lower(): value for name, value in headers.items()}
    if status == 304:
        return Done(not_modified=True)
    on_the_way = _on_the_way(method, status, headers, content)
    if on_the_way is not None:
        return on_the_way
    body = _parse(content)
    if 200 <= status < 300:
        if body is not _UNPARSED:
            return Done(body)
        if _looks_like_html(headers, content):
            return Permanent(RefusalKind.NOT_JITSU, "answers with a web page instead of Jitsu's API")
        return _unsure(method, "the reply was truncated or is not JSON")
    if status == 429:
        return RetryAfter("rate limit", _retry_after(headers, body, default=60.0), limited=True)
    unavailable = _unavailable(headers, body) if status == 503 else None
    if unavailable is not None:
        return unavailable
    if status in (408, 425):
        return RetryAfter(f"HTTP {status}", _retry_after(headers, body))
    if status in (502, 503, 504):
        return _unsure(method, f"HTTP {status} from the console or a proxy in front of it")
    if status >= 500:
        return _server_error(method, status, body)
    if (
        status == 404 and body is _UNPARSED
    ):  # for example, an ingress without a console behind it; Jitsu answers JSON
        return Permanent(RefusalKind.NOT_JITSU, "answers 404, but not in the form of Jitsu")
    # a JSON body without a message may be the object itself, with its secrets
    message = (
        _message(body) or (_plain_text(headers, content) if body is _UNPARSED else None) or f"HTTP {status}"
    )
    kind = _kind_of_status(method, status, body) or RefusalKind.REFUSED
    by_text = _kind(_text(body) or message)  # not by messages about single fields
    if by_text is RefusalKind.FEATURE_OFF or (status in (400, 404, 409) and by_text is not None):
        kind = by_text
    return Permanent(kind, message)


def _on_the_way(method: str, status: int, headers: Mapping[str, str], content: bytes) -> Verdict | None:
    """Return what a reply means that came from something in front of the console, or None for other replies."""
    if 300 <= status < 400:
        return Permanent(RefusalKind.NOT_JITSU, _redirect(headers.get("location", "")))
    if status == 407 or (status >= 400 and "x-squid-error" in headers):
        refusal = refusal_of_proxy(status)
        return Permanent(RefusalKind.NOT_JITSU, refusal) if status < 500 else _unsure(method, refusal)
    if status == 400 and _TO_TLS.search(content):
        return Permanent(RefusalKind.NOT_JITSU, TLS_THERE)
    return None


def classify_failure(method: str, failure: Exception) -> Verdict:
    """Return what a failure of the transport means. Messages contain no address and no key."""
    if isinstance(failure, httpx.ProxyError):  # before anything was sent to the console
        found = re.match(r"[45][0-9]{2}\b", str(failure))
        status = int(found[0]) if found else None
        refusal, refused = refusal_of_proxy(status), status is not None and status < 500
        return Permanent(RefusalKind.NOT_JITSU, refusal) if refused else RetryAfter(refusal)
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        if _causes(failure, "wrong version number", "record layer failure"):
            return Permanent(RefusalKind.NOT_JITSU, NO_TLS)
        certificate = certificate_problem(failure)
        if certificate is not None:
            return Permanent(RefusalKind.NOT_JITSU, certificate)
        what = (
            "does not answer in time" if isinstance(failure, httpx.TimeoutException) else unreachable(failure)
        )
        return RetryAfter(what)
    if isinstance(failure, httpx.TimeoutException):
        return _unsure(method, "no reply in time")
    if isinstance(failure, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return Permanent(RefusalKind.NOT_JITSU, "is not an http or https address")
    if isinstance(failure, httpx.DecodingError):
        return _unsure(method, "the reply could not be decoded")
    if isinstance(failure, httpx.RemoteProtocolError):
        if "illegal status line" in str(failure):
            by_tls = _TLS_ALERT in str(failure) and _is_in_clear(failure)
            return Permanent(RefusalKind.NOT_JITSU, TLS_THERE if by_tls else NO_HTTP)
        if method in _SAFE and "without sending a response" in str(failure) and _is_in_clear(failure):
            return RetryAfter(MAYBE_TLS)
    return _unsure(method, "the connection broke")


def _is_in_clear(failure: httpx.RequestError) -> bool:
    try:
        return failure.request.url.scheme == "http"
    except RuntimeError:  # the request is unknown
        return False


def unreachable(failure: Exception) -> str:
    """Return that a server cannot be reached, and why if that is known."""
    why = {
        "connection refused": ("refused", "all connection attempts failed"),
        "its name cannot be resolved": ("name or service not known", "nodename nor servname", "getaddrinfo", "temporary failure in name"),
        "no route to it": ("unreachable", "no route"),
    }  # fmt: skip
    known = next((f": {words}" for words, signs in why.items() if _causes(failure, *signs)), "")
    return f"cannot be reached{known}"


def _causes(failure: BaseException | None, *signs: str) -> bool:
    """Return whether a failure or one of its causes contains one of `signs`."""
    return any(sign in str(cause).lower() for cause in causes(failure) for sign in signs)


def _unsure(method: str, reason: str) -> Verdict:
    return RetryAfter(reason) if method in _SAFE else Ambiguous(reason)


def _unavailable(headers: Mapping[str, str], body: Any) -> Verdict | None:
    """Return what a 503 of the console itself means, which has done nothing, or None for any other.

    A console that is set to read-only answers like one in maintenance [maintenance/write-model].
    """
    text = _text(body) or ""
    if isinstance(body, Mapping) and body.get("error") == "maintenance":
        return RetryAfter("maintenance, or a read-only console", _retry_after(headers, body, default=15.0))
    if text.startswith("Could not verify your subscription plan"):
        reason = "the console cannot verify the workspace's Jitsu subscription, because its billing service is down"
        return BillingAway(reason, _retry_after(headers, body, default=15.0))
    if text == "Sync controller is not configured":  # [reverse-sync/run-without-controller]
        return Permanent(RefusalKind.REFUSED, text)
    return None


def _server_error(method: str, status: int, body: Any) -> Verdict:
    text, message = _text(body), _message(body)
    if message is None:
        return _unsure(method, f"HTTP {status}")
    if text is None:
        return Permanent(RefusalKind.INVALID, message, status)
    kind = _kind(text)
    if kind is None and not _issues(body) and _OUTAGE.search(text):
        return _unsure(method, f"the console's backend failed: {message}")
    stated = body.get("status")
    if kind in (None, RefusalKind.NOT_FOUND) and isinstance(stated, int):
        kind = _kind_of_status(method, stated, body) or kind
    return Permanent(kind or RefusalKind.REFUSED, message, status)


def _kind_of_status(method: str, status: int, body: Any) -> RefusalKind | None:
    """Return what a status means: a 403 to a write is about one entity, unless it mentions the key's own permissions.

    A console answers like that if the workspace's plan does not include something [gate/domain-created]. Rejections of
    the key itself are [role/analyst-cannot-create, auth/no-access], and those of a read-only workspace [readonly/create].
    """
    kind = _BY_STATUS.get(status)
    if kind is not RefusalKind.FORBIDDEN or method in _SAFE:
        return kind
    named = isinstance(body, Mapping) and ("requiredPermission" in body or body.get("readonly") is True)
    of_the_key = _kind(_text(body) or "") in (RefusalKind.UNAUTHENTICATED, RefusalKind.FORBIDDEN)
    return kind if named or of_the_key else RefusalKind.REFUSED


def _kind(message: str) -> RefusalKind | None:
    return next((kind for pattern, kind in _KINDS if pattern.search(message)), None)


class _Unparsed:
    pass


_UNPARSED = _Unparsed()


def _parse(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    try:  # numbers and escapes that orjson rejects, but JavaScript writes
        return json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _UNPARSED


def _no_constant(_name: str) -> None:
    raise ValueError  # NaN is not JSON, and could not be written back


def _text(body: Any) -> str | None:
    text = (body.get("message") or body.get("error")) if isinstance(body, Mapping) else None
    return text.strip() if isinstance(text, str) else None


def _message(body: Any) -> str | None:
    """Return the console's own words: one line, with the paths of the issues, but without received values.

    A rejection contains the whole stored object with its secrets [destination/put-null-for-optional].
    """
    text, issues = _text(body), _issues(body)
    if text is None and not issues:
        return None
    lines = (text or "Invalid settings").split("\n")
    # a database error begins with an excerpt of the console's source and says what is wrong at its end
    line = (lines[-1] if "prisma" in lines[0] else lines[0]).strip().rstrip(" [{:")[:300]
    return f"{line} ({'; '.join(issues[:5])})" if issues else line


def _issues(body: Any) -> list[str]:
    """Return the fields that the console does not accept, wherever the body lists them."""
    error, zod_error = (
        (body.get("error"), body.get("zodError")) if isinstance(body, Mapping) else (None, None)
    )
    return [*_issues_in(error)] or [*_issues_in(zod_error)]


def _issues_in(error: Any) -> Iterator[str]:
    for issue in items_of(error.get("issues") if isinstance(error, Mapping) else error):
        if isinstance(issue, Mapping) and "path" in issue:
            path = issue["path"]
            where = ".".join(map(_word, path)) if isinstance(path, list) and path else "it"
            message = issue.get("message")
            if issue.get("code") == "invalid_type" and issue.get("received") == "undefined":
                yield f"{where}: required"
            elif issue.get("code") == "invalid_type":
                yield f"{where}: must be {_word(issue.get('expected'))}"
            elif issue.get("code") == "custom" and isinstance(message, str) and message.strip():
                # a rule of the console: only its message says which, and it contains no value
                said = message.strip().splitlines()[0][:200]
                yield f"{where}: {said}" if path else said
            else:
                keys = " ".join(map(_word, items_of(issue.get("keys"))[:5]))
                yield f"{where}: {_word(issue.get('code')).replace('_', ' ')} {keys}".rstrip()


def _word(value: Any) -> str:
    return str(value)[:60] if value is None or isinstance(value, str | int | float) else "?"


def _plain_text(headers: Mapping[str, str], content: bytes) -> str | None:
    if _looks_like_html(headers, content):
        return None
    text = content[:200].decode(errors="replace").strip()
    return text.partition("\n")[0] or None


def _looks_like_html(headers: Mapping[str, str], content: bytes) -> bool:
    return "html" in headers.get("content-type", "") or content.lstrip()[:1] == b"<"


def _retry_after(headers: Mapping[str, str], body: Any, default: float | None = None) -> float | None:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)", headers.get("retry-after", "").strip())
    match = match or re.search(r"[Rr]etry after ([0-9]+)", _text(body) or "")
    return min(float(match[1]), LONGEST_WAIT) if match else default


def _redirect(location: str) -> str:
    target = location.partition("?")[0].partition("#")[0]
    target = re.sub(r"//[^/@]*@", "//", target)
    where = f" to {target}" if target else ""
    return f"redirects{where} instead of answering; use the console's own address"
