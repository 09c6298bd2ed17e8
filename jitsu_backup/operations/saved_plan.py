"""Saved plans: made today, reviewed, and later applied exactly as they are or not at all, here or elsewhere.

A saved plan is a JSON file. It holds the plan, its options, and fingerprints of everything that it was made from, but no
secret and no path of a machine.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from jitsu_backup.archive import ArchiveName, digest
from jitsu_backup.errors import BlockedError, UsageError
from jitsu_backup.model import Source, quoted, shown_time, some_of
from jitsu_backup.operations.folder import is_folder
from jitsu_backup.operations.restore import READ_ONLY, PreparedRestore
from jitsu_backup.operations.third_side import NO_BASE, NO_RECORD
from jitsu_backup.planning import (
    Ids,
    Outside,
    Overlay,
    PlanOptions,
    changed_since,
    changes_in_words,
    entity_names,
    fingerprints,
    same_workspace,
    slow_fingerprints,
    unseen_unchanged,
)
from jitsu_backup.settings.overlay_file import OverlayFile

FORMAT, VERSION = "jitsu-backup-plan", 2

SWITCHES = (
    "allow_missing_secrets", "resend_secrets", "cursors", "prune", "accept_shrink", "recreate", "disable_links",
    "match_by_name", "check_schemas", "rebind", "enable_reverse_syncs", "prune_own", "with_links",
)  # fmt: skip
LISTS = ("only", "skip", "take", "unprotect")
"""The options of a plan that are saved under their own names. Ids, pairs and the overlay have forms of their own."""
GUARDS = ("protect", "ignored")
"""The options of a plan that come from the settings of the target. They are saved too, because they shape the plan."""


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What the file at `path` says. `document` is its whole content.

    `archive` and `overlay` are file names without folders, or None without a file. `source` is the workspace of the
    snapshot, by id and slug. `options` lack the overlay.
    """

    path: Path
    command: str
    archive: str | None
    digest: str
    into: str
    workspace_id: str
    source: Source
    options: PlanOptions
    overlay: str | None
    has_overlay: bool
    document: Mapping[str, Any]

    def beside(self, name: str | None) -> Path | None:
        """Return the file, or the folder of `unpack`, called `name` beside the plan, or None."""
        path = None if name is None else self.path.parent / name
        return path if path is not None and (path.is_file() or is_folder(path)) else None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plan comes from: the command, the name of the snapshot's archive, its target PLACE, the overlay."""

    command: str
    archive: str | None
    into: str
    overlay: OverlayFile | None


def saved_plan(prepared: PreparedRestore, plan: Mapping[str, Any], origin: Origin) -> bytes:
    """Return the content of the file of a plan. `plan` is the plan as a JSON document."""
    salt, options, overlay = secrets.token_hex(16), prepared.options, origin.overlay
    document = {
        "format": FORMAT,
        "version": VERSION,
        "command": origin.command,
        "snapshot": {"archive": origin.archive, "digest": digest(prepared.snapshot)},
        "into": origin.into,
        "options": _options_document(options),
        "overlay": None if overlay is None else _overlay_document(overlay, options.overlay, salt),
        "salt": salt,
        "target": fingerprints(prepared.live, salt),
        "record": _record_digest(options),
        "plan": plan,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def is_saved_plan(data: bytes) -> bool:
    """Return whether a file holds a saved plan of any version."""
    try:
        return bool(orjson.loads(data)["format"] == FORMAT)
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return False


def load_plan(path: Path, data: bytes) -> SavedPlan:
    """Return the saved plan that the file at `path` holds as `data`. Raise UsageError for anything else."""
    try:
        document = orjson.loads(data)
        if document["format"] == FORMAT and document["version"] != VERSION:
            raise UsageError(
                f"plan {path}: its format is {document['version']}, but this version of jitsu-backup applies format"
                f" {VERSION}; create a new plan with --plan-out"
            )
        options, overlay, source = document["options"], document["overlay"], document["plan"]["source"]
        saved = SavedPlan(
            path=path,
            command=str(document["command"]),
            archive=_file_name(document["snapshot"]["archive"]),
            digest=str(document["snapshot"]["digest"]),
            into=str(document["into"]),
            workspace_id=str(document["plan"]["target"]["workspace_id"]),
            source=Source("", str(source["workspace_id"]), source["slug"] and str(source["slug"])),
            options=plan_options({**options, "mapping": options["map"]}, Overlay()),
            overlay=None if overlay is None else _file_name(overlay["file"]),
            has_overlay=overlay is not None,
            document=document,
        )
        _check_shapes(document)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(f"plan {path}: not a saved plan; give a file that --plan-out wrote") from None
    return saved


def check_overlay(saved: SavedPlan, overlay: OverlayFile) -> Overlay:
    """Return the overlay of a saved plan.

    Raise BlockedError if the file, or a value that it refers to, has changed since the plan was made.
    """
    before, salt = saved.document["overlay"], saved.document["salt"]
    if _file_fingerprint(overlay, salt) != before["digest"]:
        raise BlockedError(
            f"plan {saved.path}: the overlay {overlay.path} has changed since the plan was made; give the previous one with"
            " --overlay, or create a new plan"
        )
    found = overlay.parse().of(saved.source)
    changed = [
        f"{value.place}, from {value.reference}"
        for value, one in zip(found.outside, _value_fingerprints(found.outside, salt), strict=True)
        if one not in before["values"]
    ]
    if changed:
        raise BlockedError(
            f"plan {saved.path}: these values have changed since the plan was made: {some_of(changed, 3, '; ')};"
            " nothing was written; restore the previous values, or create a new plan"
        )
    return found


def check_plan(
    saved: SavedPlan,
    plan: Mapping[str, Any],
    prepared: PreparedRestore,
    last_clone: Callable[[], ArchiveName | None] = lambda: None,
) -> None:
    """Raise BlockedError, which names the difference, if a saved plan no longer fits what was `prepared` now.

    `plan` is what would be done now, as a JSON document. `last_clone` returns the record of the last clone between the two
    workspaces, or its intent if it did not end; None if that is unknown.
    """
    document, live = saved.document, prepared.live
    planned, found = document["plan"]["target"], live.manifest.source
    if (planned.get("host"), planned.get("workspace_id")) != (found.host, found.workspace_id):
        raise BlockedError(
            f"plan {saved.path}: it is for workspace {planned.get('workspace_id')} on {planned.get('host')},"
            f" not for {found.workspace_id} on {found.host}; give the right one with --into, or create another plan"
        )
    if document.get("record") != _record_digest(prepared.options):  # one that an older version saved had none
        raise BlockedError(f"plan {saved.path}: {_why_outdated(saved, prepared, last_clone)}")
    target, salt = document["target"], document["salt"]
    changed = changed_since(target, fingerprints(live, salt) | unseen_unchanged(target, live, salt))
    if changed:
        names = _target_names(document["plan"])
        names |= {str(key): name for key, name in entity_names(live.entities).items()}
        raise BlockedError(
            f"the target has changed since the plan was made: {changes_in_words(changed, names)};"
            " nothing was written; create a new plan with --plan-out"
        )
    saved_plan = document["plan"]
    before, now = (_lasting(one, saved_plan) for one in (saved_plan, orjson.loads(orjson.dumps(plan))))
    if now != before:
        raise BlockedError(
            f"plan {saved.path}: the plan would be different now{_differing(before, now)} (a feature, a Jitsu subscription,"
            " the state of a reverse sync, the console's schemas, other workspaces or the version of jitsu-backup may have"
            " changed); create a new plan with --plan-out"
        )


def _why_outdated(
    saved: SavedPlan, prepared: PreparedRestore, last_clone: Callable[[], ArchiveName | None]
) -> str:
    """Return why the record is no longer the one that a plan was made with, and what to do."""
    again = "create a new plan with --plan-out"
    if same_workspace(prepared.snapshot, prepared.live):
        undone = saved.command == "undo"
        record = "the record of the last run" if undone else "the archive that the folder was unpacked from"
        return f"{record} has changed since the plan was made; {again}"
    source = prepared.plan.source
    called, last = source.slug or source.workspace_id, last_clone()
    if prepared.options.record is None:
        return (
            f"the store no longer has the record of the last clone from {called}; check --store, or {again}"
        )
    if last is not None and last.is_intent:
        begun = shown_time(last.taken_at)
        return f"a clone from {called}, of {begun}, with this plan or another one, was interrupted; {again}: it continues that clone"
    ended = "" if last is None else f" at {shown_time(last.taken_at)}"
    return (
        f"the record of the last clone from {called} has changed since the plan was made: this plan, or another one, was"
        f" carried out{ended}; {again}, which shows what is left to do"
    )


def plan_options(given: Mapping[str, Any], overlay: Overlay) -> PlanOptions:
    """Return the options of a plan with an overlay and what is `given` by name. Raise UsageError."""
    # plans saved by an older version lack newer options, which are off
    switches: dict[str, Any] = {name: bool(given.get(name, False)) for name in SWITCHES}
    lists: dict[str, Any] = {name: tuple(map(str, given.get(name, ()))) for name in (*LISTS, *GUARDS)}
    mapping = tuple(map(split_mapping, given["mapping"]))
    return PlanOptions(overlay=overlay, **switches, **lists, ids=Ids(given["ids"]), mapping=mapping)


def _options_document(options: PlanOptions) -> dict[str, Any]:
    return {
        **{name: getattr(options, name) for name in SWITCHES},
        **{name: list(getattr(options, name)) for name in (*LISTS, *GUARDS)},
        "ids": options.ids.value,
        "map": [f"{source}={target}" for source, target in options.mapping],
    }


def _record_digest(options: PlanOptions) -> str | None:
    return None if options.record is None else digest(options.record)


def split_mapping(text: str) -> tuple[str, str]:
    """Return both sides of `type/source=type/target`. Raise UsageError."""
    parts = [part for part in text.split("=") if part]
    if len(parts) != 2 or not all("/" in part for part in parts):
        form = "type/source=type/target, such as destination/Old=destination/New"
        raise UsageError(f"--map {text!r}: not a pair of entities; write {form}")
    return parts[0], parts[1]


def _target_names(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the target's entities when a plan was made, by `type/id`. Some may have been deleted since."""
    acted_on = {f"{one['type']}/{one['target_id']}": str(one["name"]) for one in plan["actions"]}
    return acted_on | {f"{one['type']}/{one['id']}": str(one["name"]) for one in plan["only_in_target"]}


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return words for the entities that two plans treat differently, or an empty string if they differ elsewhere.

    The first entity that is skipped or blocked now is given with its reason.
    """
    one, other = (
        {f"{action['type']} {quoted(str(action['name']))}": action for action in plan["actions"]}
        for plan in (before, now)
    )
    found = [what for what in sorted({*one, *other}) if one.get(what) != other.get(what)]
    stopped = [
        other[what]["reason"] for what in found if other.get(what, {}).get("action") in ("skipped", "blocked")
    ]
    return f" for {some_of(found, 5)}" + "".join(f": {why}" for why in stopped[:1]) if found else ""


def _lasting(plan: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's document without what may differ when it is applied: the role of the key, and unpaid bills.

    The record is left out too, because older versions did not mention a missing one, and it is compared by its digest. An
    entity that was not visible when the plan was `saved` may be visible now; that the target keeps it is no difference.
    """
    unseen = {(one["type"], one["target_id"]): {*one.get("unseen", ())} for one in saved["actions"]}
    actions = [
        one
        | {
            name: [
                path
                for path in one.get(name, ())
                if path not in unseen.get((one["type"], one["target_id"]), ())
            ]
            for name in ("kept", "unseen")
        }
        | {"overwrites": one.get("overwrites", [])}
        for one in plan["actions"]
    ]
    notes = [
        note for note in plan["notes"] if note != READ_ONLY and not note.startswith((NO_RECORD, NO_BASE))
    ]
    return {
        **plan,
        "actions": actions,
        "target": {**plan["target"], "role": None},
        "notes": notes,
        "attention": [],
    }


def _overlay_document(file: OverlayFile, overlay: Overlay, salt: str) -> dict[str, Any]:
    return {
        "file": file.path.name if file.path.is_file() else None,
        "digest": _file_fingerprint(file, salt),
        "values": _value_fingerprints(overlay.outside, salt),
    }


def _file_fingerprint(file: OverlayFile, salt: str) -> str:
    return slow_fingerprints({"": file.data}, salt)[""]


def _value_fingerprints(values: Iterable[Outside], salt: str) -> list[dict[str, str]]:
    named = {f"{n} {one.place}": one for n, one in enumerate(values)}
    found = slow_fingerprints({name: one.value.encode() for name, one in named.items()}, salt)
    return [{"field": one.place, "digest": found[name]} for name, one in named.items()]


def _file_name(given: object) -> str | None:
    """Return a file name. Raise ValueError for a path into another folder."""
    if given is not None and (not isinstance(given, str) or given in ("", "..") or Path(given).name != given):
        raise ValueError
    return given


def _check_shapes(document: Mapping[str, Any]) -> None:
    """Raise KeyError or TypeError if parts that are read later are missing or of the wrong type."""
    _target_names(document["plan"])
    overlay = document["overlay"] or {"digest": "", "values": []}
    texts = [document["salt"], overlay["digest"]]
    shapes = isinstance(document["target"], Mapping) and isinstance(overlay["values"], list)
    if document["format"] != FORMAT or not shapes or not all(isinstance(text, str) for text in texts):
        raise TypeError
