"""What a shell offers behind Tab: profiles, and the snapshots of a store that is a folder. It never fails."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from jitsu_backup.archive import newest_first
from jitsu_backup.cli.paths import home_folder
from jitsu_backup.settings import config_path, read_document, store_of
from jitsu_backup.store import FolderStore

MOST = 200


def complete_place(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the profiles, as @NAME."""
    try:
        names = [f"@{name}" for name in sorted(_settings(_given(ctx)).get("profiles", {}))]
    except Exception:  # noqa: BLE001  a shell that completes must not be shown an error
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_snapshot(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer latest and the ids of the store's archives, those of a folder only: nobody waits for a network here."""
    if incomplete.startswith(("/", "./", "../", "~")):
        return [CompletionItem(incomplete, type="file")]
    found: list[CompletionItem] = []
    if incomplete.startswith("live:"):
        places = complete_place(ctx, parameter, incomplete.removeprefix("live:"))
        return [CompletionItem(f"live:{item.value}") for item in places]
    try:
        found = _snapshots(ctx)
    except Exception:  # noqa: BLE001  as above
        found = []
    return [item for item in found if item.value.startswith(incomplete)][:MOST]


def _snapshots(ctx: click.Context) -> list[CompletionItem]:
    given = _given(ctx)
    store = store_of(given["store"], os.environ, _settings(given), home_folder())
    if "://" in store:
        return [CompletionItem("latest")]
    archives = newest_first(FolderStore(store).listed())
    slugs = sorted({archive.slug for archive in archives})
    latest = ["latest"] if len(slugs) == 1 else [f"{slug}/latest" for slug in slugs]
    prefix = "" if len(slugs) == 1 else "{0.slug}/"
    newest = {
        prefix.format(archive) + archive.digest_prefix: archive.taken_at for archive in reversed(archives)
    }
    return [CompletionItem(name) for name in latest] + [
        CompletionItem(name, help=f"{taken_at:%Y-%m-%d %H:%M:%S} UTC")
        for name, taken_at in reversed(newest.items())
    ]


def _given(ctx: click.Context) -> dict[str, Any]:
    """Give what the flags before and behind the command's name say."""
    late = {name[5:]: value for name, value in ctx.params.items() if name.startswith("late_") and value}
    return {**ctx.find_root().params, **late}


def _settings(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read the settings file, whatever is wrong with it: the command that is run will say so."""
    path = config_path(given["config"], os.environ, home_folder(), Path.cwd())
    return {} if path is None else read_document(path)
