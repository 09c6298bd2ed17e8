"""Settings: profiles, precedence, secret references."""

from jitsu_backup.settings.document import problems
from jitsu_backup.settings.load import (
    Overrides,
    Place,
    Settings,
    checked_key,
    config_path,
    load,
    normal_host,
    read_document,
)
from jitsu_backup.settings.secret import SecretText, expand, resolve_secret

__all__ = [
    "Overrides",
    "Place",
    "SecretText",
    "Settings",
    "checked_key",
    "config_path",
    "expand",
    "load",
    "normal_host",
    "problems",
    "read_document",
    "resolve_secret",
]
