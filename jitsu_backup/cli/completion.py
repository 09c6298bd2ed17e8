"""`jitsu-backup completion`."""

import click
from click.shell_completion import get_completion_class

VARIABLE = "_JITSU_BACKUP_COMPLETE"


@click.command(
    "completion",
    epilog='Examples: eval "$(jitsu-backup completion bash)" ·'
    " jitsu-backup completion fish > ~/.config/fish/completions/jitsu-backup.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print what makes a shell complete commands, flags, profiles and snapshots."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  one of the three
    click.echo(kind(ctx.find_root().command, {}, "jitsu-backup", VARIABLE).source())
    return 0
