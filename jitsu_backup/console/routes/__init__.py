"""One module for each route: how the entities of a type are listed, created, updated and deleted."""

from collections.abc import Mapping

from jitsu_backup.catalogue import Route, entity_type
from jitsu_backup.console.bodies import Size
from jitsu_backup.console.client import Console, Listing
from jitsu_backup.console.routes.links import LinkRoute
from jitsu_backup.console.routes.models import ModelRoute
from jitsu_backup.console.routes.objects import ObjectRoute
from jitsu_backup.console.routes.profile_builders import ProfileBuilderRoute
from jitsu_backup.console.routes.protocol import (
    Content as Content,
    Created as Created,
    EntityRoute as EntityRoute,
    Omission as Omission,
    OvertakenError as OvertakenError,
    Target as Target,
    UnchangedGuard as UnchangedGuard,
)
from jitsu_backup.console.routes.reverse_syncs import ReverseSyncRoute

_ROUTES: Mapping[Route, type[EntityRoute]] = {
    Route.OBJECT: ObjectRoute,
    Route.LINK: LinkRoute,
    Route.MODEL: ModelRoute,
    Route.PROFILE_BUILDER: ProfileBuilderRoute,
    Route.REVERSE_SYNC: ReverseSyncRoute,
}


def route_class(type_name: str) -> type[EntityRoute]:
    """Return the class that reads and writes a type."""
    return _ROUTES[entity_type(type_name).route]


async def read_list(
    console: Console,
    workspace_id: str,
    type_name: str,
    known: Listing | None = None,
    *,
    beside: Size | None = None,
) -> Listing:
    """Read the list of a type by its route. Parameters and result are as for `Console.list`.

    It holds all entities of the type, and those of other types that are listed in it (`type_in_list`).
    """
    path = route_class(type_name).list_path(workspace_id, type_name)
    return await console.list(path, type_name, entity_type(type_name).list_field, known, beside=beside)
