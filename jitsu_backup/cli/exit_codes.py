"""The exit codes, for the help and the man page."""

EXIT_CODES = {
    0: "Done, complete.",
    1: "Failed, or the question was answered with no. Nothing was changed.",
    2: "Wrong usage: a flag, a setting, an overlay, or a missing key to an archive.",
    3: "Incomplete: finished, but something is missing or differs, and is listed.",
    4: "With --exit-code: there are differences, or the plan has something to do.",
    5: "Integrity: the archive is damaged, forged, unreadable or of a newer format.",
    6: "Authentication or permission: of a console, a store, a file or an archive.",
    7: "Blocked: the plan needs a decision.",
    130: "Interrupted. Run the command again to continue.",
}
