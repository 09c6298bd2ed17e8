"""The refusals of the console."""

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):  # noqa: N818  the console's word for it
    """An answer other than success: a status, and a JSON body or plain text."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a status, a body, and more headers."""
        super().__init__(str(status))
        self.status, self.body, self.headers = status, body, dict(headers or {})


def thrown(message: str, **extra: Any) -> Refusal:
    """Return an error that the console throws on purpose, mostly with status 500 [discovery/workspace-unknown]."""
    return Refusal(
        500, {"message": message, **extra, "stack": f"Error: {message}\n    at handler (api.ts:1:1)"}
    )


def fault(message: str) -> Refusal:
    """Return an error that the console did not expect [stream/create-duplicate-id]."""
    stack = f"Error: {message}\n    at handler (api.ts:1:1)"
    return Refusal(500, {"error": message, "details": stack, "stackArray": stack.split("\n")})


def invalid_request(part: str, target: str, issues: list[dict[str, Any]], **extra: Any) -> Refusal:
    """Return the error for an unreadable query or body [listen/bad-date, workspace/put-slug-taken]."""
    return thrown(
        f"Can't parse request {part} for {target}", zodError={"issues": issues, "name": "ZodError"}, **extra
    )
