"""The flags of `restore` and `clone`: what to plan, and how to carry it out."""

import click

from jitsu_backup.cli.flags.shared import Command, encrypt_option, html_option
from jitsu_backup.cli.paths import PATH

_PLAN_OPTIONS = (
    click.option(
        "--overlay",
        type=PATH,
        metavar="FILE",
        help="Hosts, names and secrets of the target, TOML or JSON.",
    ),
    click.option(
        "--overlay-out",
        type=PATH,
        metavar="FILE",
        help="Write an overlay to FILE with the secrets that nobody has, to be filled in.",
    ),
    click.option(
        "--only",
        multiple=True,
        metavar="SELECTOR",
        help="Only these (type, type/id or type/name, with *), and what they need. Repeatable.",
    ),
    click.option(
        "--skip", multiple=True, metavar="SELECTOR", help="All but these, and what hangs on them. Repeatable."
    ),
    click.option(
        "--map",
        "mapping",
        multiple=True,
        metavar="TYPE/SOURCE=TYPE/TARGET",
        help="Pair an entity of the snapshot with one of the target. Repeatable.",
    ),
    click.option("--match-by-name", is_flag=True, help="Pair what has no pair yet by type and unique name."),
    click.option(
        "--ids",
        type=click.Choice(["auto", "keep", "new"]),
        default="auto",
        show_default=True,
        help="Ids of new entities: auto keeps them on another console where they are free.",
    ),
    click.option("--prune", is_flag=True, help="Delete what the snapshot does not have."),
    click.option(
        "--accept-shrink",
        is_flag=True,
        help="Let --prune delete more than half of a type, or of all.",
    ),
    click.option(
        "--recreate", is_flag=True, help="Make anew what an update cannot bring back, where that is safe."
    ),
    click.option(
        "--rebind",
        is_flag=True,
        help="Delete reverse syncs, and make them again, where what they use has to change.",
    ),
    click.option(
        "--enable-reverse-syncs",
        is_flag=True,
        help="Make reverse syncs as they were: without it, new ones are made disabled.",
    ),
    click.option("--disable-links", is_flag=True, help="Create connections and schedules switched off."),
    click.option("--allow-missing-secrets", is_flag=True, help="Go on without the secrets that nobody has."),
    click.option(
        "--resend-secrets",
        is_flag=True,
        help="Send the overlay's secrets also where the target hides its own.",
    ),
    click.option(
        "--cursors/--no-cursors", default=True, show_default=True, help="Put sync cursors on new syncs."
    ),
    click.option(
        "--no-schema-check",
        "check_schemas",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Plan what the target's own schemas speak against too.",
    ),
)
_SAVED_PLANS = (
    click.option(
        "--plan-out",
        type=PATH,
        metavar="FILE",
        help="Save the plan for --plan, with fingerprints of the target, and stop.",
    ),
    click.option(
        "--plan",
        "plan_in",
        type=PATH,
        metavar="FILE",
        help="Carry out exactly a saved plan, with the archive and overlay beside it.",
    ),
)
_RUN_OPTIONS = (
    click.option(
        "--keys-out",
        type=PATH,
        metavar="FILE",
        help="Write new write keys to FILE, not to the screen. Needed without a terminal.",
    ),
    click.option(
        "--no-safety-backup",
        "safety_backup",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Do not back up the target first.",
    ),
    html_option,
    click.option("--fail-fast", is_flag=True, help="Stop at the first refusal."),
    click.option(
        "--wait", is_flag=True, help="Where another run writes into the workspace, wait until it has ended."
    ),
    click.option("--dry-run", is_flag=True, help="Show the plan and stop."),
    click.option("--yes", is_flag=True, help="Do not ask."),
)


def with_apply_options(command: Command) -> Command:
    """Return a command with the flags that say what to plan and how to carry it out."""
    for option in reversed((*_PLAN_OPTIONS, *_SAVED_PLANS, *_RUN_OPTIONS, encrypt_option)):
        command = option(command)
    return command
