"""`jitsu-backup prune`."""

import re
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from jitsu_backup.archive import parse_name
from jitsu_backup.cli.common import App, pass_app, utc_now
from jitsu_backup.cli.snapshots import archive_document, archives
from jitsu_backup.errors import UsageError
from jitsu_backup.reports import verdict_table
from jitsu_backup.retention import Policy, Verdict, judge

_PERIODS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
_SPAN = re.compile(r"(\d{1,5})([hdwmy])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "m": 24 * 31, "y": 24 * 366}


def _keep(name: str) -> Callable[[Any], Any]:
    words = "the last N" if name == "last" else f"one a {name[:-2].replace('dai', 'day')} for N of them"
    return click.option(f"--keep-{name}", type=click.IntRange(0), metavar="N", help=f"Keep {words}.")


@click.command(
    "prune",
    epilog="Examples: jitsu-backup prune --keep-daily 14 --keep-monthly 12 --dry-run ·"
    " jitsu-backup prune --keep-within 30d --workspace acme-production",
)
@_keep("last")
@_keep("hourly")
@_keep("daily")
@_keep("weekly")
@_keep("monthly")
@_keep("yearly")
@click.option("--keep-within", metavar="SPAN", help="Keep all of a time span: 36h, 14d, 8w, 6m, 2y.")
@click.option("--keep-label", multiple=True, metavar="LABEL", help="Keep all with this mark. Repeatable.")
@click.option(
    "--keep-pre-restore", metavar="SPAN", help="How long archives of before a restore stay.  [default: 30d]"
)
@click.option("--workspace", metavar="PLACE", help="Only this workspace's archives.")
@click.option("--time-zone", default="UTC", show_default=True, metavar="ZONE", help="When a day begins.")
@click.option("--dry-run", is_flag=True, help="Show what would go and stop.")
@pass_app
def command(app: App, workspace: str | None, dry_run: bool, time_zone: str, **given: Any) -> int:
    """Apply a retention policy to the store: what no rule keeps is removed, each with its reason.

    Never removes the newest complete archive of a workspace. Flags take the place of the settings' [retention].
    """
    policy = policy_of({**app.settings.retention, **{n: v for n, v in given.items() if v not in (None, ())}})
    if policy.empty:
        raise UsageError(
            "an empty policy would remove almost everything; say what to keep, such as --keep-daily 14"
        )
    try:
        zone = UTC if time_zone.upper() == "UTC" else ZoneInfo(time_zone)  # UTC needs no zone files
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"--time-zone {time_zone!r}: no such zone; write UTC or Europe/Berlin") from None
    found = archives(app)
    if workspace is not None:
        found = [a for a in found if workspace in (a.slug, a.workspace_id)]
    verdicts = judge(found, policy, utc_now(), zone)
    going = [verdict for verdict in verdicts if not verdict.keep]
    if not dry_run:
        for verdict in going:
            app.store.remove(str(verdict.archive))
    _tell(app, verdicts, going, dry_run=dry_run)
    return 0


def policy_of(given: dict[str, Any]) -> Policy:
    """Make a policy of `keep_…` settings. Raises UsageError."""
    known = {f"keep_{name}" for name in (*_PERIODS, "within", "label", "pre_restore")}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise UsageError(f"retention: unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    counts: dict[str, int] = {}
    for name in _PERIODS:
        count = given.get(f"keep_{name}", 0)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UsageError(f"retention: keep_{name} must be a whole number, not {count!r}")
        counts[name] = count
    labels = given.get("keep_label", ())
    labels = (labels,) if isinstance(labels, str) else tuple(map(str, labels))
    for label in labels:
        if parse_name(f"a.b.20260101T000000Z.{'0' * 12}.{label}.json.gz") is None:
            raise UsageError(f"retention: {label!r} is no label: lower-case letters, digits and hyphens")
    return Policy(
        **counts,
        within=span(given.get("keep_within", "0d")),
        labels=labels,
        pre_restore=span(given.get("keep_pre_restore", "30d")),
    )


def span(text: object) -> timedelta:
    """Read a time span such as `36h` or `14d`. Raises UsageError."""
    match = _SPAN.fullmatch(str(text))
    if match is None:
        raise UsageError(f"{text!r} is no time span: write 36h, 14d, 8w, 6m (of 31 days) or 2y")
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])


def _tell(app: App, verdicts: list[Verdict], going: list[Verdict], *, dry_run: bool) -> None:
    if app.as_json:
        lines = [
            {**archive_document(v.archive), "keep": v.keep, "reasons": list(v.reasons)} for v in verdicts
        ]
        app.emit({"store": app.store.url, "dry_run": dry_run, "snapshots": lines})
        return
    if verdicts:
        app.out.print(verdict_table(verdicts))
    would = "would be " if dry_run else ""
    app.line(f"{len(verdicts) - len(going)} kept, {len(going)} {would}removed.")
