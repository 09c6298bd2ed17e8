"""The exit codes, for the help and the man page. README.md and docs/troubleshooting.md have the same text."""

EXIT_CODES = {
    0: "Done, nothing is missing.",
    1: "Failed, or you answered no. Nothing was changed, unless the report says what was.",
    2: "Wrong usage: a flag, a setting, an overlay, or no key given for an encrypted archive.",
    3: "Incomplete: finished, but something is missing or differs, and it is listed.",
    4: "With --exit-code: there are differences, or the plan has something to do.",
    5: "Integrity: an archive is damaged, forged, unreadable or of a newer format.",
    6: "Authentication or permission: a console, a store or a file rejects access, or a key does not open an archive.",
    7: "Blocked: the plan needs a decision.",
    130: "Interrupted: run the same command again to continue; with --plan, create a new plan.",
}
