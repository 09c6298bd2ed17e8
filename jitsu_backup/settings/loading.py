"""Where settings come from: flag, environment, jitsu-backup.toml, the official CLI's file, default."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jitsu_backup.errors import AccessError, BackupError, UsageError
from jitsu_backup.settings.file import (
    config_path,
    expand,
    named_store,
    read_document,
    readable_lines,
    store_of,
)
from jitsu_backup.settings.schema import (
    PLACE_KEYS,
    SECRET_KEYS,
    decides_who_is_trusted,
    problems,
    secret_variables,
    tables_of,
)
from jitsu_backup.settings.secret import SecretText, own_secrets, resolve_secret
from jitsu_backup.store.files import read_text_file

DEFAULT_HOST = "https://use.jitsu.com"

SHRINK_ALARM = 0.5
"""By which share a count may fall before the alarm is set off, unless the settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What flags say; None where they say nothing."""

    host: str | None = None
    apikey: str | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)
    store: str | None = None
    ca_bundle: str | None = None
    insecure_http: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace on a console, and the key to it. `host` is a base URL without credentials.

    `admin_token` is the operator's service token, where one is known for this console; `overlay` the file
    that says what is different in this workspace.
    """

    host: str
    workspace: str | None
    key: SecretText
    ca_bundle: str | None = None
    admin_token: SecretText | None = None
    overlay: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run. `file` is the settings file, if there is one, `store_named` tells that `store` is not
    the default that nothing names, `encrypt_to` are age recipients,
    `identities` files of age identities, `retention` the policy's `keep_…` and its `time_zone`, `metrics`
    where figures for Prometheus go, `shrink_alarm` a share from 0 to 1.
    """

    file: Path | None
    store: str
    store_named: bool
    encrypt_to: tuple[str, ...]
    identities: tuple[str, ...]
    retention: Mapping[str, Any]
    metrics: str | None
    allow_unseen: tuple[str, ...]
    shrink_alarm: float
    ca_bundle: str | None
    warnings: tuple[str, ...]
    _flags: Mapping[str, Any] = field(repr=False)
    _environment: Mapping[str, Any] = field(repr=False)
    _config: Mapping[str, Any] = field(repr=False)
    _official: Mapping[str, Any] = field(repr=False)
    _refused: str | None
    _folder: Path
    _home: Path | None
    _variables: Mapping[str, str] = field(repr=False)
    _insecure_http: bool

    def passphrase(self) -> SecretText | None:
        """Give the passphrase that archives are encrypted with where no recipients are named. Raises UsageError."""
        return self._secret("JITSU_BACKUP_PASSPHRASE", "passphrase")

    def ping(self) -> SecretText | None:
        """Give the URL to be told of every backup; whoever knows it can speak for us. Raises UsageError."""
        return self._secret("JITSU_BACKUP_PING", "ping")

    def own_secrets(self) -> list[str]:
        """Return our own secrets: those of the environment and of the files, as far as no command has to be run for them."""
        tables = (*tables_of(self._config), self._official, self._flags)
        given = [table.get(name) for table in tables for name in SECRET_KEYS]
        identities = [*map(self._identity, self.identities)]
        return own_secrets(self._variables, [*given, *identities], self._folder)

    def _identity(self, text: str) -> str:
        """Return an identity that stands in the settings or in a file; nothing where there is none."""
        if text.startswith("AGE-"):
            return text
        with suppress(BackupError, UnicodeDecodeError):
            lines = read_text_file(Path(text)).decode().splitlines()
            return "\n".join(line for line in lines if not line.startswith("#"))
        return ""

    def _secret(self, variable: str, name: str) -> SecretText | None:
        if self._variables.get(variable) == "":
            raise UsageError(f"{variable} is set and empty: give it, or unset it")
        value: Any = self._variables.get(variable) or self._config.get(name)
        if isinstance(value, Mapping):
            value = self._resolved(value)
        return None if value is None else SecretText(str(value))

    def _resolved(self, reference: Mapping[str, Any]) -> str:
        own = secret_variables(self._config)
        return resolve_secret(reference, self._variables, self._folder, commands=True, own=own)

    def places_named(self) -> list[str]:
        """Give the names of the profiles, sorted."""
        return sorted(self._config.get("profiles", {}))

    def workspace_named(self, text: str) -> str:
        """Give the workspace's id or slug that PLACE means; no key is needed for that. Raises UsageError."""
        if not text.startswith("@"):
            return text
        sources = (self._profile(text.removeprefix("@")), self._environment, self._config, self._official)
        found = next((str(s["workspace"]) for s in sources if s.get("workspace")), None)
        if found is None:
            raise UsageError(f"the profile {text} names no workspace")
        return found

    def place(self, text: str | None, *, workspace_needed: bool = True) -> Place:
        """Give the place that `@profile`, a workspace's id or slug, or None (the default) names.

        A profile comes before the environment, which speaks of the default place; flags come
        before both. Raises UsageError, also where a key would go to a console that it does not belong to,
        or in clear to another machine; AccessError for a malformed key.
        """
        profile: Mapping[str, Any] = {}
        workspace: str | None = None
        if text is not None and not text.strip():  # an unset shell variable must not mean the default
            raise UsageError("the workspace is empty; give an id, a slug or @profile")
        if text is not None and text.startswith("@"):
            profile = self._profile(text.removeprefix("@"))
        elif text is not None:
            workspace = text
        sources = (self._flags, profile, self._environment, self._config, self._official)
        found = {
            name: next((s[name] for s in sources if s.get(name) is not None), None) for name in PLACE_KEYS
        }
        if self._refused is not None and (found["host"] is None or found["key"] is None):
            raise UsageError(self._refused)
        workspace = workspace or found["workspace"]
        if not workspace and workspace_needed:
            raise UsageError("no workspace: name one (id, slug or @profile), or set JITSU_WORKSPACE")
        host = normal_host(str(found["host"] or DEFAULT_HOST))
        if not self._insecure_http and _in_clear(host):
            raise UsageError(
                f"{host} is another machine, and without TLS others could read the API key on its way;"
                " use https://, or say --insecure-http"
            )
        token = _key_for(host, sources, "admin_token")
        return Place(
            host=host,
            workspace=None if workspace is None else str(workspace),
            key=self._key(_key_for(host, sources, "key")),
            admin_token=None if token is None else self._key(token, "the operator's token"),
            ca_bundle=None if found["ca_bundle"] is None else expand(str(found["ca_bundle"]), self._home),
            overlay=self._folder / expand(profile["overlay"], self._home) if profile.get("overlay") else None,
        )

    def _profile(self, name: str) -> Mapping[str, Any]:
        profiles = self._config.get("profiles", {})
        if name not in profiles:
            known = ", ".join(f"@{known}" for known in self.places_named()) or "none is configured"
            raise UsageError(f"no profile @{name} in the settings; known: {known}")
        found: Mapping[str, Any] = profiles[name]
        return found

    def _key(self, value: object, name: str = "the API key") -> SecretText:
        if value is None:
            raise UsageError(
                "no API key for this console: set JITSU_APIKEY to keyId:keySecret (user settings page of the console),"
                " or key in jitsu-backup.toml, or --apikey"
            )
        if isinstance(value, Mapping):
            value = self._resolved(value)
        return checked_key(str(value), name)


def checked_key(text: str, name: str = "the API key") -> SecretText:
    """Give a key (`keyId:keySecret`), without white space around it. Raises AccessError for what is none."""
    key = text.strip()
    key_id, colon, secret = key.partition(":")
    if (
        not (colon and key_id and secret)
        or any(not c.isprintable() or c == " " for c in key)
        or not key.isascii()
    ):
        raise AccessError(f"{name} must look like keyId:keySecret")
    return SecretText(key)


def _key_for(host: str, sources: tuple[Mapping[str, Any], ...], name: str) -> object:
    """Return the first `key` or `admin_token` there is for `host`; None without any.

    One belongs to the console that its own source names, else to the default one. Flags go together with the
    environment, and a profile with the rest of its file and with the environment, for what it leaves out; a console that
    a flag names gets any that belongs to no other.
    Raises UsageError where the only ones belong elsewhere.
    """
    flags, profile, environment, config, _ = sources
    named_by = next((source for source in sources if source.get("host") is not None), None)
    of_file = named_by is profile or named_by is config

    def belongs(source: Mapping[str, Any]) -> bool:
        if source.get("host") is not None:
            return normal_host(str(source["host"])) == host
        if host == DEFAULT_HOST or named_by is flags:
            return True
        if named_by is environment:  # a profile leaves to it what it does not say itself
            return source is flags or source is profile
        return of_file and (source is profile or source is config)

    there = [source for source in sources if source.get(name) is not None]
    own = next((source for source in there if belongs(source)), None)
    if there and there[0] is flags and own is not flags:  # what was typed is never left out in silence
        own = None
    if own is not None:
        return own[name]
    if not there or (name == "admin_token" and there[0].get("host") is not None):
        return None
    raise UsageError(
        f"no {_CALLED[name]} for {host}: the one that is set belongs to {there[0].get('host') or DEFAULT_HOST}, and goes"
        " nowhere else; name each console beside its key: JITSU_HOST in the environment, host in the settings file,"
        " or --host"
    )


_CALLED = {"key": "API key", "admin_token": "operator's token"}


def _in_clear(host: str) -> bool:
    """Tell whether what is sent to `host` crosses a network without TLS."""
    parts = urlsplit(host)
    name = parts.hostname or ""
    try:
        local = ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        local = name == "localhost" or name.endswith(".localhost")
    return parts.scheme == "http" and not local


def load(
    config: Path | None,
    environment: Mapping[str, str],
    home: Path | None,
    working_folder: Path,
    overrides: Overrides,
) -> Settings:
    """Read the settings files and put all sources in order. Raises UsageError."""
    for variable, flag in (
        ("JITSU_HOST", overrides.host),
        ("JITSU_APIKEY", overrides.apikey),
        ("JITSU_BACKUP_STORE", overrides.store),
    ):
        if flag is None and variable in environment and not environment[variable].strip():
            raise UsageError(f"{variable} is set and empty: give it, or unset it")
    path = config_path(config, environment, home, working_folder)
    document = _read_config(path) if path is not None else {}
    if path is not None and config is None and not environment.get("JITSU_BACKUP_CONFIG"):
        _refuse_file_of_others(path, document, environment)
        if path.parent == working_folder:
            _refuse_to_take_key_elsewhere(path, document, environment, overrides)
    warnings = _warn_of_open_file(path, document) if path is not None else ()
    if (
        overrides.store is not None and not overrides.store.strip()
    ):  # an unset variable must not mean the default
        raise UsageError("--store is empty; give a folder or a URL")
    folder = path.parent if path is not None else working_folder
    official, refused = _read_official(home, environment)
    ca_bundle = overrides.ca_bundle or environment.get("JITSU_CA_BUNDLE") or document.get("ca_bundle")
    metrics = environment.get("JITSU_BACKUP_METRICS") or document.get("metrics")
    return Settings(
        file=path,
        store=store_of(overrides.store, environment, document, home),
        store_named=named_store(overrides.store, environment, document) is not None,
        encrypt_to=tuple(
            text if text.startswith(("age1", "ssh-")) else expand(text, home)
            for text in _listed("JITSU_BACKUP_ENCRYPT_TO", environment, document.get("encrypt_to"), folder)
        ),
        identities=tuple(
            expand(text, home)
            for text in _listed("JITSU_BACKUP_IDENTITY", environment, document.get("identity"), folder)
        ),
        retention=document.get("retention", {}),
        metrics=None if not metrics else expand(str(metrics), home),
        allow_unseen=_texts(document.get("allow_unseen")),
        shrink_alarm=float(document.get("shrink_alarm", SHRINK_ALARM)),
        ca_bundle=None if not ca_bundle else expand(str(ca_bundle), home),
        warnings=warnings,
        _flags={
            "host": overrides.host,
            "key": overrides.apikey,
            "admin_token": overrides.admin_token,
            "ca_bundle": overrides.ca_bundle,
        },
        _environment={
            "host": environment.get("JITSU_HOST"),
            "key": environment.get("JITSU_APIKEY"),
            "admin_token": environment.get("JITSU_ADMIN_TOKEN") or None,
            "workspace": environment.get("JITSU_WORKSPACE") or None,
            "ca_bundle": environment.get("JITSU_CA_BUNDLE") or None,
        },
        _config=document,
        _official=official,
        _refused=refused,
        _folder=folder,
        _home=home,
        _variables=environment,
        _insecure_http=overrides.insecure_http,
    )


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who hears of a run whose settings cannot be used: the file of figures, and the URL of a monitor."""

    metrics: str | None
    ping: SecretText | None


def listeners(
    config: Path | None, environment: Mapping[str, str], home: Path | None, working_folder: Path
) -> Listeners:
    """Return who hears of a run, as the environment says, else a settings file, or its lines that are TOML. Run no command."""
    document, folder = _document_for_listeners(config, environment, home, working_folder)
    metrics = environment.get("JITSU_BACKUP_METRICS") or document.get("metrics")
    ping: Any = environment.get("JITSU_BACKUP_PING") or document.get("ping")
    if isinstance(ping, Mapping):
        try:
            ping = resolve_secret(ping, environment, folder)
        except UsageError:
            ping = None
    return Listeners(
        expand(metrics, home) if isinstance(metrics, str) and metrics else None,
        SecretText(ping) if isinstance(ping, str) and ping else None,
    )


def _document_for_listeners(
    config: Path | None, environment: Mapping[str, str], home: Path | None, working_folder: Path
) -> tuple[Mapping[str, Any], Path]:
    """Return what a settings file says, whatever is wrong with it, and its folder; nothing of one that is not trusted."""
    try:
        path = config_path(config, environment, home, working_folder)
        if path is None:
            return {}, working_folder
        try:
            document = read_document(path)
        except UsageError:
            document = readable_lines(path)
        if config is None and not environment.get("JITSU_BACKUP_CONFIG"):
            _refuse_file_of_others(path, document, environment)
    except (BackupError, OSError, ValueError, AttributeError):
        return {}, working_folder
    return document, path.parent


def _listed(variable: str, environment: Mapping[str, str], from_file: Any, folder: Path) -> tuple[str, ...]:
    """Give the parts of a variable, or what the file lists; there, names of files are relative to its `folder`."""
    given = environment.get(variable)
    if given is not None:  # a blank one is no recipient, and must not mean that there is none
        return tuple(part.strip() for part in _split(given) if part.strip()) or ("",)
    texts = _texts(from_file)
    keys = ("age1", "ssh-", "AGE-", "~/")
    return tuple(text if not text.strip() or text.startswith(keys) else str(folder / text) for text in texts)


def _split(given: str) -> list[str]:
    """Split at commas, but for those in the comment of an SSH key, which end where the next key or file begins."""
    parts: list[str] = []
    for part in given.split(","):
        in_comment = parts and len(parts[-1].split(maxsplit=2)) == 3 and parts[-1].lstrip().startswith("ssh-")
        begins = part.lstrip().startswith(("age1", "ssh-", "AGE-", "~/", "/", "./", "../"))
        if in_comment and not begins and not os.access(part.strip(), os.F_OK):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def normal_host(text: str) -> str:
    """Give a console's base URL in one spelling. Raises UsageError."""
    url = text.strip() if "://" in text else f"https://{text.strip()}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("the host is not an address such as https://jitsu.example.com") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or any(c.isspace() for c in parts.netloc):
        raise UsageError("the host must be an address such as https://jitsu.example.com")
    if parts.username or parts.password:
        raise UsageError("the host must not hold a user or password; keys go into JITSU_APIKEY")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default_port = {"http": 80, "https": 443}[parts.scheme]
    suffix = "" if port in (None, default_port) else f":{port}"
    path = parts.path.rstrip("/").removesuffix("/api").rstrip("/")
    return f"{parts.scheme}://{name}{suffix}{path}"


def _read_config(path: Path) -> Mapping[str, Any]:
    document = read_document(path)
    wrong = list(problems(document))
    if wrong:
        more = (
            f" (and {len(wrong) - 1} more: jitsu-backup check --config lists all)" if len(wrong) > 1 else ""
        )
        raise UsageError(f"settings file {path}: {wrong[0]}{more}")
    return document


def _refuse_file_of_others(path: Path, document: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Raise UsageError for a file that nobody named, that somebody else may have written, and that can do harm."""
    why = _why_not_trusted(path, environment)
    if why is None:  # whatever the file says: it may be one that nobody has checked
        return
    harmful = decides_who_is_trusted(document)
    if harmful:
        remedy = "" if why.startswith("belongs") else "run chmod go-w on it, or "
        raise UsageError(
            f"settings file {path}: it {why}, and sets {', '.join(harmful)};"
            f" {remedy}name it with --config if you trust it"
        )


def _why_not_trusted(path: Path, environment: Mapping[str, str]) -> str | None:
    """Say how somebody else may have written a file; None where nobody may.

    So does Git with a repository of somebody else; whoever calls us with sudo is no stranger.
    """
    status, user = path.stat(), os.geteuid()
    caller = environment.get("SUDO_UID", "")
    trusted = {0, user, *([int(caller)] if user == 0 and caller.isascii() and caller.isdigit() else [])}
    if status.st_uid not in trusted:
        return f"belongs to another user ({status.st_uid})"
    return "can be written by others" if status.st_mode & 0o022 else None


def _refuse_to_take_key_elsewhere(
    path: Path, document: Mapping[str, Any], environment: Mapping[str, str], overrides: Overrides
) -> None:
    """Raise UsageError for a file of the working folder that names a console for a key of the environment: it may be anybody's."""
    own = normal_host(overrides.host or environment.get("JITSU_HOST") or DEFAULT_HOST)
    for table in tables_of(document):
        host = table.get("host") or document.get("host")
        for name, variable in (("key", "JITSU_APIKEY"), ("admin_token", "JITSU_ADMIN_TOKEN")):
            if host and table.get(name) == {"env": variable} and normal_host(str(host)) != own:
                raise UsageError(
                    f"settings file {path}: it would send {variable} to {normal_host(str(host))}; set JITSU_HOST to that"
                    " console too, or name the file with --config if you trust it"
                )


def _warn_of_open_file(path: Path, document: Mapping[str, Any]) -> tuple[str, ...]:
    if not any(isinstance(table.get(name), str) for table in tables_of(document) for name in SECRET_KEYS):
        return ()
    if path.stat().st_mode & 0o077:
        return (f"{path} holds a key in clear and others can read it: chmod 600, or use {{env}} or {{file}}",)
    return ()


def _read_official(home: Path | None, environment: Mapping[str, str]) -> tuple[Mapping[str, Any], str | None]:
    """Return what the official jitsu-cli keeps, and why whoever needs console or key of it is refused, else None.

    A broken file of another tool is as good as none.
    """
    if home is None:
        return {}, None
    path = home / ".jitsu" / "jitsu-cli.json"
    try:
        document = json.loads(read_text_file(path))
        why = _why_not_trusted(path, environment)
    except (BackupError, OSError, ValueError, RecursionError):
        return {}, None
    if not isinstance(document, Mapping):
        return {}, None
    names = {"host": "host", "key": "apikey", "workspace": "defaultWorkspace"}
    found = {
        name: document[theirs] for name, theirs in names.items() if isinstance(document.get(theirs), str)
    }
    harmful = decides_who_is_trusted(found)
    if why is None or not harmful:
        return found, None
    remedy = "" if why.startswith("belongs") else "run chmod go-w on it, or "
    return {name: text for name, text in found.items() if name not in harmful}, (
        f"{path}: it {why}, and sets {', '.join(harmful)}; {remedy}set JITSU_HOST and JITSU_APIKEY"
    )
