"""What a clone leaves in the store before its first write: found by the next one, in nobody's way, and gone at the end."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyrage
import pytest

from jitsu_backup.archive import ArchiveName
from jitsu_backup.archive.retention import Policy, judge
from jitsu_backup.console import Console
from jitsu_backup.errors import BackupError, IntegrityError, LockedError, TargetChangedError
from jitsu_backup.events import Event
from jitsu_backup.model import Key
from jitsu_backup.operations.archive_keys import ArchiveKeys
from jitsu_backup.operations.clone_record import record_finder
from jitsu_backup.operations.restore import PreparedRestore, Result
from jitsu_backup.operations.safeguards import Safeguards, carry_out_safely, record_nothing_to_write
from jitsu_backup.planning import PlanOptions
from jitsu_backup.sandbox import Generation
from jitsu_backup.store import FolderStore, archives, latest_of
from tests.promotions import KilledError, Promotion, edit, key_named, promotion
from tests.support import PRODUCTION, console_of, prepare, run, stand_ins, writes

NO_KEYS = ArchiveKeys()


@dataclass
class Shop:
    """Staging, production and a store; `told` is what was reported, and `backup` whether production is backed up first."""

    made: Promotion
    store: FolderStore
    told: list[Event]
    keys: ArchiveKeys = NO_KEYS
    backup: bool = False

    @property
    def known(self) -> list[ArchiveName]:
        return list(run(archives(self.store)))

    @property
    def intents(self) -> list[ArchiveName]:
        return [archive for archive in self.known if archive.is_intent]

    @property
    def records(self) -> list[ArchiveName]:
        return [
            archive
            for archive in self.known
            if archive.cloned_from and not (archive.is_intent or archive.left_after)
        ]

    def prepared(self, **options: Any) -> PreparedRestore:
        snapshot = self.made.snapshot()
        wanted = PlanOptions(**{"overlay": stand_ins(snapshot), "prune": True, **options})
        find = record_finder(lambda: self.store, self.keys, wanted, now=now, report=self.told.append)
        console = console_of(self.made.target, self.made.target_host)
        prepared: PreparedRestore = run(
            prepare(console, PRODUCTION, snapshot, wanted, self.told.append, find_record=find)
        )
        assert not prepared.plan.blocked, [(a.key, a.reason) for a in prepared.plan.blocked]
        return prepared

    def clone(self, console: Console | None = None, **options: Any) -> Result:
        prepared, guards = self.prepared(**options), self.safeguards()
        if not prepared.plan.writes:
            result: Result = run(record_nothing_to_write(prepared, guards))
            return result
        console = console or console_of(self.made.target, self.made.target_host)
        ended: Result = run(carry_out_safely(console, prepared, self.told.append, guards))
        return ended

    def safeguards(self) -> Safeguards:
        async def opened() -> FolderStore:
            return self.store

        return Safeguards(
            opened, self.keys, now, lambda: 0.0, report=self.told.append, command="clone", backup=self.backup
        )

    def killed(self, number: int = 1, **options: Any) -> None:
        """Clone, and be killed after the nth write."""
        app, left = self.made.target.app, [number]

        class Deadly(httpx.ASGITransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                answer = await super().handle_async_request(request)
                left[0] -= request.method != "GET"
                if left[0] == 0:
                    raise KilledError
                return answer

        with pytest.raises(KilledError):
            self.clone(
                console_of(self.made.target, self.made.target_host, wrap=lambda _: Deadly(app)), **options
            )


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(promotion(Generation.JULY_2026), FolderStore(str(tmp_path / "store")), [])
    shop.clone()
    edit(shop.made.source.state, enrich(shop).id, code="// of staging")
    return shop


def enrich(shop: Shop) -> Key:
    return key_named(shop.made.snapshot(), "function", "Enrich")


def test_a_clone_that_ends_leaves_its_record_alone(shop: Shop) -> None:
    assert (len(shop.records), shop.intents) == (1, [])
    shop.clone()
    assert (len(shop.records), shop.intents) == (2, [])


def test_a_killed_clone_leaves_its_intent_and_the_next_one_goes_by_it_and_removes_it(shop: Shop) -> None:
    shop.killed()
    (intent,) = shop.intents
    assert intent.sort_key > shop.records[0].sort_key
    assert latest_of(shop.known) is None
    edit(shop.made.source.state, enrich(shop).id, code="// of staging, later")
    shop.clone()
    assert (len(shop.records), shop.intents) == (2, [])
    shop.made.target.requests.clear()
    shop.clone()
    assert (len(shop.records), writes(shop.made.target)) == (2, 0)


def test_of_several_killed_clones_each_keeps_what_the_ones_before_it_have_reached(shop: Shop) -> None:
    for number in range(3):
        edit(shop.made.source.state, enrich(shop).id, code=f"// {number}")
        shop.killed()
    edit(shop.made.source.state, enrich(shop).id, code="// last")
    shop.clone()
    assert shop.intents == []


def test_what_a_killed_clone_had_finished_needs_no_write_and_is_recorded(shop: Shop) -> None:
    shop.killed()
    shop.made.target.requests.clear()
    assert shop.clone().record is not None
    assert (writes(shop.made.target), shop.intents) == (0, [])


def test_an_intent_stays_whatever_the_policy_until_a_record_is_newer(shop: Shop) -> None:
    shop.killed()
    late = now() + timedelta(days=900)
    verdicts = {str(v.archive): (v.keep, *v.reasons) for v in judge(shop.known, Policy(), late, UTC)}
    source = str(shop.intents[0].cloned_from).removeprefix("from-")
    told = f"the intent of an unfinished clone from {source}"
    assert verdicts[str(shop.intents[0])] == (True, told)
    assert verdicts[str(shop.records[0])][0]


def test_an_intent_that_a_record_is_newer_than_is_removed_by_any_policy(shop: Shop) -> None:
    shop.killed()
    (intent,) = shop.intents
    data = (shop.store.folder / str(intent)).read_bytes()
    shop.clone()
    (shop.store.folder / str(intent)).write_bytes(data)
    verdicts = {str(v.archive): (v.keep, *v.reasons) for v in judge(shop.known, Policy(), now(), UTC)}
    keep, reason = verdicts[str(intent)]
    assert not keep
    assert reason.endswith("and a later clone has ended")
    shop.clone()
    assert shop.intents == []


def test_where_nothing_was_written_nothing_is_left(shop: Shop) -> None:
    before = shop.known
    prepared = shop.prepared()
    edit(shop.made.target.state, str(prepared.plan.ids[enrich(shop)]), code="// a hot fix")
    with pytest.raises(TargetChangedError):
        run(
            carry_out_safely(
                console_of(shop.made.target, shop.made.target_host),
                prepared,
                shop.told.append,
                shop.safeguards(),
            )
        )
    assert shop.known == before


def test_an_intent_that_cannot_be_kept_is_reported_in_one_line_and_the_clone_continues(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = FolderStore.create

    async def full(store: FolderStore, name: str, data: bytes) -> bool:
        if ".cloning." in name:
            raise BackupError("the disk is full")
        return await create(store, name, data)

    monkeypatch.setattr(FolderStore, "create", full)
    result = shop.clone()
    assert result.record is not None
    (told,) = [str(event) for event in shop.told if "could be stored" in str(event)]
    assert (
        "no note of what this clone will write could be stored; if it is killed, run it again before the source changes"
        in told
    )


def test_a_damaged_intent_stops_the_next_clone_before_anything_is_written(shop: Shop) -> None:
    shop.killed()
    path = shop.store.folder / str(shop.intents[0])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(IntegrityError, match="continue without it with --take=source"):
        shop.prepared()


def test_an_intent_is_encrypted_as_backups_are(shop: Shop) -> None:
    mine, theirs = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    shop.keys = ArchiveKeys((str(mine.to_public()),), (str(mine).encode(),))
    shop.killed()
    assert shop.intents[0].encrypted
    assert shop.prepared().plan.writes == ()
    shop.keys = ArchiveKeys(identities=(str(theirs).encode(),))
    with pytest.raises(LockedError):
        shop.prepared()


def test_a_first_clone_into_what_is_there_already_notes_that_too(tmp_path: Path) -> None:
    shop = Shop(promotion(Generation.JULY_2026), FolderStore(str(tmp_path / "store")), [])
    config = {**shop.made.source.state.objects[enrich(shop).id].config, "code": "// from before"}
    shop.made.target.state.add_object(PRODUCTION, "function", "of-before", config)
    shop.made.target.state.add_object(PRODUCTION, "function", "surplus", {"name": "Surplus", "code": "x"})
    options: dict[str, Any] = {"match_by_name": True}
    prepared = shop.prepared(**options)
    assert {action.target_id for action in prepared.plan.writes} >= {"of-before", "surplus"}
    shop.killed(**options)
    assert (len(shop.records), len(shop.intents)) == (1, 1)
    shop.clone(**options)
    assert (len(shop.records), shop.intents) == (2, [])
    left = {row.config["name"] for row in shop.made.target.state.live_objects(PRODUCTION, "function")}
    assert "Surplus" not in left
