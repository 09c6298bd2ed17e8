"""Reasons that later steps check by type; as strings, they are the text to show."""

from enum import StrEnum
from typing import Self

ALSO = "; also "
"""Joins two reasons that have to be settled independently."""
OVERLAY_OF_UNDO = "provide it with an --overlay for the undo alone (--overlay-out FILE writes the form)"
"""What to do about a secret that an undo lacks. The overlay of a promotion would set other fields too."""


class UnreadSecret(StrEnum):
    """Why a secret of the snapshot is missing in the target."""

    LEFT_OUT = "this secret is not in the snapshot; provide it later with --overlay"
    # an empty secret is masked like any other, so no later run can see it
    SENT_EMPTY = "this secret is not in the snapshot, so it is sent empty; provide it later with --overlay and --resend-secrets"
    STILL_EMPTY = "an earlier run sent this secret empty because it was missing, and no later run has sent it: provide it with --overlay"
    MAY_BE_EMPTY = "an earlier run sent this secret empty; the entity has been saved since, so the secret may have been set: if not, provide it with --overlay and --resend-secrets"
    SENT_EMPTY_BACK = f"no backup has this secret, so it is sent empty: {OVERLAY_OF_UNDO}"
    REPLACED = (
        f"the run being undone replaced this secret, and no backup has the previous one: {OVERLAY_OF_UNDO}"
    )


class BeyondUpdate(StrEnum):
    """Why an update is not enough, and what to do if that is safe; `shortfall` is the reason without the remedy."""

    UNREACHABLE = "only the target has it, and an update cannot remove it"
    FUNCTION_GONE = "its function was deleted, and an update cannot restore it"

    shortfall: str

    def __new__(cls, shortfall: str) -> Self:
        """Create a member with its text."""
        made = str.__new__(cls, f"{shortfall} (--recreate can)")
        made._value_, made.shortfall = str(made), shortfall
        return made


class NotRecreated(str):
    """Why an entity that an update cannot restore is not re-created either."""

    __slots__ = ()


class AwaitsGrant(str):
    """A reason that no longer applies once somebody authorises an object in the UI."""

    __slots__ = ()


class KeptThere(str):
    """Why something that the source has deleted is not deleted: the target has changed it, and `--take` keeps it."""

    __slots__ = ()


class EmptiedThere(str):
    """Why something is blocked that the target has deleted together with most of what the last clone left."""

    __slots__ = ()


class EmptiedByUndo(EmptiedThere):
    """The same, if an undo deleted it, so that the plan lists the flags that re-create just that."""

    __slots__ = ()
