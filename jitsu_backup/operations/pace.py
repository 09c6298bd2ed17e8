"""The pace of a watch: how often it can ask and look for half of a key's read budget, and what delay that makes."""

from dataclasses import dataclass
from math import inf

HALF = 0.48
"""The share of a key's read budget that a watch spends: at most half, however clocks and windows fall."""

ASKING, LOOKING = 0.9, 0.04
"""The shares of that which go into asking, and into looking at what a console tells nothing of; the rest is for reading."""

LISTEN_SECONDS = 16.0
"""How long a console is let wait at most before it looks once more; by itself it waits 10 s."""

ASK_SECONDS = 3.0
"""How often a workspace is asked at most."""

LOOK_SECONDS = 60.0
"""How often a workspace is looked at beyond asking at most."""

LOOK_REQUESTS, READ_REQUESTS = 8, 30
"""How many requests it takes to look at an unchanged workspace beyond asking, and to read one, about."""

UNLIMITED = 1200
"""Requests a minute, of which a console that counts none is asked HALF."""


FIRST_RETRY, LONGEST_RETRY = 5.0, 300.0
"""After how many seconds what has failed is tried again: the first time, and at the least."""


def backoff(tries: int) -> float:
    """Return after how many seconds to try again what has failed, `tries` times before that."""
    seconds: float = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(tries, 10))
    return seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """What can be done for a number of workspaces under a `limit` of requests a minute, None where there is none.

    `full_every` is after how many seconds each is to be read whole.
    """

    workspaces: int
    limit: int | None = None
    full_every: float = inf

    @property
    def per_minute(self) -> float:
        """The requests that are spent in a minute."""
        return (self.limit or UNLIMITED) * HALF

    @property
    def period(self) -> float:
        """The seconds between two questions about a workspace."""
        return max(ASK_SECONDS, self.workspaces * 60 / (self.per_minute * ASKING))

    @property
    def listen_seconds(self) -> float:
        """How long the console is to wait before it looks once more; 0 where asking again is as quick."""
        return min(LISTEN_SECONDS, self.period / 2) if self.period > ASK_SECONDS else 0.0

    @property
    def look_every(self) -> float:
        """The seconds between two looks at what the console tells nothing of."""
        return max(LOOK_SECONDS, self.workspaces * LOOK_REQUESTS * 60 / (self.per_minute * LOOKING))

    @property
    def reads_less_often(self) -> bool:
        """Whether workspaces are looked at so seldom that none is read whole as often as it should be."""
        return self.look_every > self.full_every

    @property
    def read_every(self) -> float:
        """The seconds between two readings of a workspace whose console does not tell what has changed."""
        return max(LOOK_SECONDS, self.workspaces * READ_REQUESTS * 60 / self.per_minute)

    def delay(self, settle: float) -> float:
        """Return the seconds after which a change is in the store, as long as console and store are as quick as usual."""
        noticed = self.period - self.listen_seconds
        read = 2.0 if self.limit is None else READ_REQUESTS * 60 / self.per_minute
        asking = self.workspaces * 60 / self.period / self.per_minute
        return max(noticed + read, settle + read * (1 + asking / ASKING))  # asking meanwhile takes its share
