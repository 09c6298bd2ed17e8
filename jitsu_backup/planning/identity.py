"""Whether two readings are of one workspace."""

from jitsu_backup.model import Snapshot


def same_workspace(snapshot: Snapshot, live: Snapshot) -> bool:
    """Return whether `live` is the workspace that `snapshot` was read from, whatever its host name.

    The creation time distinguishes it from another workspace with the same id, on a console that was set up again.
    """
    source, target = snapshot.manifest.source, live.manifest.source
    if source.workspace_id != target.workspace_id:
        return False
    before, now = snapshot.workspace.get("createdAt"), live.workspace.get("createdAt")
    return before == now if before and now else source.host == target.host
