"""The settings of a run, and the places that they name."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from jitsu_backup.addresses import without_secrets
from jitsu_backup.errors import AccessError, BackupError, KeyRejectedError, UsageError
from jitsu_backup.model import nearest
from jitsu_backup.settings.console_keys import (
    DEFAULT_HOST,
    check_not_in_clear,
    checked_key,
    key_for,
    normal_host,
)
from jitsu_backup.settings.file import expand
from jitsu_backup.settings.schema import (
    GUARD_KEYS,
    PLACE_KEYS,
    SECRET_KEYS,
    SET_KEYS,
    secret_variables,
    tables_of,
    texts,
)
from jitsu_backup.settings.secret import SecretText, own_secrets, resolve_secret, shown_variable
from jitsu_backup.settings.trust import refuse_to_take_key_elsewhere
from jitsu_backup.store.files import read_text_file

_API_KEY = {"env": "JITSU_APIKEY"}
"""The key that a settings file takes from the variable in which it is looked for anyway."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """The values of flags, or None if a flag is not given."""

    host: str | None = None
    apikey: str | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)
    store: str | None = None
    ca_bundle: str | None = None
    insecure_http: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace on a console, and the key for it.

    `host` is a base URL without credentials, `admin_token` the operator's token if one is known for this console,
    `overlay` the file with this workspace's own values, and `profile` the name of the profile that named the place.
    `named_by` is what names the console, in words for a person, such as `JITSU_HOST`.
    """

    host: str
    workspace: str | None
    key: SecretText
    ca_bundle: str | None = None
    admin_token: SecretText | None = None
    overlay: Path | None = None
    profile: str | None = None
    named_by: str = ""


@dataclass(frozen=True, slots=True)
class Guard:
    """What is protected in a workspace: selectors of entities to keep, and fields that are never written."""

    protect: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run.

    `file` is the settings file, if there is one. `store_named` is False if `store` is the default. `encrypt_to` are age
    recipients, `identities` age identities or files with them. `retention` has the `keep_…` of the policy and its
    `time_zone`. `metrics` is the path of the metrics file for Prometheus, `shrink_alarm` a share from 0 to 1, and
    `notify_every` is in seconds.
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
    notify_every: float | None
    ca_bundle: str | None
    warnings: tuple[str, ...]
    _flags: Mapping[str, Any] = field(repr=False)
    _environment: Mapping[str, Any] = field(repr=False)
    _config: Mapping[str, Any] = field(repr=False)
    _official: Mapping[str, Any] = field(repr=False)
    _refused: str | None
    _found_here: bool
    _folder: Path
    _home: Path | None
    _variables: Mapping[str, str] = field(repr=False)
    _insecure_http: bool

    def passphrase(self) -> SecretText | None:
        """Return the passphrase for archives, used if no recipients are named, or None. Raise UsageError."""
        return self._secret("JITSU_BACKUP_PASSPHRASE", "passphrase")

    def ping(self) -> SecretText | None:
        """Return the URL to ping for every backup, a secret, or None. Raise UsageError."""
        return self._secret("JITSU_BACKUP_PING", "ping")

    def notify_profile(self, host: str, workspaces: Collection[str | None]) -> str | None:
        """Return the first profile that names a workspace (by id or slug) and whom to notify of its changes."""
        profiles = self._config.get("profiles", {})
        own = [name for name, profile in profiles.items() if "notify" in profile]
        return next((name for name in own if self._names(profiles[name], host, workspaces)), None)

    def notifies(self, profile: str | None = None) -> bool:
        """Return whether a profile (without one, the environment or the file) says whom to notify of changes."""
        if profile is None:
            return "JITSU_BACKUP_NOTIFY" in self._variables or "notify" in self._config
        return "notify" in self._profile(profile)

    def notify(self, profile: str | None = None) -> SecretText | None:
        """Return the address to notify of changes, a secret, from a profile, the environment or the file, or None.

        Raise UsageError.
        """
        if profile is None:
            return self._secret("JITSU_BACKUP_NOTIFY", "notify")
        value = self._profile(profile)["notify"]
        return SecretText(self._resolved(value) if isinstance(value, Mapping) else str(value))

    def own_secrets(self) -> list[str]:
        """Return our own secrets in the environment and in files. Run no command."""
        tables = (*tables_of(self._config), self._official, self._flags)
        given = [table.get(name) for table in tables for name in SECRET_KEYS]
        identities = [*map(self._identity, self.identities)]
        return own_secrets(self._variables, [*given, *identities], self._folder)

    def _identity(self, text: str) -> str:
        """Return an identity, given directly or by its file, or an empty text if it cannot be read."""
        if text.startswith("AGE-"):
            return text
        with suppress(BackupError, UnicodeDecodeError):
            lines = read_text_file(Path(text)).decode().splitlines()
            return "\n".join(line for line in lines if not line.startswith("#"))
        return ""

    def _secret(self, variable: str, name: str) -> SecretText | None:
        if self._variables.get(variable) == "":
            raise UsageError(f"{variable} is empty; set it to a value, or unset it")
        value: Any = self._variables.get(variable) or self._config.get(name)
        if isinstance(value, Mapping):
            value = self._resolved(value)
        return None if value is None else SecretText(str(value))

    def _resolved(self, reference: Mapping[str, Any]) -> str:
        own = secret_variables(self._config)
        return resolve_secret(reference, self._variables, self._folder, commands=True, own=own)

    def places_named(self) -> list[str]:
        """Return the names of the profiles, sorted."""
        return sorted(self._config.get("profiles", {}))

    def hosts_named(self) -> set[str]:
        """Return the consoles that flags, environment and files name, as base URLs, and the default one."""
        found = {DEFAULT_HOST}
        for table in (*tables_of(self._config), self._environment, self._official, self._flags):
            with suppress(UsageError):  # reported when that console is used
                if table.get("host"):
                    found.add(normal_host(str(table["host"])))
        return found

    def workspace_named(self, text: str) -> str:
        """Return the id or slug of the workspace that PLACE means, without a key. Raise UsageError."""
        _check_workspace(text)
        if not text.startswith("@"):
            return text
        sources = (self._profile(text.removeprefix("@")), self._environment, self._config, self._official)
        found = next((str(s["workspace"]) for s in sources if s.get("workspace")), None)
        if found is None:
            raise UsageError(
                f"the profile {text} names no workspace; add workspace to it, or give an id or slug"
            )
        return found

    def place(self, text: str | None, *, workspace_needed: bool = True) -> Place:
        """Return the place that `@profile`, a workspace's id or slug, or None (the default) names.

        `@profile/WORKSPACE` is another workspace on the console of a profile, to which the rest of the profile does not
        apply. A profile takes precedence over the environment, which describes the default place. Flags take precedence over
        both. The operator's token is the key if there is no other for that console. Raise UsageError, also if a key would be
        sent to a console that it does not belong to, or to another machine without TLS, or the operator's token to a console
        that nothing names; AccessError for a malformed key.
        """
        profile: Mapping[str, Any] = {}
        if text is not None and not text.strip():  # an unset shell variable must not mean the default
            raise UsageError("the workspace is empty; give an id, a slug or @profile")
        _check_workspace(text)
        named, workspace = self._split(text)
        if named is not None:
            profile = self._profile(named)
        elif text is not None:
            workspace = text
        sources = (self._flags, profile, self._environment, self._config, self._official)
        found = {
            name: next((s[name] for s in sources if s.get(name) is not None), None) for name in PLACE_KEYS
        }
        has_key = found["key"] is not None or found["admin_token"] is not None
        if self._refused is not None and (found["host"] is None or not has_key):
            raise UsageError(self._refused)
        own = named is not None and workspace is None
        workspace = workspace or found["workspace"]
        if not workspace and workspace_needed:
            raise UsageError("no workspace given; name one (id, slug or @profile), or set JITSU_WORKSPACE")
        host = normal_host(str(found["host"] or DEFAULT_HOST))
        if not self._insecure_http:
            check_not_in_clear(host, self._variables)
        token = key_for(host, sources, "admin_token")
        if token is not None and found["host"] is None:
            raise UsageError(
                "no console is named: set JITSU_HOST, or host in jitsu-backup.toml, or give --host; the operator's token is sent only"
                " to a console that you name"
            )
        chosen = self._key_or(token, host, sources)
        self._check_trust(host, chosen, token)
        try:
            key = self._key(chosen, token)
            admin_token = None if token is None else self._key(token, token)
        except AccessError as malformed:
            malformed.profile = f"@{named}" if named else ""
            raise
        return Place(
            host=host,
            workspace=None if workspace is None else str(workspace),
            key=key,
            admin_token=admin_token,
            ca_bundle=None if found["ca_bundle"] is None else expand(str(found["ca_bundle"]), self._home),
            overlay=self._folder / expand(profile["overlay"], self._home)
            if own and profile.get("overlay")
            else None,
            profile=named if own else None,
            named_by=self._named_by(named, profile),
        )

    def _check_trust(self, host: str, *keys: object) -> None:
        """Raise UsageError if keys are of the environment, and only a file that nobody named sends them to `host`."""
        named = self._flags.get("host") or self._environment.get("host") or DEFAULT_HOST
        if self._found_here and self.file is not None and normal_host(str(named)) != host:
            refuse_to_take_key_elsewhere(self.file, host, keys, self._variables)

    def _named_by(self, profile_name: str | None, profile: Mapping[str, Any]) -> str:
        """Return what names the console of a place, in words for a person."""
        sources = {
            "--host": self._flags,
            f"the profile @{profile_name}": profile,
            "JITSU_HOST": self._environment,
            f"`host` in {self.file}": self._config,
            "~/.jitsu/jitsu-cli.json": self._official,
        }
        named = (words for words, source in sources.items() if source.get("host") is not None)
        return next(named, "")

    def _split(self, text: str | None) -> tuple[str | None, str | None]:
        """Return the profile and the workspace of a PLACE that begins with @."""
        if text is None or not text.startswith("@"):
            return None, None
        name = text.removeprefix("@")
        profile, slash, workspace = name.rpartition("/")
        if not (slash and workspace) or name in self._config.get("profiles", {}):
            return name, None
        return profile, workspace

    def _key_or(self, token: object, host: str, sources: tuple[Mapping[str, Any], ...]) -> object:
        """Return the key for a console, or the operator's token if there is no other. Raise UsageError as `key_for` does.

        A key for another console that a flag gives is never ignored. A file that takes the key from JITSU_APIKEY gives none
        while that is unset, as if it had no `key`. If only a token of another console is known, the error says so.
        """
        try:
            key = key_for(host, sources, "key")
        except UsageError:
            if token is None or self._flags.get("key") is not None:
                raise
            return token
        if token is not None and key == _API_KEY and "JITSU_APIKEY" not in self._variables:
            return token
        theirs = next((source for source in sources if source.get("admin_token") is not None), None)
        if key is None and token is None and theirs is not None:
            raise self._no_token_for(host, theirs)
        return token if key is None else key

    def _no_token_for(self, host: str, theirs: Mapping[str, Any]) -> UsageError:
        """Return the error that the only operator's token, from the source `theirs`, belongs to another console."""
        where = "JITSU_ADMIN_TOKEN" if theirs is self._environment else self.file
        return UsageError(
            f"no key for {host}: the operator's token in {where} belongs to {normal_host(str(theirs['host']))} and is never"
            f" sent elsewhere; set JITSU_ADMIN_TOKEN to the token of {host}, or name that console beside its token"
        )

    def overlays(self, host: str) -> dict[str, Path]:
        """Return the overlay files of profiles, by the workspace (id or slug) on the console `host` that each names."""
        found: dict[str, Path] = {}
        for profile in self._config.get("profiles", {}).values():
            workspace, overlay = profile.get("workspace"), profile.get("overlay")
            if workspace and overlay and self._names(profile, host, (str(workspace),)):
                found.setdefault(str(workspace), self._folder / expand(overlay, self._home))
        return found

    def guard(self, host: str, workspaces: Collection[str | None], profile: str | None = None) -> Guard:
        """Return what is protected and ignored in a workspace (by id or slug) of the console `host`.

        The top of the file applies to every workspace. Every profile that names this workspace counts too, so it makes no
        difference whether a command was given the profile, the id or the slug.
        """
        profiles = self._config.get("profiles", {})
        named = [n for n in profiles if n == profile or self._names(profiles[n], host, workspaces)]
        tables = [self._config, *(profiles[name] for name in named)]
        protect, ignore = (
            dict.fromkeys(t for s in tables for t in texts(s.get(name))) for name in GUARD_KEYS
        )
        return Guard(tuple(protect), tuple(ignore))

    def _names(self, profile: Mapping[str, Any], host: str, workspaces: Collection[str | None]) -> bool:
        """Return whether a profile names a workspace. One that names none means the default one, as in `place`."""
        sources = (self._flags, profile, self._environment, self._config, self._official)
        there = next((s["host"] for s in sources if s.get("host") is not None), DEFAULT_HOST)
        named = next((s["workspace"] for s in sources if s.get("workspace") is not None), None)
        with suppress(UsageError):  # an invalid address is reported when its profile is used
            return named in workspaces and named is not None and normal_host(str(there)) == host
        return False

    def selection(self, names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the `only` and `skip` of the sets called `names`. Raise UsageError for an unknown set."""
        sets = self._config.get("sets", {})
        for name in names:
            if name not in sets:
                known = nearest(name, sets) or f"; use one of {', '.join(sorted(sets))}"
                none = "; add [sets.NAME] to the settings"
                raise UsageError(f"--set: unknown set {name!r}{known if sets else none}")
        only, skip = (tuple(t for name in names for t in texts(sets[name].get(key))) for key in SET_KEYS)
        return only, skip

    def sets_of(self, names: Iterable[str]) -> dict[str, str]:
        """Return, by selector, which of the sets called `names` it comes from."""
        sets = self._config.get("sets", {})
        return {text: name for name in names for key in SET_KEYS for text in texts(sets[name].get(key))}

    def _profile(self, name: str) -> Mapping[str, Any]:
        profiles = self._config.get("profiles", {})
        if name not in profiles:
            known = ", ".join(f"@{known}" for known in self.places_named())
            if not known:
                raise UsageError(
                    f"no profile @{name}, because the settings have no profiles; name the workspace, or add"
                    f" [profiles.{name}] to the settings"
                )
            raise UsageError(
                f"no profile @{name} in the settings; known profiles: {known}; choose one, or add it"
            )
        found: Mapping[str, Any] = profiles[name]
        return found

    def _key(self, value: object, token: object) -> SecretText:
        """Return a key, which may be the operator's `token`. Raise UsageError, AccessError."""
        if value is None:
            if self._variables.get("JITSU_ADMIN_TOKEN") == "":
                raise UsageError(
                    "JITSU_ADMIN_TOKEN is empty, and there is no API key; set one of them to a value"
                )
            raise UsageError(
                "no API key for this console; set JITSU_APIKEY to keyId:keySecret (user settings page of the console),"
                " or key in jitsu-backup.toml, or --apikey; or JITSU_ADMIN_TOKEN to the operator's token"
            )
        is_token = value is token
        called = "admin_token" if is_token else "key"
        variable = str(value.get("env", "")) if isinstance(value, Mapping) and len(value) == 1 else ""
        if variable and variable not in self._variables:
            alone = (
                ""
                if is_token or token is None
                else f", or remove `{called}` to use the operator's token alone"
            )
            raise UsageError(
                f"settings file {self.file}: `{called}`: the environment variable {shown_variable(variable)} is not set; set it"
                f" to the secret{alone}"
            )
        renewal = self._renewal(value, called)
        text = str(self._resolved(value) if isinstance(value, Mapping) else value)
        name = "the operator's token" if is_token else ""
        new = "use one of the console's CONSOLE_RAW_AUTH_TOKENS" if is_token else KeyRejectedError.new_key
        key = checked_key(text, name, f"{new}, and {renewal}", renewal)
        may_change = isinstance(value, Mapping) and "env" not in value
        return replace(key, read_again=partial(self._key, value, token)) if may_change else key

    def _renewal(self, value: object, name: str) -> str:
        """Return where a new key belongs if the console rejects this one, as a command to a person."""
        if isinstance(value, Mapping):
            if "file" in value:
                return f"write it into {self._folder / expand(str(value['file']), self._home)}"
            return (
                f"set {value['env']} to it"
                if "env" in value
                else f"store it where the command of `{name}` finds it"
            )
        if self._flags.get(name) is value:
            return f"give it with --{'apikey' if name == 'key' else 'admin-token'}"
        if self._environment.get(name) is value:
            return f"set JITSU_{'APIKEY' if name == 'key' else 'ADMIN_TOKEN'} to it"
        if self._official.get(name) is value:
            return "log in again with Jitsu's own command line"
        return f"write it as `{name}` into {self.file}"


def _check_workspace(workspace: str | None) -> None:
    """Raise UsageError for a text that names no workspace, without repeating it, because it may be a secret."""
    if workspace is not None and "://" in workspace:
        raise UsageError(
            "a URL is not a workspace; give an id, a slug or @profile, and --store URL or --host URL before the command"
        )
    if workspace is not None and without_secrets(workspace) != workspace:
        raise UsageError(
            "a key or password is not a workspace; give an id, a slug or @profile, and API keys in JITSU_APIKEY"
        )
    if workspace is not None and any("\ud800" <= character <= "\udfff" for character in workspace):
        raise UsageError("the workspace is not UTF-8 text; give an id, a slug or @profile")
