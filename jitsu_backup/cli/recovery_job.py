"""The job of `recover`, from its flags, the settings and the overlay file."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jitsu_backup.addresses import without_credentials
from jitsu_backup.archive import ArchiveName
from jitsu_backup.catalogue import refuse_quotes
from jitsu_backup.cli.app import App, utc_now
from jitsu_backup.cli.apply_options import guarded, refuse_own_keys
from jitsu_backup.cli.files import opened_overlay
from jitsu_backup.errors import SeveralConsolesError, UsageError
from jitsu_backup.events import Reporter
from jitsu_backup.operations.connection import Connection
from jitsu_backup.operations.recovery import RecoveryJob, RecoveryPlan
from jitsu_backup.operations.recovery.choice import in_store
from jitsu_backup.planning import PlanOptions
from jitsu_backup.planning.console_overlay import ConsoleOverlay, OverlayTables, console_overlay
from jitsu_backup.settings import Place, SecretText
from jitsu_backup.store import of_workspace, period, shown_url


def use_store(app: App, archives: str | None) -> None:
    """Use the store that the argument STORE names. Raise UsageError if --store names another one."""
    if archives is None:
        return
    if app.options.get("store") not in (None, archives):
        raise UsageError("STORE and --store name different stores; give only one of them")
    app.options = {**app.options, "store": archives}


def check_names(from_host: str | None, workspaces: Iterable[str], first: Iterable[str] = ()) -> None:
    """Raise UsageError for --from, --workspace or --first with a value that cannot be meant."""
    if from_host is not None and not from_host.strip():
        raise UsageError(
            "--from is empty; give the console that the archives came from, such as jitsu.example.com"
        )
    if from_host is not None and without_credentials(from_host) != from_host:
        raise UsageError(
            "--from: not the address of a console; write it as https://jitsu.example.com, without user and query"
        )
    for flag, names in {"--workspace": workspaces, "--first": first}.items():
        for name in names:
            if not name.strip():
                raise UsageError(f"{flag} is empty; give the slug or id of a workspace")
            refuse_quotes(flag, name)


def place_of(app: App, into: Iterable[str]) -> tuple[Place, dict[str, str]]:
    """Return the console to recover into, and the pairs of workspaces of --into. Raise UsageError."""
    pairs: dict[str, str] = {}
    places: list[str] = []
    for text in into:
        one, equals, other = text.partition("=")
        if text.startswith("@"):
            places.append(text)
        elif equals and one and other:
            pairs[one] = other
        else:
            raise UsageError(
                f"--into {shown_url(text)}: this names no console; use @profile, or SLUG=OTHER to recover a workspace into another one"
            )
    if len(set(places)) > 1:
        raise UsageError(f"--into names several consoles: {', '.join(places)}; give only one")
    place = app.settings.place(places[0] if places else None, workspace_needed=False)
    return place, pairs


@contextmanager
def naming_newest(again: Callable[[str], str]) -> Iterator[None]:
    """Name a command in the error that a store has archives of several consoles; `again` returns that of the given console."""
    try:
        yield
    except SeveralConsolesError as problem:
        raise problem.with_remedy(
            f"to take those of {problem.newest}, run `{again(problem.newest)}`"
        ) from None


def connections(app: App, place: Place, report: Reporter) -> tuple[Connection, Connection | None]:
    """Return the connection that reads and writes, and the one that creates workspaces, None if the first does that too.

    The operator's token does all that it can, because it has no rate limits. A workspace that a person's key creates has
    that person as its owner.
    """
    person = app.connection(place, report)
    token = place.admin_token
    if token is None or token == place.key:
        return person, None
    operator = replace(person, key=token, called="the operator's token")
    called = f"{person.key.called}, which creates workspaces"
    return operator, replace(person, key=_dispensable(place.key), called=called)


def _dispensable(key: SecretText) -> SecretText:
    """Return a person's API key, whose remedy says that a recovery with the operator's token does not need it."""
    told = f"{key.if_rejected}, or give no API key (unset JITSU_APIKEY): the operator's token alone can create workspaces"
    return replace(key, if_rejected=told)


def job_of(
    app: App,
    place: Place,
    into: Mapping[str, str],
    given: Mapping[str, Any],
    known: Collection[ArchiveName],
    report: Reporter,
) -> tuple[RecoveryJob, ConsoleOverlay]:
    """Return the job that the flags describe, and its overlays; `known` are the archives of the store. Raise UsageError."""
    target, maker = connections(app, place, report)
    overlay = overlays_of(app, place, given["overlay"], given["workspaces"], known)
    switches = {name: given[name] for name in ("allow_missing_secrets", "resend_secrets")}
    options = PlanOptions(overlay=overlay.shared, **switches)
    for one in (overlay.shared, *overlay.own.values()):
        refuse_own_keys(app.settings, replace(options, overlay=one), place)
    everywhere = (
        place.profile if place.workspace is None else None
    )  # then the profile is about the whole console
    job = RecoveryJob(
        target,
        maker,
        at=moment_of(app, given["at"]),
        from_host=given["from_host"],
        workspaces=given["workspaces"],
        first=given["first"],
        gone=app.settings.allow_unseen,
        into=into,
        options=options,
        overlays=overlay.own,
        guarded=lambda own, names: guarded(own, app.settings.guard(place.host, names, everywhere)),
        over_existing=given["over_existing"],
        named_by=place.named_by,
    )
    return job, overlay


def moment_of(app: App, at: str | None) -> datetime | None:
    """Return the last moment that --at means, in UTC; warn if it is in the future. Raise UsageError for an invalid time."""
    if at is None:
        return None
    now = utc_now()
    begin, end = period(at, now)
    if begin > now:
        app.warn(
            f"--at {at} is in the future, so the newest archives are used; give a past time to use others"
        )
    return end


def overlays_of(
    app: App, place: Place | None, path: Path | None, chosen: Collection[str], known: Collection[ArchiveName]
) -> ConsoleOverlay:
    """Return the overlays of all workspaces: the file takes precedence over the profiles. Raise UsageError.

    Without a `place`, no profile describes the console. If some workspaces are `chosen`, tables for others are left out.
    """
    given = OverlayTables("overlay") if path is None else opened_overlay(app, path).tables()
    for name in given.own:
        if not of_workspace(known, name):
            table = next(iter(given.own[name]))
            there = in_store(archive.slug for archive in known)
            raise UsageError(
                f"{given.called}: the table '{name}:{table}' names a workspace that is not in the store; {there}"
            )
    identify = _identify(known)
    chosen_ids = {identify(name) for name in chosen}
    profiles = {
        name: opened_overlay(app, file).tables()
        for name, file in ({} if place is None else app.settings.overlays(place.host)).items()
        if of_workspace(known, name) and (not chosen_ids or identify(name) in chosen_ids)
    }
    own = {
        name: tables for name, tables in given.own.items() if not chosen_ids or identify(name) in chosen_ids
    }
    return console_overlay(replace(given, own=own), profiles, identify)


def _identify(known: Collection[ArchiveName]) -> Callable[[str], str]:
    """Return a function that maps the id and the slug of a workspace in the store to the same text."""

    def identify(name: str) -> str:
        ids = {archive.workspace_id for archive in of_workspace(known, name)}
        return ids.pop() if len(ids) == 1 else name

    return identify


def check_overlay_is_used(app: App, path: Path | None, overlay: ConsoleOverlay, plan: RecoveryPlan) -> None:
    """Raise UsageError if the overlay names something that no workspace has; only warn if a left-out one may have it."""
    try:
        overlay.check_used(f"overlay {path}", (one.snapshot for one in plan.workspaces))
    except UsageError as problem:
        if not plan.left_out:
            raise
        app.warn(str(problem))
