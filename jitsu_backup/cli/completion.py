"""`jitsu-backup completion`."""

import click
from click.shell_completion import get_completion_class

VARIABLE = "_JITSU_BACKUP_COMPLETE"

# bash breaks words at `@`, `:` and `=`, and puts what is offered behind the last break: so whole words are asked for,
# and what stands before that break is taken off again
_BASH = """\
_jitsu_backup_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" words reply kind value current last
    read -ra words <<< "$line"
    [[ "$line" == *" " ]] && words+=("")
    current="${words[-1]}"
    last="${COMP_WORDS[COMP_CWORD]}"
    [[ "$last" =~ ^[@:=]+$ ]] && last=""
    reply=$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) _JITSU_BACKUP_COMPLETE=bash_complete "$1")
    COMPREPLY=()
    while IFS=',' read -r kind value; do
        case "$kind" in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("${value#"${current%"$last"}"}") ;;
        esac
    done <<< "$reply"
}
complete -o nosort -F _jitsu_backup_completion jitsu-backup
"""


@click.command(
    "completion",
    epilog='Examples: eval "$(jitsu-backup completion bash)" ·'
    " jitsu-backup completion fish > ~/.config/fish/completions/jitsu-backup.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print what makes a shell complete commands, flags, profiles and snapshots."""
    if shell == "bash":
        click.echo(_BASH)
        return 0
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  one of the three
    click.echo(kind(ctx.find_root().command, {}, "jitsu-backup", VARIABLE).source())
    return 0
