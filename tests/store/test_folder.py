"""A store lists only whole archives, whatever happened while they were written."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.store import FolderStore, Store, open_store

NAME = "acme.w1.20261123T190000Z.0123456789ab.json.gz"
OTHER = "acme.w1.20261123T200000Z.0123456789ab.json.gz"


def test_what_was_written_is_listed_and_read(tmp_path: Path) -> None:
    store: Store = open_store(str(tmp_path / "a" / "b"))
    assert store.names() == []
    store.write(OTHER, b"two")
    store.write(NAME, b"one")
    assert store.names() == [NAME, OTHER]
    assert store.read(NAME) == b"one"
    assert store.url == str(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a" / "b" / NAME).stat().st_nlink == 1


def test_foreign_and_unfinished_files_are_not_listed(tmp_path: Path) -> None:
    for name in ("notes.txt", ".jitsu-backup-00", "." + NAME, NAME + ".part", "README"):
        (tmp_path / name).write_bytes(b"")
    assert FolderStore(str(tmp_path)).names() == []


def test_the_same_archive_again_is_fine_and_another_of_its_name_is_refused(tmp_path: Path) -> None:
    store = FolderStore(str(tmp_path))
    store.write(NAME, b"one")
    store.write(NAME, b"one")
    with pytest.raises(BackupError, match="nothing was overwritten"):
        store.write(NAME, b"two")
    assert store.read(NAME) == b"one"
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("name", ["../x", "x", "", f"../{NAME}"])
def test_only_archive_names_are_read_or_written(name: str, tmp_path: Path) -> None:
    store = FolderStore(str(tmp_path / "store"))
    for action in (lambda: store.write(name, b""), lambda: store.read(name)):
        with pytest.raises(BackupError, match="no archive name"):
            action()
    assert list(tmp_path.iterdir()) == []


def test_without_hard_links_the_archive_is_renamed_and_never_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = FolderStore(str(tmp_path))
    store.write(NAME, b"one")
    with pytest.raises(BackupError, match="nothing was overwritten"):
        store.write(NAME, b"two")
    assert store.read(NAME) == b"one"
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = FolderStore(str(tmp_path / "file"))
    with pytest.raises(BackupError, match=r"file: not a directory"):
        store.names()
    with pytest.raises(BackupError, match=r"cannot create the store .*file: file exists"):
        store.write(NAME, b"")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=False, capture_output=True
    )
    if mount.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        store = FolderStore(str(tmp_path))
        store.write(OTHER, b"fits")
        with pytest.raises(BackupError, match="no space left on device"):
            store.write(NAME, b"x" * 1_000_000)
        assert [path.name for path in tmp_path.iterdir()] == [OTHER]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


KILLED = """
import os, signal, sys
step, when, folder, name = sys.argv[1:]
from jitsu_backup.store import FolderStore
real = getattr(os, step)
def kill(*a, **k):
    if when == "after":
        real(*a, **k)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, step, kill)
FolderStore(folder).write(name, b"x" * 100_000)
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["mkdir", "open", "fdopen", "fsync", "link", "unlink", "close"])
def test_a_killed_process_leaves_only_whole_archives(step: str, when: str, tmp_path: Path) -> None:
    store = FolderStore(str(tmp_path / "store"))
    command = [sys.executable, "-B", "-c", KILLED, step, when, str(store.folder), NAME]
    assert subprocess.run(command, check=False).returncode == -9
    for name in store.names():
        assert store.read(name) == b"x" * 100_000
    store.write(NAME, b"x" * 100_000)
    assert store.names() == [NAME]


def test_of_two_writers_at_once_one_wins_whole_and_the_other_is_told(tmp_path: Path) -> None:
    for turn in range(20):
        store = FolderStore(str(tmp_path / str(turn)))

        def write(data: bytes, store: FolderStore = store) -> bytes | None:
            try:
                store.write(NAME, data)
            except BackupError:
                return None
            return data

        with ThreadPoolExecutor(4) as pool:
            done = [d for d in pool.map(write, [bytes([n]) * 50_000 for n in range(4)]) if d is not None]
        assert done == [store.read(NAME)]
        assert [path.name for path in store.folder.iterdir()] == [NAME]


def test_two_writers_of_the_same_bytes_both_succeed(tmp_path: Path) -> None:
    store = FolderStore(str(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: store.write(NAME, b"same"), range(20)))
    assert store.names() == [NAME]


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("./x", "x"), ("/a/b c", "/a/b c"), ("file:///a/b%20c", "/a/b c"),
        ("FILE:///a", "/a"), ("file://localhost/a", "/a"),
    ],
)  # fmt: skip
def test_a_path_or_file_url_opens_a_folder(url: str, folder: str) -> None:
    assert open_store(url).folder == Path(folder)


@pytest.mark.parametrize("url", ["s3://key:canary@bucket/x", "gs://b", "", "file://", "file://server/share"])
def test_another_store_is_refused_as_usage(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url)
    assert "canary" not in str(caught.value)
