"""Settings: profiles, precedence, secret references."""

from typing import TYPE_CHECKING

from jitsu_backup.lazy import from_rooms

if TYPE_CHECKING:
    from jitsu_backup.settings.file import config_path, expand, read_document, store_of
    from jitsu_backup.settings.loading import (
        Listeners,
        Overrides,
        Place,
        Settings,
        checked_key,
        listeners,
        load,
        normal_host,
    )
    from jitsu_backup.settings.schema import problems
    from jitsu_backup.settings.secret import SecretText, holds, resolve_secret

__all__ = [
    "Listeners",
    "Overrides",
    "Place",
    "SecretText",
    "Settings",
    "checked_key",
    "config_path",
    "expand",
    "holds",
    "listeners",
    "load",
    "normal_host",
    "problems",
    "read_document",
    "resolve_secret",
    "store_of",
]

if not TYPE_CHECKING:
    __getattr__ = from_rooms(__name__, __all__, "file", "secret", "schema", "loading")
