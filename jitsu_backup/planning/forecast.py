"""How long writes to a console take, given its rate limits for each key and the pace that keeps within them."""

from collections import Counter
from dataclasses import dataclass, field

from jitsu_backup.catalogue import is_link
from jitsu_backup.catalogue.rate_limits import (
    PER_MINUTE,
    WINDOW,
    WORKSPACE_WINDOW,
    WORKSPACES_AT_ONCE,
    wait_for,
)
from jitsu_backup.planning.plan import ActionKind, Plan

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

    def seconds(self, *, limited: bool, spent: bool = False) -> tuple[float, float]:
        """Return the least and the most seconds for which the limits of one key delay it; 0 if not `limited`.

        The operator's token is not limited, nor is any key of a console of 2024. With `spent`, an earlier run may just have
        used up every budget.
        """
        if not limited:
            return 0.0, 0.0
        sent = self.requests
        both = sent["POST"] + sent["PUT"] + sent[_EITHER]
        waits = [
            *(wait_for(sent[method], limit, WINDOW, spent=spent) for method, limit in PER_MINUTE.items()),
            wait_for(both, PER_MINUTE["POST"] + PER_MINUTE["PUT"], WINDOW, spent=spent),
            wait_for(self.workspaces, WORKSPACES_AT_ONCE, WORKSPACE_WINDOW, spent=spent),
        ]
        return max(least for least, _ in waits), max(most for _, most in waits)


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
