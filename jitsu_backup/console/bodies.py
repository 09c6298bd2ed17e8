"""Bodies of replies, read in steps: of one coding at most, and never more than is allowed."""

import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

import httpx

from jitsu_backup.model import MAX_VALUES, count_signs

MAX_REPLY_BYTES = 256 * 1024 * 1024
"""The most bytes of one reply, and of all that are held of one workspace: an archive holds no more."""

ACCEPTED = "gzip"
"""The content coding that we ask for."""

_STEP = 64 * 1024
_GZIP_OR_ZLIB = 47  # zlib's `wbits` for either, as told by their headers


class TooLargeError(Exception):
    """A body, or several together, have more bytes or values than can be held. `str()` says which."""


@dataclass(slots=True)
class Size:
    """How much JSON there is: bytes, and signs that begin or part its values; and how much there may be.

    `share` is a share of what an archive can hold. What is counted here counts `within` another size too.
    """

    bytes: int = 0
    values: int = 0
    share: float = 1.0
    within: "Size | None" = None

    def add(self, other: "Size") -> None:
        """Count what is held besides."""
        self.bytes += other.bytes
        self.values += other.values
        if self.within is not None:
            self.within.add(other)

    def subtract(self, other: "Size") -> None:
        """Count no longer what is no longer held."""
        self.bytes -= other.bytes
        self.values -= other.values
        if self.within is not None:
            self.within.subtract(other)

    def check(self) -> None:
        """Raise TooLargeError for more than there may be."""
        if self.bytes > self.share * MAX_REPLY_BYTES:
            raise TooLargeError(f"more than {self.share * MAX_REPLY_BYTES / 2**20:g} MiB")
        if self.values > self.share * MAX_VALUES:
            raise TooLargeError(f"more than {self.share * MAX_VALUES:,.0f} values")
        if self.within is not None:
            self.within.check()


async def read_body(response: httpx.Response, beside: Size) -> tuple[bytes, Size]:
    """Read and decode the body of a reply, and return its size too; one that its transport made whole is taken as it is.

    `beside` is the size of all that is held already; the body is added to it while it is read, and taken out where
    reading fails. Raises TooLargeError, and httpx.DecodingError for more than one coding, an unknown one, and damage.
    """
    size = Size()
    body = bytearray()
    try:
        async for part in _parts(response):
            body += part
            more = Size(len(part), count_signs(part))
            size.add(more)
            beside.add(more)
            size.check()
            _check_together(beside)
    except BaseException:
        beside.subtract(size)
        raise
    return bytes(body), size


def _check_together(held: Size) -> None:
    try:
        held.check()
    except TooLargeError as problem:
        raise TooLargeError(f"{problem}, together with what was read before") from None


async def _parts(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:
        yield response.content
        return
    decoded = _decoder(response.headers)
    async for chunk in response.aiter_raw():
        for part in decoded(chunk):
            yield part
    if response.num_bytes_downloaded:
        decoded.end()


class _Plain:
    def __call__(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def end(self) -> None:
        """Find nothing missing: only a coding tells where it ends."""


class _Inflater:
    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)

    def __call__(self, chunk: bytes) -> Iterator[bytes]:
        try:
            while chunk and not self._inflater.eof:
                yield self._inflater.decompress(chunk, _STEP)
                chunk = self._inflater.unconsumed_tail
        except zlib.error:
            raise httpx.DecodingError("the compressed body is damaged") from None

    def end(self) -> None:
        """Raise httpx.DecodingError where the body ended too early."""
        if not self._inflater.eof:
            raise httpx.DecodingError("the compressed body was cut off")


def _decoder(headers: Mapping[str, str]) -> _Plain | _Inflater:
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return _Plain()
    if coding in ("gzip", "x-gzip", "deflate"):
        return _Inflater()
    raise httpx.DecodingError("the body has a coding that was not asked for")
