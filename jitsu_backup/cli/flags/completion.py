"""The flags of `jitsu-backup completion`, and its body, which is as light."""

import click

from jitsu_backup.cli.completion import script
from jitsu_backup.cli.flags.grouping import declares


@declares(
    "completion",
    'eval "$(jitsu-backup completion bash)"',
    "jitsu-backup completion fish > ~/.config/fish/completions/jitsu-backup.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the script for Tab completion in a shell.

    Tab then completes commands, flags, profiles and snapshots.
    """
    click.echo(script(shell, ctx.find_root().command))
    return 0
