"""Notices about requests that are tried again: one for each reason, then at most one a minute with their number."""

from dataclasses import dataclass, field

from jitsu_backup.model import plural

SECONDS = 60.0
"""For how many seconds retries with the same reason are only counted."""


@dataclass(slots=True)
class RetryNotices:
    """What was said about retries. Times are seconds of one clock."""

    said: dict[str, tuple[float, int]] = field(default_factory=dict)  # by reason: when, and how many since

    def notice(self, reason: str, how: str, now: float) -> str | None:
        """Return the notice about a retry because of `reason`, or None if it is only counted; `how` says how long to retry."""
        when, more = self.said.get(reason, (float("-inf"), 0))
        if now - when < SECONDS:
            self.said[reason] = when, more + 1
            return None
        self.said[reason] = now, 0
        counted = f" ({plural(more, 'request')} since the last such line)" if more else ""
        return f"{reason}; trying again{how or counted}"
