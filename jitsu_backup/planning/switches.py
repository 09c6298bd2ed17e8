"""Whether a link runs: a sync runs by its schedule, any other link until it is disabled."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.catalogue import is_sync
from jitsu_backup.model import Path, value_at


def switch(link: Mapping[str, Any]) -> Path:
    """Return where the body of a link says whether it runs."""
    return ("data", "schedule" if is_sync(link) else "disabled")


def is_off(link: Mapping[str, Any]) -> bool:
    """Return whether the body of a link says that it does not run."""
    value = value_at(link, switch(link))
    return not value if is_sync(link) else value is True


def switched_as(link: dict[str, Any], live: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the body of a link switched as the target's own one is, or switched off where there is none."""
    data = link.get("data")
    data = dict(data) if isinstance(data, Mapping) else {}
    *_, name = switch(link)
    own = live.get("data") if live is not None else None
    data.pop(name, None)
    if live is None and name == "disabled":
        data[name] = True
    elif isinstance(own, Mapping) and name in own:
        data[name] = own[name]
    return {**link, "data": data}
