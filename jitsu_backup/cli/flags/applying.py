"""The flags of `restore`, `clone` and `undo`: what to plan, and how to carry it out."""

import click

from jitsu_backup.cli.flags.selecting import set_option
from jitsu_backup.cli.flags.shared import (
    encrypt_option,
    file_option,
    html_option,
    markdown_option,
    repeatable,
    switch,
    together,
)

# what to plan
_overlay = together(
    file_option("--overlay", help="Hosts, names and secrets of the target, TOML or JSON."),
    file_option(
        "--overlay-out", help="Write an overlay to FILE with the secrets that nobody has, to be filled in."
    ),
)
_chosen = together(
    repeatable(
        "--only",
        metavar="SELECTOR",
        help="Only these (type, type/id or type/name, with *), and what they need. Repeatable.",
    ),
    repeatable("--skip", metavar="SELECTOR", help="All but these, and what hangs on them. Repeatable."),
)
_pairing = together(
    repeatable(
        "--map",
        "mapping",
        metavar="TYPE/SOURCE=TYPE/TARGET",
        help="Pair an entity of the snapshot with one of the target. Repeatable.",
    ),
    switch("--match-by-name", help="Pair what has no pair yet by type and unique name."),
    click.option(
        "--ids",
        type=click.Choice(["auto", "keep", "new"]),
        default="auto",
        show_default=True,
        help="Ids of new entities: auto keeps them on another console where they are free.",
    ),
)
_take = repeatable(
    "--take",
    metavar="SIDE[:SELECTOR[:FIELD]]",
    help="Settle what source and target both changed: source or target, for all or for these. Repeatable.",
)
_deciding = together(
    switch("--accept-shrink", help="Let --prune delete more than half of a type, or of all."),
    repeatable(
        "--unprotect",
        metavar="SELECTOR",
        help="Let this run delete, or make anew, what the settings protect. Repeatable.",
    ),
    switch("--recreate", help="Make anew what an update cannot bring back, where that is safe."),
    switch("--rebind", help="Delete reverse syncs, and make them again, where what they use has to change."),
    switch(
        "--enable-reverse-syncs",
        help="Make reverse syncs as they were: without it, new ones are made disabled.",
    ),
)
_lacking = switch("--allow-missing-secrets", help="Go on without the secrets that nobody has.")

# saved plans
_plan_out = file_option(
    "--plan-out", help="Save the plan for --plan, with fingerprints of the target, and stop."
)

# how to carry it out
_keys_out = file_option(
    "--keys-out", help="Write new write keys to FILE, not to the screen. Needed without a terminal."
)
_pages = together(html_option, markdown_option)
_running = together(
    switch("--wait", help="Where another run writes into the workspace, wait until it has ended."),
    switch("--dry-run", help="Show the plan and stop."),
    switch("--exit-code", help="With --dry-run or --plan-out: end with 4 where there is something to do."),
    switch("--yes", help="Do not ask."),
    encrypt_option,
)

with_apply_options = together(
    _overlay,
    _chosen,
    set_option,
    switch("--with-links", help="With what --only chooses, the connections and syncs attached to it."),
    _pairing,
    _take,
    switch("--prune", help="Delete what the snapshot does not have."),
    switch("--prune-own", help="Let --prune delete what the target made itself, too."),
    _deciding,
    switch("--disable-links", help="Create connections and schedules switched off."),
    _lacking,
    switch("--resend-secrets", help="Send the overlay's secrets also where the target hides its own."),
    click.option(
        "--cursors/--no-cursors", default=True, show_default=True, help="Put sync cursors on new syncs."
    ),
    switch(
        "--no-schema-check",
        "check_schemas",
        flag_value=False,
        default=True,
        help="Plan what the target's own schemas speak against too.",
    ),
    _plan_out,
    file_option(
        "--plan", "plan_in", help="Carry out exactly a saved plan, with the archive and overlay beside it."
    ),
    _keys_out,
    switch(
        "--no-safety-backup",
        "safety_backup",
        flag_value=False,
        default=True,
        help="Do not back up the target first.",
    ),
    _pages,
    switch("--fail-fast", help="Stop at the first refusal."),
    _running,
)

with_undo_options = together(
    _overlay,
    _chosen,
    _pairing,
    _take,
    switch("--prune", help="Delete what was made since, where no record tells what the run has made."),
    switch("--prune-own", help="Delete what others have made since, too."),
    _deciding,
    _lacking,
    _plan_out,
    _keys_out,
    _pages,
    _running,
)
