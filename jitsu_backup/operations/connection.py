"""A console and an API key for it, as operations take them."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self

import httpx

from jitsu_backup.console import Console, Gates
from jitsu_backup.events import Reporter, silent
from jitsu_backup.settings import SecretText


@dataclass(frozen=True, slots=True)
class Connection:
    """A console and an API key (`keyId:keySecret`). Everything that uses one connection shares its rate budget.

    `timeout` is in seconds, `concurrency` is the number of requests at once, and progress goes to `report`. `retry_for` is
    for how many seconds requests are retried while the console is unreachable; with None, each is tried a few times.
    `transport` replaces the network. `called` is what messages call the key if the console rejects it, by default what
    the key itself says. `profile` is the `@profile` of the settings that named it, if one did.
    """

    host: str
    key: SecretText
    ca_bundle: str | None = None
    timeout: float = 60.0
    concurrency: int = 8
    retry_for: float | None = None
    report: Reporter = field(default=silent, repr=False)
    gates: Gates = field(default_factory=Gates, repr=False)
    transport: httpx.AsyncBaseTransport | None = field(default=None, repr=False)
    called: str = ""
    profile: str = ""

    def open(self) -> Console:
        """Return a client, which is an async context manager. Raise UsageError if the address is not valid."""
        return Console(
            self.host, self.key.reveal(), called=self.called or self.key.called, ca_bundle=self.ca_bundle, timeout=self.timeout,
            concurrency=self.concurrency, gates=self.gates, retry_for=self.retry_for, report=self.report,
            transport=self.transport, if_rejected=self.key.if_rejected, profile=self.profile,
        )  # fmt: skip


class Consoles:
    """Consoles that are opened once each, by address and key, and closed together."""

    def __init__(self) -> None:
        """Open none yet."""
        self._open: dict[tuple[str, str, str | None], Console] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Return this object."""
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Close all consoles that were opened."""
        await self._stack.aclose()

    def __iter__(self) -> Iterator[Console]:
        """Yield the open consoles."""
        return iter(self._open.values())

    def of(self, connection: Connection) -> Console:
        """Return the console of a connection. Raise UsageError if its address is not valid."""
        name = (connection.host, connection.key.reveal(), connection.ca_bundle)
        if name not in self._open:
            self._open[name] = connection.open()
            self._stack.push_async_exit(self._open[name])
        return self._open[name]
