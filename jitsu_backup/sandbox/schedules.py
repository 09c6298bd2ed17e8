"""Schedules of reverse syncs: five cron fields, or one of a few names [reverse-sync/create-six-field-schedule]."""

import re
import zoneinfo
from collections.abc import Mapping
from functools import cache
from typing import Any

NAMED = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")

_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = dict(
    zip(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        range(1, 13),
        strict=True,
    )
)
_DAYS = dict(zip(["sun", "mon", "tue", "wed", "thu", "fri", "sat"], range(7), strict=True))
_NAMES: tuple[Mapping[str, int], ...] = ({}, {}, {}, _MONTHS, _DAYS)
_ITEM = re.compile(r"(\*|\?|\w+)(?:-(\w+))?(?:/(\d+))?")


def schedule_problem(options: Mapping[str, Any]) -> str | None:
    """Return why a reverse sync's `schedule` and `timezone` are refused; None for good ones. Empty text is none."""
    schedule, timezone = options.get("schedule") or "", options.get("timezone") or "Etc/UTC"
    if schedule.startswith("@") and schedule not in NAMED:
        return "Use a five-field cron expression or supported Kubernetes schedule"
    fields = schedule.split()
    if schedule and not schedule.startswith("@") and len(fields) != len(_BOUNDS):
        return "Schedule must have five cron fields"
    known = timezone.strip().lower() in _time_zones()
    if not known or (fields and schedule not in NAMED and not _is_cron(fields)):
        return "Invalid cron schedule or IANA timezone"
    return None


def _is_cron(fields: list[str]) -> bool:
    return all(
        _fits(item, low, high, names)
        for field, (low, high), names in zip(fields, _BOUNDS, _NAMES, strict=True)
        for item in field.split(",")
    )


def _fits(item: str, low: int, high: int, names: Mapping[str, int]) -> bool:
    found = _ITEM.fullmatch(item.lower())
    if found is None or found[3] == "0":
        return False
    first, last = (_number(text, names) for text in (found[1], found[2]))
    if found[1] in ("*", "?"):
        return found[2] is None
    if first is None or not low <= first <= high:
        return False
    return found[2] is None or (last is not None and first <= last <= high)


def _number(text: str | None, names: Mapping[str, int]) -> int | None:
    if text is None:
        return None
    return int(text) if text.isdecimal() else names.get(text)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(name.lower() for name in zoneinfo.available_timezones())
