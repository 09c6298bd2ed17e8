"""Addresses as messages show them: URLs without the credentials that somebody may have written into them."""

import re
from collections.abc import Callable

_NAMED_HOST = re.compile(r"(?:\[[^][@]*\]|[^][:@\s]*)(?::\d{1,5})?", re.ASCII)
_QUOTED = re.compile(r"""(["'])(\w[\w+.-]*:/(?:(?!\1).)*)\1""")
_ONE_SLASH = re.compile(r"""\b(?:s3|gs|az|file|https?):/(?!/)[^\s"'`@?]*[@?][^\s"'`]*""", re.IGNORECASE)
_URL = re.compile(r"""(?<![\w+.-])[\w+.-]+://[^\s"'`]+""")
_AFTER_URL = ";:).,"
"""What may follow a URL in a sentence."""


def without_credentials(url: str) -> str:
    """Return a URL, or a host alone, without user, password, query and fragment; `URL` if it is unclear where these end."""
    scheme, slashes, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    following = rest.removeprefix(authority)
    host = authority.rpartition("@")[2]
    unescaped = "@" in following and not {":", "@"}.isdisjoint(authority)  # such as a slash in a password
    if unescaped or not _NAMED_HOST.fullmatch(host):
        return "URL"
    return f"{scheme}{slashes}{host}{re.split('[?#]', following, maxsplit=1)[0]}"


def without_secrets_of_urls(text: str) -> str:
    """Return a text in which each URL stands without its credentials; one in quotation marks may have blanks in them."""
    if ":/" not in text:
        return text
    text = _QUOTED.sub(lambda found: f"{found[1]}{_shown(found[2])}{found[1]}", text)
    text = _ONE_SLASH.sub(lambda found: _in_sentence(found[0], lambda _: "URL"), text)
    return _URL.sub(lambda found: _in_sentence(found[0], _shown), text)


def _in_sentence(found: str, shown: Callable[[str], str]) -> str:
    """Return what is `shown` of a URL, with what follows it in its sentence."""
    url = found.rstrip(_AFTER_URL)
    return shown(url) + found.removeprefix(url)


def _shown(url: str) -> str:
    """Return a URL without credentials, and any other text as it is."""
    return url if {"@", "?", "#"}.isdisjoint(url) else without_credentials(url)
