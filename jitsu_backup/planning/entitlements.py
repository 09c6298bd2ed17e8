"""What the subscription of the target's workspace includes; everything else is left out and reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jitsu_backup.model import features_of, items_of, members_of, value_at

NO_CUSTOM_DOMAINS = "your Jitsu subscription does not include custom domains"

NO_IDENTITY_STITCHING = "your Jitsu subscription does not include identity stitching"

_STITCHING = "builtin.transformation.user-recognition"


@dataclass(frozen=True, slots=True)
class Entitlements:
    """Whether custom domains and identity stitching may be added; None if unknown [gate/entitlements].

    Those that the target has already are kept, and may be edited [gate/stream-edited].
    """

    custom_domains: bool | None = None
    identity_stitching: bool | None = None

    @property
    def forbids(self) -> bool:
        """Whether it is known that one of them may not be added."""
        return False in (self.custom_domains, self.identity_stitching)


def entitlements(answer: Any, workspace: Mapping[str, Any]) -> Entitlements:
    """Return what a subscription includes, from the console's `answer` and its description of the workspace.

    An answer of an unexpected shape is ignored. The feature `misc` always grants custom domains.
    """
    fields = members_of(answer)
    domains, stitching = (
        value if isinstance(value := fields.get(name), bool) else None
        for name in ("customDomains", "identityStitching")
    )
    return Entitlements(True if "misc" in features_of(workspace) else domains, stitching)


def stitches(link: Mapping[str, Any]) -> bool:
    """Return whether identity stitching is among the functions of a link's body [gate/stitching]."""
    return any(map(_is_stitching, items_of(value_at(link, ("data", "functions")))))


def without_stitching(link: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a link that stitches, without that function."""
    functions = [one for one in link["data"]["functions"] if not _is_stitching(one)]
    return {**link, "data": {**link["data"], "functions": functions}}


def _is_stitching(function: Any) -> bool:
    return members_of(function).get("functionId") == _STITCHING
