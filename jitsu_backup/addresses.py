"""What messages repeat of what somebody wrote: addresses without their credentials, and no keys."""

import re
from collections.abc import Callable

_NAMED_HOST = re.compile(r"(?:\[[^][@]*\]|[^][:@\s]*)(?::\d{1,5})?", re.ASCII)
_QUOTED = re.compile(r"""(["'])(\w[\w+.-]*:/(?:(?!\1).)*)\1""")
_ONE_SLASH = re.compile(r"""\b(?:s3|gs|az|file|https?):/(?!/)[^\s"'`@?]*[@?][^\s"'`]*""", re.IGNORECASE)
_URL = re.compile(r"""(?<![\w+.-])[\w+.-]+://[^\s"'`]+""")
_UNQUOTED = re.compile(
    # a password with blanks, quotation marks or slashes, which looks like the end of the URL
    r"""(?<![\w+.-])([\w+.-]+://?)[^\s/@:[\]"'`?#]*:(?!\s|\d{1,5}(?![\w@]))([^@\n]{1,300}@(?:[^\s@]*@)*)([^\s"'`]*)"""
)
_NO_SCHEME = re.compile(
    r"""(?<![\w.:+-])(?!mailto:)(@?[^\s"'`:@/=]{0,256}):[^\s"'`@/]{1,4096}@(?=[\w[])(?:[^\s"'`@]*@)*"""
)
_KEY_PAIR = re.compile(
    r"(?<![\w.-])(?!(?:live|sha256):)([\w.-]*\w):(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[\w-]{20,}[\w+/=-]*",
    re.ASCII,
)
_AGE_KEY = re.compile(r"(AGE-SECRET-KEY-(?:PQ-)?1)[\w-]+", re.IGNORECASE)
_SIGNED = re.compile(r"""\b(sig|AccountKey|SharedAccessKey)=[^\s&;"'`]+""")
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


def without_secrets(text: str) -> str:
    """Return a text in which URLs have no credentials, and API keys, tokens and age's secret keys are `***`."""
    if ":/" in text:
        text = _UNQUOTED.sub(_without_password, text)
        text = _QUOTED.sub(lambda found: f"{found[1]}{_shown(found[2])}{found[1]}", text)
        text = _ONE_SLASH.sub(lambda found: _in_sentence(found[0], lambda _: "URL"), text)
        text = _URL.sub(lambda found: _in_sentence(found[0], _shown), text)
    if ":" in text:
        text = _KEY_PAIR.sub(r"\1:***", _NO_SCHEME.sub(r"\1:***@", text))
    return _SIGNED.sub(r"\1=***", _AGE_KEY.sub(r"\1***", text))


def _without_password(found: re.Match[str]) -> str:
    """Return a URL without credentials that may contain blanks; `URL` if a slash or the like makes their end unclear."""
    scheme, password, rest = found.groups()
    unclear = not scheme.endswith("//") or not {"/", "?", "#"}.isdisjoint(password)
    return f"URL{rest[len(rest.rstrip(_AFTER_URL)) :]}" if unclear else f"{scheme}{rest}"


def _in_sentence(found: str, shown: Callable[[str], str]) -> str:
    """Return what is `shown` of a URL, with what follows it in its sentence."""
    url = found.rstrip(_AFTER_URL)
    return shown(url) + found.removeprefix(url)


def _shown(url: str) -> str:
    """Return a URL without credentials, and any other text as it is."""
    return url if {"@", "?", "#"}.isdisjoint(url) else without_credentials(url)
