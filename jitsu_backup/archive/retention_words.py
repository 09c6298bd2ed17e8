"""A retention policy as people type it: `7d, 48 hourly, 14 daily`."""

import re
from collections.abc import Mapping
from typing import Any

from jitsu_backup.archive.retention import policy_of
from jitsu_backup.errors import UsageError

_COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
_COUNT = re.compile(rf"(\d{{1,5}})\s*({'|'.join(_COUNTS)})", re.ASCII)
_SPAN = re.compile(r"\d{1,5}(?:mo|[hdwmy])", re.ASCII)


def settings_of_words(text: str) -> dict[str, Any]:
    """Return the `keep_…` settings that a text means. Raise UsageError."""
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip().lower() for part in text.split(","))):
        count = _COUNT.fullmatch(part)
        if count is None and _SPAN.fullmatch(part) is None:
            raise UsageError(
                f"{part!r} is not a retention policy; write parts such as 7d, 14 daily, 12 monthly, or all"
            )
        name, value = ("keep_within", part) if count is None else (f"keep_{count[2]}", int(count[1]))
        if name in found:
            raise UsageError(f"{part!r}: {name} is given twice; write it once")
        found[name] = value
    if policy_of(found).empty:
        raise UsageError("this retention keeps nothing; write what to keep, such as 14 daily, or all")
    return found


def words_of_settings(settings: Mapping[str, Any]) -> str:
    """Return a text that `settings_of_words` reads as these settings."""
    within = [str(settings["keep_within"])] if "keep_within" in settings else []
    return ", ".join(
        [*within, *(f"{settings[key]} {name}" for name in _COUNTS if (key := f"keep_{name}") in settings)]
    )
