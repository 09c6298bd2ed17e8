"""What a shell offers behind Tab: profiles, and the snapshots of a store that is a folder. It never fails."""

from typing import Any

import click
from click.shell_completion import CompletionItem

MOST = 200


def complete_place(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the profiles, as @NAME."""
    try:
        names = [f"@{name}" for name in _app(ctx).settings.places_named()]
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
    app = _app(ctx)
    if "://" in app.settings.store:
        return [CompletionItem("latest")]
    archives = app.archives()
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


def _app(ctx: click.Context) -> Any:
    from jitsu_backup.cli.common import App  # noqa: PLC0415  a shell waits: only what is needed

    given: dict[str, Any] = {"as_json": False, "verbose": False, "quiet": True}
    given |= dict.fromkeys(("config", "host", "apikey", "store", "ca_bundle"))
    given |= ctx.find_root().params
    given |= {n[5:]: v for n, v in ctx.params.items() if n.startswith("late_") and v not in (None, ())}
    return App(given)
