"""An embedded console that answers as the real one does. It shares only facts with the client."""

from jitsu_backup.catalogue import known_schemas as known_schemas
from jitsu_backup.sandbox.app import Request as Request, Sandbox as Sandbox
from jitsu_backup.sandbox.example_workspace import example_workspace as example_workspace
from jitsu_backup.sandbox.generation import Generation as Generation
from jitsu_backup.sandbox.seeding import (
    empty_console_for as empty_console_for,
    fresh_console_for as fresh_console_for,
    seed_snapshot as seed_snapshot,
    unknown_to as unknown_to,
)
from jitsu_backup.sandbox.server import running as running, serve as serve
from jitsu_backup.sandbox.state import (
    State as State,
    default_state as default_state,
    recorded_state as recorded_state,
)
