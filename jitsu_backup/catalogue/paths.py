"""What a path of the console's API can name."""

UNNAMEABLE = frozenset({"", ".", ".."})
"""Steps that are taken out of a path, encoded or not: it then names the folder above [function/put-dots]."""


def nameable(text: str) -> bool:
    """Tell whether one step of a path can be `text`. All else can: it is encoded [function/put-slash]."""
    return text not in UNNAMEABLE
