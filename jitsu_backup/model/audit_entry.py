"""One line of a console's audit log."""

from dataclasses import dataclass
from datetime import datetime

OPERATOR = "the operator's token"
"""What people read as the one who made a change that no user made."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of one object or link, as the console's audit log tells it [audit-log/first-page].

    `at` is in UTC, by the console's clock. `operation` is `create`, `update` or `delete`, `type` that of the object, or
    `link` for whatever joins two others. `who` is a name for people. `key` is the id of the API key, the part before the
    colon, and `way` is how the change came, as the console calls it; both are None where it does not say. `unchanged` is an
    update that changed nothing [audit-log/changes-only], `operator` a change with the operator's token, which is no user and
    has no id [audit-log/since]. What the object held is left out.
    """

    id: str
    at: datetime
    operation: str
    type: str
    object_id: str
    who: str
    name: str | None = None
    email: str | None = None
    key: str | None = None
    way: str | None = None
    unchanged: bool = False
    operator: bool = False
