"""Moments as text, in UTC to the second."""

from datetime import UTC, datetime

_ISO = "%Y-%m-%dT%H:%M:%SZ"


def iso_time(moment: datetime) -> str:
    """Return a moment as archives and JSON documents spell it: `2026-11-20T10:30:00Z`."""
    return moment.astimezone(UTC).strftime(_ISO)


def parse_iso_time(text: str) -> datetime:
    """Return the moment that `iso_time` wrote. Raise ValueError."""
    return datetime.strptime(text, _ISO).replace(tzinfo=UTC)


def shown_time(moment: datetime) -> str:
    """Return a moment in UTC as people read it: `2026-11-20 10:30:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
