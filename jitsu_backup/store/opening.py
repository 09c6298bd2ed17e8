"""Which store a URL names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jitsu_backup.errors import UsageError
from jitsu_backup.events import Reporter, silent
from jitsu_backup.network import exempt, named_proxy, proxy_for, read_certificates
from jitsu_backup.store.base import Store
from jitsu_backup.store.folder import FolderStore

OBJECT_SCHEMES = ("s3", "gs", "az")
OBJECT_STORES = tuple(f"{scheme}://" for scheme in OBJECT_SCHEMES)
"""How the URL of an object store begins."""

_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_HOSTS = {
    "s3": "https://s3.amazonaws.com",
    "gs": "https://storage.googleapis.com",
    "az": "https://blob.core.windows.net",
}
_METADATA = ("169.254.0.0/16", "fd00:ec2::/32", "metadata.google.internal")
_EVERYTHING = ("*", "0.0.0.0/0", "::/0")
_AWS_KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def open_store(
    url: str,
    environment: Mapping[str, str],
    *,
    ca_bundle: str | None = None,
    report: Reporter = silent,
) -> Store:
    """Open the store that `url` names: a path, `file://`, `s3://`, `gs://` or `az://`. Asks nothing of it yet.

    Credentials and endpoints come from the usual variables of each in the process's own environment, which
    `environment` is to be checked by. Raises UsageError, BackupError.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
    if scheme is None:
        if re.match(r"(?i)(s3|gs|az|file|https?):", url):
            raise UsageError(f"store {url.partition(':')[0]}:…: a URL has two slashes behind its colon")
        return _folder(url)
    if scheme[1].lower() == "file":
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise UsageError("a file:// store has three slashes: file:///path/to/folder")
        return _folder(unquote(parts.path))
    if scheme[1].lower() not in OBJECT_SCHEMES:
        known = ", ".join(f"{name}://" for name in ("file", *OBJECT_SCHEMES))
        raise UsageError(f"store {scheme[0]}…: no such kind of store; give a folder, or one of {known}")
    _check_environment(scheme[1].lower(), environment)
    return _objects(url, scheme[1].lower(), environment, ca_bundle, report)


def _folder(path: str) -> FolderStore:
    if not path or "\0" in path:
        raise UsageError("the store has no path; give a folder, such as ./jitsu-backups")
    return FolderStore(path)


def _check_environment(scheme: str, environment: Mapping[str, str]) -> None:
    for name in _ENDPOINTS[scheme]:
        value = environment.get(name)
        if value and not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value):
            raise UsageError(f"{name} is no address such as https://minio.example.com:9000")
    keys = any(environment.get(name) for name in _AWS_KEYS)
    if scheme == "s3" and environment.get("AWS_PROFILE") and not keys:
        raise UsageError(
            "AWS_PROFILE is set, but profiles of ~/.aws are not read: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )


def _proxy(scheme: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the options that let a store's library use the proxies that `proxy_for` would.

    It asks other hosts too, for tokens; the addresses of a machine's own metadata are never asked through a proxy.
    """
    endpoint = next(filter(None, map(environment.get, _ENDPOINTS[scheme])), _HOSTS[scheme])
    parts = urlsplit(endpoint)
    proxy = named_proxy(parts.scheme, environment) or named_proxy("https", environment)
    if proxy is None:  # the library has rules of its own where it is told nothing
        return {"proxy_url": "http://localhost", "proxy_excludes": ",".join(_EVERYTHING)}
    direct = [parts.hostname or ""] if proxy_for(endpoint, environment) is None else []
    entries = [entry.lstrip("*.").strip("[]") for entry in exempt(environment)]
    everything = list(_EVERYTHING) if "*" in exempt(environment) else []
    return {
        "proxy_url": proxy,
        "proxy_excludes": ",".join([*direct, *filter(None, entries), *everything, *_METADATA]),
    }


def _objects(
    url: str, scheme: str, environment: Mapping[str, str], ca_bundle: str | None, report: Reporter
) -> Store:
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"store {scheme}://…: credentials and options go into the environment, not into the URL"
        )
    bucket, prefix = parts.netloc, "/".join(part for part in parts.path.split("/") if part)
    if not bucket:
        raise UsageError(f"store {scheme}://: name a bucket or container: {scheme}://bucket/prefix")
    # imported here, for loading them takes longer than all the rest
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import AzureStore, GCSStore, S3Store  # noqa: PLC0415

    from jitsu_backup.store.objects import CLIENT, RETRY, ObjectStore, reason_of  # noqa: PLC0415

    client: dict[str, Any] = {**CLIENT, **_proxy(scheme, environment)}
    if ca_bundle is not None:
        client["root_certificate"] = read_certificates(Path(ca_bundle)).encode()
    kinds: dict[str, Any] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    try:
        backend = kinds[scheme](bucket, prefix=prefix or None, client_options=client, retry_config=RETRY)
    except (BaseError, ValueError, OSError) as problem:
        if scheme == "az" and "Account must be specified" in str(problem):
            raise UsageError(f"store {scheme}://{bucket}: set AZURE_STORAGE_ACCOUNT_NAME") from None
        raise UsageError(
            f"store {scheme}://{bucket}: {reason_of(problem)}; look at the settings of it in the environment"
        ) from None
    return ObjectStore(backend, f"{scheme}://{bucket}/{prefix}", report)
