"""The requirements of each kind of destination for the settings of a reverse sync."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jitsu_backup.sandbox.advertising_rules import google_problems, meta_problems
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.webhook_rules import webhook_problems

Body = Mapping[str, Any]

_STREAMS = {
    "webhook": ("rows",),
    "google-ads": ("audience", "click-conversions", "call-conversions", "conversion-adjustments"),
    "facebook-conversions": ("audience", "conversions"),
}
_PROBLEMS: Mapping[str, Callable[[Body, Body, Body], Iterator[str]]] = {
    "webhook": webhook_problems,
    "google-ads": google_problems,
    "facebook-conversions": meta_problems,
}


def check_delivery(options: Body, model: Body, destination: Body) -> None:
    """Raise Refusal if a destination does not support these options of a reverse sync [reverse-sync/create-not-attested].

    A violation of a schema ends as an unexpected error with a list of issues [reverse-sync/create-bad-google-settings].
    """
    kind = str(destination.get("destinationType"))
    if options["stream"] not in _STREAMS.get(kind, ()):
        raise conflict("This destination stream is not supported")
    problem = next(_PROBLEMS[kind](options, model, destination), None)
    if problem is not None:
        raise conflict(problem)


def conflict(message: str) -> Refusal:
    """Return the rejection of unsuitable settings. The console uses the status 409 although nothing conflicts."""
    return Refusal(409, {"message": message})
