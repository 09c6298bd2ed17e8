"""A store lists only whole archives, whatever happened while they were written."""

import errno
import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from jitsu_backup.archive import parse_name
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.store import FolderStore, keep, open_store
from jitsu_backup.store.files import TEMPORARY, write_new_file
from tests.support import run

NAME = "acme.w1.20261123T190000Z.0123456789ab.json.gz"
OTHER = "acme.w1.20261123T200000Z.0123456789ab.json.gz"


def put(store: FolderStore, name: str, data: bytes) -> None:
    archive = parse_name(name)
    assert archive is not None
    run(keep(store, archive, data))


def test_what_was_written_is_its_owners_only(tmp_path: Path) -> None:
    store = FolderStore(str(tmp_path / "a" / "b"))
    put(store, NAME, b"one")
    assert store.url == str(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a" / "b" / NAME).stat().st_nlink == 1


def test_foreign_and_unfinished_files_are_not_listed(tmp_path: Path) -> None:
    for name in ("notes.txt", ".jitsu-backup-00", "." + NAME, NAME + ".part", "README"):
        (tmp_path / name).write_bytes(b"")
    assert run(FolderStore(str(tmp_path)).names()) == []


def test_without_hard_links_the_archive_is_renamed_and_never_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = FolderStore(str(tmp_path))
    put(store, NAME, b"one")
    with pytest.raises(BackupError, match="nothing was overwritten"):
        put(store, NAME, b"two")
    assert run(store.read(NAME)) == b"one"
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_file_in_the_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = FolderStore(str(tmp_path / "file"))
    with pytest.raises(BackupError, match=r"file: not a directory"):
        run(store.names())
    with pytest.raises(BackupError, match=r"cannot create the store .*file: file exists"):
        put(store, NAME, b"")


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=False, capture_output=True
    )
    if mount.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        store = FolderStore(str(tmp_path))
        put(store, OTHER, b"fits")
        with pytest.raises(BackupError, match="no space left on device"):
            put(store, NAME, b"x" * 1_000_000)
        assert [path.name for path in tmp_path.iterdir()] == [OTHER]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_what_a_killed_writer_left_goes_with_the_next_run_and_what_one_at_work_has_stays(
    tmp_path: Path,
) -> None:
    left, working = tmp_path / f"{TEMPORARY}{0:016x}", tmp_path / f"{TEMPORARY}{1:016x}"
    left.write_bytes(b"half")
    with working.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        put(FolderStore(str(tmp_path)), NAME, b"whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == [working.name, NAME]
    run(FolderStore(str(tmp_path)).remove(NAME))
    assert list(tmp_path.iterdir()) == []


def test_only_files_that_we_could_have_named_are_taken_for_leftovers(tmp_path: Path) -> None:
    names = ("identity.txt", "", "00", "0123456789abcdef.txt", "0123456789ABCDEF", "0123456789abcdef0")
    foreign = [tmp_path / f"{TEMPORARY}{name}" for name in names]
    for path in foreign:
        path.write_bytes(b"precious")
    os.mkfifo(tmp_path / f"{TEMPORARY}{0:016x}")
    (tmp_path / f"{TEMPORARY}{1:016x}").mkdir()
    (tmp_path / f"{TEMPORARY}{2:016x}").symlink_to(foreign[0])
    before = sorted(tmp_path.iterdir())
    put(FolderStore(str(tmp_path)), NAME, b"whole")
    run(FolderStore(str(tmp_path)).remove(NAME))
    assert sorted(tmp_path.iterdir()) == before


def test_leftovers_are_looked_for_once_a_run_and_not_once_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    monkeypatch.setattr("jitsu_backup.store.folder.remove_leftovers", looked.append)
    store = FolderStore(str(tmp_path))
    for name in (NAME, OTHER):
        put(store, name, b"one")
    for name in (NAME, OTHER):
        run(store.remove(name))
    assert looked == [tmp_path]


def test_a_writer_whose_file_was_tidied_away_before_it_had_its_lock_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, begun = fcntl.flock, list[int]()

    def too_late(handle: int, how: int) -> None:
        begun.append(handle)
        if len(begun) == 1:
            (found,) = tmp_path.glob(f"{TEMPORARY}*")
            found.unlink()
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    assert write_new_file(tmp_path / NAME, b"whole") is True
    assert len(begun) == 2
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("./x", "x"), ("/a/b c", "/a/b c"), ("file:///a/b%20c", "/a/b c"),
        ("FILE:///a", "/a"), ("file://localhost/a", "/a"),
    ],
)  # fmt: skip
def test_a_path_or_file_url_opens_a_folder(url: str, folder: str) -> None:
    store = open_store(url, {})
    assert isinstance(store, FolderStore)
    assert store.folder == Path(folder)


@pytest.mark.parametrize(
    ("url", "environment", "words"),
    [
        ("s3://key:canary@bucket/x", {}, "environment"),
        ("s3://bucket/x?region=canary", {}, "environment"),
        ("s3:///x", {}, "no bucket or container"),
        ("ftp://canary@x/y", {}, "unknown kind of store"),
        ("", {}, "no path"),
        ("file://", {}, "no path"),
        ("file://server/share", {}, "three slashes"),
        ("s3://b", {"AWS_ENDPOINT_URL": "not an address, canary"}, "AWS_ENDPOINT_URL"),
        ("s3://b", {"AWS_PROFILE": "canary"}, "AWS_PROFILE"),
        ("az://b", {}, "AZURE_STORAGE_ACCOUNT_NAME"),
    ],
)
def test_what_is_no_store_is_refused_as_usage(url: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        open_store(url, environment)
    assert "canary" not in str(caught.value)
