"""The uses of an object that make the console reject a strict DELETE."""

from collections.abc import Mapping, Sequence
from typing import Any

from jitsu_backup.model import items_of
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.state import LinkRow, State


def refuse_linked(type_name: str, linked: Sequence[LinkRow]) -> None:
    """Raise the Refusal for an object that has connections."""
    raise Refusal(
        409,
        {
            "message": f"Cannot delete {type_name} because it has {len(linked)} linked connections",
            "code": "LINKED_CONNECTIONS_EXIST",
            "linkedConnectionsCount": len(linked),
            "linkedConnections": [_link_line(link) for link in linked],
        },
    )


def refuse_used_function(state: State, workspace_id: str, function_id: str) -> None:
    """Raise Refusal if a connection or a profile builder uses a function."""
    links = [r for r in state.live_links(workspace_id) if _runs(r.data, function_id)]
    builders = [
        b for b in state.live_builders(workspace_id) if _runs(b.fields.get("connectionOptions"), function_id)
    ]
    if links or builders:
        message = (
            f"Cannot delete function because it is being used by {len(links)} connection(s)"
            f" and {len(builders)} profile builder(s)"
        )
        raise Refusal(
            409,
            {
                "message": message, "code": "FUNCTION_IN_USE", "connectionsCount": len(links),
                "profileBuildersCount": len(builders), "connections": [_link_line(r) for r in links],
                "profileBuilders": [{"id": b.id, "name": b.fields.get("name")} for b in builders],
            },
        )  # fmt: skip


def _link_line(link: LinkRow) -> dict[str, Any]:
    return {"id": link.id, "type": link.type, "fromId": link.from_id, "toId": link.to_id}


def _runs(data: Any, function_id: str) -> bool:
    functions = items_of(data.get("functions") if isinstance(data, Mapping) else None)
    # a console accepts anything in it [link/lenient-invalid-data]
    return any(isinstance(f, Mapping) and f.get("functionId") == f"udf.{function_id}" for f in functions)
