"""Moments as text, in UTC to the second."""

from datetime import UTC, datetime
from typing import Any

_ISO = "%Y-%m-%dT%H:%M:%SZ"


def iso_time(moment: datetime) -> str:
    """Return a moment in the form that archives and JSON documents use: `2026-11-20T10:30:00Z`."""
    return moment.astimezone(UTC).strftime(_ISO)


def parse_iso_time(text: str) -> datetime:
    """Return the moment written by `iso_time`. Raise ValueError for any other text."""
    return datetime.strptime(text, _ISO).replace(tzinfo=UTC)


def parse_any_time(text: Any) -> datetime | None:
    """Return, in UTC, a moment in ISO 8601 with a time zone, as consoles write it; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


def shown_time(moment: datetime) -> str:
    """Return a moment in UTC as shown to people: `2026-11-20 10:30:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
