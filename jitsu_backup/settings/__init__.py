"""Settings: their sources, precedence and profiles, and references to secrets."""

from typing import TYPE_CHECKING

from jitsu_backup.lazy import exports

if TYPE_CHECKING:
    from jitsu_backup.settings.console_keys import checked_key as checked_key, normal_host as normal_host
    from jitsu_backup.settings.file import (
        config_path as config_path,
        expand as expand,
        read_document as read_document,
        store_of as store_of,
    )
    from jitsu_backup.settings.run_listeners import Listeners as Listeners, listeners as listeners
    from jitsu_backup.settings.schema import (
        problems as problems,
        without_problems as without_problems,
    )
    from jitsu_backup.settings.secret import (
        SecretText as SecretText,
        holds as holds,
        resolve_secret as resolve_secret,
    )
    from jitsu_backup.settings.settings import (
        Guard as Guard,
        Overrides as Overrides,
        Place as Place,
        Settings as Settings,
    )
    from jitsu_backup.settings.sources import load as load
else:
    __getattr__, __all__ = exports(__name__, __file__)
