"""The console's Management API: client, classification of replies, rate gate, reading, and one module for each route."""

from jitsu_backup.console.client import (
    Console as Console,
    Listing as Listing,
    UncertainError as UncertainError,
    gather as gather,
)
from jitsu_backup.console.fresh_lists import FreshLists as FreshLists
from jitsu_backup.console.gate import Gate as Gate, Gates as Gates, GateTransport as GateTransport
from jitsu_backup.console.replies import (
    Ambiguous as Ambiguous,
    Done as Done,
    Permanent as Permanent,
    RefusalKind as RefusalKind,
    RefusedError as RefusedError,
    RetryAfter as RetryAfter,
    Verdict as Verdict,
    classify as classify,
    classify_failure as classify_failure,
)
