"""What a shell offers for Tab: profiles, sets, and the snapshots of a folder as a store. Completion never fails."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from jitsu_backup.cli.flags.shared import settle_general_options

MOST = 200


def complete_place(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the profiles, as @NAME."""
    return [CompletionItem(name) for name in _tables(ctx, "profiles", "@") if name.startswith(incomplete)]


def complete_set(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the sets of selectors."""
    return [CompletionItem(name) for name in _tables(ctx, "sets") if name.startswith(incomplete)]


def complete_snapshot(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer latest and, if the store is a folder, the ids of its archives. Send no request."""
    if incomplete.startswith(("/", "./", "../", "~")):
        return [CompletionItem(incomplete, type="file")]
    if incomplete.startswith("live:"):
        places = complete_place(ctx, parameter, incomplete.removeprefix("live:"))
        return [CompletionItem(f"live:{item.value}") for item in places]
    from jitsu_backup.cli.completion_candidates import snapshots  # noqa: PLC0415  not for help, nor for a flag

    try:
        found = snapshots(_given(ctx))
    except Exception:  # noqa: BLE001  a shell that completes must not show an error
        found = {}
    items = [
        CompletionItem(name, help=description)
        for name, description in found.items()
        if name.startswith(incomplete)
    ]
    return items[:MOST]


def _tables(ctx: click.Context, name: str, prefix: str = "") -> list[str]:
    """Return the names of the settings' tables [NAME.…], each after the prefix."""
    from jitsu_backup.cli.completion_candidates import tables  # noqa: PLC0415  not for help, nor for a flag

    try:
        return [f"{prefix}{one}" for one in tables(_given(ctx), name)]
    except Exception:  # noqa: BLE001  a shell that completes must not show an error
        return []


def _given(ctx: click.Context) -> dict[str, Any]:
    """Return the options of the whole run, from the flags before and after the command's name."""
    behind = {name: value for name, value in ctx.params.items() if value}
    return settle_general_options(ctx.find_root().params, behind)[0]
