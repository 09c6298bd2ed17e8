"""What `jitsu-backup` alone prints: what is set, and what to do next. Reads local files only."""

import asyncio
import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jitsu_backup import __version__
from jitsu_backup.archive import ArchiveName, archives_in
from jitsu_backup.cli.paths import home_folder, working_folder
from jitsu_backup.errors import BackupError
from jitsu_backup.model import ago, one_line, plural
from jitsu_backup.settings import Overrides, Settings, load
from jitsu_backup.settings.console_keys import DEFAULT_HOST
from jitsu_backup.store import FolderStore, is_begun, open_store, shown_url

_VARIABLES = ("JITSU_HOST", "JITSU_APIKEY", "JITSU_ADMIN_TOKEN", "JITSU_WORKSPACE", "JITSU_BACKUP_STORE")
_SHOWN = 4

Steps = Sequence[tuple[str, str]]


def first_screen(commands: Mapping[str, str]) -> str:
    """Return the screen for this working folder; `commands` are the names of those that exist."""
    environment, home, folder = os.environ, home_folder(), working_folder()
    try:
        settings = load(None, environment, home, folder, Overrides())
    except BackupError as problem:
        facts = [("Settings", f"cannot be used: {one_line(str(problem))}")]
        return _screen(facts, [("jitsu-backup check --config", "List every error in the settings file")])
    source = _source(settings, environment, home)
    if not source:
        first = ("jitsu-backup init", "Write the settings, step by step")
        check = (
            "jitsu-backup --host URL check",
            "Check the connection, with JITSU_APIKEY set to keyId:keySecret",
        )
        demo = ("jitsu-backup demo", "See a backup and a restore on an embedded console")
        return _screen([("Settings", "none yet")], [first if "init" in commands else check, demo])
    store, archives, begun = _stored(settings)
    facts = [
        ("Settings", source),
        ("Console", ", ".join(sorted(settings.hosts_named() - {DEFAULT_HOST}) or [DEFAULT_HOST])),
        *_profiles(settings),
        ("Store", store),
    ]
    return _screen(facts, _after(archives) if archives else _before(settings, environment, begun=begun))


def _source(settings: Settings, environment: Mapping[str, str], home: Path | None) -> str:
    """Return where settings come from; an empty text if nothing is set."""
    if settings.file is not None:
        return str(settings.file)
    if any(environment.get(name) for name in _VARIABLES):
        return "environment variables"
    official = None if home is None else home / ".jitsu" / "jitsu-cli.json"
    return str(official) if official is not None and official.exists() else ""


def _profiles(settings: Settings) -> list[tuple[str, str]]:
    names = [f"@{name}" for name in settings.places_named()]
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return [("Profiles", ", ".join([*names[:_SHOWN], *more]))] if names else []


def _stored(settings: Settings) -> tuple[str, list[ArchiveName], bool]:
    """Return the store in words, its archives if it is a folder, and whether it was begun or may have been."""
    try:
        store = open_store(settings.store, os.environ, ca_bundle=settings.ca_bundle)
        if not isinstance(store, FolderStore):
            return store.url, [], True
        listing = asyncio.run(store.listing())
    except BackupError as problem:
        return f"cannot be read: {one_line(str(problem))}", [], True
    archives = archives_in(listing)
    if not archives:
        return f"{shown_url(store.url)}, no archives yet", [], is_begun(listing) or not settings.store_named
    newest = archives[0]
    summary = f"{plural(len(archives), 'archive')}, newest {ago(newest.taken_at, datetime.now(UTC))} ({newest.slug})"
    return f"{shown_url(store.url)}: {summary}", archives, True


def _after(archives: Sequence[ArchiveName]) -> Steps:
    several = len({archive.slug for archive in archives}) > 1
    latest = shlex.quote(f"{archives[0].slug}/latest" if several else "latest")
    return [
        (f"jitsu-backup diff {latest}", "Show what has changed since the last backup"),
        (f"jitsu-backup restore {latest} --dry-run", "Show what a restore would do"),
        ("jitsu-backup history --since 7d", "Show the changes of the last 7 days"),
    ]


def _before(settings: Settings, environment: Mapping[str, str], *, begun: bool) -> Steps:
    check, backup = ["check"], ["backup"]
    if not environment.get("JITSU_WORKSPACE"):
        profile = [shlex.quote(f"@{name}") for name in settings.places_named()][:1]
        check, backup = [*check, *profile], [*backup, *(profile or ["--all"])]
    if not begun:
        backup.append("--new-store")
    return [
        (" ".join(["jitsu-backup", *check]), "Check the connection and the store"),
        (" ".join(["jitsu-backup", *backup]), "Write an archive"),
        ("jitsu-backup snapshots", "List the archives"),
    ]


def _screen(facts: Sequence[tuple[str, str]], steps: Steps) -> str:
    lines = [
        f"jitsu-backup {__version__}: back up, clone and restore Jitsu workspaces.",
        "",
        *(f"{name:<10}{one_line(text)}" for name, text in facts),
        "",
        *(line for command, text in steps for line in (f"{text}:", f"  {command}")),
        "All commands:",
        "  jitsu-backup --help",
    ]
    return "\n".join(lines)
