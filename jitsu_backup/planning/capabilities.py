"""What a console can do, inferred from what it serves, because no reply names its generation."""

from dataclasses import dataclass

from jitsu_backup.model import Snapshot
from jitsu_backup.planning.schema_rules import Schemas, fields_of


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What depends on a console's generation.

    `revives`: a POST with `cloneId` fills masked secrets from an older object [delete/clone-from-deleted].
    `merges_deeply`: a PUT keeps what it leaves out at every depth [destination/put-nested-object-merges].
    `profile_builders`: the console supports profile builders.
    `deletes_links_by_id`: otherwise links are deleted by their ends only [delete/link-by-id].
    """

    revives: bool
    merges_deeply: bool
    profile_builders: bool
    deletes_links_by_id: bool


def capabilities(live: Snapshot, schemas: Schemas) -> Capabilities:
    """Return what the console of `live` can do. A newer one has `cloneId` in its schemas."""
    newer = (
        any("cloneId" in fields_of(schema) for schema in schemas.values())
        if schemas
        else all("updatedAt" in entity.body for entity in live.entities)
    )
    # an older one lists none, and accepts new ones without storing them [profile-builder/create]
    builders = newer or bool(live.of_type("profile-builder"))
    return Capabilities(
        revives=newer, merges_deeply=newer, profile_builders=builders, deletes_links_by_id=newer
    )
