"""Settings: profiles, precedence, secret references."""

from jitsu_backup.settings.load import Overrides, Place, Settings, load
from jitsu_backup.settings.secret import SecretText, resolve_secret

__all__ = ["Overrides", "Place", "SecretText", "Settings", "load", "resolve_secret"]
