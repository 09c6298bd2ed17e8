"""The sources of settings, by precedence: flag, environment, jitsu-backup.toml, the official CLI's file, default."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jitsu_backup.durations import seconds_in
from jitsu_backup.errors import UsageError
from jitsu_backup.model import plural
from jitsu_backup.settings.file import config_path, expand, named_store, read_document, store_of
from jitsu_backup.settings.schema import problems, texts
from jitsu_backup.settings.settings import Overrides, Settings
from jitsu_backup.settings.trust import (
    read_official_file,
    refuse_file_of_others,
    warnings_of_open_file,
)

SHRINK_ALARM = 0.5
"""The default share (0 to 1) by which a count may fall before an alarm is raised."""


def load(
    config: Path | None,
    environment: Mapping[str, str],
    home: Path | None,
    working_folder: Path,
    overrides: Overrides,
    usable: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of a run from all sources. Raise UsageError.

    `usable` is what of the settings file counts, if not all of it.
    """
    _refuse_empty_variables(environment, overrides)
    path = config_path(config, environment, home, working_folder)
    document = _read_config(path) if path is not None and usable is None else usable or {}
    found_here = False
    if path is not None and config is None and not environment.get("JITSU_BACKUP_CONFIG"):
        refuse_file_of_others(path, document, environment)
        found_here = path.parent == working_folder
    warnings = warnings_of_open_file(path, document) if path is not None else ()
    # an unset shell variable must not mean the default
    if overrides.store is not None and not overrides.store.strip():
        raise UsageError("--store is empty; give a folder or a URL")
    folder = path.parent if path is not None else working_folder
    official, refused = read_official_file(home, environment)
    ca_bundle = overrides.ca_bundle or environment.get("JITSU_CA_BUNDLE") or document.get("ca_bundle")
    metrics = environment.get("JITSU_BACKUP_METRICS") or document.get("metrics")
    return Settings(
        file=path,
        store=store_of(overrides.store, environment, document, home),
        store_named=named_store(overrides.store, environment, document) is not None,
        encrypt_to=_listed("JITSU_BACKUP_ENCRYPT_TO", environment, document.get("encrypt_to"), folder, home),
        identities=_listed("JITSU_BACKUP_IDENTITY", environment, document.get("identity"), folder, home),
        retention=document.get("retention", {}),
        metrics=None if not metrics else expand(str(metrics), home),
        allow_unseen=texts(document.get("allow_unseen")),
        shrink_alarm=float(document.get("shrink_alarm", SHRINK_ALARM)),
        notify_every=seconds_in(str(document["notify_every"])) if "notify_every" in document else None,
        ca_bundle=None if not ca_bundle else expand(str(ca_bundle), home),
        warnings=warnings,
        _flags=_values_of_flags(overrides),
        _environment=_values_of_variables(environment),
        _config=document,
        _official=official,
        _refused=refused,
        _found_here=found_here,
        _folder=folder,
        _home=home,
        _variables=environment,
        _insecure_http=overrides.insecure_http,
    )


def _refuse_empty_variables(environment: Mapping[str, str], overrides: Overrides) -> None:
    for variable, flag in (
        ("JITSU_HOST", overrides.host),
        ("JITSU_APIKEY", overrides.apikey),
        ("JITSU_BACKUP_STORE", overrides.store),
    ):
        if flag is None and variable in environment and not environment[variable].strip():
            raise UsageError(f"{variable} is empty; set it to a value, or unset it")


def _values_of_flags(overrides: Overrides) -> Mapping[str, Any]:
    found = {name: getattr(overrides, name) for name in ("host", "admin_token", "ca_bundle")}
    return {**found, "key": overrides.apikey}


def _values_of_variables(environment: Mapping[str, str]) -> Mapping[str, Any]:
    may_be_empty = {"host": environment.get("JITSU_HOST"), "key": environment.get("JITSU_APIKEY")}
    names = ("admin_token", "workspace", "ca_bundle")
    return may_be_empty | {name: environment.get(f"JITSU_{name.upper()}") or None for name in names}


def _read_config(path: Path) -> Mapping[str, Any]:
    document = read_document(path)
    wrong = list(problems(document))
    if wrong:
        more = f" (and {plural(len(wrong) - 1, 'more problem')})" if len(wrong) > 1 else ""
        check = shlex.join(["jitsu-backup", "check", "--config", str(path)])
        raise UsageError(
            f"settings file {path}: {wrong[0]}{more}; correct it, then check the file with `{check}`"
        )
    return document


def _listed(
    variable: str, environment: Mapping[str, str], from_file: Any, folder: Path, home: Path | None
) -> tuple[str, ...]:
    """Return the items of a variable, or else those in the settings file, with paths relative to its `folder`."""
    given = environment.get(variable)
    if given is not None:  # a blank variable must not mean that there are no recipients
        found = [part.strip() for part in _split(given) if part.strip()] or [""]
    else:
        keys = ("age1", "ssh-", "AGE-", "~/")
        own = [(text, not text.strip() or text.startswith(keys)) for text in texts(from_file)]
        found = [text if as_it_is else str(folder / text) for text, as_it_is in own]
    return tuple(expand(text, home) for text in found)


def _split(given: str) -> list[str]:
    """Return the parts between commas, except commas in the comment of an SSH key, which ends at the next key or file."""
    parts: list[str] = []
    for part in given.split(","):
        in_comment = parts and len(parts[-1].split(maxsplit=2)) == 3 and parts[-1].lstrip().startswith("ssh-")
        begins = part.lstrip().startswith(("age1", "ssh-", "AGE-", "~/", "/", "./", "../"))
        if in_comment and not begins and not os.access(part.strip(), os.F_OK):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts
