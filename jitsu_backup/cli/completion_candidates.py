"""What a command line can name. A shell waits for this, so it imports little and reads only stores in folders."""

import os
from collections.abc import Mapping
from typing import Any

from jitsu_backup.archive import newest_first
from jitsu_backup.cli.paths import home_folder, working_folder
from jitsu_backup.settings import config_path, read_document, store_of
from jitsu_backup.store import FolderStore


def tables(given: Mapping[str, Any], name: str) -> list[str]:
    """Return the names of the settings' tables [NAME.…], such as the profiles, sorted. Raise UsageError."""
    return sorted(_settings(given).get(name, {}))


def snapshots(given: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the names for snapshots of the store, each with its time if that helps. Raise BackupError."""
    store = store_of(given["store"], os.environ, _settings(given), home_folder())
    if "://" in store:
        return {"latest": None}
    archives = newest_first(FolderStore(store).listed())
    slugs = sorted({archive.slug for archive in archives})
    found: dict[str, str | None] = dict.fromkeys(
        ["latest"] if len(slugs) == 1 else [f"{slug}/latest" for slug in slugs]
    )
    prefix = "" if len(slugs) == 1 else "{0.slug}/"
    for archive in archives:
        found |= dict.fromkeys(prefix.format(archive) + label for label in sorted(archive.labels))
    for archive in archives:
        name = prefix.format(archive) + archive.digest_prefix
        found.setdefault(name, f"{archive.taken_at:%Y-%m-%d %H:%M:%S} UTC")
    return found


def _settings(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the content of the settings file without checking it; the command itself reports errors."""
    path = config_path(given["config"], os.environ, home_folder(), working_folder())
    return {} if path is None else read_document(path)
