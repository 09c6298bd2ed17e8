"""Network settings shared by consoles, monitors and stores: proxies and trusted certificates."""

import functools
import ipaddress
import os
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.store.files import read_text_file, waits

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ENTRY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>\d{1,5}))?", re.ASCII)


# -- proxies -----------------------------------------------------------------------


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for `url` from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, or None.

    Lower-case names of variables take precedence. An entry of NO_PROXY is a name (which covers its subdomains too), an
    address, a range of addresses, one of these with a port, or `*`. Raise UsageError, which names the variable but
    never its value.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if any(_covers(entry, host, port) for entry in exempt(environment)):
        return None
    return named_proxy(parts.scheme, environment)


def is_local(host: str) -> bool:
    """Return whether a host name or address means this machine."""
    address = _address(host.partition("%")[0])
    return host == "localhost" or host.endswith(".localhost") if address is None else address.is_loopback


def named_proxy(scheme: str, environment: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for a scheme, or None, without regard to NO_PROXY. Raise UsageError."""
    for name in (f"{scheme}_proxy", "all_proxy"):
        variable, text = _named(name, environment)
        if text:
            return _checked(variable, text)
    return None


def exempt(environment: Mapping[str, str]) -> list[str]:
    """Return the entries of NO_PROXY, in lower case."""
    return [entry.lower() for entry in re.split(r"[,\s]+", _named("no_proxy", environment)[1]) if entry]


def refusal_of_proxy(status: int | None) -> str:
    """Return the message about a proxy that refused to connect, given its HTTP status (None if unknown)."""
    refusal = "the proxy " + (f"answers HTTP {status}" if status else "does not connect")
    if status == 407:
        return (
            f"{refusal}: it requires a user and password; write user:password@ before its name in HTTPS_PROXY,"
            " HTTP_PROXY or ALL_PROXY"
        )
    if status is not None and status >= 500:
        return f"{refusal}: it cannot reach the address; check the address"
    return f"{refusal}; allow the address in the proxy, or add it to NO_PROXY"


def _named(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return a variable's name (in lower case if that is set, otherwise in upper case) and its value."""
    upper = name.upper()
    if name in environment:
        return name, environment[name].strip()
    if name == "http_proxy" and "REQUEST_METHOD" in environment:
        return upper, ""  # under CGI, a client can set HTTP_PROXY by a header
    return upper, environment.get(upper, "").strip()


def _checked(variable: str, text: str) -> str:
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        known = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if url.startswith("socks"):
        raise UsageError(f"{variable} names a SOCKS proxy, which is not supported; use an http:// proxy")
    if not known:
        raise UsageError(
            f"{variable} is not the address of a proxy; write it as http://proxy.example.com:3128"
        )
    return url


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Return whether an entry of NO_PROXY covers a host and port."""
    if entry == "*":
        return True
    address = _address(host)
    network = _network(entry)
    if network is None:
        found = _ENTRY.fullmatch(entry)
        if found is None or (found["port"] and int(found["port"]) != port):
            return False
        entry, network = found["host"], _network(found["host"])
    if network is not None or address is not None:
        return network is not None and address is not None and address in network
    name, host = entry.lstrip("*.").rstrip("."), host.lower().rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(re.sub(r"^\[(.*)\](/\d+)?$", r"\1\2", entry), strict=False)
    except ValueError:
        return None


# -- certificates ------------------------------------------------------------------

EXPIRED = "its TLS certificate has expired; renew the certificate, or correct this machine's clock"
NOT_YET_VALID = "its TLS certificate is not valid yet; correct this machine's clock, or wait"
OTHER_NAME = "its TLS certificate is for another name; use the name in the certificate"
UNKNOWN_ISSUER = (
    "the issuer of its TLS certificate is unknown; give the issuer's certificate with JITSU_CA_BUNDLE, or"
    " with --ca-bundle before the command (for a monitor: SSL_CERT_FILE)"
)
NO_TLS = "does not speak TLS; try http:// instead of https://"
TLS_THERE = "speaks TLS; write https:// instead of http://"
NO_HTTP = "answers, but not in HTTP; check the address and port"
MAYBE_TLS = "the connection broke; try https:// instead of http://"
UNVERIFIED = "its TLS certificate cannot be verified; give its issuer's certificate with --ca-bundle"

_BY_CODE = {  # of OpenSSL, X509_V_ERR_…
    9: NOT_YET_VALID, 10: EXPIRED, 62: OTHER_NAME, 64: OTHER_NAME,
    18: UNKNOWN_ISSUER, 19: UNKNOWN_ISSUER, 20: UNKNOWN_ISSUER, 21: UNKNOWN_ISSUER,
}  # fmt: skip


def certificate_problem(failure: BaseException) -> str | None:
    """Return what is wrong with a server's certificate and what to do, or None if that is not the cause."""
    for cause in causes(failure):
        if isinstance(cause, ssl.SSLError):
            return _BY_CODE.get(getattr(cause, "verify_code", 0), UNVERIFIED)
    return UNVERIFIED if "certificate" in str(failure).lower() else None


def causes(failure: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and each exception that led to it."""
    while failure is not None:
        yield failure
        failure = failure.__cause__ or failure.__context__


def read_certificates(path: Path) -> str:
    """Return the certificates in a PEM file. Raise UsageError, which names the file."""
    try:
        data = read_text_file(path)
    except BackupError as problem:
        raise UsageError(f"CA bundle: {problem}") from None
    text = data.decode("ascii", errors="replace")
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    if not data.strip():
        raise UsageError(f"CA bundle {path}: the file is empty; name one with certificates")
    if "-----BEGIN " not in text and data.startswith(b"\x30"):
        raise UsageError(
            f"CA bundle {path}: it is in DER format; convert it to PEM with openssl x509 -inform der -in {path}"
        )
    if begin not in text:
        raise UsageError(f"CA bundle {path}: it has no certificate in PEM format; name one that has")
    # libraries reject other blocks and comments that are not ASCII
    found = re.findall(f"{begin}.*?{end}", text, re.DOTALL)
    certificates = "\n".join(found)
    if len(found) != text.count(begin) or not _can_be_trusted(certificates):
        raise UsageError(f"CA bundle {path}: a certificate in it is damaged; copy the file again")
    return f"{certificates}\n"


def _can_be_trusted(certificates: str) -> bool:
    try:
        ssl.create_default_context(cadata=certificates)
    except (ssl.SSLError, ValueError):
        return False
    return True


TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that name trusted certificates if no CA bundle is given."""


def trusted(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Return what httpx trusts, from the environment or by default. It is loaded once, because loading is slow.

    Raise UsageError as `check_files` does.
    """
    return _loaded(*(environment.get(name, "") for name in TRUST))


@functools.cache
def _loaded(*named: str) -> ssl.SSLContext:
    import httpx  # noqa: PLC0415  what only reads a store starts without it

    check_files(TRUST, dict(zip(TRUST, named, strict=True)))
    return httpx.create_ssl_context()


def check_files(variables: Iterable[str], environment: Mapping[str, str]) -> None:
    """Raise UsageError for a variable that names a pipe, a device or a socket: libraries would wait for it forever.

    The message names the variable but not its value, which may be a secret set by mistake.
    """
    for name in variables:
        value = environment.get(name, "")
        if value and any(map(waits, _files_of(name, value))):
            raise UsageError(
                f"{name} cannot be used, because it names something that is not a regular file; correct or unset it"
            )


def _files_of(name: str, value: str) -> Iterator[Path]:
    """Yield the files that a variable names. SSL_CERT_DIR names folders, so it yields everything in them."""
    if name != "SSL_CERT_DIR":
        yield Path(value)
        return
    for folder in map(Path, value.split(os.pathsep)):
        yield folder
        with suppress(OSError):
            yield from folder.iterdir()
