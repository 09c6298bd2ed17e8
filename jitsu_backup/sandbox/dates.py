"""Times in queries and headers."""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime


def parse_date(text: str) -> datetime | None:
    """Return the time that JavaScript would parse, in milliseconds, or None for other text. The default zone is UTC."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text.strip())
            moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return None


def as_http_date(iso: str) -> str:
    """Return a time in the format of `Last-Modified`, in whole seconds."""
    return format_datetime(datetime.fromisoformat(iso), usegmt=True)
