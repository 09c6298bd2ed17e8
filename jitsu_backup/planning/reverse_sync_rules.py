"""What the console would refuse of a reverse sync, as far as that is known beforehand."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jitsu_backup.model import Entity, items_of, members_of

READABLE_VERSION = 2
"""The version of a sync's settings that the console reads; it can do nothing with others [reverse-sync/delete-unreadable]."""

DEFAULTS: Mapping[str, Any] = {
    "version": READABLE_VERSION,
    "checkpointEvery": 50_000,
    "errorPolicy": "fail",
    "disabled": False,
}
"""What the console fills in, and shows [link/list-shows-reverse-sync]."""

ATTESTATIONS = ("deliveryAttested", "customerMatchTermsAccepted", "exclusiveManagementConfirmed")
"""Settings by which a person confirms something in their own name [reverse-sync/create-not-attested]."""

_SETTINGS = frozenset(
    {
        *("version", "name", "stream", "mode", "mapping", "streamOptions", "schedule", "timezone"),
        *("checkpointEvery", "errorPolicy", "disabled"),
    }
)
"""The console refuses any other [reverse-sync/create-unknown-option]."""

_STREAMS: Mapping[str, tuple[str, ...]] = {
    "webhook": ("rows",),
    "google-ads": ("audience", "click-conversions", "call-conversions", "conversion-adjustments"),
    "facebook-conversions": ("audience", "conversions"),
}
_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_CRON = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (0, 7, _WEEKDAYS))
"""The least and the most of minute, hour, day, month and weekday, and the names that stand for numbers."""

_ITEM = re.compile(r"(?:[*?]|(\w+)(?:-(\w+))?)(?:/(\d{1,9}))?", re.ASCII)


def is_readable(body: Mapping[str, Any]) -> bool:
    """Return whether the console can read a reverse sync, by its body in the list of links."""
    data = body.get("data")
    return isinstance(data, Mapping) and data.get("version", READABLE_VERSION) == READABLE_VERSION


def runs(sync: Entity) -> bool:
    """Return whether a reverse sync is switched on, and the console can read it."""
    return is_readable(sync.body) and members_of(sync.body.get("data")).get("disabled") is not True


def refusals(
    data: Mapping[str, Any], model: Mapping[str, Any] | None, destination: Mapping[str, Any] | None
) -> list[str]:
    """Return why the console would refuse to save a reverse sync with `data` between a model and a destination.

    Of an end that is None nothing is known. [reverse-sync/create-unsupported-destination, reverse-sync/create-bad-schedule]
    """
    unknown = sorted(map(str, data.keys() - _SETTINGS))
    switch = (
        [] if isinstance(data.get("disabled", False), bool) else ["data.disabled: it must be true or false"]
    )
    found = [
        *(f"data.{name}: there is no such setting" for name in unknown),
        *switch,
        *_of_schedule(data.get("schedule")),
    ]
    kind = None if destination is None else str(destination.get("destinationType"))
    if kind is not None and kind not in _STREAMS:
        found.append(f"toId: a {kind} destination takes no reverse syncs, only {', '.join(_STREAMS)} do")
    elif kind is not None and data.get("stream") not in _STREAMS[kind]:
        found.append(f"data.stream: a {kind} destination takes {', '.join(_STREAMS[kind])}")
    elif kind == "webhook" and destination is not None:
        found += _of_webhook(data, model, destination)
    return found


def _of_schedule(schedule: Any) -> Iterator[str]:
    if schedule in (None, "", *_MACROS):
        return
    fields = str(schedule).split()
    if len(fields) != len(_CRON):
        yield "data.schedule: it must have five cron fields"
        return
    for field, (least, most, names) in zip(fields, _CRON, strict=True):
        if not all(_fits(item, least, most, names) for item in field.split(",")):
            yield f"data.schedule: {field!r} is no valid cron field"


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


def _of_webhook(
    data: Mapping[str, Any], model: Mapping[str, Any] | None, destination: Mapping[str, Any]
) -> Iterator[str]:
    options, mapping = members_of(data.get("streamOptions")), members_of(data.get("mapping"))
    if data.get("mode") != "upsert":
        yield "data.mode: a webhook takes upsert only"
    if options.get("deliveryAttested") is not True:
        yield "data.streamOptions.deliveryAttested: somebody has to confirm it"
    for name, most in (("recordsPerRequest", 200), ("concurrency", 10)):
        number = options.get(name)
        if number is not None and not (isinstance(number, int) and 1 <= number <= most):
            yield f"data.streamOptions.{name}: it must be from 1 to {most}"
    if any(field != column for field, column in mapping.items()):
        yield "data.mapping: columns are sent under their own names"
    unsent = [] if model is None else [key for key in items_of(model.get("primaryKey")) if key not in mapping]
    if unsent:
        yield f"data.mapping: it lacks the primary key {', '.join(map(str, unsent))}"
    insecure = str(destination.get("url")).lower().startswith("http://")
    if insecure and options.get("allowInsecureHttp") is not True:
        yield "data.streamOptions.allowInsecureHttp: the webhook's URL is http://"
    if destination.get("method", "POST") != "POST":
        yield "toId: the webhook's method must be POST"
