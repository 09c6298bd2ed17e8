"""A request while it is handled, and the routes that handle requests."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request as HttpRequest

from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.rate_limits import Grant
from jitsu_backup.sandbox.state import User


@dataclass(slots=True)
class Call:
    """One request while it is handled. `parts` are the decoded segments of its path."""

    http: HttpRequest
    method: str
    parts: list[str]
    query: Mapping[str, str]
    body: Any = None
    user: User | None = None
    admin: bool = False
    key_id: str | None = None
    grant: Grant | None = None


Handler = Callable[[Call], Awaitable[Any]]
"""A function that returns a value to send as JSON, or a complete response, or raises Refusal."""


class PathHandlers:
    """A path of the console, and its handlers by HTTP method."""

    def __init__(
        self, path: str, *, since: Generation = Generation.OCTOBER_2024, **handlers: Handler
    ) -> None:
        """Split `path`, where `*` stands for any one segment, and `**` at the end for any number of them.

        Consoles older than the generation `since` do not have the path.
        """
        self.since, self.handlers = since, handlers
        self._open = path.endswith("/**")
        self._segments = path.removesuffix("/**").split("/")

    def matches(self, parts: Sequence[str]) -> bool:
        """Return whether the path with these segments belongs to this route."""
        count = len(self._segments)
        return (len(parts) == count or (self._open and len(parts) > count)) and all(
            segment in ("*", part) for segment, part in zip(self._segments, parts, strict=False)
        )
