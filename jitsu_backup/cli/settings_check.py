"""`jitsu-backup check --config`: all problems of a settings file at once."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jitsu_backup.addresses import without_secrets
from jitsu_backup.archive import identities_in
from jitsu_backup.cli.app import App
from jitsu_backup.cli.archive_keys import of_file
from jitsu_backup.cli.files import check_folder
from jitsu_backup.cli.paths import home_folder, working_folder
from jitsu_backup.cli.policy import time_zone
from jitsu_backup.cli.unattended import monitor_at
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.model import members_of, plural
from jitsu_backup.network import read_certificates
from jitsu_backup.operations.notifying import address_of
from jitsu_backup.settings import (
    SecretText,
    Settings,
    config_path,
    expand,
    normal_host,
    problems,
    read_document,
    without_problems,
)
from jitsu_backup.settings.overlay_file import open_overlay


def check_settings(app: App, given: Path | None) -> int:
    """Read a settings file, the default one if none is `given`, and print all its problems. Raise UsageError."""
    home = home_folder()
    path = config_path(given, os.environ, home, working_folder())
    if path is None:
        folder = os.environ.get("XDG_CONFIG_HOME") or (home / ".config" if home is not None else None)
        where = "./jitsu-backup.toml" + (f" and {folder}/jitsu-backup/jitsu-backup.toml" if folder else "")
        raise UsageError(f"no settings file found; looked for {where}; write one with `jitsu-backup init`")
    document = read_document(path)
    wrong = list(problems(document))
    usable = without_problems(document) if wrong else document
    try:
        app.settings = app.load_settings(usable) if wrong else app.settings
        wrong += _unusable(app, usable)
    except UsageError as problem:
        wrong.append(str(problem).removeprefix(of_file(path)))
    wrong = [without_secrets(line) for line in wrong]
    warnings = [] if wrong else [*app.settings.warnings]
    profiles = _profiles(document)
    if app.as_json:
        app.emit({"file": str(path), "problems": wrong, "warnings": warnings, "profiles": profiles})
    else:
        app.line(f"settings  {path}")
        for name, host in profiles.items():
            app.line(f"profile   @{name}  {host}".rstrip())
        for line in wrong:
            app.line(f"problem   {line}")
        app.line(f"{plural(len(wrong), 'problem')}." if wrong else "No problems.")
    if wrong:
        app.problem(
            f"{of_file(path)}{plural(len(wrong), 'problem')}; correct what is listed, then run this again"
        )
    return UsageError.exit_code if wrong else 0


def _unusable(app: App, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems of what the file names, without asking a console or store."""
    settings: Settings = app.settings
    profiles: Mapping[str, Mapping[str, Any]] = document.get("profiles", {})
    jobs: list[tuple[str, Callable[[], object]]] = [("", lambda: app.store), ("", app.keys.check)]
    if "passphrase" in document:
        jobs.append(("", settings.passphrase))
    if "ping" in document:
        jobs.append(("", lambda: monitor_at(app, (settings.ping() or SecretText("")).reveal())))
    if "notify" in document:
        jobs.append(("", lambda: address_of((settings.notify() or SecretText("")).reveal())))
    if settings.metrics is not None:
        jobs.append(("metrics: ", lambda: check_folder(working_folder() / str(settings.metrics))))
    if "time_zone" in settings.retention:
        jobs.append(("retention: ", lambda: time_zone(settings.retention["time_zone"])))
    if settings.identities:
        jobs.append(("identity: ", lambda: [identities_in(text) for text in app.keys.identities]))
    jobs += [("", lambda path=path: read_certificates(Path(path))) for path in _bundles(document)]  # type: ignore[misc]
    if any(name in document for name in ("host", "key", "admin_token")):
        jobs.append(("", lambda: settings.place(None, workspace_needed=False)))
    for name in profiles:
        jobs.append((f"profiles.{name}: ", lambda name=name: _try_profile(settings, name)))  # type: ignore[misc]
    told = set[str]()
    for prefix, job in jobs:
        try:
            job()
        except BackupError as problem:
            text = str(problem)
            if text not in told or text.startswith(
                "--"
            ):  # profiles may use one secret, but each has its own addresses
                yield prefix + text.removeprefix(of_file(settings.file)).removeprefix("--")
            told.add(text)


def _bundles(document: Mapping[str, Any]) -> list[str]:
    tables = [document, *document.get("profiles", {}).values()]
    return [expand(str(table["ca_bundle"]), home_folder()) for table in tables if "ca_bundle" in table]


def _try_profile(settings: Settings, name: str) -> None:
    place = settings.place(f"@{name}", workspace_needed=False)
    if settings.notifies(name):
        address_of((settings.notify(name) or SecretText("")).reveal())
    if place.overlay is not None:
        open_overlay(place.overlay, os.environ).parse()


def _profiles(document: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(name): without_secrets(f"{_address(profile.get('host'))} {profile.get('workspace', '')}".strip())
        for name, profile in members_of(document.get("profiles")).items()
        if isinstance(profile, Mapping)
    }


def _address(host: object) -> str:
    """Return a host as it is used. An invalid address may contain a password, so it is not shown."""
    try:
        return normal_host(str(host)) if host else ""
    except UsageError:
        return "(invalid address)"
