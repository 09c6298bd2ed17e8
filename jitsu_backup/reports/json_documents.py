"""The JSON documents of `--json`, without secrets except those that were asked for."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import granted, names_of_refused
from jitsu_backup.model import Snapshot, iso_time
from jitsu_backup.operations.asking import Unchanged
from jitsu_backup.operations.restore import Result
from jitsu_backup.operations.save import Saved
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import Action, Changes, EntityChange, Extra, FieldChange, Plan, Residue
from jitsu_backup.planning.attribution import Attribution
from jitsu_backup.reports.authors import authors_document, passing_document


def snapshot_document(snapshot: Snapshot, digest: str) -> dict[str, Any]:
    """Return the manifest of a snapshot."""
    manifest, names = snapshot.manifest, names_of_refused(snapshot)
    return {
        "digest": digest,
        "taken_at": iso_time(snapshot.taken_at),
        "source": asdict(manifest.source),
        "complete": manifest.complete,
        "consistent": manifest.consistent,
        "counts": dict(manifest.counts),
        "cursors": sum(len(states) for states in snapshot.cursors.values()),
        "secrets": sum(len(values) for values in snapshot.secrets.values()),
        "refused": [
            {"what": r.what, "name": names[r.what], "reason": r.reason, "missing": r.missing}
            for r in manifest.refused
        ],
        "not_offered": list(manifest.not_offered),
        "generic": list(manifest.generic),
        "ledger": [{"type": m.type, "id": m.id, "path": m.path} for m in manifest.ledger],
        "grants": [key._asdict() for key in granted(snapshot.entities)],
    }


def saved_document(saved: Saved, where: str) -> dict[str, Any]:
    """Return the manifest of a saved snapshot, and facts about its archive; `where` says where that is."""
    return {
        **snapshot_document(saved.snapshot, saved.digest),
        "encrypted": saved.archive.encrypted,
        "id": saved.archive.digest_prefix,
        "archive": where,
        "bytes": saved.size,
        "written": saved.written,
    }


def unchanged_document(unchanged: Unchanged, where: str) -> dict[str, Any]:
    """Return what is known of a workspace that was found unchanged and not read; `where` says where its archive is."""
    archive = unchanged.archive
    return {
        "taken_at": iso_time(archive.taken_at),
        "source": asdict(unchanged.source),
        "complete": True,
        "consistent": True,
        "counts": dict(archive.counts),
        "entities": archive.total,
        "encrypted": archive.encrypted,
        "id": archive.digest_prefix,
        "archive": where,
        "bytes": 0,
        "written": False,
        "asked": True,
    }


def archive_document(archive: ArchiveName) -> dict[str, Any]:
    """Return what the name of an archive says."""
    return {
        "id": archive.digest_prefix,
        "workspace": archive.slug,
        "workspace_id": archive.workspace_id,
        "taken_at": iso_time(archive.taken_at),
        "marks": list(archive.marks),
        "encrypted": archive.encrypted,
        "entities": archive.total,
        "damaged": archive.damaged,
        "archive": str(archive),
    }


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan without its bodies, which may contain secrets."""
    return {
        "source": asdict(plan.source),
        "target": asdict(plan.target),
        "counts": plan.counts(),
        "with_builders": plan.with_builders,
        "skipped_with_builders": plan.skipped_with_builders,
        "left_out": plan.left_out,
        "only_in_target": extras_document(plan.extras),
        "actions": [_action(plan, action) for action in plan.actions],
        "notes": list(plan.notes),
        "attention": list(plan.attention),
    }


def extras_document(extras: Iterable[Extra]) -> list[dict[str, Any]]:
    """Return what exists only in the target and is kept."""
    return [
        {
            **extra.key._asdict(),
            "name": extra.name,
            "prunable": extra.prunable,
            "left_out": extra.left_out,
            "dead": extra.dead,
            "own": extra.own,
            "blocks": extra.blocks,
        }
        for extra in extras
    ]


def taken_document(snapshot: Snapshot, digest: str) -> dict[str, str]:
    """Return the digest and time of the snapshot of a plan."""
    return {"digest": digest, "taken_at": iso_time(snapshot.taken_at)}


def changes_document(changes: Changes, who: Attribution | None = None) -> dict[str, Any]:
    """Return the differences between two snapshots, without secrets; with `who`, each change names its authors."""
    return {
        "before": _side(changes.before),
        "after": _side(changes.after),
        "counts": {name: dict(count) for name, count in changes.counts().items()},
        "unchanged": dict(changes.unchanged),
        "notes": [*changes.notes, *(who.notes if who is not None else ())],
        "changes": [_change(change, who) for change in changes.entities],
        **({} if who is None else {"passing": [passing_document(one) for one in who.passing]}),
    }


def _side(snapshot: Snapshot) -> dict[str, Any]:
    return {**asdict(snapshot.manifest.source), "taken_at": iso_time(snapshot.taken_at)}


def _change(change: EntityChange, who: Attribution | None) -> dict[str, Any]:
    authors = {} if who is None else authors_document(who.of(change), change.saved_at)
    return {**change_document(change), **authors}


def change_document(change: EntityChange) -> dict[str, Any]:
    """Return what happened to one entity."""
    return {
        "change": change.kind.value,
        "type": change.type,
        "name": change.name,
        "was": change.was,
        "before_id": change.before.id if change.before else None,
        "after_id": change.after.id if change.after else None,
        "fields": [_field(one) for one in change.fields],
        "body": dict(change.body),
    }


def _field(one: FieldChange, *, conflict: bool = False) -> dict[str, Any]:
    return {
        "path": one.path,
        "before": one.before,
        "after": one.after,
        "secret": one.secret,
        "code": list(one.code),
        **({"base": one.base, "own_code": list(one.own_code)} if conflict else {}),
    }


def residue_document(found: Iterable[Residue]) -> list[dict[str, str]]:
    """Return what still differs after a restore."""
    return [
        {**line.key._asdict(), "name": line.name, "path": line.path, "reason": line.reason} for line in found
    ]


def restore_document(
    result: Result, snapshot: Snapshot, digest: str, keys_out: str | None, way_back: str | None
) -> dict[str, Any]:
    """Return the outcome of a restore of `snapshot`, with write keys only if no file was named for them.

    `way_back` is the command that undoes it. It also brings back what was lost.
    """
    return {
        "snapshot": taken_document(snapshot, digest),
        "plan": plan_document(result.plan),
        "outcomes": [
            {
                **outcome.action.key._asdict(),
                "name": outcome.action.name,
                "action": outcome.action.kind.value,
                "status": outcome.status.value,
                "target_id": outcome.target_id,
                "reason": outcome.reason,
            }
            for outcome in result.outcomes
        ],
        "residue": residue_document(result.found),
        "keys_out": keys_out,
        "stream_keys": [key_document(key) for key in result.keys] if keys_out is None else [],
        "left_disabled": [{**action.key._asdict(), "name": action.name} for action in result.half_deleted],
        "lost": [
            {**action.key._asdict(), "name": action.name, "reason": reason} for action, reason in result.lost
        ],
        "way_back": way_back,
        "verified": result.verified,
        "only_in_target": extras_document(result.extras),
        "record": None if result.record is None else str(result.record),
        "unrecorded": result.unrecorded or None,
        "failure": None if result.failure is None else str(result.failure),
    }


def key_document(key: StreamKey) -> dict[str, str]:
    """Return a write key with its secret, for the file of keys or to be shown once."""
    return asdict(key)


def _action(plan: Plan, action: Action) -> dict[str, Any]:
    return {
        "action": action.kind.value,
        **action.key._asdict(),
        "name": action.name,
        "target_id": action.target_id,
        "reason": action.reason,
        "dead": action.dead,
        "changes": list(action.changes),
        "fields": [_field(one, conflict=bool(action.conflicts)) for one in plan.fields(action)],
        "kept": list(action.kept),
        "own": list(action.own),
        "conflicts": list(action.conflicts),
        "deleted_there": action.deleted_there,
        "overwrites": [{"path": one.path, "flag": one.flag} for one in action.overwrites if action.writes],
        "unseen": list(action.unseen),
        "losses": [{"path": loss.path, "reason": loss.reason} for loss in action.losses],
        "new_keys": len(action.made_keys),
        "cuts_off_senders": action.cuts_off,
        "off": action.off,
        "cursors": sorted(action.cursors),
    }
