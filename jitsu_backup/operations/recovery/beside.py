"""What a workspace has besides entities: options, which are set again, and members, who are listed to be invited."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jitsu_backup.console import Console
from jitsu_backup.console.client import api_path
from jitsu_backup.errors import BackupError, KeyRejectedError, UnreachableError
from jitsu_backup.model import MASK, Snapshot, items_of, masked_paths, members_of
from jitsu_backup.operations.recovery.values import Member, OptionSet

_DATA, _BACKUPS, _EXPORTS = "data-retention", "backup-retention", "observability-exports"
_METHODS = {_DATA: "POST", _BACKUPS: "PUT", _EXPORTS: "PUT"}
_REQUESTED = "pendingUpdate"
"""The field of the console that shows a requested change of the data retention [workspace/get-data-retention]."""

_HOURS = "retentionHours"


def members_to_invite(
    snapshot: Snapshot, there: Iterable[Mapping[str, Any]] = (), before: Iterable[Member] = ()
) -> tuple[Member, ...]:
    """Return the previous members whose e-mail addresses are not among the members `there`; those of `before` come last."""
    known = {email.lower() for member in there if (email := _email(member))}
    found = sorted(Member(_email(one), str(one.get("role") or "")) for one in snapshot.members)
    missing = dict[str, Member]()
    for one in (*found, *sorted(before)):
        if one.email and one.email.lower() not in known:
            missing.setdefault(one.email.lower(), one)
    return tuple(missing.values())


def members_were_read(snapshot: Snapshot) -> bool:
    """Return whether the console has said who the members of a workspace are."""
    return all(refusal.what != "workspace/users" for refusal in snapshot.manifest.refused)


def _email(member: Mapping[str, Any]) -> str:
    return str(members_of(member.get("user")).get("email") or "")


def options_to_set(snapshot: Snapshot, live: Snapshot | None) -> tuple[OptionSet, ...]:
    """Return the options of a snapshot that differ from those of `live`, or all if `live` is None: not known yet."""
    return tuple(_differing(snapshot, live))


def _differing(snapshot: Snapshot, target: Snapshot | None) -> Iterator[OptionSet]:
    live = None if target is None else target.options
    unread = {} if target is None else {one.what: one.reason for one in target.manifest.refused}
    for section, wanted in snapshot.options.items():
        body = _wanted(section, members_of(wanted))
        if body is None:
            continue
        if live is not None and section not in live:
            why = unread.get(f"workspace/{section}")
            if why is None:
                yield OptionSet(section, problem="this console does not support it")
            else:
                option = _to_set(section, body)
                failed = f"it could not be compared with the target, which could not be read ({why})"
                yield replace(option, problem=option.problem or failed)
        elif live is None or not _holds(body, _wanted(section, members_of(live[section])) or {}):
            yield _to_set(section, body)


def _wanted(section: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the part of a section that differs from the console's defaults, or None if nothing does."""
    if section == _BACKUPS:
        return {_HOURS: body[_HOURS]} if body.get("source") == "explicit" and _HOURS in body else None
    if section == _EXPORTS:
        return dict(body) if body.get("enabled") or body.get("endpoint") or body.get("headers") else None
    return {name: value for name, value in body.items() if name != _REQUESTED} or None


def _to_set(section: str, body: dict[str, Any]) -> OptionSet:
    if any(masked_paths(body)):
        names = [
            str(one.get("name"))
            for one in map(members_of, items_of(body.get("headers")))
            if one.get("value") == MASK
        ]
        of = f" of {', '.join(names)}" if names else ""
        return OptionSet(section, problem=f"the value{of} is hidden by Jitsu, so it cannot be restored")
    if section == _BACKUPS:
        days, rest = divmod(body[_HOURS], 24) if isinstance(body[_HOURS], int) else (0, 1)
        if rest or not days:
            # the console disables backups only after a person confirms that events are lost
            return OptionSet(section, problem=f"it was {body[_HOURS]} hours; set it in the UI")
        return OptionSet(section, {"retentionDays": days})
    return OptionSet(section, body)


def _holds(wanted: Any, there: Any) -> bool:
    """Return whether a section has everything in `wanted`; anything else in it is the console's default."""
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        return all(name in there and _holds(value, there[name]) for name, value in wanted.items())
    return bool(wanted == there)


async def set_options(
    console: Console, workspace_id: str, options: Iterable[OptionSet]
) -> tuple[tuple[str, ...], tuple[OptionSet, ...]]:
    """Set sections of a workspace's options; return those that were set, and those that must be set by hand.

    Data retention is only requested; the console changes it later [workspace/put-data-retention-2]. Raise UnreachableError,
    and AccessError for a key that the console rejects.
    """
    done, left = [], []
    for option in options:
        if option.problem:
            left.append(option)
            continue
        path = f"{api_path('workspace', workspace_id)}/{option.section}"
        try:
            await console.write(
                _METHODS.get(option.section, "POST"), path, dict(option.body), repeatable=True
            )
        except (UnreachableError, KeyRejectedError):
            raise
        except BackupError as refusal:
            left.append(replace(option, problem=f"it could not be set ({refusal})"))
        else:
            done.append(option.section)
    return tuple(done), tuple(left)
