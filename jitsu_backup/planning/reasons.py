"""Reasons that later steps ask about; they read as the text that they carry."""

from enum import StrEnum
from typing import Self


class UnreadSecret(StrEnum):
    """Why a secret of the snapshot is missing in the target."""

    LEFT_OUT = "the snapshot could not read this secret; give it later with --overlay"
    # an empty one is shown as any other is, so no later run can see it
    SENT_EMPTY = "the snapshot could not read this secret; it is sent empty: give it later with --overlay and --resend-secrets"
    STILL_EMPTY = "an earlier run sent this secret empty, because nobody had it, and none has sent it since: give it with --overlay"
    MAY_BE_EMPTY = "an earlier run sent this secret empty; somebody has saved its entity since, and may have given it: else give it with --overlay and --resend-secrets"
    SENT_EMPTY_BACK = "no backup has this secret; it is sent empty: give it with --overlay"
    REPLACED = "the run that is undone replaced this secret, and no backup has the one of before: give it with --overlay"


class BeyondUpdate(StrEnum):
    """Why an update falls short, and what helps where that is safe; `shortfall` is the reason without the help."""

    UNREACHABLE = "only the target has it, and an update cannot remove it"
    FUNCTION_GONE = "its function was deleted, and an update does not bring it back"

    shortfall: str

    def __new__(cls, shortfall: str) -> Self:
        """Make the text of a member."""
        made = str.__new__(cls, f"{shortfall} (--recreate can)")
        made._value_, made.shortfall = str(made), shortfall
        return made


class AwaitsGrant(str):
    """A reason that goes away once somebody authorises an object in the UI."""

    __slots__ = ()
