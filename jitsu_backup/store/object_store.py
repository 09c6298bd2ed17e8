"""An object store: S3 and compatible servers, Google Cloud Storage, Azure Blob Storage, or memory."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, NotSupportedError

from jitsu_backup import __version__, threads
from jitsu_backup.errors import BackupError, StorageAccessError
from jitsu_backup.events import Notice, Reporter, silent
from jitsu_backup.network import (
    EXPIRED,
    MAYBE_TLS,
    NO_TLS,
    NOT_YET_VALID,
    OTHER_NAME,
    TLS_THERE,
    UNKNOWN_ISSUER,
    UNVERIFIED,
    refusal_of_proxy,
)
from jitsu_backup.store.base import QUARANTINE, archive_names, check_name, is_listed
from jitsu_backup.store.files import MAX_FILE_BYTES

T = TypeVar("T")

CLIENT: dict[str, Any] = {
    "allow_http": True,  # used only if the operator names such an endpoint
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(minutes=2),
    "timeout": timedelta(minutes=10),
    "user_agent": f"jitsu-backup/{__version__}",
}
RETRY: dict[str, Any] = {"max_retries": 4, "retry_timeout": timedelta(minutes=2)}

_NO_CONDITION = (405, 412, 501)
"""The HTTP statuses of servers without conditional create. For a 412 of other servers, AlreadyExistsError is raised.

A 400 has other reasons, such as the rules of a bucket. Writing without the condition could then replace an archive.
"""

_CHECKSUMS = "; if the server does not support checksums, set AWS_REQUEST_CHECKSUM_CALCULATION=when_required"

_RACES = 3

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_WORDS = {
    "NoSuchBucket": "the bucket does not exist",
    "ContainerNotFound": "the container does not exist",
    "InvalidAccessKeyId": "the access key is unknown",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "ExpiredToken": "the credentials have expired",
    "AuthenticationFailed": "the credentials are wrong",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set AWS_REGION",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION",
    "AccessDenied": "access denied",
}
_TEXTS = (
    ("ProxyAuthRequired", refusal_of_proxy(407)),
    ("TunnelUnsuccessful", refusal_of_proxy(None)),
    ("redirect without LOCATION", "the bucket is in another region; set AWS_REGION"),
    ("Expired", EXPIRED),
    ("NotValidYet", NOT_YET_VALID),
    ("NotValidForName", OTHER_NAME),
    ("UnknownIssuer", UNKNOWN_ISSUER),
    ("CaUsedAsEndEntity", "its TLS certificate is that of a CA, not of a server; issue one for the server"),
    ("InvalidCertificate", UNVERIFIED),
    ("InvalidContentType", NO_TLS),
    ("token file", "the file that the environment names for its token cannot be read"),
    ("/latest/", "no credentials are set (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role)"),
    ("metadata", "no credentials are set"),
    ("redential", "the credentials cannot be used"),
    ("token request", "the credentials cannot be used"),
    ("Invalid Access Key", "the credentials cannot be used"),
    ("timed out", "no answer in time"),
    ("TimedOut", "no answer in time"),
    ("error sending request", "cannot be reached"),
    ("error decoding response", "the connection broke"),
    ("request or response body", "the connection broke"),
)
_NO_HTTP = ("IncompleteMessage", "Parse(")
"""Parts of the library's messages about an answer that is not HTTP."""

_ACCESS = ("access key", "secret key", "credentials", "access denied")


class ObjectStore:
    """Archives and control files under a prefix of a bucket or container."""

    def __init__(self, backend: Any, url: str, report: Reporter = silent) -> None:
        """Use an obstore store as `backend`, which `url` names."""
        self._backend, self._url, self._report = backend, url.rstrip("/"), report
        self._conditional = True

    @property
    def url(self) -> str:
        """Its URL, without credentials."""
        return self._url

    async def listing(self) -> dict[str, int]:
        """Return the sizes of all archives and control files directly under the prefix, in bytes by name.

        Raise BackupError, AccessError.
        """
        return {name: int(item["size"]) for name, item in (await self._found()).items()}

    async def stamps(self) -> dict[str, str]:
        """Return a text for each archive, which differs after the archive is rewritten. Raise BackupError, AccessError."""
        found = await self._found()
        stamps = {name: (item["size"], item["last_modified"], item["e_tag"]) for name, item in found.items()}
        return {name: " ".join(map(str, stamps[name])) for name in archive_names(found)}

    async def _found(self) -> dict[str, Any]:
        found = await self._do("list", lambda: obstore.list_with_delimiter(self._backend))
        named = {str(item["path"]): item for item in found["objects"]}
        return {name: item for name, item in named.items() if is_listed(name, int(item["size"]))}

    async def names(self) -> list[str]:
        """Return the names of all archives directly under the prefix, sorted. Raise BackupError, AccessError."""
        return archive_names(await self.listing())

    async def read(self, name: str) -> bytes:
        """Return the bytes of an archive or control file. Raise BackupError, AccessError."""
        check_name(name)
        return await self._get(name)

    async def _get(self, name: str) -> bytes:
        def get() -> bytes:
            found = obstore.get(self._backend, name)
            if found.meta["size"] > MAX_FILE_BYTES:
                large = f"it is larger than {MAX_FILE_BYTES:,} bytes"
                raise BackupError(f"cannot read {name} in the store {self._url}: {large}; remove it")
            return bytes(found.bytes())

        return await self._do(f"read {name} in", get)

    async def create(self, name: str, data: bytes) -> bool:
        """Store bytes atomically. Return False if the name exists. Raise BackupError, AccessError.

        If a server has no conditional create, the name is looked up first, and one notice reports that.
        """
        check_name(name)
        for _ in range(_RACES):
            if self._conditional and await self._create(name, data):
                return True
            if await self._exists(name):
                return False
            if not self._conditional:
                put = partial(obstore.put, self._backend, name, data, use_multipart=False)
                await self._do("write to", put)
                return True
        raise BackupError(
            f"cannot write to the store {self._url}: another run keeps writing it too; try again later"
        )

    async def remove(self, name: str) -> None:
        """Remove an archive or control file if it exists. Raise BackupError, AccessError."""
        check_name(name)
        try:
            await in_thread(lambda: obstore.delete(self._backend, name))
        except (BaseError, OSError) as problem:
            if isinstance(problem, FileNotFoundError) and _code(problem) not in _WORDS:
                return
            raise self._failure(f"remove {name} from", problem) from None

    async def quarantine(self, name: str) -> None:
        """Copy an archive to QUARANTINE, never over another, then remove it. Raise BackupError, AccessError.

        The next run completes one that was killed in between.
        """
        check_name(name)
        aside = f"{QUARANTINE}/{name}"
        if await self._exists(aside) and await self._get(aside) != await self._get(name):
            there = f"the store {self._url} already has {aside}"
            raise BackupError(f"cannot quarantine {name}: {there}; remove one of them")
        await self._do(f"quarantine {name} in", lambda: obstore.copy(self._backend, name, aside))
        await self.remove(name)

    async def _create(self, name: str, data: bytes) -> bool:
        """Create conditionally. Return False if the name exists or the server does not support the condition."""
        try:
            await in_thread(lambda: obstore.put(self._backend, name, data, mode="create"))
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as problem:
            refused = _status(problem) not in _NO_CONDITION or _code(problem) in _WORDS
            if refused and not isinstance(problem, NotSupportedError):
                raise self._failure("write to", problem) from None
            self._conditional = False
            message = (
                f"the store {self._url} has no conditional create; checking first whether a name is free"
            )
            self._report(Notice(message))
            return False
        return True

    async def _exists(self, name: str) -> bool:
        try:
            await in_thread(lambda: obstore.head(self._backend, name))
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as problem:
            raise self._failure(f"look for {name} in", problem) from None
        return True

    async def _do(self, what: str, job: Callable[[], T]) -> T:
        try:
            return await in_thread(job)
        except (BaseError, OSError) as problem:
            raise self._failure(what, problem) from None

    def _failure(self, what: str, problem: Exception) -> BackupError:
        status, text = _status(problem), reason_of(problem)
        if what.startswith("write") and status in (400, 501):
            text += _CHECKSUMS
        denied = status in (401, 403) or any(word in text for word in _ACCESS)
        message = f"cannot {what} the store {self._url}: {text}"
        if denied:
            return StorageAccessError(message)
        if ";" in text:  # it says what to do
            return BackupError(message)
        return BackupError(f"{message}; check its address, its settings and the network, or try again later")


async def in_thread(job: Callable[[], T]) -> T:
    """Run a blocking call in a daemon thread, so that Ctrl-C works while a store hangs, and return its result.

    The asynchronous calls of obstore can abort the interpreter at exit (seen with 0.12 on Python 3.11).
    """

    def run() -> T:
        try:
            return job()
        except Exception:
            raise
        except BaseException:  # noqa: BLE001  a panic of the library is not an Exception
            raise GenericError("panic") from None

    return await threads.in_thread(run, "store")


def reason_of(problem: Exception) -> str:
    """Return in a few words why a store failed. Its own message may contain signed URLs and is never shown."""
    text, status, code = str(problem), _status(problem), _code(problem)
    if code in _WORDS:
        return _WORDS[code]
    if status == 407:
        return refusal_of_proxy(status)
    if status == 400 and "HTTP request to an HTTPS server" in text:
        return TLS_THERE
    if " http://" in text and any(sign in text for sign in _NO_HTTP):
        return MAYBE_TLS
    if status is not None:
        return f"HTTP {status} {code}".rstrip()
    known = next((words for part, words in _TEXTS if part in text), None)
    if known is None and isinstance(problem, FileNotFoundError):
        return "it does not exist"
    return known or f"it failed ({type(problem).__name__})"


def _code(problem: Exception) -> str:
    match = _CODE.search(str(problem))
    return match[1] if match is not None else ""


def _status(problem: Exception) -> int | None:
    match = _STATUS.search(str(problem))
    return int(match[1]) if match is not None else None
