"""`jitsu-backup check`."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jitsu_backup.archive import ArchiveName, archives_in, safe_text
from jitsu_backup.catalogue import entity_type
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.settings_check import check_settings
from jitsu_backup.console.reader import read_workspace
from jitsu_backup.console.roles import roles_in
from jitsu_backup.console.workspaces import is_read_only, workspaces
from jitsu_backup.errors import BackupError, IncompleteError
from jitsu_backup.events import Reporter
from jitsu_backup.model import Snapshot, features_of, iso_time, plural, some_of
from jitsu_backup.operations.alarms import Alarm
from jitsu_backup.operations.clone_record import UNREAD_NAMES, last_record
from jitsu_backup.operations.last_backup import last_backup
from jitsu_backup.operations.snapshots import newest_hosts
from jitsu_backup.operations.standing import standing_alarms
from jitsu_backup.operations.store_space import free_space
from jitsu_backup.planning.protection import protects_little
from jitsu_backup.reports import snapshot_document
from jitsu_backup.settings import Place
from jitsu_backup.store import archives, is_begun, read_file

OPERATORS = "the operator's token"


def check(app: App, place: str | None, settings_file: Path | None) -> int:
    """Try the settings file or the connection; return the exit code."""
    if settings_file is not None:
        named = None if settings_file == Path() else settings_file
        app.options = {**app.options, "config": named or app.options["config"]}
        code = check_settings(app, app.options["config"])
        if code or place is None:
            return code
    chosen = app.settings.place(place, workspace_needed=False)
    with app.progress() as report:
        facts = run_async(_check(app, chosen, report))
    facts["store"], listing, problem = _store(app)
    figures = _figures(app)
    alarms = [*_standing(app, facts, listing), *([] if "workspace" in facts else figures.unseen)]
    facts["alarms"] = [alarm.document() for alarm in alarms]
    if "workspace" in facts:
        last = last_backup(listing, facts["workspace"]["workspace_id"], figures.reads)
        facts["last_backup"] = None if last is None else iso_time(last.at)
    if app.as_json:
        app.emit(facts)
    else:
        _tell(app, facts, problem)
        for alarm in alarms:
            _tell_alarm(app, alarm, 17 if "workspace" in facts else 12)
        if "workspace" in facts and last is not None:
            last = replace(last, host=_other_console(app, facts, listing))
            app.line(f"{'last backup':17} {last.words(utc_now())}")
    if problem is not None:
        raise problem
    return 0 if facts.get("complete", True) else IncompleteError.exit_code


@dataclass(frozen=True, slots=True)
class _Figures:
    """What the metrics file says: when each workspace was last read, and which ones the last run no longer saw."""

    reads: Mapping[str, float] = field(default_factory=dict)
    unseen: Sequence[Alarm] = ()


def _figures(app: App) -> _Figures:
    """Return what the metrics file says, or nothing if it says nothing."""
    path = app.metrics_file()
    if path is None or not path.is_file():
        return _Figures()
    from jitsu_backup.reports.metrics import last_reads, unseen_workspaces  # noqa: PLC0415  few runs need its library

    try:
        text = read_file(path).decode(errors="replace")
        return _Figures(last_reads(text), unseen_workspaces(text))
    except (BackupError, ValueError):  # reported when the metrics are written
        return _Figures()


def _other_console(app: App, facts: dict[str, Any], listing: Mapping[str, int]) -> str:
    """Return the console that the newest archive of a workspace is of, or an empty text if it is this one, or unknown."""
    own = safe_text(facts["workspace"]["workspace_id"])
    newest = run_async(newest_hosts([own], archives_in(listing), app.store, app.keys))
    return next((host for _, host in newest if host not in (None, facts["host"])), "") or ""


def _standing(app: App, facts: dict[str, Any], listing: Mapping[str, int]) -> list[Alarm]:
    """Return the alarms of earlier backups that still stand, of the workspace or of all that the key sees."""
    seen = (
        [facts["workspace"]["workspace_id"]]
        if "workspace" in facts
        else [one["id"] for one in facts["workspaces"]]
    )
    ids, known = {*map(safe_text, seen)}, archives_in(listing)
    again, share = app.again_with_keys(known), app.settings.shrink_alarm
    of_each: dict[str, list[ArchiveName]] = {}
    for archive in known:
        if archive.workspace_id in ids:
            of_each.setdefault(archive.workspace_id, []).append(archive)
    return [alarm for own in of_each.values() for alarm in standing_alarms(own, again, share)]


def _store(app: App) -> tuple[dict[str, Any], Mapping[str, int], BackupError | None]:
    """Return the facts about the store, its listing, and what is wrong with it."""
    try:
        listing = run_async(app.store.listing())
    except BackupError as problem:
        kind, slashes, _ = app.settings.store.partition("://")  # the rest may contain a secret
        url = f"{kind}://…" if slashes else kind
        return {"url": url, "archives": None, "begun": None, "free_bytes": None}, {}, problem
    found = {"url": app.store.url, "archives": len(archives_in(listing)), "begun": is_begun(listing)}
    try:
        app.expected_store(app.metrics_file()).check_vanished(app.store, listing)
        return {**found, "free_bytes": free_space(app.store, listing)}, listing, None
    except BackupError as problem:
        return {**found, "free_bytes": None}, listing, problem


async def _check(app: App, place: Place, report: Reporter) -> dict[str, Any]:
    async with app.console(place, report) as console:
        if place.workspace is None:
            listed = await workspaces(console)
            roles = await roles_in(console, listed)
            seen = [
                {"id": each.id, "slug": each.slug, "name": each.name, "role": roles.get(each.id)}
                for each in listed.found
            ]
            return {"host": place.host, "operator": listed.is_operators, "workspaces": seen}
        snapshot = await read_workspace(console, place.workspace, now=utc_now, report=report)
    facts = snapshot_document(snapshot, "")
    gates = {method: gate for (_, _, method), gate in app.gates.gates.items() if gate.limit}
    role, read_only = snapshot.manifest.source.role, is_read_only(snapshot)
    return {
        "host": place.host,
        "workspace": facts["source"],
        "role": role,
        "operator": role == "admin",
        "can_write": None if role is None else role in ("owner", "editor", "admin") and not read_only,
        "read_only": read_only,
        "features_off": _features_off(snapshot),
        "counts": facts["counts"],
        "not_offered": facts["not_offered"],
        "refused": facts["refused"],
        "masked": len(facts["ledger"]),
        "complete": facts["complete"],
        "warnings": await _idle(app, place, snapshot),
        "limits": {method: {"limit": gate.limit, "left": gate.left} for method, gate in gates.items()},
    }


def _features_off(snapshot: Snapshot) -> list[str]:
    """Return the features that types of the console need and that are off in the workspace."""
    needed = {entity_type(name).feature for name in snapshot.manifest.counts} - {""}
    return sorted(needed - features_of(snapshot.workspace))


async def _idle(app: App, place: Place, snapshot: Snapshot) -> list[str]:
    """Return a warning for each selector of the setting `protect` that matches nothing in a workspace now."""
    source, warnings, record = snapshot.manifest.source, list[str](), None
    guard = app.settings.guard(place.host, (source.workspace_id, source.slug), place.profile)
    called = source.slug or source.workspace_id
    if not protects_little(guard.protect, snapshot, None, called):
        return []
    try:
        known = await archives(app.store)
        record = await last_record(app.store, app.keys, known, source.workspace_id, now=utc_now())
    except BackupError as problem:
        warnings = [f"{UNREAD_NAMES}: {problem}"]
    return [*warnings, *protects_little(guard.protect, snapshot, record, called, unread=bool(warnings))]


def _store_in_words(app: App, store: dict[str, Any], problem: BackupError | None) -> str:
    count, free = store["archives"], store["free_bytes"]
    if count is None:
        words = "cannot be listed"
    elif store["begun"] or problem is not None:
        words = plural(count, "archive")
    else:
        flag = " with --new-store" if app.settings.store_named else ""
        words = f"does not exist yet; the first backup{flag} creates it"
    return f"{store['url']}: {words}" + ("" if free is None else f", {_free(free)} free")


def _free(count: int) -> str:
    """Return a number of bytes in the unit that suits it: `1.9 MB`, `12.4 GB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _tell(app: App, facts: dict[str, Any], problem: BackupError | None) -> None:
    store = _store_in_words(app, facts["store"], problem)
    if "workspaces" in facts:
        _tell_workspaces(app, facts, store)
        return
    workspace = facts["workspace"]
    write = {
        True: "can restore into it",
        False: "cannot restore into it",
        None: "whether it can restore is unknown",
    }
    unpaid = "cannot restore into it, because unpaid bills make it read-only"
    may = unpaid if facts["read_only"] else write[facts["can_write"]]
    counts = [f"{count} {name}" for name, count in facts["counts"].items() if count]
    limits = [f"{name} {value['limit']} a minute" for name, value in facts["limits"].items()]
    lines = [
        ("console", f"{facts['host']} (version {workspace['console_version'] or 'unknown'})"),
        ("workspace", f"{workspace['name']} ({workspace['slug']}, {workspace['workspace_id']})"),
        ("role", f"{OPERATORS if facts['operator'] else facts['role'] or 'unknown'}: {may}"),
        ("entities", ", ".join(counts) or "none"),
        ("types", ", ".join(facts["counts"])),
        ("unsupported types", ", ".join(facts["not_offered"]) or "none"),
        *(("features", f"{name}: off") for name in facts["features_off"]),
        ("limits", ", ".join(limits) or "none seen"),
        ("hidden by Jitsu", plural(facts["masked"], "secret")),
        ("store", store),
    ]
    for name, text in lines:
        app.line(f"{name:17} {text}")
    for warning in facts["warnings"]:
        app.line(f"{'warning':17} {warning}")
    for refusal in facts["refused"]:
        app.line(f"{'not read':17} {refusal['name']}: {refusal['reason']}")


def _tell_alarm(app: App, alarm: Alarm, width: int) -> None:
    """Print an alarm as a line of the table whose first column has `width`, and its commands so that they can be copied."""
    label = "alarm"
    for part in alarm.for_a_person.splitlines():
        if part.startswith("  "):
            app.line(part)
            continue
        for line in textwrap.wrap(part, 100 - width, break_long_words=False, break_on_hyphens=False):
            app.line(f"{label:{width}} {line}")
            label = ""


def _tell_workspaces(app: App, facts: dict[str, Any], store: str) -> None:
    names = sorted(each["slug"] or each["id"] for each in facts["workspaces"])
    app.line(f"{'console':12} {facts['host']}")
    if facts["operator"]:
        app.line(f"{'key':12} {OPERATORS}: `backup --all` reads every workspace, with its secrets")
    app.line(f"{'workspaces':12} {some_of(names, 10) or 'none that this key can read'}")
    if not facts["operator"]:
        for role, own in _by_role(facts["workspaces"]):
            app.line(f"{'role':12} {role}: {some_of(own, 10)}")
    app.line(f"{'store':12} {store}")
    if names:
        app.line("To check one of them:")
        app.line(f"  {app.again('check', names[0])}")


def _by_role(workspaces: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return the names of workspaces by the key's role in them, as far as it is known."""
    found: dict[str, list[str]] = {}
    for each in workspaces:
        if each["role"] is not None:
            found.setdefault(each["role"], []).append(each["slug"] or each["id"])
    return sorted((role, sorted(names)) for role, names in found.items())
