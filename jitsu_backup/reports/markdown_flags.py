"""The flags that settle what is blocked, in groups to copy from a comment into `promotion.flags`."""

from collections.abc import Iterable, Iterator, Sequence

from jitsu_backup.planning import Action, EmptiedByUndo
from jitsu_backup.planning.reasons import ALSO
from jitsu_backup.reports.markdown_text import block, flags_in

_TO_COPY = (
    "Choose one line of each group, or what its comments say, and copy it into `promotion.flags` as it is; a shell needs"
    " quotation marks around spaces:"
)
_LONGEST = 3_000  # bytes

_INSTEAD = {
    "--prune-own": "# deletes all that only the target has; to keep that, leave out --prune instead",
    "--accept-shrink": "# deletes most of what the target has; to keep that, leave out --prune instead",
}
"""What else can be chosen, by a flag that is the only one of its group."""


def flags_to_copy(blocked: Iterable[Action]) -> str:
    """Return a block with groups of flags to choose from, one flag a line; an empty text without any.

    The values are not quoted, because no shell reads `promotion.flags`. Of very many groups, the first are shown.
    """
    lines: list[str] = []
    left = _LONGEST
    for group in dict.fromkeys(tuple(group) for action in blocked for group in _groups(action)):
        left -= sum(len(flag.encode()) + 1 for flag in group)
        if left < 0:
            break
        lines += ["", *group] if lines and group else group
    return f"\n{_TO_COPY}\n\n{block(lines)}\n" if lines else ""


def _groups(action: Action) -> Iterator[Sequence[str]]:
    """Yield the flags that settle each reason of an action, with comments where one line is not enough."""
    if isinstance(action.reason, EmptiedByUndo):  # the flags for just that are listed already
        return
    first, *others = (flags_in(reason) for reason in action.reason.split(ALSO))
    protected = [flag for group in others for flag in group if flag.startswith("--unprotect=")]
    if action.disputed and protected and len(first) > 1:
        delete, keep = first[:2]
        yield ["# to delete it, these lines:", delete, *protected, "# to keep it, only this one:", keep]
        return
    prunes = "--prune" in action.reason
    for group in (first, *others):
        yield [_INSTEAD[group[0]], *group] if prunes and len(group) == 1 and group[0] in _INSTEAD else group
