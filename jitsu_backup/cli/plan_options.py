"""The options of a plan, of flags or of a saved plan, and as a saved plan holds them."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.errors import UsageError
from jitsu_backup.planning import Ids, Overlay, PlanOptions

SWITCHES = (
    "allow_missing_secrets", "resend_secrets", "cursors", "prune", "accept_shrink", "recreate", "disable_links",
    "match_by_name", "check_schemas",
)  # fmt: skip
LISTS = ("only", "skip")
"""The flags that say what to plan, beside those for ids, pairs and the overlay; each is an option by its own name."""


def plan_options(given: Mapping[str, Any], overlay: Overlay) -> PlanOptions:
    """Make options of what is given by name, and of an overlay. Raises UsageError."""
    switches: dict[str, Any] = {name: bool(given[name]) for name in SWITCHES}
    lists: dict[str, Any] = {name: tuple(map(str, given[name])) for name in LISTS}
    return PlanOptions(
        overlay=overlay,
        **switches,
        **lists,
        ids=Ids(given["ids"]),
        mapping=tuple(split_mapping(text) for text in given["mapping"]),
    )


def options_document(options: PlanOptions) -> dict[str, Any]:
    """Give options as JSON, without the overlay."""
    return {
        **{name: getattr(options, name) for name in SWITCHES},
        **{name: list(getattr(options, name)) for name in LISTS},
        "ids": options.ids.value,
        "map": [f"{source}={target}" for source, target in options.mapping],
    }


def split_mapping(text: str) -> tuple[str, str]:
    """Read `type/source=type/target`. Raises UsageError."""
    parts = [part for part in text.split("=") if part]
    if len(parts) != 2 or not all("/" in part for part in parts):
        raise UsageError(
            f"--map {text!r}: write type/source=type/target, such as destination/Old=destination/New"
        )
    return parts[0], parts[1]
