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

    For an empty policy, raise UsageError, or return None if none is `needed`. Raise UsageError for invalid values.
    """
    settings = {**app.settings.retention, **{n: v for n, v in given.items() if v not in (None, ())}}
    zone = time_zone(settings.pop("time_zone", "UTC"))
    policy = policy_of(settings)
    if policy.empty and not needed:
        return None
    if policy.empty:
        raise UsageError(
            "an empty policy would remove almost everything; say what to keep, for example --keep-daily 14"
        )
    return Retention(policy, zone)


def time_zone(name: str) -> tzinfo:
    """Return the time zone of a name. Raise UsageError."""
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)  # UTC needs no zone files
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"time zone {name!r} is unknown; use a name such as UTC or Europe/Berlin") from None
