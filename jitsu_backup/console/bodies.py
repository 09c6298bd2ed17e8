"""Read bodies of replies in steps, with at most one content coding, and never more than allowed."""

import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from jitsu_backup.model import MAX_VALUES, canonical, count_signs

MAX_REPLY_BYTES = 256 * 1024 * 1024
"""The most bytes of one reply, and of all replies held of one workspace. An archive can hold no more."""

ACCEPTED = "gzip"
"""The content coding that requests accept."""

UNFIT = "its values are nested too deeply, or its text is not Unicode"
"""Why an archive cannot hold a body that does not `fit`."""

_STEP = 64 * 1024
_GZIP_OR_ZLIB = 47  # zlib's `wbits` to tell them by their headers


class TooLargeError(Exception):
    """A body, or several together, has more bytes or values than allowed. `str()` says which."""


@dataclass(slots=True)
class Size:
    """The size of JSON in bytes, and in signs that begin or separate values, with its limits.

    `share` is a share of what an archive can hold. What is counted here also counts `within` another size.
    """

    bytes: int = 0
    values: int = 0
    share: float = 1.0
    within: "Size | None" = None

    def add(self, other: "Size") -> None:
        """Add the size of something that is now held."""
        self.bytes += other.bytes
        self.values += other.values
        if self.within is not None:
            self.within.add(other)

    def subtract(self, other: "Size") -> None:
        """Subtract the size of something that is no longer held."""
        self.bytes -= other.bytes
        self.values -= other.values
        if self.within is not None:
            self.within.subtract(other)

    def clear(self) -> None:
        """Reset the size to zero."""
        self.subtract(Size(self.bytes, self.values))

    def check(self) -> None:
        """Raise TooLargeError if the size exceeds its limits."""
        if self.bytes > self.share * MAX_REPLY_BYTES:
            raise TooLargeError(f"more than {self.share * MAX_REPLY_BYTES / 2**20:g} MiB")
        if self.values > self.share * MAX_VALUES:
            raise TooLargeError(f"more than {self.share * MAX_VALUES:,.0f} values")
        if self.within is not None:
            self.within.check()


def small_replies() -> Size:
    """Return an empty size for everything that is not a list. The schemas of a console have 94 kB together."""
    return Size(share=1 / 32)


async def read_body(response: httpx.Response, beside: Size) -> tuple[bytes, Size]:
    """Read and decode the body of a reply, and return it with its size. A body that was already read is used unchanged.

    `beside` is the size of everything that is held already. The body is added to it while it is read, and subtracted if
    reading fails. Raise TooLargeError, httpx.DecodingError for several codings, an unknown one, or damage.
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
        raise TooLargeError(f"{problem}, together with earlier replies") from None


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
        """Accept any end, because only a content coding marks its end."""


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
        """Raise httpx.DecodingError if the body ended too early."""
        if not self._inflater.eof:
            raise httpx.DecodingError("the compressed body was cut off")


def _decoder(headers: Mapping[str, str]) -> _Plain | _Inflater:
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return _Plain()
    if coding in ("gzip", "x-gzip", "deflate"):
        return _Inflater()
    raise httpx.DecodingError("the body has a content coding that was not requested")


def fits(body: Any) -> bool:
    """Return whether an archive, which nests it in four more values, could hold a value."""
    try:
        canonical([[[[body]]]])
    except TypeError:
        return False
    return True
