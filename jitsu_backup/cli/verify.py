"""`jitsu-backup verify`."""

from typing import Any

import click

from jitsu_backup.archive import digest
from jitsu_backup.catalogue import entity_type, find_references
from jitsu_backup.catalogue.references import Form
from jitsu_backup.cli.common import App, identity_option, pass_app
from jitsu_backup.errors import BackupError, IncompleteError, IntegrityError
from jitsu_backup.model import Snapshot
from jitsu_backup.reports import snapshot_document


@click.command("verify", epilog="Example: jitsu-backup verify latest before.json.gz")
@click.argument("snapshots", metavar="SNAPSHOT...", nargs=-1, required=True)
@identity_option
@pass_app
def command(app: App, snapshots: tuple[str, ...]) -> int:
    """Check that archives are whole: digest, schema, counts, references.

    Ends with code 5 when one is damaged, 3 when one is whole but marked incomplete.
    """
    results: list[dict[str, Any]] = []
    codes = []
    for reference in snapshots:
        try:
            name, snapshot, _ = app.snapshot(reference)
        except BackupError as problem:
            if len(snapshots) == 1 and not app.as_json:
                raise
            results.append({"archive": reference, "ok": False, "problem": str(problem)})
            codes.append(problem.exit_code)
            continue
        dangling = dangling_references(snapshot)
        document = snapshot_document(snapshot, digest(snapshot))
        results.append({"archive": name, "ok": True, **document, "dangling": dangling})
        codes.append(0 if snapshot.manifest.complete else IncompleteError.exit_code)
    if app.as_json:
        app.emit({"archives": results})
    else:
        for result in results:
            _tell(app, result)
    return IntegrityError.exit_code if IntegrityError.exit_code in codes else max(codes)


def dangling_references(snapshot: Snapshot) -> list[str]:
    """Give, in words, every reference to an entity that the snapshot does not hold."""
    known = {entity.key.id for entity in snapshot.entities}
    return [
        f"{entity.key} names {source_id} at {'.'.join(reference.path)}"
        for entity in snapshot.entities
        for reference, source_id in find_references(entity_type(entity.key.type).references, entity.body)
        if reference.form is not Form.ANYWHERE and source_id not in known
    ]


def _tell(app: App, result: dict[str, Any]) -> None:
    if not result["ok"]:
        app.line(f"DAMAGED  {result['problem']}")
        return
    state = "ok" if result["complete"] else "INCOMPLETE"
    total = sum(result["counts"].values())
    app.line(f"{state}  {result['archive']}: {total} entities, digest {result['digest'][:12]}")
    for line in result["dangling"]:
        app.line(f"    dangling: {line}")
    for refusal in result["refused"]:
        app.line(f"    not read: {refusal['what']}: {refusal['reason']}")
