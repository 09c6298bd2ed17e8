"""The refusals of the console."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jitsu_backup.sandbox.generation import Generation

NO_STORE = {"cache-control": "no-store"}
"""The headers of an answer that no cache may store [reverse-sync/list]."""


class Refusal(Exception):  # noqa: N818  the console's word for it
    """An unsuccessful answer: a status, and a JSON body or plain text."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Create an answer from a status, a body, and more headers."""
        super().__init__(str(status))
        self.status, self.body, self.headers = status, body, dict(headers or {})


def thrown(message: str, **extra: Any) -> Refusal:
    """Return an error that the console throws on purpose, mostly with status 500 [discovery/workspace-unknown]."""
    return Refusal(
        500, {"message": message, **extra, "stack": f"Error: {message}\n    at handler (api.ts:1:1)"}
    )


def meant(generation: Generation, status: int, message: str, **extra: Any) -> Refusal:
    """Return an error with a status, as the newest console answers. Older ones answer 500 and name it in the body."""
    if generation.is_newest:
        return Refusal(status, {"message": message, **extra})
    return thrown(message, status=status, **extra)


def fault(message: str | list[dict[str, Any]]) -> Refusal:
    """Return an unexpected error of the console, which may be a list of issues.

    [stream/create-duplicate-id, reverse-sync/create-bad-google-settings]
    """
    stack = f"Error: {message}\n    at handler (api.ts:1:1)"
    return Refusal(500, {"error": message, "details": stack, "stackArray": stack.split("\n")})


def invalid_request(part: str, target: str, issues: list[dict[str, Any]], **extra: Any) -> Refusal:
    """Return the error for an unreadable query or body [listen/bad-date, workspace/put-slug-taken]."""
    return thrown(
        f"Can't parse request {part} for {target}", zodError={"issues": issues, "name": "ZodError"}, **extra
    )


@contextmanager
def never_stored() -> Iterator[None]:
    """Mark a rejection as not cacheable [reverse-sync/create-feature-off]."""
    try:
        yield
    except Refusal as refusal:
        refusal.headers.update(NO_STORE)
        raise
