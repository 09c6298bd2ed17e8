"""Saved plans: made today, looked at by somebody, carried out as they are or not at all."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from jitsu_backup.cli.plan_options import options_document, plan_options
from jitsu_backup.errors import BlockedError, UsageError
from jitsu_backup.model import Snapshot, some_of
from jitsu_backup.planning import Plan, PlanOptions, changed_since, fingerprint, fingerprints
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
    """Raise BlockedError where the target, or what the plan would do, is not what it was."""
    document = saved.document
    before = document.get("target")
    if not isinstance(before, Mapping):
        raise UsageError(f"plan {saved.path}: not a file that --plan-out wrote")
    changed = changed_since(before, fingerprints(live, str(document["salt"])))
    if changed:
        some = some_of(changed, 3, "; ")
        raise BlockedError(f"the target has changed since the plan was made: {some}; make it again")
    if orjson.loads(orjson.dumps(plan_document(plan))) != document.get("plan"):
        raise BlockedError(
            f"plan {saved.path}: this would do something else now (the console's schemas, other workspaces or"
            " this program have changed); make it again"
        )
