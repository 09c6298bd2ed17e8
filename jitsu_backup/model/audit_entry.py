"""One line of a console's audit log."""

from dataclasses import dataclass
from datetime import datetime

OPERATOR = "the operator's token"
"""The name shown for the author of a change that no user made."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of one object or link, as listed in the console's audit log [audit-log/first-page].

    `at` is in UTC, by the console's clock. `operation` is `create`, `update` or `delete`. `type` is that of the object, or
    `link` for anything that joins two others. `who` is a name to show to people. `key` is the id of the API key, the part
    before the colon, and `way` is the console's word for how the change was made; both are None if the log does not say.
    `unchanged` marks an update that changed nothing [audit-log/changes-only], `operator` a change made with the operator's
    token, which is not a user and has no id [audit-log/since]. The object's content is not included.
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
