"""What every kind of store must do: a folder, memory, and S3, Google and Azure over HTTP."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from jitsu_backup.archive import ArchiveName, parse_name
from jitsu_backup.errors import BackupError
from jitsu_backup.store import QUARANTINE, FolderStore, Store, archives, keep, open_store
from jitsu_backup.store.control import MARKER
from jitsu_backup.store.object_store import ObjectStore
from tests.bucket_server import bucket_server
from tests.s3_server import BUCKET, S3Server, s3_server
from tests.support import run


def archive(hour: int, mark: str = "", digest: str = "0123456789ab", age: str = "") -> ArchiveName:
    found = parse_name(f"acme.w1.20261123T{hour:02}0000Z.{digest}{mark}.json.gz{age}")
    assert found is not None
    return found


ONE, TWO = archive(19, ".7_4stream"), archive(20)
NAME = str(ONE)
LEASE = "jitsu-backup-lease.w1.7.json"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["folder", "memory", "s3", "gs", "az"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    if request.param == "folder":
        yield FolderStore(str(tmp_path / "a" / "store"))
    elif request.param == "memory":
        yield ObjectStore(MemoryStore(), "memory://")
    elif request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        server.befall = lambda _number, _method: None
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        prefix = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]
        yield open_store(f"s3://{BUCKET}/jitsu/{prefix}/", os.environ)
    else:
        with bucket_server(request.param) as bucket:
            for name, value in bucket.environment.items():
                monkeypatch.setenv(name, value)
            yield open_store(f"{request.param}://{BUCKET}/jitsu", os.environ)


def test_what_was_kept_is_listed_newest_first_and_read(store: Store) -> None:
    assert run(store.names()) == []
    run(keep(store, TWO, b"two"))
    run(keep(store, ONE, b"one"))
    assert run(store.names()) == [str(ONE), str(TWO)]
    assert run(archives(store)) == [TWO, ONE]
    assert run(store.read(NAME)) == b"one"


def test_a_name_is_written_once_and_never_overwritten(store: Store) -> None:
    assert run(store.create(NAME, b"one")) is True
    assert run(store.create(NAME, b"two")) is False
    assert run(store.read(NAME)) == b"one"
    run(keep(store, ONE, b"one"))  # the same bytes once more: two backups in one second
    with pytest.raises(BackupError, match="nothing was overwritten"):
        run(keep(store, ONE, b"two"))
    assert run(store.read(NAME)) == b"one"


def test_encrypted_once_more_the_archive_that_is_there_stays(store: Store) -> None:
    sealed = archive(19, age=".age")
    run(keep(store, sealed, b"age-encryption.org/ one"))
    run(keep(store, sealed, b"age-encryption.org/ two"))
    assert run(store.read(str(sealed))) == b"age-encryption.org/ one"


def test_what_was_removed_is_gone_and_gone_twice_is_no_problem(store: Store) -> None:
    run(keep(store, ONE, b"one"))
    run(store.remove(NAME))
    run(store.remove(NAME))
    assert run(store.names()) == []
    with pytest.raises(BackupError, match="cannot read"):
        run(store.read(NAME))


@pytest.mark.parametrize("name", ["../x", "x", "", f"../{NAME}", f"sub/{NAME}"])
def test_only_archive_names_are_read_written_or_removed(name: str, store: Store) -> None:
    actions: list[Callable[[], object]] = [
        lambda: store.create(name, b""), lambda: store.read(name), lambda: store.remove(name),
    ]  # fmt: skip
    for action in actions:
        with pytest.raises(BackupError, match="not the name of an archive"):
            run(action())


@pytest.mark.parametrize(
    "name",
    [
        f"../{MARKER}", f"sub/{MARKER}", MARKER.upper(), f"{MARKER}.json", "jitsu-backup-lease.json",
        "jitsu-backup-lease..7.json", "jitsu-backup-lease.w1.json", "jitsu-backup-lease.w1.07.json",
        "jitsu-backup-lease.w1.seven.json", "jitsu-backup-lease.../w1.7.json", "jitsu-backup-lease.w1.\u0667.json",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_control_file_is_no_name_of_a_store(name: str, store: Store) -> None:
    with pytest.raises(BackupError, match="or of a control file"):
        run(store.create(name, b"x"))
    assert run(store.listing()) == {}


@pytest.mark.parametrize("name", [MARKER, LEASE])
def test_a_control_file_is_created_once_read_and_removed_and_is_no_archive(name: str, store: Store) -> None:
    assert run(store.create(name, b"one")) is True
    assert run(store.create(name, b"two")) is False
    assert run(store.read(name)) == b"one"
    assert run(store.names()) == []
    assert run(archives(store)) == []
    run(store.remove(name))
    run(store.remove(name))
    assert run(store.listing()) == {}
    with pytest.raises(BackupError, match="cannot read"):
        run(store.read(name))


def test_one_listing_gives_the_sizes_of_archives_and_control_files(store: Store) -> None:
    assert run(store.listing()) == {}
    run(keep(store, ONE, b"one"))
    run(store.create(MARKER, b"{}"))
    run(store.create(LEASE, b""))
    run(store.create(str(TWO), b""))
    assert run(store.listing()) == {NAME: 3, MARKER: 2, LEASE: 0}  # an empty archive is none
    assert run(store.names()) == [NAME]


def test_an_archive_that_was_written_again_has_another_stamp(store: Store) -> None:
    run(keep(store, ONE, b"one"))
    run(store.create(MARKER, b"{}"))
    before = run(store.stamps())
    assert before.keys() == {NAME}
    assert run(store.stamps()) == before
    run(store.remove(NAME))
    run(store.create(NAME, b"another"))
    assert run(store.stamps())[NAME] != before[NAME]


def test_of_many_who_create_a_control_file_one_wins(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: run(store.create(LEASE, bytes([number]))), range(4)))
    assert sum(made) == 1
    assert run(store.read(LEASE)) == bytes([made.index(True)])


def test_what_is_put_aside_is_gone_from_the_store_and_never_over_another(store: Store) -> None:
    run(keep(store, ONE, b"one"))
    run(keep(store, TWO, b"two"))
    run(store.quarantine(NAME))
    assert run(store.names()) == [str(TWO)]
    run(keep(store, ONE, b"once more"))
    with pytest.raises(BackupError, match="already"):
        run(store.quarantine(NAME))
    assert run(store.read(NAME)) == b"once more"
    with pytest.raises(BackupError, match=r"cannot quarantine"):
        run(store.quarantine(str(archive(21))))
    with pytest.raises(BackupError, match="not the name of an archive"):
        run(store.quarantine(f"../{NAME}"))


def test_a_run_that_was_killed_while_it_put_something_aside_is_finished_by_the_next() -> None:
    backend = MemoryStore()
    store = ObjectStore(backend, "memory://")
    run(keep(store, ONE, b"one"))
    backend.put(f"{QUARANTINE}/{NAME}", b"one")  # copied, and not yet removed
    run(store.quarantine(NAME))
    assert run(store.names()) == []
    assert bytes(backend.get(f"{QUARANTINE}/{NAME}").bytes()) == b"one"


def test_an_archive_of_another_size_than_its_name_says_is_listed_as_damaged(store: Store) -> None:
    whole, cut = archive(19, ".7.z3-0123456789abcdef"), archive(20, ".7.z3-0123456789abcdef")
    run(keep(store, whole, b"one"))
    run(store.create(str(cut), b"tw"))
    run(keep(store, archive(21), b"old"))
    assert [(a.taken_at.hour, a.found, a.damaged) for a in run(archives(store))] == [
        (21, 3, False), (20, 2, True), (19, 3, False),
    ]  # fmt: skip


def test_of_many_writers_at_once_one_wins_whole_and_the_others_are_reported(store: Store) -> None:
    def write(data: bytes) -> bytes | None:
        try:
            run(keep(store, ONE, data))
        except BackupError:
            return None
        return data

    with ThreadPoolExecutor(4) as pool:
        done = [d for d in pool.map(write, [bytes([n]) * 50_000 for n in range(4)]) if d is not None]
    assert done == [run(store.read(NAME))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run(keep(store, TWO, b"same")), range(8)))
    assert run(store.names()) == [str(ONE), str(TWO)]


def test_an_archive_of_some_megabytes_comes_back_byte_for_byte(store: Store) -> None:
    data = os.urandom(
        6 * 2**20
    )  # beyond the size from which clients split uploads, which cannot be conditional
    run(keep(store, ONE, data))
    assert run(store.read(NAME)) == data


def test_more_archives_than_one_page_of_a_list_are_all_there(store: Store) -> None:
    names = [archive(19, digest=f"{number:012x}") for number in range(40)]
    for each in names:
        run(store.create(str(each), b"x"))
    assert run(store.names()) == sorted(map(str, names))
