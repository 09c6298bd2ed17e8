"""The console's Management API: client, classification of replies, rate gate, reading, and one module a route."""

from jitsu_backup.console.client import Console, Listing, UncertainError, gather
from jitsu_backup.console.fresh_lists import FreshLists
from jitsu_backup.console.gate import Gate, Gates, GateTransport
from jitsu_backup.console.replies import (
    Ambiguous,
    Done,
    Permanent,
    RefusalKind,
    RefusedError,
    RetryAfter,
    Verdict,
    classify,
    classify_failure,
)

__all__ = [
    "Ambiguous",
    "Console",
    "Done",
    "FreshLists",
    "Gate",
    "GateTransport",
    "Gates",
    "Listing",
    "Permanent",
    "RefusalKind",
    "RefusedError",
    "RetryAfter",
    "UncertainError",
    "Verdict",
    "classify",
    "classify_failure",
    "gather",
]
