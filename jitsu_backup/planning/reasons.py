"""Reasons that later steps ask about; they read as the text that they carry."""

from enum import StrEnum

RECREATE_CAN = " (--recreate can)"


class UnreadSecret(StrEnum):
    """Why a secret of the snapshot is missing in the target."""

    LEFT_OUT = "the snapshot could not read this secret; give it later with --overlay"
    # an empty one is shown as any other is, so no later run can see it
    SENT_EMPTY = "the snapshot could not read this secret; it is sent empty: give it later with --overlay and --resend-secrets"


class BeyondUpdate(StrEnum):
    """Why an update falls short. Making the object again (`--recreate`) helps, where that is safe."""

    UNREACHABLE = f"only the target has it, and an update cannot remove it{RECREATE_CAN}"
    FUNCTION_GONE = f"its function was deleted, and an update does not bring it back{RECREATE_CAN}"


class AwaitsGrant(str):
    """A reason that goes away once somebody authorises an object in the UI."""

    __slots__ = ()
