"""Keys and the consoles that they belong to. A key is never sent to another console."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jitsu_backup.errors import AccessError, UsageError
from jitsu_backup.network import is_local, proxy_for
from jitsu_backup.settings.secret import SecretText

DEFAULT_HOST = "https://use.jitsu.com"
_QUOTES = tuple("\"'`\u201c\u201d\u2018\u2019")


def checked_key(text: str, name: str = "", if_rejected: str = "", renewal: str = "") -> SecretText:
    """Return a key (`keyId:keySecret`) without surrounding white space. Raise AccessError for a malformed one.

    Messages call it `name`, by default an API key with its id. `renewal` says where the correct one belongs.
    """
    key = text.strip()
    if key[:1] in _QUOTES and key[-1:] in _QUOTES:
        raise AccessError(f"{name or 'the API key'} is in quotation marks, which no key has").with_remedy(
            f"{renewal} without them" if renewal else "remove them"
        )
    key_id, colon, secret = key.partition(":")
    printable = key.isascii() and key.isprintable() and " " not in key
    if not (colon and key_id and secret and printable):
        wrong = AccessError(f"{name or 'the API key'} has the wrong form; it must look like keyId:keySecret")
        wrong.is_of_key = bool(renewal)
        raise wrong.with_remedy(renewal) if renewal else wrong
    return SecretText(key, if_rejected, name or f"the API key {key_id}")


def key_for(host: str, sources: tuple[Mapping[str, Any], ...], name: str) -> object:
    """Return the first `key` or `admin_token` for `host` in the sources, or None.

    A key belongs to the console that its own source names, or else to the default one. Flags and environment count as one
    source. So do a profile, the rest of its file, and the environment for what the profile omits. A console that a flag
    names may use any key that does not belong to another. Raise UsageError if all keys belong to other consoles.
    """
    flags, profile, environment, config, _ = sources
    named_by = next((source for source in sources if source.get("host") is not None), None)
    of_file = named_by is profile or named_by is config

    def belongs(source: Mapping[str, Any]) -> bool:
        if source.get("host") is not None:
            return normal_host(str(source["host"])) == host
        if host == DEFAULT_HOST or named_by is flags:
            return True
        if named_by is environment:  # the environment supplies what a profile omits
            return source is flags or source is profile
        return of_file and (source is profile or source is config)

    there = [source for source in sources if source.get(name) is not None]
    own = next((source for source in there if belongs(source)), None)
    if there and there[0] is flags and own is not flags:  # a key that was typed is never ignored silently
        own = None
    if own is not None:
        return own[name]
    if not there or (name == "admin_token" and there[0].get("host") is not None):
        return None
    if name == "admin_token":  # without a console, it belongs to none
        without, naming = "the one in the settings file is given without host", "host beside it"
        if there[0] is environment:
            without, naming = "JITSU_ADMIN_TOKEN is set without JITSU_HOST", "JITSU_HOST"
        if there[0] is flags:
            without, naming = "--admin-token is given without --host", "JITSU_HOST or --host"
        raise UsageError(
            f"no operator's token for {host}, because {without}, and a token is never sent to a console that is not named beside"
            f" it; set {naming} to the console that the token belongs to"
        )
    raise UsageError(
        f"no API key for {host}, because the given one belongs to {there[0].get('host') or DEFAULT_HOST} and is"
        " never sent elsewhere; name the console beside its key: JITSU_HOST in the environment, host in the settings file,"
        " or --host"
    )


def check_not_in_clear(host: str, environment: Mapping[str, str]) -> None:
    """Raise UsageError if requests to `host` cross a network without TLS, even on their way to a proxy."""
    proxy = proxy_for(host, environment)
    reached = [urlsplit(url).hostname or "" for url in (host, proxy) if url is not None]
    if urlsplit(host).scheme != "http" or all(map(is_local, reached)):
        return
    via = " and reached through a proxy" if is_local(reached[0]) else ""
    raise UsageError(
        f"{host} is another machine{via}, and without TLS, others could read the API key in transit;"
        " use https://, or accept that with --insecure-http"
    )


def normal_host(text: str) -> str:
    """Return the base URL of a console in its normal form. Raise UsageError."""
    url = text.strip() if "://" in text else f"https://{text.strip()}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("the host is not an address; write it as https://jitsu.example.com") from None
    if (
        ("://" not in text and ":/" in text)
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or any(c.isspace() for c in parts.netloc)
    ):
        raise UsageError("the host is not an address; write it as https://jitsu.example.com")
    if parts.username or parts.password or "@" in parts.path:
        raise UsageError("the host must not contain a user or password; put keys into JITSU_APIKEY")
    if parts.query or parts.fragment:
        raise UsageError(
            "the host must not contain a query or fragment; write it as https://jitsu.example.com"
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default_port = {"http": 80, "https": 443}[parts.scheme]
    suffix = "" if port in (None, default_port) else f":{port}"
    path = parts.path.rstrip("/").removesuffix("/api").rstrip("/")
    return f"{parts.scheme}://{name}{suffix}{path}"
