"""An embedded console that answers as the real one does. It shares only facts with the client."""

from jitsu_backup.catalogue import known_schemas
from jitsu_backup.sandbox.app import Request, Sandbox
from jitsu_backup.sandbox.example_workspace import example_workspace
from jitsu_backup.sandbox.generation import Generation
from jitsu_backup.sandbox.seeding import fresh_console_for, seed_snapshot
from jitsu_backup.sandbox.server import running, serve
from jitsu_backup.sandbox.state import State, default_state, recorded_state

__all__ = [
    "Generation",
    "Request",
    "Sandbox",
    "State",
    "default_state",
    "example_workspace",
    "fresh_console_for",
    "known_schemas",
    "recorded_state",
    "running",
    "seed_snapshot",
    "serve",
]
