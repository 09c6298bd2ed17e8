"""The command line.

Each command has two files: its body, loaded only when it runs, and one in `flags` that declares its flags for click.
"""

import gc
import importlib
import io
import os
import sys
from threading import Event
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from jitsu_backup import __version__
from jitsu_backup.cli import output_errors, signals
from jitsu_backup.cli.flags.durations import RETRY_FOR, Duration
from jitsu_backup.cli.flags.grouping import GroupedHelp, group, option
from jitsu_backup.cli.flags.numbers import Number, WholeNumber
from jitsu_backup.cli.flags.shared import switch
from jitsu_backup.cli.paths import PATH
from jitsu_backup.errors import BackupError, MistakeError

INTERRUPTED = 130

DIFFERENT = 4
"""The exit code of `--exit-code` if there are differences, or a plan has something to do."""

end_is_told = Event()
"""Set once the end of a run has been reported to the monitor, the figures and the log."""

COMMAND_GROUPS = {
    "Back up": {
        "backup": "Read workspaces and write archives.",
        "watch": "Back up every change within seconds, as a service.",
    },
    "Restore": {
        "restore": "Restore a workspace to a snapshot.",
        "clone": "Make a workspace like another, as often as needed.",
        "undo": "Take back what the last restore or clone changed.",
        "recover": "Recover a whole console: every workspace of the store.",
        "drill": "Rehearse the recovery of a whole console, in memory.",
    },
    "Look": {
        "snapshots": "List the archives of the store.",
        "show": "Show what a snapshot contains.",
        "diff": "Show what changed between snapshots or workspaces.",
        "history": "Show what changed across all snapshots.",
    },
    "Maintain": {
        "verify": "Check archives, or rehearse their restore.",
        "prune": "Delete old archives by a retention policy.",
        "unpack": "Write an archive as a folder for Git.",
        "pack": "Write a folder of unpack as an archive.",
    },
    "Set up and try": {
        "init": "Write the settings, step by step.",
        "check": "Check the connection: console, API key, role, store.",
        "completion": "Print the script for Tab completion in a shell.",
        "demo": "See a backup and a restore on an embedded console.",
        "sandbox": "Run an embedded Jitsu console to try things on.",
    },
}
_COMMANDS = {name: text for commands in COMMAND_GROUPS.values() for name, text in commands.items()}


def nearest_command(word: str) -> str:
    """Return the command that a word names or nearly names; an empty string if it resembles none."""
    import difflib  # noqa: PLC0415  only for a mistyped command

    return next(iter(difflib.get_close_matches(word, _COMMANDS, 1)), "")


class LazyGroup(GroupedHelp, click.Group):
    """A group that knows its commands by name and imports the flags of one only when it is named."""

    examples = ("jitsu-backup check acme-staging", "jitsu-backup backup acme-staging")

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the commands in the order of the README."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Import a command's flags; return None for a word that is not a command."""
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"jitsu_backup.cli.flags.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101  for the type checker
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a line; suggest the nearest one for a word that is not a command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as problem:
            near = nearest_command(args[0])
            hint = f" Did you mean {near!r}?" if near else ""
            raise click.UsageError(f"{problem.message}{hint}", problem.ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; for an option of the group that follows it, say that it belongs before it."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as problem:
            name = problem.option_name
            given = next((p for p in self.params if isinstance(p, click.Option) and name in p.opts), None)
            if given is None:
                raise
            value = "" if given.is_flag else f" {given.metavar or 'VALUE'}"
            raise click.UsageError(
                f"{name} goes before the command; write `jitsu-backup {name}{value} {ctx.invoked_subcommand}`",
                problem.ctx,
            ) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands without importing them, and the flags."""
        names = [CompletionItem(n, help=text) for n, text in _COMMANDS.items() if n.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options before the command; without any argument, print what to do next and exit with 2."""
        if not args and not ctx.resilient_parsing:
            from jitsu_backup.cli.first_screen import first_screen  # noqa: PLC0415  for no other command line

            click.echo(first_screen(_COMMANDS), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def format_middle(self, formatter: click.HelpFormatter, *, everything: bool) -> None:
        """List the commands by group without importing them; with `everything`, the exit codes too."""
        for title, commands in COMMAND_GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(10), text) for name, text in commands.items()])
        if everything:
            from jitsu_backup.cli.exit_codes import EXIT_CODES  # noqa: PLC0415  for no other command line

            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code).ljust(10), text) for code, text in EXIT_CODES.items()])

    def footer(self, ctx: click.Context) -> str:  # noqa: ARG002  as for every command
        """Return the lines that name the other pages of help."""
        return (
            "Options of a command:                    jitsu-backup COMMAND --help\n"
            "Options before a command, exit codes:    jitsu-backup --help-all"
        )


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@group(
    "Settings and store",
    rare=[
        option("--config", type=PATH, metavar="FILE", help="Settings file.  [default: jitsu-backup.toml]"),
        option(
            "--store", metavar="URL", help="Folder or bucket of the archives.  [default: ./jitsu-backups]"
        ),
        switch("--new-store", help="Create the store in an empty place. Needed once if you named the store."),
    ],
)
@group(
    "Connection",
    rare=[
        option("--host", metavar="URL", help="Console.  [default: JITSU_HOST, else https://use.jitsu.com]"),
        option(
            "--apikey",
            metavar="KEY",
            help="API key, keyId:keySecret. Other users may see it in the process list; JITSU_APIKEY is safer.",
        ),
        switch("--insecure-http", help="Send API keys to another machine without TLS."),
        option("--ca-bundle", metavar="FILE", help="Certificates to trust, PEM."),
        option(
            "--timeout",
            type=Number(min=0.1),
            default=60.0,
            show_default=True,
            metavar="SECONDS",
            help="Longest wait for a reply.",
        ),
        option("--retry-for", type=Duration(), metavar="DURATION", help=RETRY_FOR),
        option(
            "--concurrency",
            type=WholeNumber(1, 64),
            default=16,
            show_default=True,
            metavar="N",
            help="Requests at once, 1 to 64.",
        ),
    ],
)
@group(
    "Output",
    rare=[
        switch("--json", "as_json", help="Print one JSON document instead of text."),
        switch("-q", "--quiet", help="Print results and problems only: no progress, no notes."),
        switch("-v", "--verbose", help="Print more details."),
        option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            help="Colours; NO_COLOR switches them off too.",
        ),
    ],
)
@click.version_option(__version__, prog_name="jitsu-backup")
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:
    """Back up, clone and restore Jitsu workspaces.

    PLACE is @profile, or the id or slug of a workspace. SNAPSHOT is latest, latest~2, a date (2026-11-20, 7d, yesterday;
    UTC), an id prefix, a label, a workspace (its latest snapshot) or the path of an archive. If the store has several
    workspaces, write WORKSPACE/latest.
    """
    ctx.obj = options


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    try:
        code = run(arguments)
        signals.ignore_signals()
    except KeyboardInterrupt:  # between the last step and here
        signals.ignore_signals()
        code = INTERRUPTED
    finally:  # also if click itself ends a shell's Tab
        gc.freeze()  # otherwise the interpreter searches everything for cycles as it ends
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; raise no exception but SystemExit."""
    look_for_cycles_seldom()
    write_in_any_locale()
    try:
        result = _told(sys.argv[1:] if arguments is None else arguments)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as problem:
        return _fail(output_errors.of_usage(problem), problem.exit_code, _usage_of(problem))
    except BackupError as problem:
        if isinstance(problem, MistakeError) and os.environ.get("JITSU_BACKUP_DEBUG"):
            raise
        return _fail(str(problem), problem.exit_code)
    except (KeyboardInterrupt, click.Abort) as end:
        cause = end.__cause__ if isinstance(end.__cause__, KeyboardInterrupt) else end
        return _fail(str(cause) or "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # the reader of our output has gone, so nothing more can be reported
        output_errors.give_up_output()
        return 1
    except OSError as problem:
        if output_errors.is_of_output(problem):
            output_errors.give_up_output()
        elif os.environ.get("JITSU_BACKUP_DEBUG"):
            raise
        return _fail(output_errors.unforeseen(problem), 1)
    except Exception as bug:
        if os.environ.get("JITSU_BACKUP_DEBUG"):
            raise
        return _fail(output_errors.of_bug(bug), 1)
    return result if isinstance(result, int) else 0


def _told(arguments: list[str]) -> Any:
    """Run the command line; report a run that ends before its command begins to its listeners."""
    end_is_told.clear()
    try:
        return cli.main(args=arguments, prog_name="jitsu-backup", standalone_mode=False)
    except click.exceptions.Exit:
        raise
    except (Exception, KeyboardInterrupt) as problem:
        if end_is_told.is_set():
            raise
        signals.let_in()
        from jitsu_backup.cli.early_failure import tell  # noqa: PLC0415  only for a mistyped command

        code = tell(arguments, problem)
        if code is None:
            raise
        return code


def look_for_cycles_seldom() -> None:
    """Run the garbage collector less often, because each run visits the millions of objects of a snapshot."""
    gc.set_threshold(20_000, 20, 100)
    gc.enable()


def write_in_any_locale() -> None:
    """Make the standard streams replace characters that the locale's encoding lacks, instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _usage_of(problem: click.ClickException) -> str:
    """Return the usage of the command whose line is wrong, and the command that lists its options."""
    ctx = problem.ctx if isinstance(problem, click.UsageError) else None
    return "" if ctx is None else f"\n{ctx.get_usage()}\nList the options with:\n  {ctx.command_path} --help"


def _fail(message: str, code: int, usage: str = "") -> int:
    """Print the message that ends a run, and a `usage`; return the exit code."""
    if not message.isprintable() or message.endswith("`"):
        from jitsu_backup.model import laid_out  # noqa: PLC0415  a wrong flag needs nothing that takes a while to load

        message = laid_out(message)
    try:
        click.echo(f"jitsu-backup: {message}{usage}", err=True)
    except OSError:
        return code or 1
    return code
