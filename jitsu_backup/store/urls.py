"""Opening the store that a URL names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from jitsu_backup.addresses import without_credentials, without_secrets
from jitsu_backup.errors import UsageError
from jitsu_backup.events import Reporter, silent
from jitsu_backup.network import read_certificates
from jitsu_backup.store.base import Store
from jitsu_backup.store.environment import check_environment, checksum, culprit, proxy_options
from jitsu_backup.store.folder import FolderStore

OBJECT_SCHEMES = ("s3", "gs", "az")

_ONE_SLASH = re.compile(r"(?:s3|gs|az|file|https?):", re.IGNORECASE)
_NO_SEGMENT = re.compile(r"^\.{1,2}$|[\x00-\x1f\x7f]")
_BUCKETS = {
    # old buckets at Amazon and other servers have capitals
    "s3": re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*", re.ASCII),
    "gs": re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII),
    "az": re.compile(r"[a-z0-9$][a-z0-9-]*", re.ASCII),
}


def open_store(
    url: str,
    environment: Mapping[str, str],
    *,
    ca_bundle: str | None = None,
    report: Reporter = silent,
) -> Store:
    """Open the store that `url` names: a path, `file://`, `s3://`, `gs://` or `az://`. Send no request.

    Credentials and endpoints come from the usual variables of each kind in the environment of the process;
    `environment` is the same environment, to check them. Raise UsageError, BackupError.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
    if scheme is None:
        if _ONE_SLASH.match(url):
            raise UsageError(f"store {url.partition(':')[0]}:…: write two slashes after the colon of the URL")
        return _folder(url)
    if scheme[1].lower() == "file":
        parts = _split(url)
        if parts.netloc not in ("", "localhost"):
            raise UsageError("a file:// store needs three slashes; write file:///path/to/folder")
        return _folder(unquote(parts.path))
    if scheme[1].lower() not in OBJECT_SCHEMES:
        known = ", ".join(f"{name}://" for name in ("file", *OBJECT_SCHEMES))
        raise UsageError(f"store {scheme[0]}…: unknown kind of store; give a folder, or one of {known}")
    check_environment(scheme[1].lower(), environment)
    return _objects(url, scheme[1].lower(), environment, ca_bundle, report)


def shown_url(store: str) -> str:
    """Return what names a store in a message or command, even if it cannot be opened: a URL without credentials."""
    if "://" in store:
        return without_credentials(store)
    return "URL" if _ONE_SLASH.match(store) else without_secrets(store)


def store_in_memory() -> Store:
    """Return a new store in the memory of this process."""
    # imported here as below
    from obstore.store import MemoryStore  # noqa: PLC0415

    from jitsu_backup.store.object_store import ObjectStore  # noqa: PLC0415

    return ObjectStore(MemoryStore(), "memory://")


def _folder(path: str) -> FolderStore:
    if not path or "\0" in path:
        raise UsageError("the store has no path; give a folder, such as ./jitsu-backups")
    return FolderStore(path)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # such as one square bracket
        raise UsageError(f"store {url.partition(':')[0]}://…: not a URL; correct it") from None


def _bucket_and_prefix(url: str, scheme: str) -> tuple[str, str]:
    """Return bucket and prefix of the URL of an object store. Raise UsageError for an invalid one."""
    parts = _split(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        message = "the URL has credentials or options; put them into the environment instead"
        raise UsageError(f"store {scheme}://…: {message}")
    bucket, segments = parts.netloc, [part for part in parts.path.split("/") if part]
    if not bucket:
        raise UsageError(f"store {scheme}://: no bucket or container; write {scheme}://bucket/prefix")
    if not _BUCKETS[scheme].fullmatch(bucket):
        raise UsageError(
            f"store {scheme}://…: not the name of a bucket; write {scheme}://bucket/prefix, and put a server's address"
            " into the environment"
        )
    wrong = next(filter(_NO_SEGMENT.search, segments), None)
    if wrong is not None:
        raise UsageError(
            f"store {scheme}://{bucket}/…: the prefix must not contain {wrong!r}; write it without that"
        )
    return bucket, "/".join(segments)


def _objects(
    url: str, scheme: str, environment: Mapping[str, str], ca_bundle: str | None, report: Reporter
) -> Store:
    bucket, prefix = _bucket_and_prefix(url, scheme)
    # imported here, because loading them takes longer than everything else
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import AzureStore, GCSStore, S3Store  # noqa: PLC0415

    from jitsu_backup.store.object_store import CLIENT, RETRY, ObjectStore, reason_of  # noqa: PLC0415

    client: dict[str, Any] = {**CLIENT, **proxy_options(scheme, environment)}
    if ca_bundle is not None:
        client["root_certificate"] = read_certificates(Path(ca_bundle)).encode()
    kinds: dict[str, Any] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    try:
        options: dict[str, Any] = {"client_options": client, "retry_config": RETRY}
        options |= checksum(environment) if scheme == "s3" else {}
        backend = kinds[scheme](bucket, prefix=prefix or None, **options)
    except (BaseError, ValueError, OSError) as problem:
        name = culprit(str(problem), scheme, environment)
        if name is not None:
            wrong = (
                "has an unusable value; correct it"
                if environment.keys() & name.split()
                else "is not set; set it"
            )
            raise UsageError(f"store {scheme}://{bucket}: {name} {wrong}") from None
        raise UsageError(
            f"store {scheme}://{bucket}: {reason_of(problem)}; check its settings in the environment"
        ) from None
    return ObjectStore(backend, f"{scheme}://{bucket}/{prefix}", report)
