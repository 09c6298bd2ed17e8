"""Objects that may not be edited or deleted while reverse syncs, models or connections use them."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.model import items_of
from jitsu_backup.sandbox.model_rules import is_readable
from jitsu_backup.sandbox.refusals import Refusal
from jitsu_backup.sandbox.state import ObjectRow, State


def refuse_bound(state: State, row: ObjectRow) -> None:
    """Raise Refusal for a change of an object that a reverse sync delivers by [destination/put-bound]."""
    if not state.generation.is_newest or row.type not in ("model", "destination"):
        return
    held = {row.id}
    if row.type == "destination":  # [destination/put-bound-warehouse]
        held |= {
            o.id
            for o in state.objects.values()
            if o.type == "model" and o.config.get("warehouseId") == row.id
        }
    ends = (end for sync in state.reverse_syncs(row.workspace_id) for end in _ends_of(sync, row.type))
    if any(end in held for end in ends):
        message = (
            "Configuration is bound to a reverse sync."
            " Remove that sync before changing its delivery configuration."
        )
        raise Refusal(409, {"message": message})


def refuse_referenced(state: State, row: ObjectRow) -> None:
    """Raise Refusal for the deletion of an object that models or reverse syncs refer to [destination/delete-warehouse]."""
    if not state.generation.is_newest or row.type not in ("model", "destination"):
        return
    if row.type == "destination":
        models = [
            model for model in state.live_objects(row.workspace_id, "model")
            if model.config.get("warehouseId") == row.id
        ]  # fmt: skip
        if models:
            message = (
                f"Warehouse is referenced by {len(models)} model(s). Delete or reassign those models first."
            )
            raise Refusal(409, {"message": message})
    if any(row.id in (sync.from_id, sync.to_id) for sync in state.reverse_syncs(row.workspace_id)):
        raise Refusal(409, {"message": "Object is referenced by a reverse sync. Remove that sync first."})


def check_destination(state: State, row: ObjectRow, config: Mapping[str, Any]) -> None:
    """Raise Refusal if a destination, changed to `config`, could no longer serve its connections or models."""
    fed = any(
        link.to_id == row.id and _starts_at_stream(state, row.workspace_id, link.from_id)
        for link in state.live_links(row.workspace_id)
    )
    if fed:
        check_takes_events(config)  # [destination/put-meta-pixel-emptied]
    if not is_readable(config) or config.get("destinationType") != row.config.get("destinationType"):
        refuse_referenced(state, row)


def check_takes_events(destination: Mapping[str, Any]) -> None:
    """Raise Refusal for a destination that no event can be sent to [link/create-meta-without-pixel]."""
    kind = destination.get("destinationType")
    if kind == "facebook-conversions" and not str(destination.get("pixelId") or "").strip():
        message = "Meta event connections require a Pixel / Dataset ID on the destination"
        raise Refusal(400, {"message": message})
    if kind == "google-ads" and not _has_conversion_action(destination):
        message = (
            "Google Ads event connections require a default Conversion Action ID"
            " or per-event conversion actions"
        )
        raise Refusal(400, {"message": message})


def _has_conversion_action(destination: Mapping[str, Any]) -> bool:
    if str(destination.get("conversionActionId") or "").strip():
        return True
    lines = (str(line).partition("=") for line in items_of(destination.get("conversionActions")))
    return any(event.strip() and number.strip().isdecimal() for event, _, number in lines)


def _starts_at_stream(state: State, workspace_id: str, object_id: str) -> bool:
    return state.live_typed(workspace_id, "stream", object_id) is not None


def _ends_of(sync: Any, type_name: str) -> tuple[str, ...]:
    return (sync.from_id,) if type_name == "model" else (sync.from_id, sync.to_id)
