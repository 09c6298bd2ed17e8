"""`jitsu-backup init`."""

import os
import pwd
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from jitsu_backup.archive.retention import policy_of
from jitsu_backup.archive.retention_words import settings_of_words, words_of_settings
from jitsu_backup.cli.app import App, run_async, utc_now
from jitsu_backup.cli.archive_keys import recipients_of
from jitsu_backup.cli.output import to_stderr
from jitsu_backup.cli.paths import home_folder, working_folder
from jitsu_backup.cli.policy import time_zone
from jitsu_backup.errors import BackupError, ConsoleError, UsageError
from jitsu_backup.events import silent
from jitsu_backup.model import one_line, plural, printable
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.first_settings import (
    FirstSettings,
    NewIdentity,
    Visible,
    begin,
    check_new_file,
    check_recipients,
    chosen,
    console_version,
    look_at_store,
    name_of,
    try_monitor,
    variables_of_store,
    visible_to,
    write,
)
from jitsu_backup.operations.schedule_lines import SCHEDULERS, HourlyBackup
from jitsu_backup.settings import Place, SecretText, checked_key, expand, normal_host
from jitsu_backup.settings.console_keys import DEFAULT_HOST, check_not_in_clear, key_for
from jitsu_backup.store import FolderStore, Store, open_store

T = TypeVar("T")

RETENTION = {"keep_within": "7d", "keep_hourly": 48, "keep_daily": 14, "keep_weekly": 8, "keep_monthly": 12}
"""What is kept by default, as the settings of `docs/schedule` have it."""

_MORE = (
    ("figures and alerts", "docs/alarms.md"),
    ("nightly verify and drill", "docs/schedule.md, docs/drill.md"),
    ("messages about changes", "docs/notify.md"),
)
_SHOWN = 10
_STORE_OF_PODS = "--store with a bucket or the path of a volume (any other folder is lost with the pod)"
_KEEP_A_COPY = "Keep a copy outside the store: without this key, no archive can be read."
_NO_KEY = SecretText("none:none")
_FILE_NAME = "jitsu-backup.toml"


def init(
    app: App,
    workspaces: tuple[str, ...],
    everything: bool,
    new_identity: Path | None,
    ping: str | None,
    schedule: str,
    yes: bool,
    **policy: Any,
) -> int:
    """Ask for the settings, test each answer, write them and print the lines for a scheduler; return the exit code."""
    asks = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    setup = _Setup(app, asks=asks, in_pods=schedule == "kubernetes")
    if workspaces and everything:
        raise UsageError("--all and --workspace: give one of them")
    if not asks:
        setup.check_flags(named=bool(workspaces) or everything, yes=yes)
    try:
        first, names = _answers(setup, workspaces, new_identity, ping, policy, everything=everything)
        first = setup.write(first)
    except click.Abort:
        to_stderr("")  # below the question
        raise
    setup.show(first, names, schedule)
    return 0


def _answers(
    setup: "_Setup",
    workspaces: Sequence[str],
    new_identity: Path | None,
    ping: str | None,
    policy: Mapping[str, Any],
    *,
    everything: bool,
) -> tuple[FirstSettings, list[str]]:
    """Return the settings that the answers make, and the names of the workspaces to back up; none for all."""
    setup.note("Enter takes the answer in [brackets]. Nothing is written before the end.", indent="")
    host, key, visible = setup.console()
    first = FirstSettings(path=setup.path, host=host, key=key, store="", ca_bundle=setup.ca_bundle)
    first = replace(first, keeps_key=setup.keeps_key(first))
    names = setup.workspaces(visible, workspaces, everything=everything)
    first = replace(first, workspace=names[0] if len(names) == 1 else None)
    first = setup.encryption(setup.store(first), visible, new_identity)
    first = replace(first, retention=setup.retention(policy), ping=setup.monitor(first, ping))
    return first, names


def _key_of_environment() -> str | None:
    """Return the API key that the environment has, else the operator's token, which serves as one."""
    return os.environ.get("JITSU_APIKEY") or os.environ.get("JITSU_ADMIN_TOKEN") or None


class _Setup:
    """A dialogue. Without a terminal, each answer is what a flag gives, or nothing."""

    def __init__(self, app: App, *, asks: bool, in_pods: bool) -> None:
        self.app, self.asks, self.in_pods = app, asks, in_pods
        given = app.options["config"] or expand(
            os.environ.get("JITSU_BACKUP_CONFIG") or _FILE_NAME, home_folder()
        )
        self.path = working_folder() / given
        self.host_given = app.options["host"] or None
        check_new_file(self.path, instead="name another one with --config FILE")
        self.opened: Store
        self.begun = False  # whether the store that was opened is

    @property
    def ca_bundle(self) -> str | None:
        """The path of the certificates, if any are named."""
        named = self.app.options["ca_bundle"] or os.environ.get("JITSU_CA_BUNDLE")
        return str(working_folder() / expand(named, home_folder())) if named else None

    def check_flags(self, *, named: bool, yes: bool) -> None:
        """Raise UsageError, with the flags that are missing without a terminal."""
        missing = [
            *(
                []
                if self.app.options["apikey"] or _key_of_environment()
                else ["JITSU_APIKEY or JITSU_ADMIN_TOKEN"]
            ),
            *([] if named else ["--workspace SLUG or --all"]),
            *([] if self._store_named or not self.in_pods else [_STORE_OF_PODS]),
            *([] if yes else ["--yes"]),
        ]
        if missing:
            raise UsageError(f"cannot ask questions without a terminal; give {', and '.join(missing)}")

    @property
    def _store_named(self) -> str | None:
        return self.app.options["store"] or os.environ.get("JITSU_BACKUP_STORE") or None

    # -- what asks -------------------------------------------------------------------

    def note(self, text: str, indent: str = "  ") -> None:
        """Print what is asked, or came of an answer; nothing where nobody answers."""
        if self.asks:
            width = max(40, shutil.get_terminal_size().columns)
            to_stderr(
                textwrap.fill(
                    printable(text), width, initial_indent=indent, subsequent_indent=indent,
                    break_long_words=False, break_on_hyphens=False,
                )
            )  # fmt: skip

    def wrong(self, problem: BackupError) -> None:
        """Print what is wrong with an answer."""
        self.note(f"Error: {one_line(str(problem))}")

    def answer(
        self,
        given: str | None,
        question: str,
        default: str | None,
        use: Callable[[str], T],
        *,
        hidden: bool = False,
        leaves: tuple[type[BackupError], ...] = (),
    ) -> T:
        """Return what a given answer is used for; on a terminal, say what is wrong with it and ask, until one can be used."""
        self.note("")
        self.note(question, indent="")
        while True:
            text = _prompt(default, hidden=hidden) if given is None else given
            given = None
            try:
                return use(text.strip())
            except leaves:
                raise
            except BackupError as problem:
                if not self.asks:
                    raise
                self.wrong(problem)

    def _agrees(self, question: str) -> bool:
        """Ask a question that Enter answers with yes."""
        while True:
            text = click.prompt(f"{question} [Y/n]", default="y", show_default=False, err=True)
            if text.strip().lower() in ("y", "yes", "n", "no"):
                return text.strip().lower().startswith("y")
            self.note("Error: answer y or n")

    # -- console and key -------------------------------------------------------------

    def console(self) -> tuple[str, SecretText, Visible]:
        """Return a console, a key to it and what that key sees."""
        while True:
            default = os.environ.get("JITSU_HOST") or DEFAULT_HOST
            given = self.host_given or (None if self.asks else default)
            self.host_given = None
            host = self.answer(given, "Console", default, self._try_host)
            try:
                return host, *self._key(host)
            except ConsoleError as problem:
                if not self.asks:
                    raise
                self.wrong(problem)

    def _try_host(self, text: str) -> str:
        host = normal_host(text)
        if not self.app.options["insecure_http"]:
            check_not_in_clear(host, os.environ)
        version = run_async(console_version(self._connection(host, _NO_KEY)))
        self.note(f"Answers{f', version {version}' if version else ''}.")
        return host

    def _key(self, host: str) -> tuple[SecretText, Visible]:
        flags = {"host": host, "key": self.app.options["apikey"]}
        sources: tuple[Mapping[str, Any], ...] = (
            flags,
            {},
            {"host": os.environ.get("JITSU_HOST") or None, "key": _key_of_environment()},
            {},
            {},
        )
        try:
            offered = key_for(host, sources, "key")
        except UsageError:
            if not self.asks:
                raise
            offered = None

        def use(text: str) -> tuple[SecretText, Visible]:
            key = checked_key(text)
            visible = run_async(visible_to(self._connection(host, key)))
            self._tell_visible(visible)
            return key, visible

        source = "from your user settings page" if offered is None else "as it is set"
        given = None if offered is None else str(offered)
        question = f"API key, keyId:keySecret, {source}"
        return self.answer(given, question, None, use, hidden=True, leaves=(ConsoleError,))

    def _connection(self, host: str, key: SecretText) -> Connection:
        return self.app.connection(Place(host, None, key, self.ca_bundle), silent)

    def _tell_visible(self, visible: Visible) -> None:
        who = "The operator's token sees" if visible.is_operators else "The API key sees"
        self.note(f"{who} {plural(len(visible.workspaces), 'workspace')}:")
        shown = visible.workspaces[:_SHOWN]
        widest = max(len(name_of(one)) for one in shown)
        for one in shown:
            self.note(
                f"{name_of(one):{widest}}  {visible.roles.get(one.id) or 'role unknown'}", indent="    "
            )
        if len(visible.workspaces) > _SHOWN:
            self.note(f"and {len(visible.workspaces) - _SHOWN} more", indent="    ")

    def keeps_key(self, first: FirstSettings) -> bool:
        """Return whether the API key goes into a file."""
        question = f"  Write it to {first.key_path.name}? If not, each run needs JITSU_APIKEY"
        keeps = not self.asks or self._agrees(question)
        if keeps:
            check_new_file(first.key_path)
        return keeps

    # -- what is backed up, where and for whom ---------------------------------------

    def workspaces(self, visible: Visible, given: Sequence[str], *, everything: bool) -> list[str]:
        """Return the names of the workspaces to back up; none for all."""

        def use(text: str) -> list[str]:
            names = [part.strip() for part in text.split(",") if part.strip()]
            if not names:
                raise UsageError("no workspace is named; write slugs, or all")
            return [] if names == ["all"] else [name_of(one) for one in chosen(visible, names)]

        named = "all" if everything else ",".join(given) if given else None
        return self.answer(named, "Workspaces to back up, with commas between, or all", "all", use)

    def store(self, first: FirstSettings) -> FirstSettings:
        """Return the settings with a store, and the variables that it needs."""
        default = None if self.in_pods else str(working_folder() / "jitsu-backups")
        given = self._store_named or (None if self.asks else default)
        question = "Store: a folder, or a bucket (s3://, gs://, az://)"
        if self.in_pods:
            question = "Store: a bucket (s3://, gs://, az://), or the path at which a volume of the cluster is mounted"
        return self.answer(given, question, default, lambda text: self._try_store(first, text))

    def _try_store(self, first: FirstSettings, text: str) -> FirstSettings:
        path = expand(text, home_folder())
        url = path if "://" in path or not path else str(working_folder() / path)
        store = open_store(url, os.environ, ca_bundle=self.ca_bundle)
        archives, begun = run_async(look_at_store(store))
        self.note(
            f"It has {plural(archives, 'archive')}." if begun else "It is empty, and is created at the end."
        )
        self.opened, self.begun = store, begun
        variables, others = variables_of_store(url, os.environ)
        if variables:
            check_new_file(first.environment_path)
        if others:
            self.app.warn(f"write these into {first.environment_path} yourself: {', '.join(others)}")
        return replace(
            first, store=str(store.folder) if isinstance(store, FolderStore) else url, variables=variables
        )

    def encryption(self, first: FirstSettings, visible: Visible, new_identity: Path | None) -> FirstSettings:
        """Return the settings with what archives are encrypted to."""
        given: Sequence[str] = self.app.options.get("encrypt_to") or ()

        def use(text: str) -> FirstSettings:
            if text == "none":
                check_recipients((), visible)
                return first
            if text == "new":
                return self._identity(first, None)
            return self._encrypted(first, visible, [text])

        if given:
            first = self._encrypted(first, visible, given)
        if new_identity is not None:
            first = self._identity(first, str(new_identity))
        if first.recipients:
            return first
        question = "Encryption: new (creates a key), a public key (age1…, ssh-…), or none"
        found = self.answer(None if self.asks else "none", question, "new", use)
        if not self.asks:
            self.app.warn("archives are not encrypted; --new-identity FILE or --encrypt-to encrypts them")
        return found

    def _encrypted(self, first: FirstSettings, visible: Visible, texts: Sequence[str]) -> FirstSettings:
        recipients = [one for text in texts for one in recipients_of(text)]
        check_recipients(recipients, visible)
        return replace(first, recipients=recipients)

    def _identity(self, first: FirstSettings, given: str | None) -> FirstSettings:
        def use(text: str) -> NewIdentity:
            path = working_folder() / expand(text, home_folder())
            check_new_file(path, None if "://" in first.store else first.store)
            return NewIdentity.generate(path, utc_now())

        default = str(first.path.with_name(f"{first.path.stem}-identity.txt"))
        identity = self.answer(given, "File for the private key", default, use)
        if self.asks:
            self.note(_KEEP_A_COPY)
        else:
            self.app.say(f"The private key is in {identity.path}. {_KEEP_A_COPY}")
        return replace(first, identity=identity, recipients=[*first.recipients, identity.recipient])

    def retention(self, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a retention policy; empty if everything is kept."""
        given = {name: value for name, value in policy.items() if value not in (None, ())}
        if given:
            time_zone(given.get("time_zone", "UTC"))
            if policy_of({name: value for name, value in given.items() if name != "time_zone"}).empty:
                raise UsageError("this retention keeps nothing; say what to keep, such as --keep-daily 14")
            return given
        if not self.asks:
            self.app.warn("no retention is set, so archives are never deleted; --keep-daily 14 sets one")
            return {}
        question, default = "Archives to keep: parts such as these, or all", words_of_settings(RETENTION)
        return self.answer(
            None, question, default, lambda text: {} if text == "all" else settings_of_words(text)
        )

    def monitor(self, first: FirstSettings, given: str | None) -> SecretText | None:
        """Return the URL of a monitor; None without one."""
        if given is None and not self.asks:
            self.app.warn("no monitor is set, so nobody hears if a backup does not run; --ping URL sets one")
            return None

        def use(text: str) -> SecretText | None:
            if not text:
                return None
            check_new_file(first.ping_path)
            try:
                try_monitor(text, os.environ)
            except UsageError as problem:
                if given is not None:
                    raise
                raise UsageError(str(problem).removeprefix("--ping: ")) from None
            self.note("The monitor answers.")
            return SecretText(text)

        question = "Monitor: the URL of a check, such as one of healthchecks.io, which gets a report of success at once; Enter for none"
        return self.answer(given, question, "", use, hidden=True)

    # -- the end ---------------------------------------------------------------------

    def write(self, first: FirstSettings) -> FirstSettings:
        """Begin the store and write the files, once they are agreed to; return the settings as written."""
        if self.asks:
            to_stderr("\nTo create, readable by you alone:")
            for name in (*map(str, first.files()), *(() if self.begun else (self.opened.url,))):
                to_stderr(f"  {printable(name)}")
            if not self._agrees("Create these?"):
                raise BackupError("answered with no; nothing was written")
        while True:
            try:
                run_async(begin(self.opened, utc_now))
                break
            except BackupError as problem:
                if not self.asks:
                    raise
                self.wrong(problem)
                self.app.options = {**self.app.options, "store": None}
                first = self.store(first)
        write(first)
        return first

    def show(self, first: FirstSettings, names: Sequence[str], schedule: str) -> None:
        """Print what was written and what to run next, and the lines for a scheduler as the result."""
        sourced = bool(first.variables) or not first.keeps_key
        job = HourlyBackup(
            program=_program(), settings=first.path, user=_user(), workspaces=names, prunes=bool(first.retention),
            in_clear=bool(self.app.options["insecure_http"]), secrets=first.secret_files,
            environment=first.environment_path if sourced else None,
            store=str(self.opened.folder) if isinstance(self.opened, FolderStore) else None,
            pings=first.ping is not None,
        )  # fmt: skip
        lines = SCHEDULERS[schedule](job)
        written = [str(path) for path in first.files()]
        if self.app.as_json:
            self.app.emit(
                {
                    "settings": str(first.path),
                    "written": written,
                    "host": first.host,
                    "workspaces": names or None,
                    "store": self.opened.url,
                    "encrypt_to": [*first.recipients],
                    "schedule": schedule,
                    "lines": lines,
                }
            )
            return
        if not self.asks:
            self.app.say(f"Wrote {', '.join(written)}.")
        if not first.keeps_key:
            self.app.say(f"Write the line JITSU_APIKEY=keyId:keySecret into {first.environment_path}.")
        self.app.say("")
        if schedule == "kubernetes" and job.store is not None:
            self.app.say(
                "Run a backup every hour in the cluster; the first lines say how to begin the store there:"
            )
        else:
            self.app.say("Make the first archives:")
            command = ["jitsu-backup", f"--config={first.path}", "backup", *(names or ["--all"])]
            self.app.say(f"  {shlex.join(command)}")
            self.app.say("")
            self.app.say(f"Then run a backup every hour ({schedule}):")
        click.echo(lines, nl=False)
        self.app.say("")
        self.app.say("What else to set up, and where it is described:")
        for what, page in _MORE:
            self.app.say(f"  {what:40} {page}")


def _prompt(default: str | None, *, hidden: bool = False) -> str:
    """Ask on the terminal, below the question; Enter takes the default, which is shown unless it is empty."""
    shown = f"  [{printable(default)}]" if default else "  (hidden)" if hidden else "  (no default)"
    answer: str = click.prompt(shown, default=default, hide_input=hidden, show_default=False, err=True)
    return answer


def _program() -> list[str]:
    """Return the words that start this program from anywhere."""
    beside = Path(sys.executable).with_name("jitsu-backup")
    return [str(beside)] if os.access(beside, os.X_OK) else [sys.executable, "-m", "jitsu_backup"]


def _user() -> str:
    """Return the name of the user who runs this, or its number if it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
