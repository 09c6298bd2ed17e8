"""`jitsu-backup show`."""

from pathlib import Path
from typing import Any

from jitsu_backup.archive import digest
from jitsu_backup.catalogue import HIDDEN, Selector, check_type, entity_names, entity_type, redact
from jitsu_backup.cli.app import App
from jitsu_backup.cli.files import check_page, write_page
from jitsu_backup.cli.show_part import Part, write_part
from jitsu_backup.cli.snapshot_argument import open_snapshot
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.model import MASK, Entity, Snapshot, format_path, masked_paths, value_at
from jitsu_backup.planning import with_values
from jitsu_backup.reports import entity_table, snapshot_document, snapshot_view
from jitsu_backup.reports.html import snapshot_page


def show(
    app: App,
    snapshot: str,
    selector: str | None,
    code: bool,
    draft: bool,
    field: str | None,
    secrets: bool,
    html_out: Path | None,
) -> int:
    """Print what a snapshot contains, or the code or a field of one entity; return the exit code."""
    part = Part(code, draft, field)
    part.check(selector, as_json=app.as_json, page=html_out is not None)
    check_page(html_out, "--html")
    if secrets and html_out is not None:
        raise UsageError("--html pages never contain secrets; leave out --secrets or --html")
    _, content = open_snapshot(app, snapshot)
    if selector is None:
        if app.as_json:
            app.emit(snapshot_document(content, digest(content)))
        else:
            app.out.print(snapshot_view(content, digest(content)))
        write_page(app, html_out, lambda: snapshot_page(content, digest(content)))
        return 0
    chooser = Selector(selector)
    names = entity_names(content.entities)
    chosen = [entity for entity in content.entities if chooser.matches(entity, names[entity.key])]
    check_type(chooser, "SELECTOR", content.manifest.counts)
    if not chosen:
        raise BackupError(
            f"no entity in the snapshot matches {selector!r}; list all with `{app.again('show', snapshot, '*')}`"
        )
    if part.flag:
        entity = part.only_one(selector, chosen, names)
        write_part(app, part, entity, _shown(entity, content, secrets=secrets))
        return 0
    if app.as_json or len(chosen) == 1:
        shown = [_shown(entity, content, secrets=secrets) for entity in chosen]
        app.emit(shown if app.as_json else shown[0])
    else:
        app.out.print(entity_table(chosen, content))
    write_page(app, html_out, lambda: snapshot_page(content, digest(content), only=chosen))
    return 0


def _shown(entity: Entity, snapshot: Snapshot, *, secrets: bool) -> dict[str, Any]:
    """Return a body as it is shown: with `***` for secrets, unless `secrets` are to be shown too."""
    if entity.key in snapshot.hidden:
        return _as_in_folder(entity, snapshot)
    if secrets:
        return _in_clear(entity, snapshot)
    return redact(entity, entity_type(entity.key.type).secrets)


def _as_in_folder(entity: Entity, snapshot: Snapshot) -> dict[str, Any]:
    """Return a body of a redacted folder, with `***` where the folder has it."""
    body = redact(entity, entity_type(entity.key.type).secrets)
    hidden = {path: value_at(body, path) for path in snapshot.hidden[entity.key]}
    return dict(with_values(body, {path: str(text).replace(MASK, HIDDEN) for path, text in hidden.items()}))


def _in_clear(entity: Entity, snapshot: Snapshot) -> dict[str, Any]:
    """Return a body with the secrets that only the operator's token could read."""
    read = snapshot.secrets.get(entity.key, {})
    found = {path: read[format_path(path)] for path in masked_paths(entity.body) if format_path(path) in read}
    return dict(with_values(entity.body, found))
