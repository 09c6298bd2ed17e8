"""The console's rate limiter: a sliding window that weighs the previous one.

Windows are aligned to the epoch, and refused requests count too. This reproduces the recorded waits: 31 s in
[limits/429], 380 s in [workspace/create-third-in-5-min].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

LIMITS = {"GET": 600, "POST": 120, "PUT": 120, "DELETE": 60}
WINDOW = 60
WORKSPACE_CREATE = "workspace-create"
WORKSPACE_LIMIT, WORKSPACE_WINDOW = 2, 300
_ROUNDING = 1e-6  # the announced wait must suffice despite rounding


@dataclass(frozen=True, slots=True)
class Grant:
    """The limiter's decision about one request. `retry_after` is in seconds, or None if the request is admitted."""

    bucket: str
    limit: int
    remaining: int
    reset: int
    retry_after: int | None = None


@dataclass(slots=True)
class Limiter:
    """Counts requests by key and bucket."""

    clock: Callable[[], float]
    counts: dict[tuple[str, str, int], int] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget all requests."""
        self.counts.clear()

    def take(self, key_id: str, bucket: str) -> Grant:
        """Count one request and return the decision about it."""
        creating = bucket == WORKSPACE_CREATE
        limit = WORKSPACE_LIMIT if creating else LIMITS.get(bucket, 60)
        width = WORKSPACE_WINDOW if creating else WINDOW
        now = self.clock()
        window = int(now // width)
        self.counts[key_id, bucket, window] = current = self.counts.get((key_id, bucket, window), 0) + 1
        before = self.counts.get((key_id, bucket, window - 1), 0)
        if current == 1:
            self._forget_before(key_id, bucket, window - 1)
        share = 1 - (now % width) / width
        used = before * share + current
        remaining = max(0, math.floor(limit - used))
        retry_after = (
            None if used <= limit + _ROUNDING else self._retry_after(now, width, limit, before, current)
        )
        return Grant(bucket, limit, remaining, (window + 1) * width, retry_after)

    def _forget_before(self, key_id: str, bucket: str, window: int) -> None:
        for one in [one for one in self.counts if one[:2] == (key_id, bucket) and one[2] < window]:
            del self.counts[one]

    def _retry_after(self, now: float, width: int, limit: int, before: int, current: int) -> int:
        into = now % width
        if current + 1 <= limit and before:  # the weight of this window may still fall enough
            moment = width * (1 - (limit - current - 1) / before)
            if moment < width:
                return max(1, math.ceil(moment - into))
        fade = max(0.0, width * (1 - (limit - 1) / current))
        return max(1, math.ceil(width - into + fade))
