"""Help in groups: `--help` lists the common options of a command and fits a screen, `--help-all` lists every option.

Written here because the libraries for this, click-option-group and cloup, list every option in `--help` and slow the start.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

Decorator = Callable[[Any], Any]

OUTPUT = "Output"
UNATTENDED = "Unattended operation"
STORE = "Store and connection"
HELP = "Help"
_LAST = (OUTPUT, UNATTENDED, STORE, HELP)
"""The groups that several commands have, below those of their own."""

_UNBROKEN = "\N{NON-BREAKING HYPHEN}"
_WIDEST = 26
"""The most columns for the names of options; the text of a longer one begins on the next line."""


class Flag(click.Option):
    """An option with its place in the help: the title of its group, and whether only `--help-all` lists it.

    `more` is what only `--help-all` says about it.
    """

    group = ""
    rare = False

    def __init__(self, *arguments: Any, more: str = "", **given: Any) -> None:
        """Take what click takes, and `more`."""
        super().__init__(*arguments, **given)
        self.more = " ".join(filter(None, (more, "Repeatable." if self.multiple else "")))

    def full_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the names and the whole text; None for an option that help does not list."""
        text = self.help
        self.help = f"{text} {self.more}".rstrip()
        try:
            return self.get_help_record(ctx)
        finally:
            self.help = text

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return what click adds to the text, without the range of a number."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


option = functools.partial(click.option, cls=Flag)


def group(title: str, *common: Decorator, rare: Sequence[Decorator] = ()) -> Decorator:
    """Return a decorator that adds options to a command, in this order, under a title of the help.

    Only `--help-all` lists the `rare` ones. Options that are in a group already stay in it.
    """

    def add(command: Any) -> Any:
        for decorator in reversed((*common, *rare)):
            known = len(getattr(command, "__click_params__", ()))
            command = decorator(command)
            for flag in command.__click_params__[known:]:
                if not flag.group:
                    flag.group, flag.rare = title, decorator in rare
        return command

    return add


class _Formatter(click.HelpFormatter):
    """A formatter that breaks no line at the hyphens of a word, because a flag would end there."""

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _UNBROKEN))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        unbroken = [(name, text.replace("-", _UNBROKEN)) for name, text in rows]
        super().write_dl(unbroken, col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(_UNBROKEN, "-")


class _Context(click.Context):
    formatter_class = _Formatter


class GroupedHelp(click.Command):
    """A command whose help has examples, and options in groups."""

    context_class = _Context
    examples: Sequence[str] = ()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters and both options that show help."""
        return [*super().get_params(ctx), _help_all()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a command line. Each error names its command, so that its usage can be shown."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as problem:
            problem.ctx = problem.ctx or ctx
            raise

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write usage, description, examples and the common options; with `--help-all`, every option."""
        everything = ctx.meta.get(__name__, False)
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_examples(formatter)
        self.format_middle(formatter, everything=everything)
        groups = self.groups(ctx, everything=everything)
        names = [name for rows in groups.values() for name, _ in rows]
        widest = max((len(name) for name in names if len(name) <= _WIDEST), default=0)
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, text in rows], col_max=widest)
        if not everything:
            formatter.write_paragraph()
            formatter.write(self.footer(ctx) + "\n")

    def format_examples(self, formatter: click.HelpFormatter) -> None:
        """Write each example on a line of its own, never wrapped, to be pasted."""
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {example}\n" for example in self.examples))

    def format_middle(self, formatter: click.HelpFormatter, *, everything: bool) -> None:
        """Write what stands between examples and options: nothing here."""

    def groups(self, ctx: click.Context, *, everything: bool) -> dict[str, list[tuple[str, str]]]:
        """Return the options by the titles of their groups, each with its text; the common ones first."""
        found: dict[str, list[tuple[str, str]]] = {}
        flags = [flag for flag in self.get_params(ctx) if isinstance(flag, click.Option)]
        for flag in flags:
            found.setdefault(title_of(flag), [])
        for flag in sorted(flags, key=is_rare):
            full = flag.full_record if everything and isinstance(flag, Flag) else flag.get_help_record
            record = full(ctx)
            if record is not None and (everything or not is_rare(flag)):
                found[title_of(flag)].append(record)
        titles = sorted(found, key=lambda title: _LAST.index(title) if title in _LAST else -1)
        return {title: found[title] for title in titles if found[title]}

    def footer(self, ctx: click.Context) -> str:
        """Return the line that names `--help-all`."""
        return f"All options: {ctx.command_path} --help-all"


class GroupedCommand(GroupedHelp):
    """A command with two or more `examples`, each a line that can be pasted."""

    def __init__(self, *arguments: Any, examples: Sequence[str], **given: Any) -> None:
        """Take what click takes, and the examples."""
        super().__init__(*arguments, **given)
        self.examples = examples


def declares(name: str, *examples: str) -> Callable[[Any], GroupedCommand]:
    """Return a decorator that makes a declaration the command `name`, whose help has these examples."""
    return click.command(name, cls=GroupedCommand, examples=examples)


def title_of(flag: click.Option) -> str:
    """Return the title of the group that an option is in."""
    return (flag.group if isinstance(flag, Flag) else "") or HELP


def is_rare(flag: click.Option) -> bool:
    """Return whether only `--help-all` lists an option."""
    return flag.rare if isinstance(flag, Flag) and flag.group else title_of(flag) == HELP


@functools.cache
def _help_all() -> Flag:
    def show(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            ctx.meta[__name__] = True
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()

    return Flag(
        ["--help-all"], is_flag=True, is_eager=True, expose_value=False, callback=show,
        help="Show the help with all options.",
    )  # fmt: skip
