"""A type that is gone for a moment is missing, not "never offered"; what had it stays until somebody accepts that."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from obstore.store import MemoryStore

from jitsu_backup.archive import INCOMPLETE
from jitsu_backup.archive.retention import Policy, judge
from jitsu_backup.catalogue import CATALOGUE
from jitsu_backup.console.reader import TYPES_OF_EVERY_CONSOLE, read_workspace
from jitsu_backup.errors import ConsoleError
from jitsu_backup.model import Snapshot
from jitsu_backup.operations.save import Saved, SaveOptions, save
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace
from jitsu_backup.store import archives, keep
from jitsu_backup.store.object_store import ObjectStore
from tests.console.test_reader import Meddling
from tests.support import MOMENT, STAGING, console_of, example_sandbox, run

TYPES = tuple(sorted(name for name, known in CATALOGUE.items() if not known.feature))
"""What a console of July 2026 has."""
UNKNOWN = {"error": "Unknown config object type"}
NO_ROUTE = {"error": "API route not found"}
REPLIES = {
    "unknown type": lambda: httpx.Response(500, json=UNKNOWN),
    "no such route": lambda: httpx.Response(404, json=NO_ROUTE),
    "of something before it": lambda: httpx.Response(404, text="default backend - 404"),
    "refused": lambda: httpx.Response(403, json={"message": "User u-owner doesn't have access to this"}),
}

Answer = Callable[[], httpx.Response]


def about(type_name: str, answer: Answer) -> Callable[[int, httpx.Request], httpx.Response | None]:
    """Let a console answer so whenever it is asked for a type's list."""

    def meddle(_number: int, request: httpx.Request) -> httpx.Response | None:
        asked = request.url.path.endswith((f"/config/{type_name}", f"/{type_name}"))
        return answer() if asked and "/schema" not in request.url.path else None

    return meddle


class Site:
    """A console, and a store in memory; an hour passes between two backups."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self.sandbox = sandbox or example_sandbox()
        self.store = ObjectStore(MemoryStore(), "memory://")
        self.now: datetime = MOMENT

    def read(self, meddle: Any = None) -> Snapshot:
        self.now += timedelta(hours=1)
        console = console_of(
            self.sandbox, wrap=lambda inner: inner if meddle is None else Meddling(inner, meddle)
        )

        async def go() -> Snapshot:
            async with console:
                return await read_workspace(console, "acme-staging", now=lambda: self.now)

        found: Snapshot = run(go())
        return found

    def backup(self, meddle: Any = None, **options: Any) -> Saved:
        snapshot = self.read(meddle)

        async def go() -> Saved:
            there = await archives(self.store)
            return await save(
                snapshot,
                there,
                SaveOptions(**options),
                lambda data: data,
                lambda a, d: keep(self.store, a, d),
            )

        saved: Saved = run(go())
        return saved

    def prune(self, policy: Policy) -> None:
        async def go() -> None:
            for verdict in judge(await archives(self.store), policy, self.now, self.now.tzinfo):  # type: ignore[arg-type]
                if not verdict.keep:
                    await self.store.remove(str(verdict.archive))

        run(go())

    def holders(self, type_name: str) -> int:
        """How many complete archives have something of a type."""
        return sum(bool(a.counts.get(type_name)) for a in run(archives(self.store)) if a.complete)

    def empty(self, type_name: str, *, again: bool = False) -> None:
        """Let somebody delete all of a type, or bring it `again`."""
        state = self.sandbox.state
        rows = [(row.type, row) for row in state.objects.values()]
        rows += [("link", row) for row in state.links.values()]
        rows += [("profile-builder", row) for row in state.builders.values()]
        for kind, row in rows:
            if kind == type_name and row.workspace_id == STAGING:
                row.deleted = not again


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("type_name", TYPES)
def test_a_type_that_earlier_archives_have_and_that_is_gone_is_missing_until_it_is_back(
    type_name: str, reply: str
) -> None:
    site = Site()
    whole = site.backup()
    assert whole.whole
    assert site.holders(type_name) == 1
    gone = about(type_name, REPLIES[reply])
    for _ in range(2):
        saved = site.backup(gone, if_changed=True)
        assert not saved.whole
        assert INCOMPLETE in saved.archive.marks
        assert type_name in {refusal.what for refusal in saved.snapshot.manifest.refused if refusal.missing}
        site.prune(Policy(last=1))
        assert site.holders(type_name) == 1
    assert len(run(archives(site.store))) == 2  # the second time nothing had changed
    back = site.backup()
    assert back.whole
    assert back.archive.digest_prefix == whole.archive.digest_prefix
    site.prune(Policy(last=1))
    assert site.holders(type_name) == 1


@pytest.mark.parametrize("type_name", TYPES)
def test_a_type_that_is_emptied_is_an_alarm_however_few_it_had_until_it_is_accepted(type_name: str) -> None:
    site = Site()
    site.backup()
    had = site.holders(type_name)
    assert had == 1
    site.empty(type_name)
    for _ in range(2):
        saved = site.backup(if_changed=True)
        assert type_name in {fall.type for fall in saved.falls}
        assert not saved.whole
        site.prune(Policy(last=1))
        assert site.holders(type_name) == 1
    accepted = site.backup(if_changed=True, accept_shrink=True)
    assert accepted.whole
    assert "accepted" in accepted.archive.marks
    assert site.backup(if_changed=True).whole
    site.empty(type_name, again=True)
    assert site.backup().whole


@pytest.mark.parametrize("type_name", sorted(TYPES_OF_EVERY_CONSOLE))
@pytest.mark.parametrize("generation", [Generation.JULY_2026, Generation.OCTOBER_2024])
def test_what_every_console_has_is_missing_where_it_is_not_there_without_any_earlier_archive(
    type_name: str, generation: Generation
) -> None:
    state = default_state(generation=generation)
    site = Site(Sandbox(state, rate_limit=False))
    for answer in (REPLIES["unknown type"], REPLIES["no such route"]):
        manifest = site.read(about(type_name, answer)).manifest
        assert not manifest.complete
        assert type_name not in manifest.not_offered


@pytest.mark.parametrize("type_name", sorted(set(TYPES) - TYPES_OF_EVERY_CONSOLE))
def test_what_was_never_offered_is_no_loss_and_what_goes_for_good_can_be_accepted(type_name: str) -> None:
    gone = about(type_name, REPLIES["unknown type"])
    never = Site()
    assert never.backup(gone).whole
    assert never.backup(gone).whole
    site = Site()
    site.backup()
    assert not site.backup(gone).whole
    accepted = site.backup(gone, accept_shrink=True)
    assert accepted.whole
    assert "accepted" in accepted.archive.marks
    assert type_name in accepted.snapshot.manifest.not_offered
    assert site.backup(gone, if_changed=True).whole


def test_a_console_of_2024_is_whole_though_it_has_no_cursors_and_fewer_types() -> None:
    manifest = (
        Site(Sandbox(default_state(generation=Generation.OCTOBER_2024), rate_limit=False)).read().manifest
    )
    assert manifest.complete
    assert "sync-cursor" in manifest.not_offered
    assert "custom-image" in manifest.not_offered


def test_cursors_are_missing_where_a_console_that_has_them_does_not_find_the_route() -> None:
    def meddle(_number: int, request: httpx.Request) -> httpx.Response | None:
        return REPLIES["no such route"]() if request.url.path.endswith("/sources/state") else None

    manifest = Site().read(meddle).manifest
    assert not manifest.complete
    assert "sync-cursor" not in manifest.not_offered


def test_a_cut_connection_never_looks_as_if_a_type_were_no_longer_offered() -> None:
    state = default_state(generation=Generation.NEWEST)
    example_workspace(state, STAGING)
    site = Site(Sandbox(state, rate_limit=False))
    asked: list[int] = []
    whole = site.read(lambda number, _: asked.append(number))
    assert whole.manifest.counts["reverse-sync"]

    def cut(first: int) -> Callable[[int, httpx.Request], None]:
        def meddle(number: int, request: httpx.Request) -> None:
            if number >= first:
                raise httpx.ConnectError("All connection attempts failed", request=request)

        return meddle

    partly_read = 0
    for first in asked:
        try:
            manifest = site.read(cut(first)).manifest
        except ConsoleError:
            continue
        partly_read += 1
        read = manifest.counts.keys() | {refusal.what for refusal in manifest.refused}
        assert whole.manifest.counts.keys() <= read
        assert manifest.not_offered == whole.manifest.not_offered
    assert partly_read


def test_a_type_gone_while_another_could_not_be_read_may_still_be_offered() -> None:
    site = Site()
    site.backup()

    def meddle(number: int, request: httpx.Request) -> httpx.Response | None:
        gone = about("profile-builder", REPLIES["unknown type"])(number, request)
        return gone or about("service", REPLIES["refused"])(number, request)

    saved = site.backup(meddle)
    (why,) = (one.reason for one in saved.snapshot.manifest.refused if one.what == "profile-builder")
    assert why.startswith("it is unknown whether the console still offers it")
    assert not saved.gone
    assert site.backup(about("profile-builder", REPLIES["unknown type"])).gone


def test_names_of_before_tell_of_types_from_four_on() -> None:
    site = Site()
    saved = site.backup()
    few = {name: count for name, count in saved.archive.counts.items() if count >= 4}
    assert "profile-builder" not in few
    old = replace(saved.archive, counts=few, size=None, sketch=None)
    data = run(site.store.read(str(saved.archive)))
    run(site.store.remove(str(saved.archive)))
    run(keep(site.store, old, data))
    assert site.backup(about("profile-builder", REPLIES["unknown type"])).whole  # nobody can know
    four = next(iter(sorted(few.keys() - TYPES_OF_EVERY_CONSOLE)), None)
    assert four is None or not site.backup(about(four, REPLIES["unknown type"])).whole
