"""Keys that a service reads again once a console rejects them, and what its messages say about the others."""

from dataclasses import replace

from jitsu_backup.errors import KeyRejectedError
from jitsu_backup.operations.backup import WorkspaceAccess
from jitsu_backup.operations.connection import Connection
from jitsu_backup.threads import in_thread

_NEW_KEY = f"{KeyRejectedError.new_key}, and give it to this program"


def of_a_service(access: WorkspaceAccess) -> WorkspaceAccess:
    """Return an access whose messages about a rejected key say whether a service has to be restarted with the new one."""
    operator = access.operator
    return replace(
        access,
        connection=_of_a_service(access.connection),
        operator=None if operator is None else _of_a_service(operator),
    )


def _of_a_service(connection: Connection) -> Connection:
    key = connection.key
    after = "restart the watch" if key.read_again is None else "the watch reads it there within a minute"
    told = f"{key.if_rejected or _NEW_KEY} ({after})"
    return replace(connection, key=replace(key, if_rejected=told))


async def renewed(access: WorkspaceAccess) -> WorkspaceAccess:
    """Return an access with its keys as their files or commands have them now. Raise UsageError, AccessError.

    It is the same one if they have not changed, or come from somewhere else.
    """
    connection, operator = await _renewed(access.connection), access.operator
    if operator is not None:
        operator = connection if operator.key == access.connection.key else await _renewed(operator)
    again = replace(access, connection=connection, operator=operator)
    return access if again == access else of_a_service(again)


async def _renewed(connection: Connection) -> Connection:
    if connection.key.read_again is None:
        return connection
    return replace(connection, key=await in_thread(connection.key.read_again, "key"))
