"""`jitsu-backup backup`."""

import asyncio
import hashlib
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from jitsu_backup.api import Console
from jitsu_backup.archive import ArchiveName, is_label
from jitsu_backup.archiver import Saved, SaveOptions, save, side_by_side
from jitsu_backup.cli.common import App, encrypt_option, pass_app, run_async, unforeseen, utc_now
from jitsu_backup.cli.policy import policy_from, remove_all, with_policy_options
from jitsu_backup.cli.unattended import unattended
from jitsu_backup.credentials import Exports, read_exports, secrets_of
from jitsu_backup.errors import AccessError, BackupError, IncompleteError, UsageError
from jitsu_backup.events import Reporter
from jitsu_backup.exporter import About, read_about, read_workspace, workspaces
from jitsu_backup.model import Snapshot
from jitsu_backup.reports import snapshot_document
from jitsu_backup.retention import judge
from jitsu_backup.settings import Place
from jitsu_backup.store import archives, folder_lock, keep, read_file, write_file

LONGEST_LABELS = 80
AT_ONCE = 4
"""Workspaces that are read at once: enough to use all connections, few enough that each cut stays short."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one run is asked for. `shard` is (index, number of shards), `deadline` in seconds."""

    places: tuple[str, ...]
    everything: bool
    output: Path | None
    options: SaveOptions
    plaintext: bool
    allow_unseen: bool = False
    shard: tuple[int, int] | None = None
    deadline: float | None = None

    @property
    def looks_back(self) -> bool:
        """Whether it has to know what the store has."""
        alarms = self.options.shrink_alarm < 1 or (self.everything and not self.allow_unseen)
        return self.output is None and (self.options.if_changed or alarms)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the backup of one workspace ended: `saved`, or `failure`. `label` is how the run knew it."""

    label: str
    workspace_id: str | None
    seconds: float
    saved: Saved | None = None
    failure: Exception | None = None

    @property
    def exit_code(self) -> int:
        """The code that it would end with alone."""
        if self.failure is not None:
            return self.failure.exit_code if isinstance(self.failure, BackupError) else 1
        return 0 if self.saved is not None and self.saved.whole else IncompleteError.exit_code

    @property
    def problem(self) -> str:
        """Say why it failed, in one line."""
        return str(self.failure) if isinstance(self.failure, BackupError) else _bug(self.failure)


def _bug(failure: Exception | None) -> str:
    return "" if failure is None else unforeseen(failure)


@click.command(
    "backup",
    epilog="Examples: jitsu-backup backup acme-staging · jitsu-backup backup --all --if-changed --prune ·"
    " jitsu-backup backup @production --output before.json.gz",
)
@click.argument("places", metavar="[PLACE]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every workspace that the key can read.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, not into the store."
)
@click.option("--if-changed", is_flag=True, help="Write nothing where the latest archive holds the same.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Mark the archives. Repeatable.")
@click.option(
    "--shrink-alarm",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="End with 3 when more than this share of a type's entities is gone; 1: never.  [default: 0.5]",
)
@click.option(
    "--accept-shrink", is_flag=True, help="What is there now is enough: compare later backups with it."
)
@click.option(
    "--allow-unseen", is_flag=True, help="With --all: workspaces that only the store has are no alarm."
)
@click.option("--shard", metavar="I/N", help="Only part I (0 to N-1) of N of the workspaces.")
@click.option(
    "--deadline",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Stop then; what is not done has failed.",
)
@click.option("--prune", is_flag=True, help="Then apply the retention policy to what was backed up.")
@with_policy_options
@click.option(
    "--metrics",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write figures for Prometheus' textfile collector.",
)
@encrypt_option
@click.option(
    "--admin-token",
    "late_admin_token",
    metavar="TOKEN",
    help="The operator's service token: also read masked secrets and key hashes. Better in JITSU_ADMIN_TOKEN.",
)
@click.option(
    "--plaintext-secrets", is_flag=True, help="Let the archive hold, in clear, what the token can read."
)
@pass_app
@unattended(pings=True)
def command(
    app: App,
    places: tuple[str, ...],
    everything: bool,
    output: Path | None,
    if_changed: bool,
    labels: tuple[str, ...],
    shrink_alarm: float | None,
    accept_shrink: bool,
    allow_unseen: bool,
    shard: str | None,
    deadline: float | None,
    prune: bool,
    metrics: Path | None,
    plaintext_secrets: bool,
    **policy: Any,
) -> int:
    """Read workspaces and write an archive of each.

    Without PLACE, the default workspace. One that fails harms no other. Ends with code 3 when something is
    missing: an archive lacks what it should have, or a workspace has shrunk (the archive is written all the
    same, and marked), or some workspaces failed and others did not.
    """
    _check_flags(app, places, output, labels, everything=everything, if_changed=if_changed, prune=prune)
    given = [name for name, value in policy.items() if value not in (None, ())]
    if given and not prune:
        raise UsageError(f"--{given[0].replace('_', '-')} goes with --prune")
    rules = policy_from(app, policy) if prune else None
    share = app.settings.shrink_alarm if shrink_alarm is None else shrink_alarm
    if math.isnan(share) or (deadline is not None and math.isnan(deadline)):
        raise UsageError("--shrink-alarm and --deadline take a number")
    job = Job(
        places,
        everything,
        output,
        SaveOptions(labels, if_changed, accept_shrink, share, app.key_mark),
        plaintext_secrets,
        allow_unseen,
        None if shard is None else _shard(shard),
        deadline,
    )
    metrics_file = metrics or (Path(app.settings.metrics) if app.settings.metrics else None)
    with app.progress() as report:
        run = _Run(app, job, report)
        try:
            outcomes = run_async(run.all())
        except BackupError as failure:  # before any workspace was read
            ended = [Outcome(_name(app, place), None, 0.0, failure=failure) for place in places]
            _write_metrics(app, metrics_file, ended, failure.exit_code)
            raise
    removed = None if rules is None else run_async(_prune(app, outcomes, *rules))
    code = _exit_code(run, outcomes, removed)
    _write_metrics(app, metrics_file, outcomes, code)
    _report(app, run, outcomes, removed)
    return code


def _check_flags(
    app: App, places: tuple[str, ...], output: Path | None, labels: tuple[str, ...],
    *, everything: bool, if_changed: bool, prune: bool,
) -> None:  # fmt: skip
    if everything and places:
        raise UsageError("give workspaces or --all, not both")
    if output is not None and (everything or len(places) > 1):
        raise UsageError("--output takes one workspace; leave it out to write into the store")
    if output is not None and (if_changed or prune):
        raise UsageError(
            f"--output and --{'if-changed' if if_changed else 'prune'}: the one is without the store"
        )
    for label in labels:
        if not is_label(label):
            raise UsageError(
                f"--label {label!r}: lower-case letters, digits and hyphens, 40 at the most, and none of our own marks"
            )
    if len(".".join(labels)) > LONGEST_LABELS:
        raise UsageError(f"--label: {LONGEST_LABELS} characters in all, for they stand in a file's name")
    app.check_recipients()  # before anything is read


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if match is None or not int(match[1]) < int(match[2]):
        raise UsageError(f"--shard {text!r}: write I/N, with I from 0 to N-1, such as 0/4")
    return int(match[1]), int(match[2])


def _name(app: App, place: str) -> str:
    try:
        return app.workspace_named(place)
    except BackupError:
        return place


class _Run:
    """One run: its consoles, opened once, and what they tell, asked once."""

    def __init__(self, app: App, job: Job, report: Reporter) -> None:
        self.app, self.job, self.report = app, job, report
        self.history: list[ArchiveName] = []
        self.unlisted: BackupError | None = None
        self.unseen: tuple[str, ...] = ()
        self._stack = AsyncExitStack()
        self._consoles: dict[tuple[str, str, str | None], Console] = {}
        self._asked: dict[tuple[Console, str], asyncio.Task[Any]] = {}

    async def all(self) -> list[Outcome]:
        """Back up everything. Raises BackupError where nothing could be begun."""
        job = self.job
        ends = None if job.deadline is None else asyncio.get_running_loop().time() + job.deadline
        try:
            async with self._stack:
                async with asyncio.timeout_at(ends):
                    self.history = await self._list()
                    chosen = await self._chosen()
                left = None if ends is None else max(0.0, ends - asyncio.get_running_loop().time())
                return await self._each(chosen, left)
        except TimeoutError:
            raise BackupError(f"nothing was backed up before the deadline of {job.deadline:.0f} s") from None
        finally:
            for task in self._asked.values():
                task.cancel()

    async def _list(self) -> list[ArchiveName]:
        if not self.job.looks_back:
            return []
        try:
            return await archives(self.app.store)
        except AccessError as problem:  # who may write but not list loses the comparison, not the backup
            self.unlisted = problem
            return []

    async def _chosen(self) -> list[tuple[Place, str]]:
        """Give the places to back up, each with the label that it is known by."""
        app, job = self.app, self.job
        if job.everything:
            place = app.settings.place(None, workspace_needed=False)
            found = await workspaces(self._console(place))
            if not found:
                raise AccessError(f"console {place.host}: this key can read no workspace")
            chosen = [(replace(place, workspace=each.id), each.slug or each.id) for each in found]
            if not job.allow_unseen:
                self.unseen = self._unseen({each.id for each in found})
        else:
            places = [app.settings.place(text) for text in (job.places or (None,))]
            chosen = [(place, place.workspace or "") for place in places]
        for place, _ in chosen:
            if place.admin_token is not None and not (job.plaintext or app.seals):
                raise UsageError(
                    "with the operator's token the archive would hold secrets in clear: encrypt it (--encrypt-to),"
                    " say --plaintext-secrets, or leave the token out (JITSU_ADMIN_TOKEN)"
                )
        return [each for each in chosen if self._in_shard(each[0].workspace or "")]

    def _in_shard(self, workspace: str) -> bool:
        # by a digest of the id, so that a new workspace moves none of the others
        index, shards = self.job.shard or (0, 1)
        return _number(workspace) % shards == index

    def _unseen(self, seen: set[str]) -> tuple[str, ...]:
        """Give the workspaces that the store has and the key does not see: gone, or no longer open to it."""
        newest = {a.workspace_id: a.slug for a in reversed(self.history)}
        return tuple(sorted(slug for one, slug in newest.items() if one not in seen and self._in_shard(one)))

    async def _each(self, chosen: list[tuple[Place, str]], seconds: float | None) -> list[Outcome]:
        took: dict[int, float] = {}

        def job(number: int, place: Place) -> Callable[[], Awaitable[Saved]]:
            async def run() -> Saved:
                began = time.monotonic()
                try:
                    return await self._one(place)
                finally:
                    took[number] = time.monotonic() - began

            return run

        jobs = [(place.host, job(number, place)) for number, (place, _) in enumerate(chosen)]
        ended = await side_by_side(jobs, at_once=AT_ONCE, seconds=seconds)
        outcomes = []
        for number, ((place, label), end) in enumerate(zip(chosen, ended, strict=True)):
            known = place.workspace if self.job.everything else None
            outcome = Outcome(label, known, took.get(number, 0.0))
            outcomes.append(
                replace(outcome, saved=end) if isinstance(end, Saved) else replace(outcome, failure=end)
            )
        return outcomes

    async def _one(self, place: Place) -> Saved:
        app, console = self.app, self._console(place)
        about = self._once(console, "about", read_about)
        snapshot = await read_workspace(
            console, place.workspace or "", now=utc_now, report=self.report, about=asyncio.shield(about)
        )
        if place.admin_token is not None:
            snapshot = await self._with_secrets(place, snapshot)
        if any(a.taken_at > snapshot.taken_at and a.complete for a in self._own(snapshot)):
            app.problem(
                f"{place.workspace}: the store has an archive of later than now: a clock is or was wrong"
            )
        return await save(snapshot, self.history, self.job.options, app.seal, self._put)

    def _own(self, snapshot: Snapshot) -> list[ArchiveName]:
        workspace_id = snapshot.manifest.source.workspace_id
        return [archive for archive in self.history if archive.workspace_id == workspace_id]

    async def _put(self, archive: ArchiveName, data: bytes) -> None:
        if self.job.output is not None:
            write_file(self.job.output, data)
        else:
            await keep(self.app.store, archive, data)

    async def _with_secrets(self, place: Place, snapshot: Snapshot) -> Snapshot:
        assert place.admin_token is not None  # noqa: S101  for the type checker
        console = self._console(replace(place, key=place.admin_token))
        exports: Exports = await asyncio.shield(self._once(console, "exports", read_exports))
        return replace(snapshot, secrets=secrets_of(exports, snapshot))

    def _console(self, place: Place) -> Console:
        name = (place.host, place.key.reveal(), place.ca_bundle)
        if name not in self._consoles:
            self._consoles[name] = self.app.console(place, self.report)
            self._stack.push_async_exit(self._consoles[name])
        return self._consoles[name]

    def _once(
        self, console: Console, what: str, read: Callable[[Console], Awaitable[Any]]
    ) -> asyncio.Task[Any]:
        """Ask a console something once, however many workspaces need it; a failure is asked again."""
        known = self._asked.get((console, what))
        if known is None or (known.done() and (known.cancelled() or known.exception() is not None)):
            task = asyncio.ensure_future(_awaited(read(console)))
            task.add_done_callback(
                lambda ended: ended.cancelled() or ended.exception()
            )  # whoever asked is told
            self._asked[console, what] = task
        return self._asked[console, what]


async def _awaited(job: Awaitable[About | Exports]) -> About | Exports:
    return await job


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


async def _prune(app: App, outcomes: list[Outcome], policy: Any, zone: Any) -> tuple[int, int]:
    """Apply the policy to the workspaces of which a whole snapshot is there; give how many went and could not go."""
    done = {o.saved.archive.workspace_id for o in outcomes if o.saved is not None and o.saved.whole}
    try:
        found = [archive for archive in await archives(app.store) if archive.workspace_id in done]
    except BackupError as problem:
        app.problem(f"nothing was pruned: {problem}")
        return 0, 1
    verdicts = judge(found, policy, utc_now(), zone)
    stuck = await remove_all(app, verdicts)
    return sum(not verdict.keep for verdict in verdicts) - len(stuck), len(stuck)


def _write_metrics(app: App, path: Path | None, outcomes: list[Outcome], exit_code: int) -> None:
    if path is None:
        return
    from jitsu_backup.reports.metrics import RunFigures, metrics_text  # noqa: PLC0415  few runs need its library

    ended = utc_now()
    figures = [
        RunFigures(
            workspace=o.label if o.saved is None else _source(o.saved).slug or o.label,
            workspace_id=o.workspace_id if o.saved is None else _source(o.saved).workspace_id,
            exit_code=o.exit_code,
            seconds=o.seconds,
            ended=ended,
            counts=None if o.saved is None else o.saved.snapshot.manifest.counts,
            size=o.saved.size if o.saved is not None and o.saved.written else None,
        )
        for o in outcomes
    ]
    try:
        with folder_lock(path.parent):  # shards may share a file
            before = read_file(path).decode(errors="replace") if path.exists() else ""
            write_file(path, metrics_text(before, figures, exit_code, ended).encode(), mode=0o644)
    except ValueError:
        app.problem(f"--metrics {path}: that file is there and holds no metrics; nothing was written to it")
    except BackupError as problem:  # a backup that was made counts for more than its figures
        app.problem(str(problem))


def _source(saved: Saved) -> Any:
    return saved.snapshot.manifest.source


def _report(app: App, run: _Run, outcomes: list[Outcome], removed: tuple[int, int] | None) -> None:
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    app.facts |= {"store": app.store.url if run.job.output is None else str(run.job.output)}
    app.facts["workspaces"] = [_line(outcome) for outcome in outcomes]
    app.facts["unseen"] = list(run.unseen)
    if removed is not None:
        app.facts |= {"removed": removed[0], "not_removed": removed[1]}
    app.outcome = _in_words(outcomes, removed, len(run.unseen))
    if len(outcomes) == 1 and failed and isinstance(failed[0].failure, BackupError):
        raise failed[0].failure
    for outcome in failed:
        app.problem(f"{outcome.label}: {outcome.problem}")
    saved = [outcome.saved for outcome in outcomes if outcome.saved is not None]
    documents = [_document(app, run.job, one) for one in saved]
    if app.as_json:
        failures = [f"{outcome.label}: {outcome.problem}" for outcome in failed]
        app.emit({"snapshots": documents, "failures": failures, "removed": removed[0] if removed else 0})
    else:
        for one, document in zip(saved, documents, strict=True):
            _tell(app, one, document)
        if len(outcomes) != 1 or removed is not None or run.unseen:
            app.line(app.outcome + ".")
    for one in saved:
        for alarm in _alarms(one):
            app.problem(alarm)
    for name in run.unseen:
        app.problem(
            f"{name} is in the store, but this key does not see it: is it gone? (--allow-unseen: that is no alarm)"
        )
    if run.unlisted is not None:
        app.problem(f"{run.unlisted}; so nothing was compared with the archives that are there")


def _alarms(saved: Saved) -> Iterator[str]:
    """Say what is wrong with a snapshot that was stored: on standard error, where cron hears it."""
    manifest = saved.snapshot.manifest
    name = manifest.source.slug or manifest.source.workspace_id
    if saved.falls:
        yield f"{name} has shrunk: {'; '.join(map(str, saved.falls))}"
    if not manifest.complete:
        lacking = [f"{r.what} could not be read" for r in manifest.refused if r.missing]
        yield f"{name} is incomplete: {'; '.join(lacking[:3]) or 'it kept changing while it was read'}"


def _exit_code(run: _Run, outcomes: list[Outcome], removed: tuple[int, int] | None) -> int:
    codes = [outcome.exit_code for outcome in outcomes]
    if codes and all(outcome.failure is not None for outcome in outcomes):
        return codes[0]
    lacking = any(codes) or run.unseen or run.unlisted is not None or (removed is not None and removed[1])
    return IncompleteError.exit_code if lacking else 0


def _document(app: App, job: Job, saved: Saved) -> dict[str, Any]:
    document = snapshot_document(saved.snapshot, saved.digest)
    where = str(job.output) if job.output is not None else f"{app.store.url.rstrip('/')}/{saved.archive}"
    return {
        **document,
        "encrypted": saved.archive.encrypted,
        "id": saved.archive.digest_prefix,
        "archive": where,
        "bytes": saved.size,
        "written": saved.written,
        "shrunk": [{"type": f.type, "before": f.before, "now": f.now} for f in saved.falls],
    }


def _line(outcome: Outcome) -> dict[str, Any]:
    saved = outcome.saved
    known: dict[str, Any] = {
        "workspace": outcome.label,
        "exit_code": outcome.exit_code,
        "seconds": round(outcome.seconds, 3),
    }
    if saved is None:
        return {**known, "failure": outcome.problem}
    return {
        **known,
        "workspace_id": saved.archive.workspace_id,
        "id": saved.archive.digest_prefix,
        "written": saved.written,
        "bytes": saved.size,
        "entities": sum(saved.snapshot.manifest.counts.values()),
        "complete": saved.snapshot.manifest.complete,
        "shrunk": [str(fall) for fall in saved.falls],
    }


def _in_words(outcomes: list[Outcome], removed: tuple[int, int] | None, unseen: int = 0) -> str:
    saved = [outcome.saved for outcome in outcomes if outcome.saved is not None]
    words = {
        "backed up": sum(one.written for one in saved),
        "unchanged": sum(not one.written for one in saved),
        "incomplete": sum(not one.snapshot.manifest.complete for one in saved),
        "shrunken": sum(bool(one.falls) for one in saved),
        "failed": len(outcomes) - len(saved),
        "only in the store": unseen,
        "old archives removed": 0 if removed is None else removed[0],
        "that could not be removed": 0 if removed is None else removed[1],
    }
    told = [f"{count} {name}" for name, count in words.items() if count]
    failed = next((f": {o.label}: {o.problem}" for o in outcomes if o.failure is not None), "")
    return f"{len(outcomes)} workspace(s): " + (", ".join(told) or "nothing to do") + failed


def _tell(app: App, saved: Saved, document: dict[str, Any]) -> None:
    source = document["source"]
    name = source["slug"] or source["workspace_id"]
    total = sum(document["counts"].values())
    state = "complete" if document["complete"] else "INCOMPLETE"
    if saved.written:
        app.line(f"{name}: {total} entities, {state}, {saved.size:,} bytes, id {document['id']}")
    else:
        app.line(f"{name}: {total} entities, {state}, unchanged since {saved.archive.taken_at:%Y-%m-%d %H:%M:%S} UTC,"
                 f" id {document['id']}")  # fmt: skip
    app.line(f"  {document['archive']}")
    for fall in saved.falls:
        app.line(f"  SHRUNKEN  {fall}")
    for refusal in document["refused"]:
        app.line(f"  not read: {refusal['what']}: {refusal['reason']}")
    if not document["consistent"]:
        app.line("  it kept changing while it was read: run again")
    if document["secrets"]:
        how = "encrypted" if document["encrypted"] else "in clear: keep it as you keep passwords"
        app.line(f"  {document['secrets']} secret(s) and key hashes are in it, {how}")
    if document["ledger"]:
        entities = len({(line["type"], line["id"]) for line in document["ledger"]})
        app.line(
            f"  {len(document['ledger'])} secret(s) of {entities} entities are masked by the console; `show` lists them"
        )
