"""Saved plans: made today, looked at by somebody, carried out as they are or not at all."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from jitsu_backup.cli.plan_options import options_document, plan_options
from jitsu_backup.errors import BlockedError, UsageError
from jitsu_backup.model import Snapshot, quoted, some_of
from jitsu_backup.planning import (
    Plan,
    PlanOptions,
    changed_since,
    changes_in_words,
    entity_names,
    fingerprint,
    fingerprints,
)
from jitsu_backup.reports import plan_document
from jitsu_backup.store import read_file, write_file

FORMAT, VERSION = "jitsu-backup-plan", 1


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What a plan file says; `document` is the file's whole content."""

    path: Path
    snapshot: str
    digest: str
    into: str
    workspace_id: str
    options: PlanOptions
    overlay: Path | None
    document: Mapping[str, Any]


def save_plan(
    path: Path, plan: Plan, live: Snapshot, options: PlanOptions, *, snapshot: str, digest: str, into: str,
    overlay: Path | None,
) -> None:  # fmt: skip
    """Write a plan to `path` with the fingerprints of the target it was made from; it holds no secret."""
    salt = secrets.token_hex(16)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "snapshot": {"reference": snapshot, "digest": digest},
        "into": into,
        "options": options_document(options),
        "overlay": None
        if overlay is None
        else {"path": str(overlay.resolve()), "digest": fingerprint(read_file(overlay), salt)},
        "salt": salt,
        "target": fingerprints(live, salt),
        "plan": plan_document(plan),
    }
    write_file(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def load_plan(path: Path) -> SavedPlan:
    """Read a plan file. Raises UsageError for anything else, BlockedError when its overlay has changed."""
    data = read_file(path, regular=True)
    try:
        document = orjson.loads(data)
        if document["format"] != FORMAT or document["version"] != VERSION:
            raise UsageError(f"plan {path}: of another format or version; make it again with --plan-out")
        options = {"accept_shrink": False, **document["options"]}
        overlay = None if document["overlay"] is None else Path(document["overlay"]["path"])
        saved = SavedPlan(
            path=path,
            snapshot=str(document["snapshot"]["reference"]),
            digest=str(document["snapshot"]["digest"]),
            into=str(document["into"]),
            workspace_id=str(document["plan"]["target"]["workspace_id"]),
            options=plan_options({**options, "mapping": options["map"]}, overlay),
            overlay=overlay,
            document=document,
        )
        overlay_digest = None if overlay is None else str(document["overlay"]["digest"])
        salt = str(document["salt"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(f"plan {path}: not a file that --plan-out wrote") from None
    if overlay is not None and fingerprint(read_file(overlay), salt) != overlay_digest:
        raise BlockedError(f"plan {path}: the overlay {overlay} has changed since; make the plan again")
    return saved


def check_plan(saved: SavedPlan, plan: Plan, live: Snapshot) -> None:
    """Raise BlockedError where the target, or what the plan would do, is not what it was; it says of what."""
    document = saved.document
    before = document.get("target")
    try:
        if not isinstance(before, Mapping):
            raise TypeError  # noqa: TRY301  told below, as all that is wrong with the file
        called = _names_in(document["plan"])
    except (KeyError, TypeError):
        raise UsageError(f"plan {saved.path}: not a file that --plan-out wrote") from None
    changed = changed_since(before, fingerprints(live, str(document["salt"])))
    if changed:
        called |= {str(key): name for key, name in entity_names(live.entities).items()}
        raise BlockedError(
            f"the target has changed since the plan was made: {changes_in_words(changed, called)};"
            " make the plan again with --plan-out"
        )
    now = orjson.loads(orjson.dumps(plan_document(plan)))
    if now != document["plan"]:
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
