"""The pace of a watch: how often it can ask and read with half of a key's read budget, and the resulting delay."""

from dataclasses import dataclass
from math import inf

HALF = 0.48
"""The share of a key's read budget that a watch spends: below half, whatever clocks and rate windows do."""

ASKING, LOOKING = 0.85, 0.04
"""How much of that goes into asking, and into checking what a console does not report. The rest is for reading."""

LISTEN_SECONDS = 25.0
"""The longest time that a console waits between two looks of its own. Its default is 10 s."""

ASK_SECONDS = 3.0
"""The shortest time between two questions about a workspace."""

LOOK_SECONDS = 60.0
"""The shortest time between two checks of a workspace beyond asking."""

LOOK_REQUESTS, READ_REQUESTS = 8, 30
"""About how many requests it takes to check an unchanged workspace beyond asking, and to read one."""

UNLIMITED = 1200
"""The assumed limit of requests a minute for a console that has none."""


FIRST_RETRY, LONGEST_RETRY = 5.0, 300.0
"""Seconds until the first retry, and the longest time between retries."""


def backoff(tries: int) -> float:
    """Return the seconds until the next retry, after `tries` failures."""
    seconds: float = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(tries, 10))
    return seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """What is possible for a number of workspaces under a `limit` of requests a minute (None for no limit).

    `full_every` is after how many seconds each should be read completely.
    """

    workspaces: int
    limit: int | None = None
    full_every: float = inf

    @property
    def per_minute(self) -> float:
        """The requests to spend in a minute."""
        return (self.limit or UNLIMITED) * HALF

    @property
    def period(self) -> float:
        """The seconds between two questions about a workspace."""
        return max(ASK_SECONDS, self.workspaces * 60 / (self.per_minute * ASKING))

    @property
    def listen_seconds(self) -> float:
        """How long the console should wait for a change before it answers, or 0 if asking again is as quick."""
        return min(LISTEN_SECONDS, self.period / 2) if self.period > ASK_SECONDS else 0.0

    @property
    def look_every(self) -> float:
        """The seconds between two checks of what the console does not report."""
        return max(LOOK_SECONDS, self.workspaces * LOOK_REQUESTS * 60 / (self.per_minute * LOOKING))

    @property
    def reads_less_often(self) -> bool:
        """Whether the budget does not suffice to read each workspace completely as often as `full_every` demands."""
        return self.look_every > self.full_every

    @property
    def read_every(self) -> float:
        """The seconds between two readings of a workspace whose console does not report changes."""
        return max(LOOK_SECONDS, self.workspaces * READ_REQUESTS * 60 / self.per_minute)

    def delay(self, settle: float) -> float:
        """Return the seconds until a change is in the store, if console and store are as fast as usual."""
        noticed = self.period - self.listen_seconds
        read = 2.0 if self.limit is None else READ_REQUESTS * 60 / self.per_minute
        asking = self.workspaces * 60 / self.period / self.per_minute
        return max(noticed + read, settle + read * (1 + asking / ASKING))  # asking takes its share meanwhile
