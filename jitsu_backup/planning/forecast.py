"""How long writes to a console take, given its rate limits for each key."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from jitsu_backup.catalogue import is_link
from jitsu_backup.planning.plan import ActionKind, Plan

PER_MINUTE = {"GET": 600, "POST": 120, "PUT": 120, "DELETE": 60}
"""How many requests per minute a console of 2026 accepts from a key, by method [limits/429, limits/other-bucket-still-open].

A console of 2024 has no limit.
"""

WORKSPACE_SECONDS, WORKSPACES_AT_ONCE = 300.0, 2
"""A key can create 2 workspaces in 5 minutes [workspace/create-third-in-5-min]: two at once, then one every 5 minutes.

The rate is not higher, because the console looks at the previous 5 minutes and counts the requested workspace too.
"""

READINGS, READS_OF_ONE = 3, 30
"""How often a restore reads its target, and with how many requests."""

_EITHER = "POST or PUT"
_METHODS = {ActionKind.CREATE: "POST", ActionKind.UPDATE: "PUT", ActionKind.DELETE: "DELETE"}


@dataclass(frozen=True, slots=True)
class Load:
    """The load on a console: requests by method, and workspaces to create. Loads can be added.

    Connections can be sent with either method, so `requests` counts them under "POST or PUT".
    """

    requests: Counter[str] = field(default_factory=Counter)
    workspaces: int = 0

    def __add__(self, other: "Load") -> "Load":
        """Return both together."""
        return Load(self.requests + other.requests, self.workspaces + other.workspaces)

    def seconds(self, *, limited: bool) -> float:
        """Return the least time, in seconds, that it takes with one key; 0 if not `limited`.

        The operator's token is not limited, nor is any key of a console of 2024.
        """
        if not limited:
            return 0.0
        sent = self.requests
        own = [_beyond(sent[method], limit) for method, limit in PER_MINUTE.items()]
        both = sent["POST"] + sent["PUT"] + sent[_EITHER]
        shared = _beyond(both, PER_MINUTE["POST"] + PER_MINUTE["PUT"])
        waits = max(0, self.workspaces - WORKSPACES_AT_ONCE) * WORKSPACE_SECONDS
        return max(*own, shared, waits)


def load_of(plan: Plan) -> Load:
    """Return the load of carrying out a plan: its writes and, if there are any, three readings of the target."""
    writes = plan.writes
    if not writes:
        return Load()
    requests: Counter[str] = Counter(
        _EITHER if is_link(a.key) and a.kind is not ActionKind.DELETE else _METHODS[a.kind] for a in writes
    )
    requests["POST"] += sum(len(action.cursors) for action in writes)
    requests["GET"] += READINGS * READS_OF_ONE
    return Load(requests)


def total(loads: Iterable[Load]) -> Load:
    """Return several loads together."""
    return sum(loads, Load())


def _beyond(sent: int, limit: int) -> float:
    """Return the seconds that a number of requests takes: a minute's budget at once, then the budget refills evenly."""
    return max(0, sent - limit) * 60 / limit
