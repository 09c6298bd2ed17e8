"""Reasons why the console would reject a reverse sync, as far as they are known beforehand."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jitsu_backup.catalogue import is_time_zone
from jitsu_backup.model import Entity, members_of
from jitsu_backup.planning.webhook_rules import webhook_refusals

READABLE_VERSION = 2
"""The only version of a sync's settings that the console can read [reverse-sync/delete-unreadable]."""

DEFAULTS: Mapping[str, Any] = {
    "version": READABLE_VERSION,
    "checkpointEvery": 50_000,
    "errorPolicy": "fail",
    "disabled": False,
}
"""The defaults that the console fills in and shows [link/list-shows-reverse-sync]."""

_LONGEST_NAME, _MOST_ROWS = 200, 1_000_000

ALWAYS_EDITABLE = frozenset(
    {"data.name", "data.schedule", "data.timezone", "data.disabled", "data.checkpointEvery"}
)
"""The settings that can change once a sync has run [reverse-sync/put-settings-locked, reverse-sync/put-full-locked-but-unchanged]."""

ATTESTATIONS = ("deliveryAttested", "customerMatchTermsAccepted", "exclusiveManagementConfirmed")
"""Settings by which a person confirms something in their own name [reverse-sync/create-not-attested]."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_SETTINGS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "version": (lambda value: value == READABLE_VERSION, f"it must be {READABLE_VERSION}"),
    "name": (
        lambda value: _is_text(value) and 1 <= len(value.strip()) <= _LONGEST_NAME,
        f"it must be text of 1 to {_LONGEST_NAME} characters",
    ),
    "stream": (_is_text, "it must be text"),
    "mode": (lambda value: value in ("upsert", "mirror"), "it must be upsert or mirror"),
    "mapping": (
        lambda value: isinstance(value, Mapping) and all(_is_text(c) and c for c in value.values()),
        "it must name a column for each field",
    ),
    "streamOptions": (lambda value: isinstance(value, Mapping), "it must be an object"),
    "timezone": (lambda value: value == "" or (_is_text(value) and is_time_zone(value)), "unknown time zone"),
    "checkpointEvery": (
        lambda value: type(value) is int and 1 <= value <= _MOST_ROWS, f"it must be from 1 to {_MOST_ROWS}",
    ),
    "errorPolicy": (lambda value: value == "fail", "it must be fail"),
    "disabled": (lambda value: isinstance(value, bool), "it must be true or false"),
}  # fmt: skip
"""A check of each setting, and what is wrong if it fails. The console rejects others [reverse-sync/create-unknown-option]."""

_REQUIRED = ("mode", "mapping")
"""The required settings, besides a stream that the destination accepts."""

_STREAMS: Mapping[str, tuple[str, ...]] = {
    "webhook": ("rows",),
    "google-ads": ("audience", "click-conversions", "call-conversions", "conversion-adjustments"),
    "facebook-conversions": ("audience", "conversions"),
}
_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_CRON = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (0, 7, _WEEKDAYS))
"""Minimum and maximum of minute, hour, day, month and weekday, and the names that stand for numbers."""

_ITEM = re.compile(r"(?:[*?]|(\w+)(?:-(\w+))?)(?:/(\d{1,9}))?", re.ASCII)


def is_readable(body: Mapping[str, Any]) -> bool:
    """Return whether the console can read a reverse sync, by its body in the list of links."""
    data = body.get("data")
    return isinstance(data, Mapping) and data.get("version", READABLE_VERSION) == READABLE_VERSION


def runs(sync: Entity) -> bool:
    """Return whether a reverse sync is enabled and the console can read it."""
    return is_readable(sync.body) and members_of(sync.body.get("data")).get("disabled") is not True


def refusals(
    data: Mapping[str, Any], model: Mapping[str, Any] | None, destination: Mapping[str, Any] | None
) -> list[str]:
    """Return why the console would reject a reverse sync with `data` between a model and a destination.

    An end that is None is unknown. [reverse-sync/create-unsupported-destination, reverse-sync/create-bad-schedule]
    """
    found = [*_of_settings(data), *_of_schedule(data.get("schedule"))]
    kind = None if destination is None else str(destination.get("destinationType"))
    if kind is not None and kind not in _STREAMS:
        found.append(f"toId: a {kind} destination accepts no reverse syncs, only {', '.join(_STREAMS)} do")
    elif kind is not None and data.get("stream") not in _STREAMS[kind]:
        found.append(f"data.stream: a {kind} destination accepts {', '.join(_STREAMS[kind])}")
    elif kind == "webhook" and destination is not None:
        found += webhook_refusals(data, model, destination)
    elif kind == "google-ads" and data.get("stream") == "audience":
        found += _of_google_audience(members_of(data.get("streamOptions")))
    return found


def _of_settings(data: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(map(str, data.keys() - _SETTINGS.keys() - {"schedule"})):
        yield f"data.{name}: unknown setting"
    for name, (fits, problem) in _SETTINGS.items():
        if (name in data or name in _REQUIRED) and not fits(data.get(name)):
            yield f"data.{name}: {problem}"


def _of_google_audience(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an audience lacks [reverse-sync/create-bad-google-settings]."""
    if not isinstance(options.get("audience"), Mapping):
        yield "data.streamOptions.audience: required"
    if options.get("customerMatchTermsAccepted") is not True:
        yield "data.streamOptions.customerMatchTermsAccepted: somebody must confirm it"


def _of_schedule(schedule: Any) -> Iterator[str]:
    if schedule in (None, "", *_MACROS):
        return
    if not _is_text(schedule):
        yield "data.schedule: it must be text"
        return
    fields = schedule.split()
    if len(fields) != len(_CRON):
        yield "data.schedule: it must have five cron fields"
        return
    for field, (least, most, names) in zip(fields, _CRON, strict=True):
        if not all(_fits(item, least, most, names) for item in field.split(",")):
            yield f"data.schedule: {field!r} is not a valid cron field"


def _fits(item: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    """Return whether an item of a cron field, such as `1-5/2`, is within its bounds."""
    found = _ITEM.fullmatch(item)
    if found is None:
        return False
    numbers = {name: number for number, name in enumerate(names, least)}
    ends = [numbers.get(end.upper(), int(end) if end.isdigit() else -1) for end in found.groups()[:2] if end]
    step = found[3]
    return (
        ends == sorted(ends) and all(least <= end <= most for end in ends) and (step is None or int(step) > 0)
    )
