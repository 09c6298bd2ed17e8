"""Saved plans: made today, looked at by somebody, carried out as they are or not at all, here or elsewhere."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from jitsu_backup.cli.files import check_folder, check_path
from jitsu_backup.cli.overlay import OverlayFile
from jitsu_backup.cli.plan_options import options_document, plan_options
from jitsu_backup.errors import BackupError, BlockedError, UsageError
from jitsu_backup.model import Snapshot, quoted, some_of
from jitsu_backup.planning import (
    Outside,
    Overlay,
    Plan,
    PlanOptions,
    changed_since,
    changes_in_words,
    entity_names,
    fingerprints,
    slow_fingerprints,
)
from jitsu_backup.reports import plan_document
from jitsu_backup.store import read_file, write_file

FORMAT, VERSION = "jitsu-backup-plan", 2


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What a plan file says; `document` is the file's whole content.

    `archive` and `overlay` are names of files, without folders: None where there is none. `options` are without the overlay.
    """

    path: Path
    command: str
    archive: str | None
    digest: str
    into: str
    workspace_id: str
    options: PlanOptions
    overlay: str | None
    has_overlay: bool
    document: Mapping[str, Any]

    def beside(self, name: str | None) -> Path | None:
        """Return the file of that name in the plan's own folder, where there is one."""
        path = None if name is None else self.path.parent / name
        return path if path is not None and path.is_file() else None


def check_plan_out(path: Path | None) -> None:
    """Raise UsageError for a file that is there and is no plan: an overlay must not be lost to a slip of the hand."""
    check_path(path, "--plan-out")
    check_folder(path)
    if path is None or not path.exists():
        return
    try:
        ours = orjson.loads(read_file(path))["format"] == FORMAT
    except (BackupError, orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        ours = False
    if not ours:
        raise UsageError(f"--plan-out {path}: that file exists and holds something else; name another")


def save_plan(
    path: Path, plan: Plan, live: Snapshot, options: PlanOptions,
    *, command: str, archive: str | None, digest: str, into: str, overlay: OverlayFile | None,
) -> None:  # fmt: skip
    """Write a plan to `path` with fingerprints of what it was made from; it holds no secret, and no path of a machine.

    `archive` is the name of the archive's file, `digest` that of its snapshot.
    """
    salt = secrets.token_hex(16)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "command": command,
        "snapshot": {"archive": archive, "digest": digest},
        "into": into,
        "options": options_document(options),
        "overlay": None if overlay is None else _overlay_document(overlay, options.overlay, salt),
        "salt": salt,
        "target": fingerprints(live, salt),
        "plan": plan_document(plan),
    }
    write_file(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def load_plan(path: Path, data: bytes) -> SavedPlan:
    """Make a plan of what its file holds. Raises UsageError for anything that --plan-out did not write."""
    try:
        document = orjson.loads(data)
        if document["format"] == FORMAT and document["version"] != VERSION:
            raise UsageError(
                f"plan {path}: its format is {document['version']}, and this program carries out format {VERSION};"
                " make the plan again with --plan-out"
            )
        options, overlay = document["options"], document["overlay"]
        saved = SavedPlan(
            path=path,
            command=str(document["command"]),
            archive=_file_name(document["snapshot"]["archive"]),
            digest=str(document["snapshot"]["digest"]),
            into=str(document["into"]),
            workspace_id=str(document["plan"]["target"]["workspace_id"]),
            options=plan_options({**options, "mapping": options["map"]}, Overlay()),
            overlay=None if overlay is None else _file_name(overlay["file"]),
            has_overlay=overlay is not None,
            document=document,
        )
        _check_fingerprints(document)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(f"plan {path}: not a file that --plan-out wrote") from None
    return saved


def check_overlay(saved: SavedPlan, overlay: OverlayFile) -> Overlay:
    """Return the overlay of a saved plan. Raises BlockedError where it, or a value that it takes from elsewhere, has changed."""
    before, salt = saved.document["overlay"], saved.document["salt"]
    if _of_file(overlay, salt) != before["digest"]:
        raise BlockedError(
            f"plan {saved.path}: the overlay {overlay.path} is not as it was when the plan was made; give the one of then"
            " with --overlay, or make the plan again"
        )
    found = overlay.parse()
    changed = [
        f"{value.place}, from {value.reference}"
        for value, one in zip(found.outside, _of_values(found.outside, salt), strict=True)
        if one not in before["values"]
    ]
    if changed:
        raise BlockedError(
            f"plan {saved.path}: these values are not those of when the plan was made: {some_of(changed, 3, '; ')};"
            " nothing was sent; put them back, or make the plan again"
        )
    return found


def check_plan(saved: SavedPlan, plan: Plan, live: Snapshot) -> None:
    """Raise BlockedError where the target, or what the plan would do, is not what it was; it says of what."""
    document = saved.document
    meant, found = document["plan"]["target"], live.manifest.source
    if (meant.get("host"), meant.get("workspace_id")) != (found.host, found.workspace_id):
        raise BlockedError(
            f"plan {saved.path}: it is for workspace {meant.get('workspace_id')} on {meant.get('host')},"
            f" not for {found.workspace_id} on {found.host}; give that one with --into, or make another plan"
        )
    changed = changed_since(document["target"], fingerprints(live, document["salt"]))
    if changed:
        called = _names_in(document["plan"])
        called |= {str(key): name for key, name in entity_names(live.entities).items()}
        raise BlockedError(
            f"the target has changed since the plan was made: {changes_in_words(changed, called)};"
            " make the plan again with --plan-out"
        )
    now = _whoever_reads(orjson.loads(orjson.dumps(plan_document(plan))))
    if now != _whoever_reads(document["plan"]):
        raise BlockedError(
            f"plan {saved.path}: this would do something else now{_what_else(document['plan'], now)} (the console's"
            " schemas, other workspaces or this program have changed); make the plan again with --plan-out"
        )


def _names_in(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return what the target's entities were called when a plan was made, by `type/id`; some may be gone since."""
    acted_on = {f"{one['type']}/{one['target_id']}": str(one["name"]) for one in plan["actions"]}
    return acted_on | {f"{one['type']}/{one['id']}": str(one["name"]) for one in plan["only_in_target"]}


def _what_else(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the entities that two documents of a plan do something else with; nothing where the difference is elsewhere."""
    one, other = (
        {f"{action['type']} {quoted(str(action['name']))}": action for action in plan["actions"]}
        for plan in (before, now)
    )
    found = [what for what in sorted({*one, *other}) if one.get(what) != other.get(what)]
    return f" with {some_of(found, 5)}" if found else ""


def _whoever_reads(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's document without the role of the key: who reviews may have another than who carries out."""
    return {**plan, "target": {**plan["target"], "role": None}}


def _overlay_document(file: OverlayFile, overlay: Overlay, salt: str) -> dict[str, Any]:
    return {
        "file": file.path.name if file.path.is_file() else None,
        "digest": _of_file(file, salt),
        "values": _of_values(overlay.outside, salt),
    }


def _of_file(file: OverlayFile, salt: str) -> str:
    return slow_fingerprints({"": file.data}, salt)[""]


def _of_values(values: Iterable[Outside], salt: str) -> list[dict[str, str]]:
    named = {f"{n} {one.place}": one for n, one in enumerate(values)}
    found = slow_fingerprints({name: one.value.encode() for name, one in named.items()}, salt)
    return [{"field": one.place, "digest": found[name]} for name, one in named.items()]


def _file_name(given: object) -> str | None:
    """Return the name of a file. Raises ValueError for what leads into another folder."""
    if given is not None and (not isinstance(given, str) or given in ("", "..") or Path(given).name != given):
        raise ValueError
    return given


def _check_fingerprints(document: Mapping[str, Any]) -> None:
    """Raise KeyError or TypeError where what a plan is compared by is not what it should be."""
    _names_in(document["plan"])
    overlay = document["overlay"] or {"digest": "", "values": []}
    texts = [document["salt"], overlay["digest"]]
    shapes = isinstance(document["target"], Mapping) and isinstance(overlay["values"], list)
    if document["format"] != FORMAT or not shapes or not all(isinstance(text, str) for text in texts):
        raise TypeError
