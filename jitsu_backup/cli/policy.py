"""The retention policy of `prune` and `backup --prune`, from flags and settings."""

from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jitsu_backup.archive.retention import policy_of
from jitsu_backup.cli.app import App
from jitsu_backup.errors import UsageError
from jitsu_backup.operations.prune import Retention


def policy_from(app: App, given: dict[str, Any], *, needed: bool = True) -> Retention | None:
    """Return the policy; flags replace single settings of `[retention]`.

    Raise UsageError, also for a policy that keeps nothing; where none is `needed`, return None for that.
    """
    settings = {**app.settings.retention, **{n: v for n, v in given.items() if v not in (None, ())}}
    zone = time_zone(settings.pop("time_zone", "UTC"))
    policy = policy_of(settings)
    if policy.empty and not needed:
        return None
    if policy.empty:
        raise UsageError(
            "an empty policy would remove almost everything; say what to keep, such as --keep-daily 14"
        )
    return Retention(policy, zone)


def time_zone(name: str) -> tzinfo:
    """Return the time zone of a name. Raise UsageError."""
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)  # UTC needs no zone files
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"time zone {name!r}: no such zone; write UTC or Europe/Berlin") from None
