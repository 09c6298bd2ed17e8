"""What `prune` and `backup --prune` share: the policy, of flags and settings, and carrying it out."""

import asyncio
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jitsu_backup.archive.retention import Policy, Verdict, policy_of
from jitsu_backup.cli.app import App
from jitsu_backup.errors import BackupError, UsageError


def policy_from(app: App, given: dict[str, Any], *, needed: bool = True) -> tuple[Policy, tzinfo] | None:
    """Give the policy and its time zone; flags take the place of single settings of `[retention]`.

    Raises UsageError, for a policy that keeps nothing too; where none is `needed`, gives None for that.
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
    return policy, zone


def time_zone(name: str) -> tzinfo:
    """Give the time zone of a name. Raises UsageError."""
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)  # UTC needs no zone files
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"time zone {name!r}: no such zone; write UTC or Europe/Berlin") from None


async def remove_all(app: App, verdicts: list[Verdict], seconds: float | None = None) -> list[str]:
    """Remove what the verdicts do not keep; return, for each that could not be removed within `seconds`, why not."""
    going = [verdict.archive for verdict in verdicts if not verdict.keep]
    tried, stuck = 0, list[str]()
    try:
        async with asyncio.timeout(seconds):
            for archive in going:
                try:
                    await app.store.remove(str(archive))
                except BackupError as problem:
                    stuck.append(str(problem))
                tried += 1
                await asyncio.sleep(0)  # a folder never waits, and Ctrl-C is heard only where somebody does
    except TimeoutError:
        stuck += ["the deadline came first"] * (len(going) - tried)
    return stuck
