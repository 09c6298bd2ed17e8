"""Environment variables of object stores: checks of endpoints, credentials and options, and proxies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jitsu_backup.errors import UsageError
from jitsu_backup.network import TRUST, check_files, exempt, named_proxy, proxy_for
from jitsu_backup.store.files import waits


@dataclass(frozen=True, slots=True)
class _Variables:
    """The variables of a kind of store. Those of its credentials and options begin with one of `prefixes`.

    `host` is the address if none of `endpoints` is set. `files` name files, `trimmed` are credentials, `switches` are
    true or false. `others` are further variables whose empty value the library misreads.
    """

    host: str
    prefixes: tuple[str, ...]
    endpoints: tuple[str, ...]
    files: tuple[str, ...]
    trimmed: tuple[str, ...]
    switches: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def never_empty(self) -> tuple[str, ...]:
        """The variables that must not be empty."""
        return (*self.endpoints, *self.trimmed, *self.files, *self.switches, *self.others)


_CHOICES = {"AWS_REQUEST_CHECKSUM_CALCULATION": ("when_supported", "when_required")}
_KINDS = {
    "s3": _Variables(
        "https://s3.amazonaws.com",
        prefixes=("AWS_",),
        endpoints=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        files=("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        trimmed=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"),
        switches=(
            "AWS_SSE_BUCKET_KEY_ENABLED", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_SKIP_SIGNATURE",
            "AWS_UNSIGNED_PAYLOAD", "AWS_S3_EXPRESS", "AWS_DISABLE_TAGGING", "AWS_REQUEST_PAYER", "AWS_ALLOW_HTTP",
            "AWS_ALLOW_INVALID_CERTIFICATES",
        ),
        others=("AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_KMS_KEY_ID", "AWS_CHECKSUM_ALGORITHM", *_CHOICES),
    ),
    "gs": _Variables(
        "https://storage.googleapis.com",
        prefixes=("GOOGLE_", "SERVICE_ACCOUNT"),
        endpoints=("GOOGLE_BASE_URL",),
        files=(
            "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        trimmed=(),
        switches=("GOOGLE_SKIP_SIGNATURE", "GOOGLE_ALLOW_HTTP", "GOOGLE_ALLOW_INVALID_CERTIFICATES"),
    ),
    "az": _Variables(
        "https://blob.core.windows.net",
        prefixes=("AZURE_",),
        endpoints=("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        files=("AZURE_FEDERATED_TOKEN_FILE",),
        trimmed=("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
        switches=(
            "AZURE_SKIP_SIGNATURE", "AZURE_USE_FABRIC_ENDPOINT", "AZURE_STORAGE_USE_EMULATOR", "AZURE_DISABLE_TAGGING",
            "AZURE_ALLOW_HTTP", "AZURE_ALLOW_INVALID_CERTIFICATES",
        ),
    ),
}  # fmt: skip
_AWS_KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_TRUTHS = frozenset(["1", "true", "on", "yes", "y", "0", "false", "off", "no", "n"])
_GOOGLE_DEFAULT = ".config/gcloud/application_default_credentials.json"
"""The file in the home folder that the library reads if no other credentials for Google are set."""

_UNNAMED = (
    ("Account must be specified", "AZURE_STORAGE_ACCOUNT_NAME"),
    ("encryption type", "AWS_SERVER_SIDE_ENCRYPTION"),
    ("customer-key", "AWS_SSE_CUSTOMER_KEY_BASE64"),
    ("Invalid Access Key", "AZURE_STORAGE_ACCOUNT_KEY"),
    ("SAS", "AZURE_STORAGE_SAS_TOKEN"),
    ("blob.core.windows.net", "AZURE_STORAGE_ACCOUNT_NAME"),
    ("service account", "GOOGLE_SERVICE_ACCOUNT"),
    ("pem file", "GOOGLE_SERVICE_ACCOUNT"),
)
"""Parts of the library's messages that quote no value, with the variable that each is about."""

_METADATA = ("169.254.0.0/16", "fd00:ec2::/32", "metadata.google.internal")
_EVERYTHING = ("*", "0.0.0.0/0", "::/0")


def check_environment(scheme: str, environment: Mapping[str, str]) -> None:
    """Raise UsageError for an invalid variable of a kind of store. The message never contains its value."""
    if scheme == "s3":
        _check_s3(environment)
    kind = _KINDS[scheme]
    for name in kind.never_empty:
        if name in environment and not environment[name].strip():
            raise UsageError(f"{name} is empty; set it to a value, or unset it")
    for name in kind.switches:
        if environment.get(name, "true").lower() not in _TRUTHS:
            raise UsageError(f"{name} is neither true nor false; set it to one of the two")
    for name in kind.endpoints:
        value = environment.get(name)
        if value and not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value):
            raise UsageError(f"{name} is not an address; write it as https://minio.example.com:9000")
    for name in kind.trimmed:
        if environment.get(name, "") != environment.get(name, "").strip():
            raise UsageError(f"{name} begins or ends with white space; remove it")
    check_files((*TRUST, *kind.files), environment)
    if scheme == "gs" and waits(Path(environment.get("HOME", "")) / _GOOGLE_DEFAULT):
        raise UsageError(f"~/{_GOOGLE_DEFAULT}: not a regular file; remove it")


def _check_s3(environment: Mapping[str, str]) -> None:
    keys = any(environment.get(name) for name in _AWS_KEYS)
    if environment.get("AWS_PROFILE") and not keys:
        raise UsageError(
            "AWS_PROFILE is set, but profiles in ~/.aws are not read; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    pair = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    unset = [name for name in pair if not environment.get(name)]
    if len(unset) == 1:
        raise UsageError(f"{unset[0]} is not set; set {' and '.join(pair)} together")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if environment.get(name) and not re.fullmatch(r"[a-z0-9-]+", environment[name]):
            raise UsageError(f"{name} is not a region; write it as eu-central-1")
    for name, choices in _CHOICES.items():
        if environment.get(name) and environment[name].lower() not in choices:
            raise UsageError(f"{name} must be {' or '.join(choices)}; correct it")
    if environment.get("AWS_SSE_KMS_KEY_ID") and not environment.get("AWS_SERVER_SIDE_ENCRYPTION"):
        raise UsageError("AWS_SSE_KMS_KEY_ID has no effect; set AWS_SERVER_SIDE_ENCRYPTION=aws:kms too")


def culprit(problem: str, scheme: str, environment: Mapping[str, str]) -> str | None:
    """Return the variable that a message of the library is about, or None if it is unclear.

    If several variables have the value that it quotes, return the names of all.
    """
    line = problem.partition("\n")[0]
    found = [
        name
        for name, value in environment.items()
        if name.startswith(_KINDS[scheme].prefixes)
        and value
        and (f'"{value}"' in line or (len(value) > 3 and value in line))
    ]
    return " or ".join(found) or next((name for words, name in _UNNAMED if words in line), None)


def checksum(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that add a checksum to every PUT to S3, which buckets with Object Lock require.

    As in Amazon's own tools, AWS_CHECKSUM_ALGORITHM selects another one, and
    AWS_REQUEST_CHECKSUM_CALCULATION=when_required selects none, for servers without checksums.
    """
    unwanted = environment.get("AWS_REQUEST_CHECKSUM_CALCULATION", "").lower() == "when_required"
    return {} if unwanted or environment.get("AWS_CHECKSUM_ALGORITHM") else {"checksum_algorithm": "SHA256"}


def proxy_options(scheme: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the options with which the library uses the same proxies as `proxy_for`. Raise UsageError.

    The library requests tokens from other hosts too. It never uses a proxy for the metadata addresses of a machine.
    """
    kind = _KINDS[scheme]
    endpoint = next(filter(None, map(environment.get, kind.endpoints)), kind.host)
    parts = urlsplit(endpoint)
    proxy = named_proxy(parts.scheme, environment) or named_proxy("https", environment)
    if proxy is None:  # without options, the library applies its own rules
        return {"proxy_url": "http://localhost", "proxy_excludes": ",".join(_EVERYTHING)}
    direct = [parts.hostname or ""] if proxy_for(endpoint, environment) is None else []
    entries = [entry.lstrip("*.").strip("[]") for entry in exempt(environment)]
    everything = _EVERYTHING if "*" in exempt(environment) else ()
    excluded = ",".join(filter(None, [*direct, *entries, *everything, *_METADATA]))
    return {"proxy_url": proxy, "proxy_excludes": excluded}
