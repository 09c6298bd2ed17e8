"""`jitsu-backup completion`."""

import click
from click.shell_completion import get_completion_class

VARIABLE = "_JITSU_BACKUP_COMPLETE"

# bash breaks words at `@`, `:` and `=` and inserts a completion after the last break. So the script asks for whole words
# and removes what stands before that break
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


def script(shell: str, program: click.Command) -> str:
    """Return the script that makes bash, zsh or fish complete `program`."""
    if shell == "bash":
        return _BASH
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  one of the three
    return kind(program, {}, "jitsu-backup", VARIABLE).source()
