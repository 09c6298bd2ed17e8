"""The man page, made from the help: `python -m jitsu_backup.cli.man docs/jitsu-backup.1`."""

import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import click

from jitsu_backup.cli import COMMAND_GROUPS, cli
from jitsu_backup.cli.exit_codes import EXIT_CODES
from jitsu_backup.cli.flags.grouping import HELP, GroupedHelp

Rows = Mapping[str, Sequence[tuple[str, str]]]


def man_page() -> str:
    """Return the man page of the command line, as roff."""
    program = click.Context(cli, info_name="jitsu-backup", **cli.context_settings)
    lines = [
        '.TH JITSU\\-BACKUP 1 "" jitsu\\-backup',
        ".SH NAME",
        "jitsu\\-backup \\- back up, clone and restore Jitsu workspaces",
        ".SH SYNOPSIS",
        *_usage(program),
        ".SH DESCRIPTION",
        *_paragraphs(cli),
        *_examples(cli),
        ".SH OPTIONS",
        *_options(cli.groups(program, everything=True)),
        ".SH COMMANDS",
    ]
    for name in (name for names in COMMAND_GROUPS.values() for name in names):
        command = cli.get_command(program, name)
        assert isinstance(command, GroupedHelp)  # noqa: S101  for the type checker
        context = click.Context(command, info_name=name, parent=program)
        lines += [f".SS {name}", *_usage(context), *_paragraphs(command), *_examples(command)]
        groups = command.groups(context, everything=True)
        lines += _options({title: rows for title, rows in groups.items() if title != HELP})
    lines += [".SH EXIT STATUS", *_list((str(code), text) for code, text in EXIT_CODES.items())]
    kept = [line for before, line in pairwise(["", *lines]) if line != ".PP" or not before.startswith(".S")]
    return "\n".join(kept) + "\n"


def _usage(context: click.Context) -> Iterator[str]:
    pieces = " ".join(context.command.collect_usage_pieces(context))
    yield f"\\fB{_escaped(context.command_path)}\\fR {_escaped(pieces)}"


def _paragraphs(command: click.Command) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield ".PP"
        yield from _text(paragraph)


def _examples(command: GroupedHelp) -> Iterator[str]:
    yield from (".PP", "Examples:", ".PP", ".nf", ".RS 4")
    yield from map(_escaped, command.examples)
    yield from (".RE", ".fi")


def _options(groups: Rows) -> Iterator[str]:
    for title, rows in groups.items():
        yield from (".PP", f"\\fI{title}\\fR")
        yield from _list(rows)


def _list(rows: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield from (".TP", f"\\fB{_escaped(name)}\\fR")
        yield from _text(text)


def _text(text: str) -> Iterator[str]:
    words = " ".join(text.split())
    yield from map(_escaped, textwrap.wrap(words, 72, break_long_words=False, break_on_hyphens=False))


def _escaped(text: str) -> str:
    """Return a text as roff that shows it unchanged."""
    shown = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "...")
    return f"\\&{shown}" if shown.startswith(".") else shown


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(man_page(), encoding="ascii")
