"""The flags of `restore`, `clone` and `undo`: what to plan, and how to carry it out."""

import click

from jitsu_backup.cli.flags.grouping import OUTPUT, Decorator, group, option
from jitsu_backup.cli.flags.selecting import set_option
from jitsu_backup.cli.flags.shared import (
    encrypt_rarely,
    file_option,
    html_option,
    identity_option,
    markdown_option,
    repeatable,
    switch,
    together,
)

SAFETY = "Safety"

# what to plan
_overlay = file_option(
    "--overlay", help="Apply the target's own hosts and secrets.", more="FILE is TOML or JSON."
)
_pairing = group(
    "Pairing",
    switch(
        "--match-by-name", help="Also pair by type and unique name.", more="Entities with a pair keep it."
    ),
    repeatable(
        "--map",
        "mapping",
        metavar="SOURCE=TARGET",
        help="Pair an entity with one of the target.",
        more="Write TYPE/SOURCE=TYPE/TARGET, with ids or names.",
    ),
    rare=[
        option(
            "--ids",
            type=click.Choice(["auto", "keep", "new"]),
            default="auto",
            show_default=True,
            help="Ids of new entities; auto keeps them on another console if they are free.",
        )
    ],
)
_take = repeatable(
    "--take",
    metavar="SIDE[:…]",
    help="Resolve conflicts: source or target.",
    more="SIDE for all, SIDE:SELECTOR for some entities, SIDE:SELECTOR:FIELD for one field.",
)
_lacking = switch("--allow-missing-secrets", help="Continue without unavailable secrets.")
_deciding = (
    switch("--accept-shrink", help="Allow deleting more than half of a type, or of everything."),
    repeatable(
        "--unprotect",
        metavar="SELECTOR",
        help="Allow this run to delete or re-create what the settings protect.",
    ),
    switch("--recreate", help="Re-create what an update cannot restore, where that is safe."),
    switch("--rebind", help="Delete and re-create reverse syncs if what they use has to change."),
)
_enable_reverse_syncs = switch(
    "--enable-reverse-syncs",
    help="Create reverse syncs enabled if the source has them enabled. By default, new ones are disabled.",
)

# how to carry it out
_first = (
    switch("--dry-run", help="Show the plan and stop."),
    switch("--yes", help="Apply without asking."),
    file_option("--plan-out", help="Save the plan for --plan, and stop."),
)
_wait = switch("--wait", help="Wait until another run in the same workspace has ended.")
_exit_code = switch(
    "--exit-code",
    help="With --dry-run or --plan-out: end with 4 if the plan has something to do.",
)
_output = group(
    OUTPUT,
    file_option("--keys-out", help="Write new write keys to FILE.", more="Required without a terminal."),
    file_option("--overlay-out", help="Write an overlay to fill in missing secrets."),
    html_option,
    rare=[markdown_option, _exit_code],
)
_archives = together(identity_option, encrypt_rarely)


def apply_options(title: str, *first: Decorator, source: str) -> Decorator:
    """Return the flags of `restore` and `clone`: `first` and what else chooses entities under a title, and the rest.

    `source` is what the help calls the state to write.
    """
    return together(
        group(
            title,
            *first,
            repeatable("--only", metavar="SELECTOR", help="Only these, and what they need."),
            repeatable("--skip", metavar="SELECTOR", help="All but these and what depends on them."),
            switch("--with-links", help="With --only: also their connections and syncs."),
            switch("--prune", help=f"Delete what the {source} does not have."),
            _overlay,
            switch("--disable-links", help="Create connections and schedules disabled."),
            rare=[
                set_option,
                switch(
                    "--prune-own", help="With --prune: also delete what was created in the target itself."
                ),
                _enable_reverse_syncs,
                option(
                    "--cursors/--no-cursors",
                    default=True,
                    show_default=True,
                    help="Restore sync cursors on new syncs.",
                ),
                switch(
                    "--resend-secrets",
                    help="Send the overlay's secrets even where Jitsu hides those of the target.",
                ),
            ],
        ),
        _pairing,
        group(
            SAFETY,
            *_first,
            file_option(
                "--plan",
                "plan_in",
                help="Apply exactly a saved plan.",
                more="The archive and the overlay must be beside it.",
            ),
            _take,
            _lacking,
            rare=[
                *_deciding,
                switch(
                    "--no-schema-check",
                    "check_schemas",
                    flag_value=False,
                    default=True,
                    help="Skip validation against the target's schemas.",
                ),
                switch(
                    "--no-safety-backup",
                    "safety_backup",
                    flag_value=False,
                    default=True,
                    help="Do not back up the target first.",
                ),
                switch("--fail-fast", help="Stop at the first request that the console rejects."),
                _wait,
            ],
        ),
        _output,
        _archives,
    )


with_undo_options = together(
    group(
        "What to undo",
        repeatable("--only", metavar="SELECTOR", help="Only these, and what they need."),
        repeatable("--skip", metavar="SELECTOR", help="All but these and what depends on them."),
        _overlay,
        switch(
            "--prune",
            help="Delete what was created since that run.",
            more="Needed only if the run left no record.",
        ),
        switch("--prune-own", help="Also delete what others created since."),
        rare=[_enable_reverse_syncs],
    ),
    _pairing,
    group(SAFETY, *_first, _take, _lacking, rare=[*_deciding, _wait]),
    _output,
    _archives,
)
