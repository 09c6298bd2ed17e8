"""Bodies of replies, read in steps: of one coding at most, and never more than is allowed."""

import zlib
from collections.abc import Iterator, Mapping

import httpx

MAX_REPLY_BYTES = 256 * 1024 * 1024
ACCEPTED = "gzip"
"""The content coding that we ask for."""

_STEP = 64 * 1024
_GZIP_OR_ZLIB = 47  # zlib's `wbits` for either, as told by their headers


class TooLargeError(Exception):
    """A body has more than MAX_REPLY_BYTES bytes."""


async def read_body(response: httpx.Response) -> bytes:
    """Read and decode the body of a reply; one that its transport made whole is taken as it is.

    Raises TooLargeError, and httpx.DecodingError for more than one coding, an unknown one, and damage.
    """
    if response.is_stream_consumed:
        return response.content
    body = bytearray()
    decoded = _decoder(response.headers)
    async for chunk in response.aiter_raw():
        for part in decoded(chunk):
            body += part
            if len(body) > MAX_REPLY_BYTES:
                raise TooLargeError
    if body or response.num_bytes_downloaded:
        decoded.end()
    return bytes(body)


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
